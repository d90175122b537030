"""Session descriptions as values: lines stay as they were, accessors read what calls need.

Source: RFC 4566 (lines), RFC 3264 (directions), RFC 4568 (crypto), RFC 5761 (rtcp-mux).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.sip import grammar

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
MAX_LINES = 2000


@dataclass(frozen=True, slots=True)
class Line:
    """One ``x=value`` line."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}={self.value}"


@dataclass(frozen=True, slots=True)
class Crypto:
    """One ``a=crypto`` line (RFC 4568 section 9.1).

    Attributes:
        tag: The number that ties an answer to an offer.
        suite: For example ``AES_CM_128_HMAC_SHA1_80``.
        key: The base64 text behind ``inline:``.
        lifetime: As written, for example ``2^31``, or an empty string.
        mki: As written, for example ``1:1``, or an empty string.
    """

    tag: int
    suite: str
    key: str
    lifetime: str = ""
    mki: str = ""

    def __str__(self) -> str:
        options = "".join(f"|{part}" for part in (self.lifetime, self.mki) if part)
        return f"{self.tag} {self.suite} inline:{self.key}{options}"


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload number of a media line and what it stands for (``a=rtpmap``, ``a=fmtp``)."""

    number: str
    name: str = ""
    rate: int = 0
    fmtp: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A run of lines: the session's, or one media's."""

    lines: tuple[Line, ...] = ()

    def values(self, kind: str) -> tuple[str, ...]:
        """The values of all lines of a kind."""
        return tuple(line.value for line in self.lines if line.kind == kind)

    def attributes(self, name: str) -> tuple[str, ...]:
        """The values of all ``a=name`` and ``a=name:value`` lines; a flag's value is empty."""
        split = (value.partition(":") for value in self.values("a"))
        return tuple(value for found, _, value in split if found == name)

    def has(self, name: str) -> bool:
        """True when an attribute of that name is there."""
        return bool(self.attributes(name))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The names of all attributes in order."""
        return tuple(value.partition(":")[0] for value in self.values("a"))

    @property
    def direction(self) -> str:
        """The last direction attribute, or an empty string."""
        found = [name for name in self.attribute_names if name in DIRECTIONS]
        return found[-1] if found else ""

    @property
    def address(self) -> str:
        """The address of the ``c=`` line, or an empty string."""
        parts = next(iter(self.values("c")), "").split()
        return parts[2].partition("/")[0] if len(parts) == 3 else ""


@dataclass(frozen=True, slots=True)
class Media(Section):
    """One ``m=`` line and what follows it.

    Attributes:
        kind: ``audio`` and so on.
        port: 0 to 65535; 0 is a refused stream.
        protocol: For example ``RTP/SAVP``.
        formats: The payload numbers as written, in order of preference.
    """

    kind: str = "audio"
    port: int = 0
    protocol: str = "RTP/AVP"
    formats: tuple[str, ...] = ()

    @property
    def crypto(self) -> tuple[Crypto, ...]:
        """The crypto lines; SipError when one is malformed."""
        return tuple(parse_crypto(value) for value in self.attributes("crypto"))

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """The formats in order, with their rtpmap and fmtp where these are given."""
        names = dict(value.split(" ", 1) for value in self.attributes("rtpmap") if " " in value)
        fmtps = dict(value.split(" ", 1) for value in self.attributes("fmtp") if " " in value)
        return tuple(_codec(number, names, fmtps) for number in self.formats)

    @property
    def rtcp(self) -> str:
        """The value of ``a=rtcp``, or an empty string."""
        return next(iter(self.attributes("rtcp")), "")

    @property
    def rtcp_mux(self) -> bool:
        """True when RTCP may share the port."""
        return self.has("rtcp-mux")

    @property
    def ptime(self) -> str:
        """Packet time in milliseconds as written, or an empty string."""
        return next(iter(self.attributes("ptime")), "")

    @property
    def candidates(self) -> tuple[str, ...]:
        """The ICE candidates, verbatim."""
        return self.attributes("candidate")


@dataclass(frozen=True, slots=True)
class Sdp(Section):
    """A session description: session lines and media, all in order."""

    media: tuple[Media, ...] = ()

    @property
    def origin(self) -> str:
        """The value of ``o=``, or an empty string."""
        return next(iter(self.values("o")), "")

    @property
    def audio(self) -> Media | None:
        """The first audio stream, or None."""
        return next((media for media in self.media if media.kind == "audio"), None)

    def address_of(self, media: Media) -> str:
        """Where *media* is sent to: its own ``c=`` line, else the session's."""
        return media.address or self.address

    def direction_of(self, media: Media) -> str:
        """The direction of *media*, with the session's and then sendrecv as default."""
        return media.direction or self.direction or "sendrecv"

    def serialise(self) -> bytes:
        """The description as bytes, every line ended by CRLF."""
        lines = [str(line) for line in self.lines]
        for media in self.media:
            formats = " ".join(media.formats)
            lines.append(f"m={media.kind} {media.port} {media.protocol} {formats}".rstrip())
            lines.extend(str(line) for line in media.lines)
        return grammar.encode("".join(f"{line}\r\n" for line in lines))


