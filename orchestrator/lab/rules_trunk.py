"""Rules of what the SBC sends to the PBX, a carrier or a phone; pure."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.lab import bodies, evidence, rules_media
from orchestrator.sip import message

_LEAKY_ATTRIBUTES = (
    "x-", "ice-", "candidate", "remote-candidates", "end-of-candidates", "crypto", "label",
    "ssrc", "fingerprint", "setup", "mid", "msid", "rtcp-mux", "extmap", "rtcp-fb",
)  # fmt: skip
DATAGRAM = 1300
"""Bytes of a request over UDP that pass every network in one piece (RFC 3261 section 18.1.1)."""
_PACKET = 1472
"""Bytes of a datagram that fit into one packet of an Ethernet."""
_LEAKY_HEADERS = ("x-", "ms-")
_IDENTITIES = (
    "p-asserted-identity", "p-preferred-identity", "remote-party-id", "privacy", "history-info",
    "referred-by",
)  # fmt: skip
_PROXIED = ("via", "record-route", "route", "contact", "call-id", "geolocation")
"""Where a proxy must leave Microsoft's names, or nobody would find back to it."""


def busy_cause(
    parsed: message.Request | message.Response, _: evidence.Context
) -> Iterator[tuple[str, str]]:
    """SIG-16: Microsoft's 486 carries Q.850 cause 34, which a trunk takes for "no circuit"."""
    if isinstance(parsed, message.Response) and parsed.status == 486:
        for value in parsed.values("Reason"):
            if "cause=34" in value.replace(" ", "").lower():
                yield "486 reaches the trunk with cause 34 instead of 17", f"Reason: {value}"


def leaked_header(
    parsed: message.Request | message.Response, _: evidence.Context
) -> Iterator[tuple[str, str]]:
    """SIG-35: no header of Microsoft's and none of our own workings reaches the trunk."""
    for header in parsed.headers:
        if header.key.startswith(_LEAKY_HEADERS):
            excerpt = f"{header.name}: {header.value}"[:120]
            yield "a header that is nobody's business reaches the trunk", excerpt


def strayed_location(
    parsed: message.Request | message.Response, _: evidence.Context
) -> Iterator[tuple[str, str]]:
    """EM-1: where a caller is stands beside the header that names it, or nowhere."""
    parts = bodies.parts_of(parsed)
    located = any(part.type == bodies.PIDF_TYPE for part in parts)
    named = parsed.values("Geolocation")
    if located != any("cid:" in value for value in named):
        said = "without its header" if located else "is named and missing"
        yield f"a caller's location {said}", " ".join(named)[:120]
    if len(parts) > 1 and not located:
        yield "a body of several parts without a location", parsed.content_type


def leaked_identity(
    parsed: message.Request | message.Response, context: evidence.Context
) -> Iterator[tuple[str, str]]:
    """SIG-23: who really calls and who was called before is no carrier's business."""
    for header in parsed.headers:
        if context.outsider and header.key in _IDENTITIES:
            yield "a carrier is told an identity", f"{header.name}: {header.value}"[:120]


def leaked_name(
    parsed: message.Request | message.Response, _: evidence.Context
) -> Iterator[tuple[str, str]]:
    """SIG-35: no name of Microsoft's, but where a proxy must leave it."""
    for header in parsed.headers:
        if header.key not in _PROXIED and "microsoft" in header.value.lower():
            excerpt = f"{header.name}: {header.value}"[:120]
            yield "a name of Microsoft's reaches the trunk", excerpt


def leaked_attribute(
    parsed: message.Request | message.Response, context: evidence.Context
) -> Iterator[tuple[str, str]]:
    """MED-11: the trunk gets the kind of audio stream it wants, without Microsoft's attributes."""
    audio = rules_media.audio_of(parsed)
    if audio is None:
        return
    wanted = "RTP/SAVP" if context.srtp else "RTP/AVP"
    if audio.protocol != wanted:
        yield f"the trunk is offered something else than {wanted}", f"m=audio {audio.protocol}"
    for value in audio.values("a"):
        if context.srtp and value.startswith("crypto:"):
            continue
        if value.startswith(_LEAKY_ATTRIBUTES):
            yield "an attribute of Microsoft's reaches the trunk", f"a={value}"[:120]


def long_datagram(
    parsed: message.Request | message.Response, _: evidence.Context
) -> Iterator[tuple[str, str]]:
    """SIG-17: a request over UDP comes in one piece, but for what its trunk asked for."""
    if not isinstance(parsed, message.Request) or parsed.top_via.transport != "UDP":
        return
    size = len(parsed.serialise())
    proofs = ("Authorization", "Proxy-Authorization")
    asked_for = parsed.content_type.startswith("multipart/") or any(
        parsed.values(name) for name in ("History-Info", *proofs)
    )
    if size > _PACKET and not asked_for:
        yield f"{parsed.method} over UDP is longer than {_PACKET} bytes", f"{size} bytes"
