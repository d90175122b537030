"""RTP and RTCP packets whose content follows from their header; values only.

What stands in an audio packet is a function of its stream (SSRC), sequence number and timestamp,
so a receiver knows every byte that must be in it without hearing from the sender. A stream's
first sequence number is the lower half of its SSRC: so the receiver also knows how many packets
were sent before the first one that arrived.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

INTERVAL = 0.020
"""Seconds between two packets."""

HEADER = struct.Struct("!BBHII")
"""Two bytes of bits, sequence number, timestamp, SSRC (RFC 3550 section 5.1)."""

STEP = 160
"""Samples in one packet: 20 ms of the 8000 samples a second that all codecs here count in."""

MARK = 0x80
_HALF = 0x8000


@dataclass(frozen=True, slots=True)
class Codec:
    """An audio codec as the network sees it: its packets are opaque.

    Attributes:
        name: As in ``a=rtpmap``, in capitals.
        number: Its payload number.
        length: Bytes of 20 ms.
    """

    name: str
    number: int
    length: int


PCMU = Codec("PCMU", 0, 160)
PCMA = Codec("PCMA", 8, 160)
G722 = Codec("G722", 9, 160)
G729 = Codec("G729", 18, 20)
CODECS = {codec.name: codec for codec in (PCMU, PCMA, G722, G729)}
"""What can be spoken in the lab, by name."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What two SDPs settle about the payloads of a call, seen from one end.

    Attributes:
        sends: What this end speaks, under the number the other end gave it.
        hears: What may come, by the numbers this end gave.
        events_out: The other end's number of telephone-event, or None.
        events_in: This end's number of telephone-event, or None.
        noise_out: The other end's number of comfort noise, or None.
        noise_in: This end's number of comfort noise, or None.
    """

    sends: Codec = PCMA
    hears: Mapping[int, Codec] = field(default_factory=lambda: {PCMA.number: PCMA})
    events_out: int | None = 101
    events_in: int | None = 101
    noise_out: int | None = 13
    noise_in: int | None = 13


def numbered(codec: Codec, number: int) -> Codec:
    """The same codec under another payload number."""
    return codec if codec.number == number else replace(codec, number=number)


def first_sequence(ssrc: int) -> int:
    """Where a stream begins."""
    return ssrc & 0xFFFF


def new_ssrc(first: int | None = None) -> int:
    """A random stream that begins at sequence number *first*, by default in the lower half.

    There nobody misjudges the rollover at the start (RFC 3711 section 3.3.1). A stream that
    shall cross it begins a little below 65536.
    """
    low = secrets.randbelow(_HALF) if first is None else first
    return secrets.randbits(16) << 16 | low


def payload_of(ssrc: int, sequence: int, timestamp: int, length: int = PCMA.length) -> bytes:
    """The one right content of a packet."""
    seed = struct.pack("!IHI", ssrc, sequence, timestamp)
    return hashlib.shake_128(seed).digest(length)


def packet_of(ssrc: int, number: int, codec: Codec = PCMA) -> bytes:
    """The RTP packet *number* of a stream that never paused, counted from 0."""
    return audio(ssrc, number, number * STEP, codec, mark=number == 0)


def audio(ssrc: int, number: int, timestamp: int, codec: Codec, *, mark: bool) -> bytes:
    """The audio packet *number* of a stream at *timestamp*."""
    sequence = (first_sequence(ssrc) + number) & 0xFFFF
    body = payload_of(ssrc, sequence, timestamp & 0xFFFFFFFF, codec.length)
    return framed(ssrc, number, timestamp, codec.number, body, mark=mark)


def framed(
    ssrc: int, number: int, timestamp: int, payload_type: int, body: bytes, *, mark: bool = False
) -> bytes:
    """The packet *number* of a stream with any payload."""
    sequence = (first_sequence(ssrc) + number) & 0xFFFF
    second = (MARK if mark else 0) | payload_type
    return HEADER.pack(0x80, second, sequence, timestamp & 0xFFFFFFFF, ssrc) + body


def sender_report(ssrc: int, timestamp: int, packets: int, octets: int, now: float) -> bytes:
    """A compound RTCP packet: sender report and CNAME (RFC 3550 sections 6.4.1 and 6.5)."""
    seconds, part = divmod(now, 1.0)
    report = struct.pack(
        "!BBHIIIIII",
        0x80,
        200,
        6,
        ssrc,
        int(seconds) & 0xFFFFFFFF,
        int(part * 2**32),
        timestamp & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    # One chunk: SSRC, item CNAME of three bytes, and zeroes to the next word.
    names = struct.pack("!BBHI", 0x81, 202, 3, ssrc) + b"\x01\x03lab\x00\x00\x00"
    return report + names


def is_rtcp(datagram: bytes) -> bool:
    """Whether a packet on a shared port is RTCP (RFC 5761 section 4)."""
    return 192 <= datagram[1] <= 223