def parse(raw: bytes) -> Sdp:
    """Read a session description.

    Raises:
        SipError: A line that is none, no ``v=0``, or a malformed ``m=`` line.
    """
    texts = [line for line in grammar.decode(raw).replace("\r\n", "\n").split("\n") if line]
    if len(texts) > MAX_LINES:
        raise grammar.SipError(f"an SDP of {len(texts)} lines")
    lines = [_line(text) for text in texts]
    if not lines or str(lines[0]) != "v=0":
        raise grammar.SipError("an SDP that does not begin with v=0")
    starts = [index for index, line in enumerate(lines) if line.kind == "m"]
    borders = itertools.pairwise((*starts, len(lines)))
    media = (_media(lines[start:end]) for start, end in borders)
    session = lines[: starts[0]] if starts else lines
    return Sdp(tuple(session), tuple(media))


def parse_crypto(text: str) -> Crypto:
    """Read the value of one ``a=crypto`` line; SipError when malformed."""
    parts = text.split()
    if len(parts) < 3 or not (parts[0].isascii() and parts[0].isdigit() and len(parts[0]) < 10):
        raise grammar.SipError(f"a malformed crypto line: {text[:60]!r}")
    method, colon, inline = parts[2].partition(":")
    if method != "inline" or not colon:
        raise grammar.SipError(f"a crypto line without an inline key: {text[:60]!r}")
    key, *options = inline.split("|")
    mki = next((part for part in options if ":" in part), "")
    lifetime = next((part for part in options if part and ":" not in part), "")
    return Crypto(int(parts[0]), parts[1], key, lifetime, mki)


def attribute(name: str, value: object = "") -> Line:
    """An attribute line: a flag, or a name with a value."""
    text = str(value)
    return Line("a", f"{name}:{text}" if text else name)


def with_attributes(media: Media, added: Iterable[Line]) -> Media:
    """The same media with more lines at its end."""
    return replace(media, lines=(*media.lines, *added))


def with_direction(media: Media, direction: str) -> Media:
    """The same media with this direction in place of the one it had."""
    kept = (line for line in media.lines if line.kind != "a" or line.value not in DIRECTIONS)
    return replace(media, lines=(*kept, attribute(direction)))


def _line(text: str) -> Line:
    if len(text) < 2 or text[1] != "=" or not ("a" <= text[0] <= "z"):
        raise grammar.SipError(f"an SDP line that is none: {text[:60]!r}")
    return Line(text[0], text[2:])


def _media(lines: list[Line]) -> Media:
    parts = lines[0].value.split()
    port = parts[1].partition("/")[0] if len(parts) > 2 else ""
    if not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536):
        raise grammar.SipError(f"a malformed m= line: {lines[0].value[:60]!r}")
    return Media(tuple(lines[1:]), parts[0], int(port), parts[2], tuple(parts[3:]))


def _codec(number: str, names: dict[str, str], fmtps: dict[str, str]) -> Codec:
    name, _, rest = names.get(number, "").partition("/")
    rate = rest.partition("/")[0]
    known = rate.isascii() and rate.isdigit() and len(rate) < 10
    return Codec(number, name, int(rate) if known else 0, fmtps.get(number, ""))
