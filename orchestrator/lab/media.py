"""One end of the audio of a call on real sockets: 50 packets a second that prove themselves.

What stands in a packet is written in ``packets``, what is made of the ones that come in ``ear``.
RTCP goes by the port of the audio (RFC 5761) or by the next one; STUN is ignored.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from orchestrator.lab import ear, packets, srtp, tones

MediaReport = ear.MediaReport
INTERVAL = packets.INTERVAL
TOLERATED_EARLY = ear.TOLERATED_EARLY

RTCP_EVERY = 50
"""Ticks between two RTCP packets: one second."""

NOISE_EVERY = 10
"""Ticks between two packets of comfort noise: 200 ms (RFC 3389 leaves it open)."""

_SILENCE_LEVEL = b"\x28"

Address = tuple[str, int]
Sockets = Callable[[socket.AddressFamily, socket.SocketKind, Address], socket.socket]


class MediaStream:
    """One end of the audio of a call, on sockets of its own.

    Needs a running event loop from :meth:`start` to :meth:`close`. Packets that come before
    ``start`` wait in the socket. ``ear`` is what came so far; ``pace`` is how many times faster
    than real the stream is sent.

    Args:
        sock: A bound, non-blocking UDP socket; :meth:`close` closes it.
        rtcp: The same for RTCP where it does not share the port, or None to send none.
        ssrc: The stream sent here; random by default.
        sockets: Makes further sockets, for :meth:`move`.
    """

    def __init__(
        self,
        sock: socket.socket,
        rtcp: socket.socket | None = None,
        *,
        ssrc: int | None = None,
        sockets: Sockets | None = None,
    ) -> None:
        self._socket = sock
        self._rtcp_socket = rtcp
        self._sockets = sockets
        self._next: tuple[socket.socket, socket.socket] | None = None
        self._left: list[socket.socket] = []
        self.ssrc = packets.new_ssrc() if ssrc is None else ssrc
        self.ear = ear.Ear()
        self.speaks = True
        self._remote: Address | None = None
        self._rtcp_remote: Address | None = None
        self._voice = packets.Voice()
        self._keys: tuple[bytes | None, bytes | None] = (None, None)
        self._key: srtp.Context | None = None
        self.pace = 1.0
        self._sent = self._skipped = self._rtcp_sent = self._ticks = 0
        self._sent_at: float | None = None
        self._longest_pause = 0.0
        self._began = self._due = 0.0
        self._mark = True
        self._quiet_since: int | None = None
        self._tones: deque[tuple[bytes, bool] | None] = deque()
        self._tone_began = 0
        self._onward: MediaStream | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def address(self) -> Address:
        """Where this end listens, or will: what belongs into the SDP."""
        host, port = (self._next[0] if self._next else self._socket).getsockname()[:2]
        return str(host), int(port)

    def begin_at(self, sequence: int, *, ticks: int = 0) -> None:
        """Let the stream begin at this sequence number; 65000 crosses the wrap after 11 s (MED-8).

        Must be said before :meth:`start`. Far enough below 65536, or a packet lost to latching
        leaves the rollover unknown.

        Args:
            sequence: Of the first packet.
            ticks: Of 20 ms; where the clock of the timestamps begins.
        """
        assert self._loop is None, "the stream has begun"
        self.ssrc = packets.new_ssrc(sequence)
        self._ticks = ticks

    @property
    def number(self) -> int:
        """How many packets the stream counts so far, the ones left out by :meth:`skip` too."""
        return self._sent

    def skip(self, packets_: int) -> None:
        """Go on as if that many packets had been sent: sequence number and clock jump ahead.

        Less than 2^15, or nobody can know the rollover (RFC 3711 section 3.3.1). Who hears this
        stream has to know it: ``ear.pass_over``.
        """
        self._sent += packets_
        self._skipped += packets_
        self._ticks += packets_

    def start(
        self,
        remote: Address,
        voice: packets.Voice | None = None,
        key_out: bytes | None = None,
        key_in: bytes | None = None,
        *,
        rtcp: Address | None = None,
    ) -> None:
        """Start to send to *remote* and to listen; again to change what was settled on the way.

        A key that stays keeps its rollover counter, a new one begins with 0 (MED-7).

        Args:
            remote: Address and port from the peer's SDP.
            voice: Which payloads are sent and may come; PCMA by default.
            key_out: The 30 bytes of our own crypto line; None sends RTP in the clear.
            key_in: The 30 bytes of the peer's crypto line; None expects RTP in the clear.
            rtcp: Where RTCP goes, when it goes.
        """
        self._remote, self._rtcp_remote = remote, rtcp
        self._voice = self.ear.voice = voice or packets.Voice()
        before, self._keys = self._keys, (key_out, key_in)
        if before[0] != key_out:
            self._key = srtp.Context(key_out) if key_out else None
        if before[1] != key_in:
            self.ear.key = srtp.Context(key_in) if key_in else None
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._began = self._due = self._loop.time()
            self._watch(self._loop)
        if self._next is not None:
            self._left += [sock for sock in (self._socket, self._rtcp_socket) if sock is not None]
            self._socket, self._rtcp_socket = self._next
            self._next = None
            self._watch(self._loop)
        if self._timer is None:
            now = self._loop.time()
            self._ticks += round((now - self._due) / INTERVAL)
            self._due = now
            self._tick()

    def move(self) -> None:
        """Take other ports: ``address`` names them, and the next :meth:`start` speaks from there.

        The old ones are heard until the end: what was on its way to them is not lost.
        """
        assert self._sockets is not None, "the stream does not know how to make sockets"
        self._next = _pair(self._sockets, self.address[0])

    def direct(self, *, send: bool, hear: bool) -> None:
        """Follow a dialog's direction: whether audio is sent, and whether it has to come.

        RTCP goes on (MED-13), and so does the clock of the timestamps.
        """
        self._mark = self._mark or (send and not self.speaks)
        if send != self.speaks:
            self._sent_at = None
        self.speaks = send
        if self._loop is not None:
            self.ear.expect(audio=hear, now=self._loop.time())

    def press(self, digits: str, *, seconds: float = 0.1, pause: float = 0.06) -> None:
        """Send DTMF digits as telephone events, one after the other (MED-18).

        Args:
            digits: Of ``0-9 * # A-D``.
            seconds: How long each lasts.
            pause: Audio between two of them.

        Raises:
            ValueError: A digit that is none, or it lasts too long.
        """
        for digit in digits:
            bodies = tuple(tones.bodies(digit, seconds=seconds))
            self._tones.extend((body, number == 0) for number, body in enumerate(bodies))
            self._tones.extend([None] * max(1, round(pause / INTERVAL)))

    @property
    def pressing(self) -> bool:
        """Whether digits are still being sent."""
        return bool(self._tones)

    def hush(self) -> None:
        """Suppress silence: comfort noise instead of audio until :meth:`speak` (MED-19)."""
        self._quiet_since = self._ticks

    def speak(self) -> None:
        """Send audio again."""
        self._quiet_since = self._sent_at = None
        self._mark = True

    def pass_on(self, other: MediaStream | None) -> None:
        """Send what is heard here on by *other*, as a PBX does that bridges two calls."""
        self._onward = other

    @property
    def quiet_for(self) -> float:
        """Seconds since anything came, RTCP included; since the start when nothing did."""
        assert self._loop is not None, "the stream has not begun"
        last = self.ear.last_at
        return self._loop.time() - (self._began if last is None else last)

    def pause(self) -> None:
        """Send nothing at all, RTCP included, and go on listening; :meth:`start` sends again."""
        self._sent_at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> MediaReport:
        """Stop everything, close the sockets and return the report; harmless when repeated."""
        self.pause()
        for sock in (self._socket, self._rtcp_socket, *self._left, *(self._next or ())):
            if sock is None or sock.fileno() < 0:
                continue
            if self._loop is not None:
                while self._read(sock, rtcp=sock is self._rtcp_socket):
                    pass
                self._loop.remove_reader(sock.fileno())
            sock.close()
        return self.report()

    def report(self) -> MediaReport:
        """What was sent and heard until now."""
        now = self._began if self._loop is None else self._loop.time()
        heard = self.ear.report(
            sent=self._sent - self._skipped, began=self._began, now=now, rtcp_sent=self._rtcp_sent
        )
        return replace(heard, max_pause_ms=round(self._longest_pause * 1000, 1))

    async def heard(self, packets_: int, *, within: float = 10.0) -> bool:
        """Wait until that many packets came unaltered; False when they did not in time (s)."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while self.ear.genuine < packets_:
            if loop.time() >= end:
                return False
            await asyncio.sleep(INTERVAL)
        return True

    async def heard_more(self, packets_: int, *, within: float = 10.0) -> bool:
        """Wait for that many packets from now on; False when they did not come in time (s)."""
        return await self.heard(self.ear.genuine + packets_, within=within)

    async def silent(self, seconds: float) -> None:
        """Wait until nothing came for that long."""
        while True:
            left = seconds - self.quiet_for
            if left <= 0:
                return
            await asyncio.sleep(left)

    def _tick(self) -> None:
        assert self._loop is not None
        if self._tones:
            self._send_tone(self._tones.popleft())
        elif self.speaks and self._onward is None:
            self._send_audio()
        if self._ticks % RTCP_EVERY == RTCP_EVERY - 1 and self._rtcp_remote is not None:
            self._send_rtcp(self._rtcp_remote)
        self._ticks += 1
        # From the start and not from now on, or the pace would drift on a busy machine.
        self._due += INTERVAL / self.pace
        self._timer = self._loop.call_at(self._due, self._tick)

    def _send_audio(self) -> None:
        clock, mark = self._ticks * packets.STEP, self._mark
        if self._quiet_since is not None:
            number = self._voice.noise_out
            if number is not None and (self._ticks - self._quiet_since) % NOISE_EVERY == 0:
                self._send(packets.framed(self.ssrc, self._sent, clock, number, _SILENCE_LEVEL))
            return
        self._mark = False
        self._send(packets.audio(self.ssrc, self._sent, clock, self._voice.sends, mark=mark))

    def _send_tone(self, tone: tuple[bytes, bool] | None) -> None:
        number = self._voice.events_out
        if tone is None or number is None:
            self._send_audio()
            return
        body, mark = tone
        if mark:
            self._tone_began = self._ticks * packets.STEP
        clock = self._tone_began
        self._send(packets.framed(self.ssrc, self._sent, clock, number, body, mark=mark))

    def _send(self, packet: bytes) -> None:
        assert self._loop is not None
        now = self._loop.time()
        if self._sent_at is not None:
            self._longest_pause = max(self._longest_pause, now - self._sent_at)
        self._sent_at = now
        self._sent += 1
        self._put(packet)

    def _put(self, packet: bytes) -> None:
        if self._remote is None:
            return
        datagram = self._key.protect(packet) if self._key else packet
        # Unreachable for now, or the buffer is full: the other end will count it as lost.
        with suppress(OSError):
            self._socket.sendto(datagram, self._remote)

    def _send_rtcp(self, remote: Address) -> None:
        clock, octets = self._ticks * packets.STEP, self._sent * self._voice.sends.length
        packet = packets.sender_report(self.ssrc, clock, self._sent, octets, time.time())
        datagram = self._key.protect_rtcp(packet) if self._key else packet
        shared = self._rtcp_socket is None or remote == self._remote
        sock = self._socket if shared or self._rtcp_socket is None else self._rtcp_socket
        with suppress(OSError):
            sock.sendto(datagram, remote)
        self._rtcp_sent += 1

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_reader(self._socket.fileno(), partial(self._read, self._socket))
        if self._rtcp_socket is not None:
            read = partial(self._read, self._rtcp_socket, rtcp=True)
            loop.add_reader(self._rtcp_socket.fileno(), read)

    def _read(self, sock: socket.socket, *, rtcp: bool = False) -> bool:
        """Take one datagram; False when there is none.

        One for each time the loop calls: to ask for a second one that is seldom there would
        cost as much as the first.
        """
        assert self._loop is not None
        try:
            datagram = sock.recv(2048)
        except OSError:
            return False  # all read; an error that an ICMP message left behind is read as well
        if rtcp:
            self.ear.hear_rtcp(datagram, self._loop.time())
            return True
        packet = self.ear.hear(datagram, self._loop.time())
        if packet is not None and self._onward is not None:
            self._onward._put(packet)  # noqa: SLF001 - another one of us
        return True


def bridge(one: MediaStream, other: MediaStream) -> None:
    """Let two calls hear each other through here: what each hears is sent on by the other."""
    one.pass_on(other)
    other.pass_on(one)


def open_stream(sockets: Sockets, address: str, port: int = 0) -> MediaStream:
    """A stream on a fresh even port of *address*, and its RTCP on the odd one after it.

    Args:
        sockets: Makes sockets.
        address: Where it is heard.
        port: The even port, or 0 for one that is free.

    Raises:
        OSError: No such pair of ports is free.
    """
    return MediaStream(*_pair(sockets, address, port), sockets=sockets)


def _pair(sockets: Sockets, address: str, port: int = 0) -> tuple[socket.socket, socket.socket]:
    for _ in range(64):
        first = sockets(socket.AF_INET, socket.SOCK_DGRAM, (address, port))
        even = int(first.getsockname()[1])
        if even % 2 == 0:
            with suppress(OSError):
                return first, sockets(socket.AF_INET, socket.SOCK_DGRAM, (address, even + 1))
        first.close()
    raise OSError(f"no two ports in a row are free at {address}")
