"""The messages of RFC 4475, unpacked from the RFC's own archive text."""

from __future__ import annotations

import base64
import io
import re
import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).parent / "rfc4475.txt"

WANTED = {
    # 3.1.1, valid
    "wsinv": "-",  # Kamailio's parser does not follow a Via folded within its protocol
    "intmeth": "-",  # a header name of letters Kamailio does not know
    "esc01": "relayed",
    "escnull": "403",  # REGISTER: only phones register
    "esc02": "-",  # method RE%47IST%45R, and a header name with %
    "lwsdisp": "200",
    "longreq": "relayed",
    "dblreq": "400 403",  # a datagram with more than its length says is refused
    "semiuri": "200",
    "transports": "200",
    "mpart01": "405",  # MESSAGE
    "unreason": "-",
    "noreason": "-",
    # 3.1.2, invalid
    "badinv01": "-",
    "clerr": "400",
    "ncl": "-",
    "scalar02": "400",
    "scalarlg": "-",
    "quotbal": "-",
    "ltgtruri": "400",
    "lwsruri": "-",
    "lwsstart": "-",
    "trws": "200",
    "escruri": "relayed",  # what is in the Request-URI beside the number is left out
    "baddate": "relayed",  # nobody here reads Date
    "regbadct": "403",
    "badaspec": "200",
    "baddn": "400",
    "badvers": "-",
    "mismatch01": "400",
    "mismatch02": "400",
    "bigcode": "-",
    # 3.2 to 3.4, meaning
    "badbranch": "200",
    "insuf": "-",
    "unkscm": "400",
    "novelsc": "400",
    "unksm2": "400",
    "bext01": "420",
    "invut": "488",
    "regaut01": "403",
    "multi01": "-",
    "mcl01": "-",
    "bcast": "-",
    "zeromf": "483",
    "cparam01": "403",
    "cparam02": "403",
    "regescrt": "403",
    "sdp01": "relayed",
    "inv2543": "400",  # an INVITE without Contact
}
"""What a trunk and Microsoft get: ``relayed``, the answer, or ``-`` for none."""


def messages() -> dict[str, bytes]:
    """Name -> the bytes of each message of section 3; bit by bit as in the archive.

    The archive holds a fiftieth file, ``test.dat``, that no section of the RFC speaks of.
    """
    lines = ARCHIVE.read_text(encoding="ascii").splitlines()
    packed = base64.b64decode("".join(line for line in lines if not line.startswith("#")))
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            if file is not None:
                found[Path(member.name).stem] = file.read()
    del found["test"]
    return found


def aimed(raw: bytes, mark: str, host: str) -> bytes:
    """The message as one that goes to us: Request-URI and Route at *host*, a dialog not yet begun.

    Call-ID and branch become our own (*mark*), so that no transaction meets another's; all else
    stays as it is, the faults above all.
    """
    head, blank, body = raw.partition(b"\r\n\r\n")
    first, _, rest = head.partition(b"\r\n")
    first = re.sub(rb"@[A-Za-z0-9.-]+", b"@" + host.encode(), first)
    rest = re.sub(
        rb"(?im)^((?:call-id|i)[ \t]*:[ \t]*)\S+", rb"\g<1>" + mark.encode() + b"@torture", rest
    )
    rest = re.sub(rb"(branch *=\s*z9hG4bK)(?=[^\s;,])", rb"\g<1>" + mark.encode(), rest)
    rest = re.sub(rb"(?im)(^Route *:\s*<sip:)[^;>]+", rb"\g<1>" + host.encode(), rest)
    rest = re.sub(rb"(?im)(^(?:To|t) *:(?:[^\r]|\r\n[ \t])*?);\s*tag\s*=\s*[^;\s]+", rb"\1", rest)
    return first + b"\r\n" + rest + blank + body
