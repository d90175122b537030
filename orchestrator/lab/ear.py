"""Judges what arrives at one end of a call; no socket and no clock in here.

An SBC learns a peer's address from its first packet (latching) and may lose a few before it has;
those are counted apart, and every later loss is a loss. The time of a hold is no gap.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.lab import packets, srtp, tones

TOLERATED_EARLY = 25
"""Packets that may get lost before the SBC has latched: half a second."""

GRACE = 0.3
"""Seconds after the begin of a hold in which packets that were on their way may still come."""

_HALF = 0x8000


@dataclass(frozen=True, slots=True)
class MediaReport:
    """What one end of a call sent and heard.

    Attributes:
        sent: RTP packets sent.
        received: Different packets received unaltered.
        lost: Packets missing between the first and the last one that was received.
        early: Packets that were sent to us before the first one that was received (latching).
        altered: Packets with another content, payload type or stream than they must have.
        forged: Packets that our key does not vouch for (SRTP only).
        duplicated: Packets that came again.
        rtcp: RTCP packets received.
        max_gap_ms: Longest time between two packets in a row outside hold and comfort noise.
        max_pause_ms: Longest time between two packets that this end sent in a row while it spoke.
        first_ms: Time from the start of this stream to the first packet; None when none came.
        resume_ms: Longest time from a resume to the first packet after it.
        held_ms: How long nothing had to come, because a side held.
        unexpected: Packets that came while nothing had to come.
        music: Packets of a stream that the SBC itself plays, where that is allowed.
        noise: Packets of comfort noise.
        digits: DTMF digits that came as telephone events.
        tone_faults: Where these events broke a rule of RFC 4733.
        rtcp_sent: RTCP packets sent.
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
    max_pause_ms: float = 0.0
    first_ms: float | None = None
    resume_ms: float = 0.0
    held_ms: float = 0.0
    unexpected: int = 0
    music: int = 0
    noise: int = 0
    digits: str = ""
    tone_faults: tuple[str, ...] = ()
    rtcp_sent: int = 0

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


