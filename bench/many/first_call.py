"""Kill Kamailio, start it again, and tell when a call is answered: inside the test machine.

    python first_call.py LOG NUMBER PID... -- WORDS...

Every PID gets SIGKILL, then WORDS are started with their output in LOG. A trunk's INVITE for
NUMBER is sent again and again, as UDP does, and a new one after each refusal. Seconds from
the kill to the 200, and how many were refused, go to stdout as JSON; after a minute it gives up.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/fakes"))

from caller import HERE, SBC, SDP, header

AGAIN = 0.05
PATIENCE = 60.0


def invite(number: str, call: str) -> bytes:
    uri = f"sip:{number}@{SBC[0]}:{SBC[1]}"
    lines = (
        f"INVITE {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {HERE[0]}:{HERE[1]};branch=z9hG4bK{call}",
        "Max-Forwards: 70",
        f"Contact: <sip:caller@{HERE[0]}:{HERE[1]}>",
        f"From: <sip:+4940@{HERE[0]}>;tag={call}",
        f"To: <{uri}>",
        f"Call-ID: {call}",
        "CSeq: 1 INVITE",
        "Content-Type: application/sdp",
        f"Content-Length: {len(SDP)}",
    )
    return "\r\n".join((*lines, "", SDP)).encode()


def final(phone: socket.socket, number: str, end: float) -> str:
    """The status of a new call; its INVITE is sent again until there is one."""
    call = uuid.uuid4().hex
    while time.monotonic() < end:
        phone.sendto(invite(number, call), SBC)
        with contextlib.suppress(TimeoutError):
            while True:
                answer = phone.recv(65_535).decode()
                if header(answer, "Call-ID") == call and not answer.startswith("SIP/2.0 1"):
                    return answer.split()[1]
    raise TimeoutError(f"no answer to {number}")


def main(log: str, number: str, *rest: str) -> None:
    split = rest.index("--")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone, Path(log).open("ab") as out:
        phone.bind(HERE)
        phone.settimeout(AGAIN)
        began = time.monotonic()
        for pid in rest[:split]:
            # Workers may have followed their leader already.
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.Popen(rest[split + 1 :], stdout=out, stderr=out, start_new_session=True)
        refused = 0
        while (status := final(phone, number, began + PATIENCE)) != "200":
            refused += 1
            assert refused * AGAIN < PATIENCE, status
            time.sleep(AGAIN)
        taken = time.monotonic() - began
    sys.stdout.write(json.dumps({"seconds": taken, "refused": refused}))


if __name__ == "__main__":
    main(*sys.argv[1:])
