"""SIP requests and responses as values: parse from bytes, read what matters, serialise again.

Header order is kept, header names are compared in their long form without case, and a parsed
message remembers its bytes in ``raw``. Parsing is tolerant (bare line feeds, folding, compact
names, unknown headers); what cannot be a SIP message raises the one ``SipError``.
Source: RFC 3261 sections 7, 18.3, 20 and 25.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Self

from orchestrator.sip import grammar, uri

MAX_BYTES = 65535
"""The largest message taken; a UDP datagram cannot be larger."""

_COMPACT = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "j": "reject-contact",
    "k": "supported", "l": "content-length", "m": "contact", "n": "identity-info",
    "o": "event", "r": "refer-to", "s": "subject", "t": "to", "u": "allow-events",
    "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?")
_LINE_END = re.compile(rb"\r\n|\n")


@dataclass(frozen=True, slots=True)
class Header:
    """One header line: the name as written and the value with folding undone."""

    name: str
    value: str

    @property
    def key(self) -> str:
        """The long name in lower case; what headers are compared by."""
        return key_of(self.name)


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value: ``SIP/2.0/UDP host:port;branch=...`` (RFC 3261 section 20.42)."""

    transport: str
    host: str
    port: int | None
    params: tuple[grammar.Param, ...] = ()

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        params = "".join(f";{param}" for param in self.params)
        return f"SIP/2.0/{self.transport} {self.host}{port}{params}"

    @property
    def sent_by(self) -> str:
        """Host and port as written."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def branch(self) -> str:
        """The branch parameter, or an empty string."""
        return self.param("branch") or ""

    def param(self, name: str) -> str | None:
        """The value of a parameter, ``""`` when it has none, None when absent."""
        return grammar.find(self.params, name)


@dataclass(frozen=True, slots=True)
class CSeq:
    """The CSeq header: a number of 32 bits and the method it counts."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True, slots=True)
