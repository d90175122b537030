"""Messages that an SBC must survive: what they are called, what they say, and where they may go.

Each is written for one sender (:class:`Who`): its address in Via and Contact, and a number that
somebody on the other side serves. ``may_reach`` says whether the other side may see the call; a
message that may not is *refused*, wherever it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

ELSEWHERE = "203.0.113.99"
"""Where nobody ever asked us to send anything."""

PLAIN = "m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
SECRET = (
    "m=audio 40000 RTP/SAVP 8\r\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw|2^31\r\n"
)


@dataclass(frozen=True)
class Who:
    """Who sends: by which transport, from which address, to which name and number."""

    name: str
    transport: str
    address: str
    target: str
    number: str
    secure: bool = False

    @property
    def media(self) -> str:
        """The audio this sender offers when it means well."""
        return SECRET if self.secure else PLAIN


@dataclass(frozen=True)
class Case:
    """One bad input. ``codes``: the only answers a known sender may get; ``-`` for none at all."""

    name: str
    raw: bytes
    may_reach: bool = False
    codes: str = ""


def sdp(who: Who, media: str | None = None) -> str:
    """A session description with the media lines given."""
    head = f"v=0\r\no=- 1 1 IN IP4 {who.address}\r\ns=-\r\nc=IN IP4 {who.address}\r\nt=0 0\r\n"
    return head + (who.media if media is None else media)


class Maker:
    """Writes requests of one sender; every one is valid until something is changed in it."""

    def __init__(self, who: Who) -> None:
        self.who = who

    def lines(self, name: str, method: str = "INVITE") -> dict[str, str]:
        """The header lines of a request by name, in order."""
        who, mark = self.who, f"{name}-{self.who.name}-{self.who.transport}"
        via = f"SIP/2.0/{who.transport.upper()} {who.address}:5060;branch=z9hG4bK{mark}"
        return {
            "Via": via,
            "Max-Forwards": "70",
            "From": f'"Caller" <sip:+493055520@{who.address}>;tag=f{mark}',
            "To": f"<sip:{who.number}@{who.target}>",
            "Call-ID": f"{mark}@torture",
            "CSeq": f"1 {method}",
            "Contact": f"<sip:+493055520@{who.address}:5060>",
        }

    def request(
        self,
        name: str,
        *,
        method: str = "INVITE",
        body: str | bytes | None = None,
        uri: str = "",
        start: str = "",
        extra: str = "",
        drop: tuple[str, ...] = (),
        length: str | None = "",
        kind: str = "application/sdp",
        **changed: str,
    ) -> bytes:
        """One request; *changed* headers are named with ``_`` for ``-``, *extra* are raw lines."""
        who = self.who
        if body is None:
            body = sdp(who) if method == "INVITE" else ""
        content = body.encode() if isinstance(body, str) else body
        headers = self.lines(name, method)
        headers.update({key.replace("_", "-"): value for key, value in changed.items()})
        text = "".join(f"{key}: {value}\r\n" for key, value in headers.items() if key not in drop)
        first = start or f"{method} {uri or f'sip:{who.number}@{who.target}'} SIP/2.0"
        if content and kind:
            text += f"Content-Type: {kind}\r\n"
        if length is not None:
            text += f"Content-Length: {length or len(content)}\r\n"
        head = f"{first}\r\n{extra}{text}\r\n"
        return head.encode("utf-8", "surrogateescape") + content
