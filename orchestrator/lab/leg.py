"""One actor's end of a call with its audio: the SIP call, the RTP stream, when which starts.

What a story can let a leg do::

    caller = await lab.teams.dial(number, caller=own, wishes=leg.Wishes(first_sequence=65300))
    callee.ring(tag="fork-1")                     # 180; other tags are other forks
    callee.early(183)                             # 18x with SDP: audio flows before the 200
    callee.answer()                               # 200; also without any 18x
    callee.call.server.lose_acks = 1              # the first ACK got lost
    caller.call.drop_acks = 99                    # never ACK
    await caller.hold("sendonly"); await caller.resume()
    await callee.move()                           # audio heard at another port from now on
    callee.stream.press("123#", seconds=0.2); callee.stream.report().digits
    await caller.hang_up_when_silent(2.0)         # Microsoft's media timeout
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.lab import bodies, call, hold, journal, media, offers
from orchestrator.sip import build, grammar, message

Answerer = Callable[[bytes, offers.Place], bytes]
"""From their offer and our place to our answer; SipError when there is none."""
Offerer = Callable[[offers.Place], bytes]
"""From our place to our offer."""

TIMEOUT_REASON = 'Q.850;cause=41;text="MediaConnectivityFailure"'
"""What Microsoft's BYE says when no media came (MED-14)."""

