"""Real audio packets that prove by themselves that they arrived unaltered.

A stream sends 50 packets a second, as G.711 does. What stands in a packet is a function of its
stream (SSRC), sequence number and timestamp, so the receiver knows every byte that must be in it
without hearing from the sender. The stream's first sequence number is a function of its SSRC too:
so the receiver also knows how many packets were sent before the first one that arrived. An SBC
learns a peer's address from its first packet (latching) and may lose a few before it has; those
are counted apart, and every later loss is a loss.

RTCP on the same port (RFC 5761) and STUN are counted and otherwise ignored.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.lab import srtp

PCMA = 8
"""Payload type of G.711 A-law (RFC 3551)."""

INTERVAL = 0.020
"""Seconds between two packets."""

PAYLOAD_LENGTH = 160
"""Bytes of one packet: 20 ms of 8000 samples a second."""

TOLERATED_EARLY = 25
"""Packets that may get lost before the SBC has latched: half a second."""

_HEADER = struct.Struct("!BBHII")
_HALF = 0x8000


@dataclass(frozen=True, slots=True)
class MediaReport:
    """What one end of a call sent and heard.

    Attributes:
        sent: Packets sent.
        received: Different packets received unaltered.
        lost: Packets missing between the first and the last one that was received.
        early: Packets that were sent to us before the first one that was received (latching).
        altered: Packets with another content, payload type or stream than they must have.
        forged: Packets that our key does not vouch for (SRTP only).
        duplicated: Packets that came again.
        rtcp: RTCP packets.
        max_gap_ms: Longest time between two packets in a row; 0.0 with fewer than two.
        first_ms: Time from the start of this stream to the first packet; None when none came.
    """

    sent: int = 0
    received: int = 0
    lost: int = 0
    early: int = 0
    altered: int = 0
    forged: int = 0
    duplicated: int = 0
    rtcp: int = 0
    max_gap_ms: float = 0.0
    first_ms: float | None = None

    @property
    def heard(self) -> bool:
        """True when audio came soon, and nothing of it was altered or forged."""
        return (
            self.received > 0
            and self.early <= TOLERATED_EARLY
            and not self.altered
            and not self.forged
        )

    @property
    def loss(self) -> float:
        """Lost packets as a share of those that had to come, 0.0 to 1.0."""
        due = self.received + self.lost
        return self.lost / due if due else 0.0


def first_sequence(ssrc: int) -> int:
    """Where a stream begins.

    In the lower half, so that nobody misjudges the rollover at the start (RFC 3711 3.3.1).
    """
    return ssrc % _HALF


def payload_of(ssrc: int, sequence: int, timestamp: int) -> bytes:
    """The one right content of a packet."""
    seed = struct.pack("!IHI", ssrc, sequence, timestamp)
    return hashlib.shake_128(seed).digest(PAYLOAD_LENGTH)


def packet_of(ssrc: int, number: int, payload_type: int = PCMA) -> bytes:
    """The RTP packet *number* of a stream, counted from 0."""
    sequence = (first_sequence(ssrc) + number) & 0xFFFF
    timestamp = (number * PAYLOAD_LENGTH) & 0xFFFFFFFF
    mark = 0x80 if number == 0 else 0
    head = _HEADER.pack(0x80, mark | payload_type, sequence, timestamp, ssrc)
    return head + payload_of(ssrc, sequence, timestamp)


@dataclass(slots=True)
class Ear:
    """Judges packets as they arrive; no socket and no clock in here.

    Attributes:
        payload_type: The only payload type that may come.
        key: Our peer's SRTP context, or None where RTP comes in the clear.
        ssrc: The stream that must come; by default the first one that comes decides.
    """

    payload_type: int = PCMA
    key: srtp.Context | None = None
    ssrc: int | None = None
    altered: int = 0
    forged: int = 0
    duplicated: int = 0
    rtcp: int = 0
    first_at: float | None = None
    last_at: float = 0.0
    max_gap: float = 0.0
    _seen: set[int] = field(default_factory=set)
    _lowest: int = 0
    _highest: int = 0

    def hear(self, datagram: bytes, now: float) -> None:
        """Take one datagram that arrived at *now* (seconds on any steady clock)."""
        if len(datagram) < 2 or datagram[0] < 4:
            return  # STUN (RFC 5764 section 5.1.2), or nothing
        if 192 <= datagram[1] <= 223:
            self._hear_rtcp(datagram)
            return
        try:
            packet = self.key.unprotect(datagram) if self.key else datagram
        except srtp.ReplayedError:
            self.duplicated += 1
            return
        except srtp.SrtpError:
            self.forged += 1
            return
        self._judge(packet, now)

    def report(self, *, sent: int, began: float) -> MediaReport:
        """Sum up; *began* is when the stream started on the clock of :meth:`hear`."""
        span = self._highest - self._lowest + 1 if self._seen else 0
        return MediaReport(
            sent=sent,
            received=len(self._seen),
            lost=span - len(self._seen),
            early=self._lowest,
            altered=self.altered,
            forged=self.forged,
            duplicated=self.duplicated,
            rtcp=self.rtcp,
            max_gap_ms=round(self.max_gap * 1000, 1),
            first_ms=None if self.first_at is None else round((self.first_at - began) * 1000, 1),
        )

    def _hear_rtcp(self, datagram: bytes) -> None:
        try:
            if self.key:
                self.key.unprotect_rtcp(datagram)
        except srtp.SrtpError:
            self.forged += 1
        else:
            self.rtcp += 1

    def _judge(self, packet: bytes, now: float) -> None:
        if len(packet) != _HEADER.size + PAYLOAD_LENGTH:
            self.altered += 1
            return
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
        right = payload_of(ssrc, sequence, timestamp)
        number = self._number_of(ssrc, sequence)
        genuine = (
            first == 0x80
            and second & 0x7F == self.payload_type
            and packet[_HEADER.size :] == right
            and timestamp == (number * PAYLOAD_LENGTH) & 0xFFFFFFFF
            and self.ssrc in (None, ssrc)
        )
        if not genuine:
            self.altered += 1
        elif number in self._seen:
            self.duplicated += 1
        else:
            self.ssrc = ssrc
            self._lowest = min(self._lowest, number) if self._seen else number
            self._highest = max(self._highest, number)
            self._seen.add(number)
            self._note_time(now)

    def _number_of(self, ssrc: int, sequence: int) -> int:
        """The packet's number from 0 on; the one nearest to what was heard last."""
        raw = (sequence - first_sequence(ssrc) - self._highest) & 0xFFFF
        return self._highest + (raw if raw < _HALF else raw - 0x10000)

    def _note_time(self, now: float) -> None:
        if self.first_at is None:
            self.first_at = now
        else:
            self.max_gap = max(self.max_gap, now - self.last_at)
        self.last_at = now


