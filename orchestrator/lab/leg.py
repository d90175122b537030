"""One actor's end of a call with its audio: the SIP call, the RTP stream, when which starts."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.lab import call, journal, media, offers
from orchestrator.sip import build, grammar, message

Answerer = Callable[[bytes, offers.Place], bytes]
"""From their offer and our place to our answer; SipError when there is none."""


class Leg:
    """What the caller's and the callee's end have in common."""

    def __init__(self, known: call.Call, stream: media.MediaStream) -> None:
        self.stream = stream
        self._call = known

    @property
    def here(self) -> offers.Place:
        """Where our audio is heard."""
        return offers.Place(*self.stream.address)

    def talk(self) -> None:
        """Send and hear audio from now on, as the two SDPs say; SipError when they disagree."""
        settled = offers.agree(self._call.local_sdp, self._call.remote_sdp)
        self.stream.start(
            (settled.remote.address, settled.remote.port),
            settled.payload_type,
            settled.key_out,
            settled.key_in,
        )

    async def hang_up(self, *, source: str = "", fresh: bool = False) -> message.Response:
        """Send BYE and return its answer."""
        return await self._call.hang_up(source=source, fresh=fresh)

    async def ended(self) -> message.Request:
        """Wait for the other side's BYE; Silence when it does not come."""
        return await self._call.requested("BYE")

    def close(self) -> media.MediaReport:
        """Stop the audio and return what was heard."""
        return self.stream.close()


class OutgoingLeg(Leg):
    """The caller's end."""

    def __init__(self, known: call.OutgoingCall, stream: media.MediaStream) -> None:
        super().__init__(known, stream)
        self.call = known

    async def connected(self) -> message.Response:
        """Wait for the final answer; on 2xx the audio starts.

        Raises:
            Silence: No final answer came in time.
        """
        answer = await self.call.final()
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
        extra: build.Extra = (),
    ) -> None:
        super().__init__(known, stream)
        self.call = known
        self._contact = contact
        self._answerer = answerer
        self._extra = tuple(extra)

    def ring(self) -> None:
        """Send 180."""
        self.call.ring(self._contact)

    def answer(self) -> None:
        """Send 200 with our SDP and start the audio; 488 and SipError when we cannot."""
        try:
            body = self._answerer(self.call.remote_sdp, self.here)
        except grammar.SipError as error:
            reason = (("Reason", f'Q.850;cause=88;text="{error.reason}"'),)
            self.call.refuse(488, extra=reason)
            raise
        self.call.answer(self._contact, body, extra=self._extra)
        self.talk()

    async def confirmed(self) -> None:
        """Wait for the ACK of our 200; Silence when it does not come."""
        await journal.happened(
            self.call.server.acknowledged, within=call.WITHIN, what="an ACK for the 200"
        )

    async def cancelled(self) -> None:
        """Wait for a CANCEL; Silence when it does not come."""
        await journal.happened(self.call.cancelled, within=call.WITHIN, what="a CANCEL")

    def refuse(self, status: int, *, extra: build.Extra = ()) -> None:
        """Refuse with a final answer."""
        self.call.refuse(status, extra=extra)
