"""Bodies of several parts: an SDP with a caller's location (RFC 5621, 6442; EM-1); pure."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.sip import build, grammar, message

PIDF_TYPE = "application/pidf+xml"
BOUNDARY = "lab-Ab_9.boundary"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a body: its media type, further headers, and what it says."""

    type: str
    content: bytes
    headers: tuple[tuple[str, str], ...] = ()


def multipart(parts: tuple[Part, ...], *, boundary: str = BOUNDARY) -> tuple[str, bytes]:
    """The Content-Type and the body of ``multipart/mixed``."""
    chunks: list[bytes] = []
    for part in parts:
        head = [f"--{boundary}", f"Content-Type: {part.type}"]
        head += [f"{name}: {value}" for name, value in part.headers]
        chunks.append("\r\n".join((*head, "", "")).encode() + part.content + b"\r\n")
    chunks.append(f"--{boundary}--\r\n".encode())
    return f'multipart/mixed;boundary="{boundary}"', b"".join(chunks)


def parts_of(parsed: message.Request | message.Response) -> tuple[Part, ...]:
    """The parts of a body; a body of one kind is one part, no body is none.

    Raises:
        SipError: A multipart body without a boundary, or one that does not hold to it.
    """
    if not parsed.body:
        return ()
    if not parsed.content_type.startswith("multipart/"):
        return (Part(parsed.content_type, parsed.body),)
    boundary = _boundary(parsed.need("Content-Type"))
    mark = b"\r\n--" + boundary.encode()
    _, *rest = (b"\r\n" + parsed.body).split(mark)
    if not rest or not rest[-1].startswith(b"--"):
        raise grammar.SipError("a multipart body that does not end with its boundary")
    return tuple(_part(text) for text in rest[:-1])


def sdp_of(parsed: message.Request | message.Response) -> bytes:
    """The SDP in a body, alone or as a part; nothing when there is none that can be read."""
    try:
        parts = parts_of(parsed)
    except grammar.SipError:
        return b""
    return next((part.content for part in parts if part.type == build.SDP_TYPE), b"")


def with_location(
    offer: bytes, *, who: str, civic: str = "Berlin"
) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Headers and body of an emergency call: SDP, PIDF-LO and where it stands (RFC 6442).

    Args:
        offer: The SDP.
        who: The caller, ``sip:...``; names the location's Content-ID too.
        civic: The city that the location names.
    """
    identity = f"location-1@{who.partition('@')[2] or 'lab.invalid'}"
    location = Part(
        PIDF_TYPE, _PIDF.format(who=who, civic=civic).encode(), (("Content-ID", f"<{identity}>"),)
    )
    kind, body = multipart((Part(build.SDP_TYPE, offer), location))
    headers = (
        ("Geolocation", f"<cid:{identity}>"),
        ("Geolocation-Routing", "yes"),
        ("MIME-Version", "1.0"),
        ("Content-Type", kind),
    )
    return headers, body


_PIDF = """<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"
 xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr" entity="{who}">
<tuple id="1"><status><gp:geopriv><gp:location-info><ca:civicAddress>
<ca:country>DE</ca:country><ca:A3>{civic}</ca:A3>
</ca:civicAddress></gp:location-info><gp:usage-rules/></gp:geopriv></status></tuple>
</presence>
"""


def _boundary(content_type: str) -> str:
    for param in content_type.split(";")[1:]:
        name, _, value = param.strip().partition("=")
        if name.lower() == "boundary" and value.strip('"'):
            return value.strip('"')
    raise grammar.SipError("a multipart body without a boundary")


def _part(text: bytes) -> Part:
    head, blank, content = text.partition(b"\r\n\r\n")
    if not blank:
        raise grammar.SipError("a part of a body without headers")
    headers = []
    for line in grammar.decode(head).split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise grammar.SipError(f"a part's header that is none: {line[:60]!r}")
        headers.append((name.strip(), value.strip()))
    kinds = [value for name, value in headers if name.lower() == "content-type"]
    kind = kinds[0].partition(";")[0].strip().lower() if kinds else "text/plain"
    others = tuple(pair for pair in headers if pair[0].lower() != "content-type")
    return Part(kind, content, others)