_OWN = {"zero": "sendonly", "zero-media": "sendonly"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a call is made where it differs from the usual.

    Attributes:
        offer: Makes the SDP; ``no_offer`` leaves it to the other side (a delayed offer).
        extra: More headers, for example ``(("Require", "100rel"),)``.
        without: Names of usual headers to leave out.
        first_sequence: Where the RTP sequence numbers begin; 65300 crosses the wrap after 5 s.
        media_port: The even port at which our audio is heard, or 0 for any.
        location: Who is located by a PIDF-LO beside the SDP (EM-1), or an empty string.
    """

    offer: Offerer | None = None
    extra: build.Extra = ()
    without: tuple[str, ...] = ()
    first_sequence: int | None = None
    media_port: int = 0
    location: str = ""

    def dress(self, body: bytes, usual: build.Extra) -> tuple[build.Extra, bytes]:
        """The headers and the body of the INVITE out of the SDP and the usual headers."""
        dropped = {message.key_of(name) for name in self.without}
        kept = [pair for pair in usual if message.key_of(pair[0]) not in dropped]
        if not self.location:
            return (*kept, *self.extra), body
        located, whole = bodies.with_location(body, who=self.location)
        return (*kept, *self.extra, *located), whole


USUAL = Wishes()


def no_offer(_: offers.Place) -> bytes:
    """No SDP in the INVITE: the other side offers."""
    return b""


class Leg:
    """What the caller's and the callee's end have in common.

    Attributes:
        stream: The audio.
        answerer: Makes our answers to offers; without it our SDP stands.
        offerer: Makes our offer when the other side asks for one, or None.
        mirror: From the direction they offer to the one we answer.
    """

    def __init__(
        self,
        known: call.Call,
        stream: media.MediaStream,
        *,
        answerer: Answerer | None = None,
        offerer: Offerer | None = None,
        mirror: Callable[[str], str] = hold.answer_to,
    ) -> None:
        self.stream = stream
        self.answerer = answerer
        self.offerer = offerer
        self.mirror = mirror
        self._own = "sendrecv"
        self._call = known
        known.part = self

    @property
    def here(self) -> offers.Place:
        """Where our audio is heard."""
        return offers.Place(*self.stream.address)

    @property
    def offered(self) -> str:
        """The direction in the other side's latest SDP; ``zero`` for a hold by address."""
        return hold.direction_of(self._call.remote_sdp)

    def talk(self) -> None:
        """Send and hear audio from now on, as the two SDPs say; SipError when they disagree."""
        settled = offers.agree(self._call.local_sdp, self._call.remote_sdp)
        reached = settled.remote.address not in offers.ZERO
        self.stream.direct(send=settled.sends, hear=settled.hears)
        self.stream.start(
            (settled.remote.address, settled.remote.port),
            settled.voice,
            settled.key_out,
            settled.key_in,
            rtcp=(settled.rtcp.address, settled.rtcp.port) if reached else None,
        )
        self.stream.direct(send=settled.sends, hear=settled.hears)

    def answer_to(self, offer: bytes) -> bytes:
        """Our answer to an offer inside the dialog (call.Part).

        Raises:
            SipError: There is none; the offer is refused by 488.
        """
        standing = self._call.local_sdp
        if not offer:
            return standing or self._first_offer()
        fresh = self.answerer(offer, self.here) if self.answerer else standing
        offered = hold.direction_of(offer)
        body = hold.directed(fresh, hold.narrowed(self.mirror(offered), self._own))
        return hold.continued(body, standing) if standing else body

    def settled(self) -> None:
        """Follow what both SDPs say now (call.Part)."""
        self.talk()

    async def hold(self, way: str = "inactive", *, fresh: bool = False) -> message.Response:
        """Hold by re-INVITE, written in one of ``hold.WAYS``, and return the final answer."""
        body = hold.held(self._call.local_sdp, way)
        return await self._change(body, _OWN.get(way, way), fresh=fresh)

    async def resume(self, *, fresh: bool = False) -> message.Response:
        """Resume by re-INVITE and return the final answer."""
        body = hold.resumed(self._call.local_sdp, self.here.address)
        return await self._change(body, "sendrecv", fresh=fresh)

    async def refresh(
        self, *, source: str = "", fresh: bool = False, extra: build.Extra = ()
    ) -> message.Response:
        """Send our SDP again as it is (SIG-30) and return the final answer."""
        return await self._call.renegotiate(
            self._call.local_sdp, extra=extra, source=source, fresh=fresh
        )

    async def move(self) -> message.Response:
        """Hear audio at another port from now on, by re-INVITE (MED-6), which ends a hold."""
        self.stream.move()
        return await self._change(hold.moved(self._call.local_sdp, self.here), "sendrecv")

    async def offer_codecs(self, codecs: offers.Codecs) -> message.Response:
        """Offer another list of payloads by re-INVITE and return the final answer."""
        return await self._change(hold.with_codecs(self._call.local_sdp, codecs), self._own)

    async def hang_up(
        self, *, source: str = "", fresh: bool = False, extra: build.Extra = ()
    ) -> message.Response:
        """Send BYE and return its answer."""
        return await self._call.hang_up(source=source, fresh=fresh, extra=extra)

    async def hang_up_when_silent(self, seconds: float) -> message.Response:
        """Wait until nothing came for that long, RTCP included, then hang up (MED-13, MED-14)."""
        await self.stream.silent(seconds)
        return await self.hang_up(extra=(("Reason", TIMEOUT_REASON),))

    async def ended(self) -> message.Request:
        """Wait for the other side's BYE; Silence when it does not come."""
        return await self._call.requested("BYE")

    def close(self) -> media.MediaReport:
        """Stop the audio and return what was heard."""
        return self.stream.close()

    async def _change(self, body: bytes, own: str, *, fresh: bool = False) -> message.Response:
        before, self._own = self._own, own
        answer = await self._call.renegotiate(body, fresh=fresh)
        if answer.status >= 300:
            self._own = before
        return answer

    def _first_offer(self) -> bytes:
        if self.offerer is None:
            raise grammar.SipError("no offer in the INVITE")
        return self.offerer(self.here)


class OutgoingLeg(Leg):
    """The caller's end."""

    def __init__(
        self,
        known: call.OutgoingCall,
        stream: media.MediaStream,
        *,
        answerer: Answerer | None = None,
        offerer: Offerer | None = None,
        mirror: Callable[[str], str] = hold.answer_to,
    ) -> None:
        super().__init__(known, stream, answerer=answerer, offerer=offerer, mirror=mirror)
        self.call = known

    async def early(self, *, within: float = call.WITHIN) -> message.Response:
        """Wait for an 18x with an SDP; the audio starts. Silence when none comes."""
        answer = await self.call.responses.first(
            lambda response: 100 < response.status < 200 and bool(bodies.sdp_of(response)),
            within=within,
            what="an 18x with an SDP",
        )
        self.call.remote_sdp = bodies.sdp_of(answer)
        self.talk()
        return answer

    async def connected(self, *, within: float = call.WITHIN) -> message.Response:
        """Wait for the final answer; on 2xx the audio starts.

        Raises:
            Silence: No final answer came in time.
        """
        answer = await self.call.final(within=within)
        if answer.status < 300:
            self.talk()
        return answer

    async def cancel(self) -> message.Response:
        """Cancel and return the final answer to the INVITE."""
        return await self.call.cancel()


class IncomingLeg(Leg):
    """The callee's end."""

    def __init__(
        self,
        known: call.IncomingCall,
        stream: media.MediaStream,
        *,
        contact: str,
        answerer: Answerer,
        offerer: Offerer | None = None,
        mirror: Callable[[str], str] = hold.answer_to,
        extra: build.Extra = (),
    ) -> None:
        super().__init__(known, stream, answerer=answerer, offerer=offerer, mirror=mirror)
        self.call = known
        self._contact = contact
        self._extra = tuple(extra)

    def ring(self, *, tag: str = "", extra: build.Extra = ()) -> None:
        """Send 180, as another fork under another tag."""
        self.call.progress(180, self._contact, tag=tag, extra=extra)

    def early(self, status: int = 183, *, tag: str = "", extra: build.Extra = ()) -> None:
        """Send an 18x with our SDP and start the audio; 488 and SipError when we cannot."""
        body = self._body()
        self.call.progress(status, self._contact, body=body, tag=tag, extra=extra)
        self.talk()

    def answer(self, *, tag: str = "", extra: build.Extra = ()) -> None:
        """Send 200 with our SDP and start the audio; 488 and SipError when we cannot.

        When the INVITE had no SDP, ours is an offer, and the audio waits for the ACK.
        """
        body = self.call.local_sdp or self._body()
        self.call.answer(self._contact, body, extra=(*self._extra, *extra), tag=tag)
        if self.call.remote_sdp:
            self.talk()

    async def confirmed(self) -> None:
        """Wait for the ACK of our 200; Silence when it does not come."""
        await journal.happened(
            self.call.server.acknowledged, within=call.WITHIN, what="an ACK for the 200"
        )
        if self.call.dialog is not None and not self.call.remote_sdp:
            ack = await self.call.requested("ACK")
            self.call.remote_sdp = bodies.sdp_of(ack)
            self.talk()

    async def cancelled(self) -> None:
        """Wait for a CANCEL; Silence when it does not come."""
        await journal.happened(self.call.cancelled, within=call.WITHIN, what="a CANCEL")

    def refuse(self, status: int, *, extra: build.Extra = ()) -> None:
        """Refuse with a final answer; ``extra`` holds Retry-After, Reason or a 302's Contact."""
        self.call.refuse(status, extra=extra)

    def _body(self) -> bytes:
        assert self.answerer is not None
        try:
            if not self.call.remote_sdp:
                return self._first_offer()
            return self.answerer(self.call.remote_sdp, self.here)
        except grammar.SipError as error:
            reason = (("Reason", f'Q.850;cause=88;text="{error.reason}"'),)
            self.call.refuse(488, extra=reason)
            raise