class MediaStream:
    """One end of the audio of a call, on a socket of its own.

    Needs a running event loop from :meth:`start` to :meth:`close`. Packets that come before
    ``start`` wait in the socket.

    Args:
        sock: A bound, non-blocking UDP socket; :meth:`close` closes it.
        ssrc: The stream sent here; random by default.
    """

    def __init__(self, sock: socket.socket, *, ssrc: int | None = None) -> None:
        self._socket = sock
        self.ssrc = secrets.randbits(32) if ssrc is None else ssrc
        self._remote: tuple[str, int] | None = None
        self._payload_type = PCMA
        self._key: srtp.Context | None = None
        self._ear = Ear()
        self._sent = 0
        self._began = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where this end listens: what belongs into the SDP."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def start(
        self,
        remote: tuple[str, int],
        payload_type: int = PCMA,
        key_out: bytes | None = None,
        key_in: bytes | None = None,
    ) -> None:
        """Start to send to *remote* and to listen; again to change remote or keys on the way.

        Args:
            remote: Address and port from the peer's SDP.
            payload_type: What is sent and what must come.
            key_out: The 30 bytes of our own crypto line; None sends RTP in the clear.
            key_in: The 30 bytes of the peer's crypto line; None expects RTP in the clear.
        """
        self._remote = remote
        self._payload_type = payload_type
        self._key = srtp.Context(key_out) if key_out else None
        self._ear.payload_type = payload_type
        self._ear.key = srtp.Context(key_in) if key_in else None
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._began = self._due = self._loop.time()
            self._loop.add_reader(self._socket.fileno(), self._read)
        if self._timer is None:
            self._due = self._loop.time()
            self._send()

    def pause(self) -> None:
        """Stop to send, and go on listening; :meth:`start` sends again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> MediaReport:
        """Stop everything, close the socket and return the report; harmless when repeated."""
        self.pause()
        if self._loop is not None and self._socket.fileno() >= 0:
            self._read()
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        return self.report()

    def report(self) -> MediaReport:
        """What was sent and heard until now."""
        return self._ear.report(sent=self._sent, began=self._began)

    async def heard(self, packets: int, *, within: float = 10.0) -> bool:
        """Wait until that many packets came unaltered; False when they did not in time (s)."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while self.report().received < packets:
            if loop.time() >= end:
                return False
            await asyncio.sleep(INTERVAL)
        return True

    def _send(self) -> None:
        assert self._loop is not None
        assert self._remote is not None
        packet = packet_of(self.ssrc, self._sent, self._payload_type)
        datagram = self._key.protect(packet) if self._key else packet
        # Unreachable for now, or the buffer is full: the other end will count it as lost.
        with suppress(OSError):
            self._socket.sendto(datagram, self._remote)
        self._sent += 1
        # From the start and not from now on, or the pace would drift on a busy machine.
        self._due += INTERVAL
        self._timer = self._loop.call_at(self._due, self._send)

    def _read(self) -> None:
        assert self._loop is not None
        while True:
            try:
                datagram = self._socket.recv(2048)
            except OSError:
                return  # all read; an error that an ICMP message left behind is read as well
            self._ear.hear(datagram, self._loop.time())
