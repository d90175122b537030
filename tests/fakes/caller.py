"""A trunk's caller for a test machine: one SIP exchange over UDP, then it ends.

    python caller.py options
    python caller.py call NUMBER FILE     INVITE, ACK; the dialog is kept in FILE
    python caller.py bye FILE

The status of the final answer and its Retry-After go to stdout.
"""

from __future__ import annotations

import json
import socket
import sys
import uuid
from pathlib import Path

HERE = ("192.0.2.20", 5070)
SBC = ("192.0.2.10", 5060)
SDP = "".join(
    f"{line}\r\n"
    for line in (
        *("v=0", f"o=- 1 1 IN IP4 {HERE[0]}", "s=-", f"c=IN IP4 {HERE[0]}", "t=0 0"),
        "m=audio 40000 RTP/AVP 8",
    )
)


def header(message: str, name: str) -> str:
    """The first header of that name, or an empty string."""
    for line in message.split("\r\n"):
        if line.lower().startswith(f"{name.lower()}:"):
            return line.partition(":")[2].strip()
    return ""


class Caller:
    """One socket."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(HERE)
        self._socket.settimeout(6)

    def send(self, method: str, uri: str, headers: dict[str, str], body: str = "") -> None:
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {HERE[0]}:{HERE[1]};branch=z9hG4bK{uuid.uuid4().hex}",
            "Max-Forwards: 70",
            f"Contact: <sip:caller@{HERE[0]}:{HERE[1]}>",
            *(f"{name}: {value}" for name, value in headers.items()),
            *(("Content-Type: application/sdp",) if body else ()),
            f"Content-Length: {len(body)}",
        ]
        self._socket.sendto("\r\n".join([*lines, "", body]).encode(), SBC)

    def final(self) -> str:
        """The next final answer; whatever else comes is passed over."""
        while True:
            message = self._socket.recv(65535).decode()
            if message.startswith("SIP/2.0") and int(message.split()[1]) >= 200:
                return message


def main(what: str, *words: str) -> str:
    caller = Caller()
    new = {"From": "<sip:+4940@192.0.2.20>;tag=c", "Call-ID": uuid.uuid4().hex}
    if what == "options":
        caller.send(
            "OPTIONS", "sip:192.0.2.10", {**new, "To": "<sip:192.0.2.10>", "CSeq": "1 OPTIONS"}
        )
        return caller.final()
    if what == "call":
        number, file = words
        uri = f"sip:{number}@{SBC[0]}:{SBC[1]}"
        caller.send("INVITE", uri, {**new, "To": f"<{uri}>", "CSeq": "1 INVITE"}, SDP)
        answer = caller.final()
        dialog = {**new, "To": header(answer, "To"), "uri": uri}
        if answer.split()[1] == "200":
            dialog["uri"] = header(answer, "Contact").partition("<")[2].partition(">")[0]
            dialog["Route"] = header(answer, "Record-Route")
        Path(file).write_text(json.dumps(dialog))
        rest = {name: value for name, value in dialog.items() if name != "uri"}
        caller.send("ACK", dialog["uri"], {**rest, "CSeq": "1 ACK"})
        return answer
    dialog = json.loads(Path(words[0]).read_text())
    caller.send("BYE", dialog.pop("uri"), {**dialog, "CSeq": "2 BYE"})
    return caller.final()


if __name__ == "__main__":
    told = main(*sys.argv[1:])
    sys.stdout.write(f"{told.split()[1]} {header(told, 'Retry-After')}".strip())