class Message:
    """What requests and responses share: ordered headers, a body, and the bytes they came from."""

    headers: tuple[Header, ...] = ()
    body: bytes = b""
    raw: bytes = field(default=b"", compare=False, repr=False)

    def values(self, name: str) -> tuple[str, ...]:
        """The values of all headers of that name, in order, one per header line."""
        key = key_of(name)
        return tuple(header.value for header in self.headers if header.key == key)

    def get(self, name: str) -> str | None:
        """The value of the first header of that name, or None."""
        return next(iter(self.values(name)), None)

    def need(self, name: str) -> str:
        """The value of the first header of that name; SipError when there is none."""
        value = self.get(name)
        if value is None:
            raise grammar.SipError(f"the {name} header is missing")
        return value

    def listed(self, name: str) -> tuple[str, ...]:
        """The values of a comma-joined header over all its lines, in order."""
        parts = (part for value in self.values(name) for part in grammar.split(value, ","))
        return tuple(part for part in parts if part)

    def tokens(self, name: str) -> frozenset[str]:
        """The values of Allow, Supported, Require and the like, in lower case."""
        return frozenset(part.lower() for part in self.listed(name))

    def with_header(self, name: str, value: str) -> Self:
        """The same with this header in place of all of that name (at the first one's place)."""
        key = key_of(name)
        places = [index for index, header in enumerate(self.headers) if header.key == key]
        at = places[0] if places else len(self.headers)
        kept = [header for header in self.headers if header.key != key]
        return replace(self, headers=(*kept[:at], Header(name, value), *kept[at:]), raw=b"")

    def without(self, name: str) -> Self:
        """The same without any header of that name."""
        key = key_of(name)
        kept = tuple(header for header in self.headers if header.key != key)
        return replace(self, headers=kept, raw=b"")

    @property
    def start_line(self) -> str:
        """The first line, without its line end."""
        raise NotImplementedError

    @property
    def call_id(self) -> str:
        """The Call-ID; SipError when missing."""
        return self.need("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """The CSeq; SipError when missing or malformed."""
        number, _, method = self.need("CSeq").partition(" ")
        return CSeq(_number(number, "CSeq", 2**32), method.strip())

    @property
    def via(self) -> tuple[Via, ...]:
        """All Via values, topmost first."""
        return tuple(parse_via(value) for value in self.listed("Via"))

    @property
    def top_via(self) -> Via:
        """The topmost Via; SipError when there is none."""
        return parse_via(grammar.split(self.need("Via"), ",")[0])

    @property
    def from_(self) -> uri.NameAddr:
        """The From header; SipError when missing or malformed."""
        return uri.parse_name_addr(self.need("From"))

    @property
    def to(self) -> uri.NameAddr:
        """The To header; SipError when missing or malformed."""
        return uri.parse_name_addr(self.need("To"))

    @property
    def contacts(self) -> tuple[uri.NameAddr, ...]:
        """All Contact values; ``*`` stays a NameAddr whose URI is ``*``."""
        return self._addresses("Contact")

    @property
    def routes(self) -> tuple[uri.NameAddr, ...]:
        """All Route values, topmost first."""
        return self._addresses("Route")

    @property
    def record_routes(self) -> tuple[uri.NameAddr, ...]:
        """All Record-Route values, topmost first."""
        return self._addresses("Record-Route")

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters, or an empty string."""
        return (self.get("Content-Type") or "").partition(";")[0].strip().lower()

    def serialise(self) -> bytes:
        """The message as bytes, with a Content-Length that is true."""
        lines = [self.start_line]
        kept = (header for header in self.headers if header.key != "content-length")
        lines.extend(f"{header.name}: {header.value}" for header in kept)
        lines.append(f"Content-Length: {len(self.body)}")
        return grammar.encode("\r\n".join(lines) + "\r\n\r\n") + self.body

    def text(self) -> str:
        """The message for human eyes: as it was received, else as it would be sent."""
        return (self.raw or self.serialise()).decode("utf-8", "replace")

    def _addresses(self, name: str) -> tuple[uri.NameAddr, ...]:
        return tuple(uri.parse_name_addr(value) for value in self.listed(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Message):
    """A SIP request; ``target`` is the Request-URI as written."""

    method: str
    target: str

    @property
    def start_line(self) -> str:
        """The request line."""
        return f"{self.method} {self.target} SIP/2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Message):
    """A SIP response; ``status`` is 100 to 699."""

    status: int
    reason: str = ""

    @property
    def start_line(self) -> str:
        """The status line."""
        return f"SIP/2.0 {self.status} {self.reason}"


def key_of(name: str) -> str:
    """The long, lower-case form of a header name; compact forms are understood."""
    lower = name.lower()
    return _COMPACT.get(lower, lower)


def parse_via(text: str) -> Via:
    """Read one Via value; SipError when it is none."""
    protocol, _, rest = text.partition(" ")
    version, _, transport = protocol.replace(" ", "").rpartition("/")
    sent_by, _, params = rest.strip().partition(";")
    if version.upper() != "SIP/2.0" or not transport or not sent_by.strip():
        raise grammar.SipError(f"a malformed Via: {text[:60]!r}")
    address = uri.parse_uri(f"sip:{sent_by.strip()}")
    return Via(transport.upper(), address.host, address.port, grammar.parse_params(params))


def parse(raw: bytes) -> Request | Response:
    """Read one whole message, a datagram's worth.

    Bytes behind the body are dropped (RFC 3261 section 18.3); without Content-Length the rest is
    the body.

    Raises:
        SipError: This is no SIP message; the reason says why.
    """
    if len(raw) > MAX_BYTES:
        raise grammar.SipError(f"{len(raw)} bytes are more than a SIP message may have")
    head, body = _split_head(raw)
    lines = _lines(head)
    headers = _parse_headers(lines[1:])
    length = _content_length(headers)
    if length is not None and length > len(body):
        raise grammar.SipError(f"Content-Length says {length}, {len(body)} bytes are there")
    body = body if length is None else body[:length]
    first = grammar.decode(lines[0])
    status = _STATUS.fullmatch(first)
    if status:
        return Response(headers, body, raw, status=int(status[1]), reason=status[2] or "")
    method, target = _request_line(first)
    return Request(headers, body, raw, method=method, target=target)


def body_length(head: bytes) -> int | None:
    """What Content-Length says in *head* (all before the empty line), None when it is not there.

    Raises:
        SipError: The head is no SIP head, or the length no number that fits.
    """
    return _content_length(_parse_headers(_lines(head)[1:]))


def _lines(head: bytes) -> list[bytes]:
    return _LINE_END.split(head.lstrip(b"\r\n"))


def _split_head(raw: bytes) -> tuple[bytes, bytes]:
    start = len(raw) - len(raw.lstrip(b"\r\n"))
    ends = [(raw.find(mark, start), len(mark)) for mark in (b"\r\n\r\n", b"\n\n", b"\n\r\n")]
    found = [end for end in ends if end[0] >= 0]
    if not found:
        raise grammar.SipError("the empty line behind the headers is missing")
    at, size = min(found)
    return raw[:at], raw[at + size :]


def _content_length(headers: tuple[Header, ...]) -> int | None:
    values = {header.value for header in headers if header.key == "content-length"}
    if len(values) > 1:
        raise grammar.SipError("two different Content-Length headers")
    return _number(values.pop(), "Content-Length", MAX_BYTES + 1) if values else None


def _request_line(line: str) -> tuple[str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[2] != "SIP/2.0" or not _TOKEN.fullmatch(parts[0]) or not parts[1]:
        raise grammar.SipError(f"neither a request line nor a status line: {line[:60]!r}")
    return parts[0], parts[1]


def _parse_headers(lines: list[bytes]) -> tuple[Header, ...]:
    unfolded: list[bytes] = []
    for line in lines:
        if line[:1] in {b" ", b"\t"} and unfolded:
            unfolded[-1] += b" " + line.strip()
        else:
            unfolded.append(line)
    return tuple(_parse_header(grammar.decode(line)) for line in unfolded)


def _parse_header(line: str) -> Header:
    name, colon, value = line.partition(":")
    name = name.rstrip()
    if not colon or not _TOKEN.fullmatch(name):
        raise grammar.SipError(f"a header line that is none: {line[:60]!r}")
    return Header(name, value.strip())


def _number(text: str, name: str, limit: int) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) >= limit:
        raise grammar.SipError(f"{name} is not a number that fits: {text[:20]!r}")
    return int(text)
