"""DTMF as telephone events, sent and understood (RFC 4733 section 2; MED-18); no socket here."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.lab import packets

DIGITS = "0123456789*#ABCD"
"""All sixteen, each at the place that is its event number (RFC 4733 section 3.2)."""

LONGEST = 8.0
"""Seconds one event may last here; its duration has 16 bits, and longer ones need segments."""

ENDS = 3
"""How often the end of an event is said (RFC 4733 section 2.5.1.4)."""

_BODY = struct.Struct("!BBH")
_END = 0x80
_RESERVED = 0x40
_VOLUME = 10


def bodies(digit: str, *, seconds: float) -> Iterator[bytes]:
    """The payloads of one event, one for every 20 ms, its end three times.

    Raises:
        ValueError: This is no digit, or it lasts longer than ``LONGEST``.
    """
    event = DIGITS.index(digit.upper())
    if not packets.INTERVAL <= seconds <= LONGEST:
        raise ValueError(f"an event lasts {packets.INTERVAL} to {LONGEST} seconds")
    count = round(seconds / packets.INTERVAL)
    for number in range(1, count):
        yield _BODY.pack(event, _VOLUME, number * packets.STEP)
    for _ in range(ENDS):
        yield _BODY.pack(event, _END | _VOLUME, count * packets.STEP)


@dataclass(slots=True)
class Listener:
    """Understands the events of one stream.

    Attributes:
        digits: What was pressed, in order; an event counts at its end.
        faults: Where the rules of RFC 4733 were broken.
        longest_ms: The longest event.
    """

    digits: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    longest_ms: float = 0.0
    _timestamp: int | None = None
    _event: int = -1
    _duration: int = 0
    _ended: bool = True

    def hear(self, body: bytes, timestamp: int, *, mark: bool) -> None:
        """Take the payload of one event packet."""
        if len(body) != _BODY.size:
            self.faults.append(f"an event of {len(body)} bytes")
            return
        event, bits, duration = _BODY.unpack(body)
        if event >= len(DIGITS) or bits & _RESERVED:
            self.faults.append(f"event {event} with bits {bits:#04x}")
            return
        if timestamp == self._timestamp:
            self._go_on(event, duration, mark=mark)
        elif self._is_late(timestamp):
            return
        else:
            self._begin(event, timestamp)
        self._duration = max(self._duration, duration)
        if bits & _END and not self._ended:
            self._end()

    def _go_on(self, event: int, duration: int, *, mark: bool) -> None:
        if event != self._event:
            self.faults.append(f"event {self._event} became {event} under one timestamp")
        elif mark and duration >= self._duration:
            # A shorter one is the first packet, which the second has overtaken on the way.
            self.faults.append(f"a marker in the middle of event {event}")
        elif self._ended and duration != self._duration:
            self.faults.append(f"event {event} went on after its end")

    def _begin(self, event: int, timestamp: int) -> None:
        if not self._ended:
            self.faults.append(f"event {self._event} has no end")
            self._end()
        self._timestamp, self._event = timestamp, event
        self._duration, self._ended = 0, False

    def _end(self) -> None:
        self._ended = True
        self.digits.append(DIGITS[self._event])
        self.longest_ms = max(self.longest_ms, self._duration / 8)

    def _is_late(self, timestamp: int) -> bool:
        """Whether this is a packet of an event that is over, behind its time."""
        if self._timestamp is None:
            return False
        return (timestamp - self._timestamp) & 0xFFFFFFFF > 0x80000000
