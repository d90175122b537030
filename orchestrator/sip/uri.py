"""SIP URIs and name-addrs as values; parameters stay verbatim and in order (RFC 3261 19.1, 20.10).

Teams puts opaque parameters into its Contact that must come back byte for byte (SIG-12), so a
``NameAddr`` keeps its URI as the text that was written and parses it only when asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from orchestrator.sip import grammar

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Uri:
    """A ``sip:`` or ``sips:`` URI.

    Attributes:
        scheme: As written, usually ``sip``.
        user: The part before ``@`` (a password included), or None when there is no ``@``.
        host: Name or address as written; IPv6 in its brackets.
        port: 0 to 65535, or None when not written.
        params: URI parameters, verbatim and in order.
        headers: What follows ``?``, without the question mark.
    """

    host: str
    user: str | None = None
    port: int | None = None
    params: tuple[grammar.Param, ...] = ()
    scheme: str = "sip"
    headers: str = ""

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        params = "".join(f";{param}" for param in self.params)
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{params}{headers}"

    def param(self, name: str) -> str | None:
        """The value of a URI parameter, ``""`` when it has none, None when absent."""
        return grammar.find(self.params, name)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """One value of From, To, Contact, Route or Record-Route.

    Attributes:
        uri: The URI as written, between the angle brackets when there are any.
        display: The display name without quotes, or an empty string.
        params: Header parameters, the ones behind the angle brackets.
    """

    uri: str
    display: str = ""
    params: tuple[grammar.Param, ...] = ()

    def __str__(self) -> str:
        name = self.display.replace("\\", "\\\\").replace('"', '\\"')
        shown = f'"{name}" ' if self.display else ""
        return f"{shown}<{self.uri}>" + "".join(f";{param}" for param in self.params)

    def param(self, name: str) -> str | None:
        """The value of a header parameter, ``""`` when it has none, None when absent."""
        return grammar.find(self.params, name)

    @property
    def tag(self) -> str | None:
        """The ``tag`` parameter, or None."""
        return self.param("tag")

    def tagged(self, tag: str) -> NameAddr:
        """The same with this tag, in place of the one it had."""
        kept = tuple(param for param in self.params if param.name.lower() != "tag")
        return replace(self, params=(*kept, grammar.Param("tag", tag)))


def parse_uri(text: str) -> Uri:
    """Read a ``sip:`` or ``sips:`` URI.

    Raises:
        SipError: Another scheme, no host, or a port that is no number.
    """
    scheme, colon, rest = text.strip().partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        raise grammar.SipError(f"a URI without a scheme: {text[:60]!r}")
    if scheme.lower() not in {"sip", "sips"}:
        raise grammar.SipError(f"not a SIP URI: {text[:60]!r}")
    user, at, tail = rest.rpartition("@")
    tail, _, headers = tail.partition("?")
    address, *params = tail.split(";")
    host = _HOST.match(address)
    if host is None:
        raise grammar.SipError(f"a URI without a host: {text[:60]!r}")
    return Uri(
        host=host.group(),
        user=user if at else None,
        port=_port(address[host.end() :], text),
        params=tuple(_verbatim(param) for param in params if param),
        scheme=scheme,
        headers=headers,
    )


def parse_name_addr(text: str) -> NameAddr:
    """Read one name-addr or addr-spec.

    Without angle brackets, parameters belong to the header and not to the URI (RFC 3261 20).

    Raises:
        SipError: An angle bracket that never closes, or nothing at all.
    """
    text = text.strip()
    opening = _outside_quotes(text, "<")
    if opening < 0:
        uri, _, rest = text.partition(";")
        if not uri.strip():
            raise grammar.SipError("an empty address")
        if any(char in uri for char in '<>"'):
            raise grammar.SipError(f"an address that is none: {text[:60]!r}")
        return NameAddr(uri.strip(), params=grammar.parse_params(rest))
    closing = text.find(">", opening)
    if closing < 0:
        raise grammar.SipError(f"an angle bracket that never closes: {text[:60]!r}")
    rest = text[closing + 1 :].strip().removeprefix(";")
    return NameAddr(
        uri=text[opening + 1 : closing].strip(),
        display=grammar.unquote(text[:opening].strip()),
        params=grammar.parse_params(rest),
    )


def _port(text: str, whole: str) -> int | None:
    if not text:
        return None
    digits = text[1:]
    if text[0] != ":" or not (digits.isascii() and digits.isdigit()) or int(digits[:6]) > 65535:
        raise grammar.SipError(f"a URI with a bad port: {whole[:60]!r}")
    return int(digits)


def _verbatim(text: str) -> grammar.Param:
    name, equals, value = text.partition("=")
    return grammar.Param(name, value if equals else None)


def _outside_quotes(text: str, wanted: str) -> int:
    quoted = skip = False
    for index, char in enumerate(text):
        if skip:
            skip = False
        elif quoted and char == "\\":
            skip = True
        elif char == '"':
            quoted = not quoted
        elif char == wanted and not quoted:
            return index
    return -1
