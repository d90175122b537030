"""The small grammars that SIP headers share: lists, parameters, quoted strings; and the one error.

Everything is tolerant on purpose: a lab and a trace must show what peers really send. Text is
UTF-8 with ``surrogateescape``, so that any byte survives parsing and serialising.
"""

from __future__ import annotations

from dataclasses import dataclass


class SipError(ValueError):
    """These bytes are not the SIP or SDP they should be; ``reason`` says why in one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Param:
    """One ``;name=value`` of a header or URI; ``value`` is None when there is no equals sign.

    Name and value are kept as written, quotes included (RFC 3261 section 25.1).
    """

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"


def decode(raw: bytes) -> str:
    """The text of *raw*; bytes that are no UTF-8 survive as surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes of a text that came from ``decode`` or from our own code."""
    return text.encode("utf-8", "surrogateescape")


def split(text: str, separator: str) -> tuple[str, ...]:
    """The parts of *text* between separators outside quotes and angle brackets, stripped."""
    parts: list[str] = []
    start, index = 0, 0
    quoted = angled = False
    while index < len(text):
        char = text[index]
        if quoted and char == "\\":
            index += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "<>":
            angled = char == "<"
        elif char == separator and not quoted and not angled:
            parts.append(text[start:index].strip())
            start = index + 1
        index += 1
    parts.append(text[start:].strip())
    return tuple(parts)


def parse_params(text: str) -> tuple[Param, ...]:
    """The parameters of ``a=b;c``, in order; empty parts are skipped."""
    return tuple(_param(part) for part in split(text, ";") if part)


def find(params: tuple[Param, ...], name: str) -> str | None:
    """The value of the first parameter called *name*, ``""`` when it has none, else None."""
    for param in params:
        if param.name.lower() == name.lower():
            return param.value or ""
    return None


def unquote(text: str) -> str:
    """The text inside double quotes with its escapes resolved, or *text* when not quoted."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    characters = iter(text[1:-1])
    return "".join(next(characters, "") if char == "\\" else char for char in characters)


def _param(part: str) -> Param:
    name, equals, value = part.partition("=")
    return Param(name.strip(), value.strip() if equals else None)
