"""What the rig reads and writes by hand, because what it reads may be wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


def call_id(raw: bytes) -> str:
    """The first Call-ID, as far as one can be found."""
    found = re.search(rb"(?im)^(?:call-id|i)[ \t]*:\s*([^\r\n]*?)[ \t]*\r?$", raw)
    return found[1].decode("latin-1") if found else ""


def header(raw: bytes, name: bytes) -> list[bytes]:
    """The values of a header in a message that we or Kamailio wrote."""
    head = raw.partition(b"\r\n\r\n")[0]
    return re.findall(rb"(?im)^" + name + rb"[ \t]*:[ \t]*([^\r\n]*)", head)


def answer_to(raw: bytes, status: str, body: str = "", contact: str = "") -> bytes:
    """An answer to a request that reached a sink."""
    vias = b"".join(b"Via: " + via + b"\r\n" for via in header(raw, b"(?:via|v)"))
    routes = b"".join(b"Record-Route: " + each + b"\r\n" for each in header(raw, b"record-route"))
    to = (header(raw, b"(?:to|t)") or [b""])[0]
    if b"tag=" not in to:
        to += b";tag=sink"
    middle = b"From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n" % (
        (header(raw, b"(?:from|f)") or [b""])[0],
        to,
        call_id(raw).encode("latin-1"),
        (header(raw, b"cseq") or [b""])[0],
    )
    end = f"Contact: <sip:{contact}>\r\n" if contact else ""
    end += "Content-Type: application/sdp\r\n" if body else ""
    end += f"Content-Length: {len(body)}\r\n\r\n{body}"
    return f"SIP/2.0 {status}\r\n".encode() + vias + routes + middle + end.encode()


def ack_of(raw: bytes) -> bytes:
    """The ACK of a final answer to an INVITE of ours that is no success; else nothing."""
    cseq, via = header(raw, b"cseq"), header(raw, b"(?:via|v)")
    if not cseq or not via or not cseq[0].upper().endswith(b"INVITE") or raw[8:9] in b"12":
        return b""
    names = ((b"From", b"(?:from|f)"), (b"To", b"(?:to|t)"), (b"Call-ID", b"(?:call-id|i)"))
    same = b"".join(
        b"%s: %s\r\n" % (name, (header(raw, pattern) or [b""])[0]) for name, pattern in names
    )
    end = b"CSeq: %s ACK\r\nContent-Length: 0\r\n\r\n" % cseq[0].split()[0]
    return b"ACK sip:192.0.2.10 SIP/2.0\r\nVia: %s\r\nMax-Forwards: 9\r\n" % via[0] + same + end


@dataclass
class Stream:
    """Cuts what Kamailio sends on a stream; anything not SIP stays in one piece."""

    kept: bytes = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self.kept = (self.kept + data).lstrip(b"\r\n")
        while b"\r\n\r\n" in self.kept:
            head = self.kept.partition(b"\r\n\r\n")[0]
            length = re.search(rb"(?im)^(?:content-length|l)[ \t]*:\s*(\d+)", head)
            whole = len(head) + 4 + (int(length[1]) if length else 0)
            if len(self.kept) < whole:
                return
            raw, self.kept = self.kept[:whole], self.kept[whole:].lstrip(b"\r\n")
            yield raw