@dataclass(slots=True)
class Ear:
    """What is known of the packets that came.

    Attributes:
        voice: Which payloads may come.
        key: Our peer's SRTP context, or None where RTP comes in the clear.
        ssrc: The stream that must come; by default the first one that comes decides.
        music: Whether another stream beside it is the SBC's music and not an intruder.
        last_at: When the last packet of any kind came; None when none did.
        genuine: How many different packets came unaltered.
    """

    voice: packets.Voice = field(default_factory=packets.Voice)
    key: srtp.Context | None = None
    ssrc: int | None = None
    music: bool = False
    last_at: float | None = None
    genuine: int = 0
    tones: tones.Listener = field(default_factory=tones.Listener)
    _counts: dict[str, int] = field(default_factory=dict)
    _first_at: float | None = None
    _before: float | None = None
    _left: int | None = None
    _max_gap: float = 0.0
    _resumed_at: float | None = None
    _resume: float = 0.0
    _held_at: float | None = None
    _held: float = 0.0
    _seen: set[int] = field(default_factory=set)
    _lowest: int = 0
    _highest: int = 0

    def hear(self, datagram: bytes, now: float) -> bytes | None:
        """Take one datagram that arrived at *now* (seconds on any steady clock).

        Returns:
            The RTP packet in the clear when it is a genuine new one, else None.
        """
        if len(datagram) < 2 or datagram[0] < 4:
            return None  # STUN (RFC 5764 section 5.1.2), or nothing
        self.last_at = now
        if packets.is_rtcp(datagram):
            self.hear_rtcp(datagram, now)
            return None
        try:
            packet = self.key.unprotect(datagram) if self.key else datagram
        except srtp.ReplayedError:
            self._count("duplicated")
            return None
        except srtp.SrtpError:
            self._count("forged")
            return None
        return packet if self._judge(packet, now) else None

    def hear_rtcp(self, datagram: bytes, now: float) -> None:
        """Take one RTCP packet, from the shared port or from its own."""
        self.last_at = now
        try:
            if self.key:
                self.key.unprotect_rtcp(datagram)
        except srtp.SrtpError:
            self._count("forged")
        else:
            self._count("rtcp")

    def expect(self, *, audio: bool, now: float) -> None:
        """Say whether audio has to come from now on, or whether a side holds."""
        if not audio and self._held_at is None:
            self._held_at = now
        elif audio and self._held_at is not None:
            self._held += now - self._held_at
            self._held_at, self._resumed_at = None, now
        else:
            return
        self._before = None

    def pass_over(self, packets_: int) -> None:
        """Let that many packets not come: the peer's stream jumps ahead (``MediaStream.skip``)."""
        self._count("lost", -packets_)

    def turn_to_another(self) -> None:
        """Let another stream be the right one from now on: who speaks will change (XF-6).

        What still comes of the one before is neither audio nor an intruder.
        """
        span = self._highest - self._lowest + 1 if self._seen else 0
        self._count("lost", span - len(self._seen))
        self._count("early", self._lowest)
        self._seen = set()
        self._lowest = self._highest = 0
        self._left, self.ssrc, self._before = self.ssrc, None, None

    def report(self, *, sent: int, began: float, now: float, rtcp_sent: int = 0) -> MediaReport:
        """Sum up; *began* is when the stream started on the clock of :meth:`hear`."""
        span = self._highest - self._lowest + 1 if self._seen else 0
        count, first = self._counts.get, self._first_at
        held = self._held + (now - self._held_at if self._held_at is not None else 0.0)
        return MediaReport(
            sent=sent,
            received=self.genuine,
            lost=count("lost", 0) + span - len(self._seen),
            early=count("early", 0) + self._lowest,
            altered=count("altered", 0),
            forged=count("forged", 0),
            duplicated=count("duplicated", 0),
            rtcp=count("rtcp", 0),
            max_gap_ms=round(self._max_gap * 1000, 1),
            first_ms=None if first is None else round((first - began) * 1000, 1),
            resume_ms=round(self._resume * 1000, 1),
            held_ms=round(held * 1000, 1),
            unexpected=count("unexpected", 0),
            music=count("music", 0),
            noise=count("noise", 0),
            digits="".join(self.tones.digits),
            tone_faults=tuple(self.tones.faults),
            rtcp_sent=rtcp_sent,
        )

    def _count(self, what: str, by: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + by

    def _judge(self, packet: bytes, now: float) -> bool:
        if len(packet) <= packets.HEADER.size:
            self._count("altered")
            return False
        first, second, sequence, timestamp, ssrc = packets.HEADER.unpack_from(packet)
        if ssrc == self._left:
            return False
        if self.ssrc is not None and ssrc != self.ssrc:
            self._count("music" if self.music else "altered")
            return False
        kind = second & 0x7F
        body = packet[packets.HEADER.size :]
        if first != 0x80 or not self._is_right(kind, body, (ssrc, sequence, timestamp)):
            self._count("music" if self.music and not self._seen else "altered")
            return False
        number = self._number_of(ssrc, sequence)
        if number in self._seen:
            self._count("duplicated")
            return False
        self.ssrc = ssrc
        self._remember(number, now)
        if kind == self.voice.events_in:
            self.tones.hear(body, timestamp, mark=bool(second & packets.MARK))
        elif kind == self.voice.noise_in and kind not in self.voice.hears:
            self._count("noise")
            self._before = None  # what follows is a silence that was announced
        return True

    def _is_right(self, kind: int, body: bytes, head: tuple[int, int, int]) -> bool:
        codec = self.voice.hears.get(kind)
        if codec is not None:
            return body == packets.payload_of(*head, codec.length)
        return kind in (self.voice.events_in, self.voice.noise_in)

    def _remember(self, number: int, now: float) -> None:
        self._lowest = min(self._lowest, number) if self._seen else number
        self._highest = max(self._highest, number)
        self._seen.add(number)
        self.genuine += 1
        if self._first_at is None:
            self._first_at = now
        if self._held_at is not None:
            if now > self._held_at + GRACE:
                self._count("unexpected")
            return
        if self._resumed_at is not None:
            self._resume = max(self._resume, now - self._resumed_at)
            self._resumed_at = None
        if self._before is not None:
            self._max_gap = max(self._max_gap, now - self._before)
        self._before = now

    def _number_of(self, ssrc: int, sequence: int) -> int:
        """The packet's number from 0 on; the one nearest to what was heard last."""
        raw = (sequence - packets.first_sequence(ssrc) - self._highest) & 0xFFFF
        return self._highest + (raw if raw < _HALF else raw - 0x10000)
