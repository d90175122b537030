"""bencode: bytes <-> int, bytes, tuple and dict; no I/O, and no surprise in size or depth.

Strategy: one recursive descent whose depth is bounded, over input whose size is bounded, so
that hostile bytes cost at most one pass. Two rules make reading the exact reverse of writing:

1. Keys keep the order in which they came. RTPEngine neither sorts nor asks for sorted keys
   (ng_control_protocol.md, introduction).
2. Everything has one spelling: no leading zeros, no ``-0``, no key twice, nothing behind the
   value. So ``encode(decode(x)) == x`` for every accepted x. RTPEngine 10.5 to 26.0 writes
   nothing else; its own *reader* is more lenient (engines.md section 6), ours need not be.

The bounds are the ones of the carrier: an ng message is one UDP datagram, at most 65,507
bytes; RTPEngine's integers are signed 64-bit; its deepest reply (``query``) nests 8 levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from rtpengine_ng import errors

Value: TypeAlias = "int | bytes | tuple[Value, ...] | dict[bytes, Value]"
"""What bencode can carry."""

Encodable: TypeAlias = "int | bytes | tuple[Encodable, ...] | Mapping[bytes, Encodable]"
"""What `encode` takes: the same, with any mapping for a dictionary."""

MAX_SIZE = 65_507
"""Bytes in one message: the payload of the largest UDP datagram over IPv4."""

MAX_DEPTH = 32
"""Lists and dictionaries around the innermost value."""

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

_DIGITS = frozenset(b"0123456789")
_MAX_INTEGER_TEXT = len(str(MIN_INTEGER))
_MAX_LENGTH_TEXT = len(str(MAX_SIZE))


def encode(value: Encodable) -> bytes:
    """Write *value* as bencode; keys stay in the order of the mapping.

    Raises:
        EncodingError: A type bencode has no form for (also bool and str: the caller chooses a
            character set), an integer beyond 64 bits, more than `MAX_DEPTH` levels or more
            than `MAX_SIZE` bytes.
    """
    parts: list[bytes] = []
    _write(value, parts, 0)
    data = b"".join(parts)
    if len(data) > MAX_SIZE:
        raise errors.EncodingError(f"{len(data)} bytes do not fit into {MAX_SIZE}")
    return data


def decode(data: bytes) -> Value:
    """Read the one value that *data* consists of.

    Raises:
        EncodingError: Anything that `encode` would not have written, or beyond the bounds;
            the message names the offset. Every other exception is a bug.
    """
    if len(data) > MAX_SIZE:
        raise errors.EncodingError(f"{len(data)} bytes are more than {MAX_SIZE}")
    value, end = _read(data, 0, 0)
    if end != len(data):
        raise errors.EncodingError(f"something follows the value at offset {end}")
    return value


def _write(value: object, parts: list[bytes], depth: int) -> None:
    if isinstance(value, bytes):
        parts.append(b"%d:%b" % (len(value), value))
    elif isinstance(value, int) and not isinstance(value, bool):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise errors.EncodingError("an integer needs more than 64 bits")
        parts.append(b"i%de" % value)
    elif isinstance(value, tuple):
        _check_depth(depth)
        parts.append(b"l")
        for element in value:
            _write(element, parts, depth + 1)
        parts.append(b"e")
    elif isinstance(value, Mapping):
        _check_depth(depth)
        parts.append(b"d")
        for key, element in value.items():
            if not isinstance(key, bytes):
                raise errors.EncodingError(f"a key is {type(key).__name__}, not bytes")
            parts.append(b"%d:%b" % (len(key), key))
            _write(element, parts, depth + 1)
        parts.append(b"e")
    else:
        raise errors.EncodingError(f"bencode has no form for {type(value).__name__}")


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise errors.EncodingError(f"nested deeper than {MAX_DEPTH} levels")


def _read(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """Return the value that starts at *at* and the offset behind it."""
    kind = data[at : at + 1]
    if kind == b"i":
        return _read_integer(data, at)
    if kind == b"l":
        _check_depth(depth)
        return _read_list(data, at + 1, depth + 1)
    if kind == b"d":
        _check_depth(depth)
        return _read_dictionary(data, at + 1, depth + 1)
    return _read_string(data, at)


def _read_integer(data: bytes, at: int) -> tuple[int, int]:
    end = data.find(b"e", at + 1, at + 2 + _MAX_INTEGER_TEXT)
    if end < 0:
        raise errors.EncodingError(f"no end of the integer at offset {at}")
    digits = data[at + 1 : end]
    number = _number(digits[1:] if digits.startswith(b"-") else digits, at)
    if digits.startswith(b"-"):
        if number == 0:
            raise errors.EncodingError(f"minus zero at offset {at}")
        number = -number
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        raise errors.EncodingError(f"the integer at offset {at} needs more than 64 bits")
    return number, end + 1


def _read_string(data: bytes, at: int) -> tuple[bytes, int]:
    colon = data.find(b":", at, at + 1 + _MAX_LENGTH_TEXT)
    if colon < 0:
        raise errors.EncodingError(f"no value at offset {at}")
    end = colon + 1 + _number(data[at:colon], at)
    if end > len(data):
        raise errors.EncodingError(f"the string at offset {at} ends behind the message")
    return data[colon + 1 : end], end


def _number(digits: bytes, at: int) -> int:
    if not digits or not _DIGITS.issuperset(digits):
        raise errors.EncodingError(f"no number at offset {at}")
    if digits.startswith(b"0") and digits != b"0":
        raise errors.EncodingError(f"a leading zero at offset {at}")
    return int(digits)


def _read_list(data: bytes, at: int, depth: int) -> tuple[tuple[Value, ...], int]:
    elements: list[Value] = []
    while data[at : at + 1] != b"e":
        element, at = _read(data, at, depth)
        elements.append(element)
    return tuple(elements), at + 1


def _read_dictionary(data: bytes, at: int, depth: int) -> tuple[dict[bytes, Value], int]:
    pairs: dict[bytes, Value] = {}
    while data[at : at + 1] != b"e":
        start = at
        key, at = _read_string(data, at)
        if key in pairs:
            raise errors.EncodingError(f"the same key again at offset {start}")
        pairs[key], at = _read(data, at, depth)
    return pairs, at + 1
