"""Both ends of every call: dialogs, and an exact account of what became of each.

The caller's and the callee's end of a call are kept together, because both are ours: that a BYE
was answered by the one who should have got it is seen, and not believed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import ends
import sip

SILENT_PORT = 40002
"""Where calls want their audio that send none."""
FORGOTTEN_AFTER = 10


@dataclass
class Call:
    """One call.

    Attributes:
        source: Who calls: carrier or teams.
        kind: new or standing.
        phase: The one in which it was dialled.
        ring: Seconds it rings.
        port: Where both ends want their audio.
        state: dialling, ringing, talking, ending, over, or failed.
        media: Where the caller and the callee send their audio, and the key it is encrypted with.
    """

    call_id: str
    source: str
    kind: str
    phase: str
    ring: float
    port: int = SILENT_PORT
    state: str = "dialling"
    dialled: float = 0.0
    rang: float = 0.0
    picked_up: float = 0.0
    setup: float = 0.0
    caller: sip.Side | None = None
    callee: sip.Side | None = None
    media: list[tuple[str, int]] = field(default_factory=list)
    sbc_key: str = ""
    acknowledged: bool = False
    heard_bye: bool = False
    when_up: Callable[[Call], None] | None = None
    when_over: Callable[[Call], None] | None = None

    @property
    def name(self) -> str:
        """The Call-ID as a token, for tags."""
        return self.call_id.partition("@")[0]

    @property
    def is_new(self) -> bool:
        """It is not connected yet."""
        return self.state in ("dialling", "ringing")


class Agent:
    """Places calls from several ends, and takes them at one or at the one of who calls.

    Args:
        dialled: The number that is called.
        tell: Counts something in the present phase, once or several times.
        fail: Is told what went wrong with which call.

    Attributes:
        callers: The ends that call, by their name.
        callee: The end that is called.
        others: Another end and number that are called, by the name of who calls.
        is_relayed: Audio goes through RTPEngine, or else the call has failed.
    """

    callers: dict[str, ends.End]
    callee: ends.End
    others: dict[str, tuple[ends.End, str]]

    def __init__(
        self, *, dialled: str, tell: Callable[..., None], fail: Callable[[Call, str], None]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.tell = tell
        self.fail = fail
        self.dialled = dialled
        self.others = {}
        self.is_relayed = True
        self.calls: dict[str, Call] = {}
        self.acks: dict[str, str] = {}
        self.marks = itertools.count(1)

    def _mark(self) -> str:
        return f"load{next(self.marks)}"

    def _called(self, call: Call) -> tuple[ends.End, str]:
        """Who is called, and by which number."""
        return self.others.get(call.source) or (self.callee, self.dialled)

    # -- the caller ---------------------------------------------------------------------------

    def dial(self, call: Call) -> None:
        """Place *call*; what becomes of it is seen in its state."""
        end = self.callers[call.source]
        _, number = self._called(call)
        self.calls[call.call_id] = call
        call.dialled = time.monotonic()
        call.caller = sip.Side(
            via=end.via,
            contact=end.contact,
            local=f"<sip:+4930777@{end.address}>;tag=c{call.name}",
            remote=f"<sip:{number}@{sip.FQDN}>",
            target=f"sip:{number}@{end.sbc}",
            routes=[],
        )
        text = call.caller.request("INVITE", call.call_id, self._mark(), end.sdp(call.port))
        end.ask(text, lambda answer: self._answered(call, answer))

    def progress(self, text: str) -> None:
        """A provisional answer came."""
        call = self.calls.get(sip.header(text, "Call-ID"))
        if call and call.state == "dialling" and sip.code(text) >= 180:
            call.state = "ringing"

    def _answered(self, call: Call, answer: str) -> None:
        code = sip.code(answer) if answer else 0
        if code == 503 and sip.header(answer, "Retry-After"):
            # A drain: who calls takes another way at once.
            self.tell("refused")
            call.state = "over"
            self._forget(call)
            return
        if not 200 <= code < 300:
            self._lose(call, f"INVITE while {call.state}: {code or 'no answer'}")
            return
        if call.callee is None:
            self._lose(call, f"INVITE: {code} of somebody else")
            return
        assert call.caller
        call.caller.remote = sip.header(answer, "To")
        call.caller.target = sip.target(answer)
        call.caller.routes = sip.routes(answer)[::-1]
        self._acknowledge(call)
        if self.is_relayed and sip.audio(answer)[0] not in sip.MEDIA:
            # It rang when RTPEngine went: taken and hung up, as RFC 3261 13.2.2.4 wants it.
            bye = call.caller.request("BYE", call.call_id, self._mark())
            self.callers[call.source].ask(bye, lambda _: None)
            self._lose(call, f"INVITE: {code} that passed RTPEngine by")
            return
        call.setup = time.monotonic() - call.dialled - (call.picked_up - call.rang)
        call.media.insert(0, sip.audio(answer))
        call.sbc_key = sip.srtp_key(answer)
        call.state = "talking"
        if call.when_up:
            call.when_up(call)

    def _acknowledge(self, call: Call) -> None:
        assert call.caller
        text = call.caller.request("ACK", call.call_id, self._mark())
        self.acks[call.call_id] = text
        self.callers[call.source].send(text)

    def acknowledge_again(self, call_id: str) -> None:
        """The 200 of an INVITE came again."""
        if call_id in self.acks:
            self.callers[self.calls[call_id].source].send(self.acks[call_id])

    def disconnected(self) -> None:
        """A TLS connection ended; what was under way then is counted as well."""
        self.tell("connections_ended")
        for state in ("dialling", "ringing"):
            calls = [call for call in self.calls.values() if call.state == state]
            self.tell(f"{state}_then", len(calls))

    # -- inside a dialog ----------------------------------------------------------------------

    def _ends(self, call: Call, *, by_callee: bool) -> tuple[sip.Side | None, ends.End]:
        if by_callee:
            return call.callee, self._called(call)[0]
        return call.caller, self.callers[call.source]

    def ask(self, call: Call, method: str, *, by_callee: bool = False) -> None:
        """A request inside the dialog, which must be answered by 200."""
        side, end = self._ends(call, by_callee=by_callee)
        if call.state != "talking" or side is None:
            return
        body = end.sdp(call.port) if method == "INVITE" else ""
        self.tell("in_dialog")
        end.ask(
            side.request(method, call.call_id, self._mark(), body),
            lambda answer: self._asked(call, method, answer),
        )

    def _asked(self, call: Call, method: str, answer: str) -> None:
        code = sip.code(answer) if answer else 0
        if code != 200:
            self._lose(call, f"{method} in the dialog: {code or 'no answer'}")
        elif method == "INVITE":
            self._acknowledge(call)

    def hang_up(self, call: Call, *, by_callee: bool = False) -> None:
        """End a call; the other end must hear of it."""
        side, end = self._ends(call, by_callee=by_callee)
        if call.state != "talking" or side is None:
            return
        call.state = "ending"
        text = side.request("BYE", call.call_id, self._mark())
        end.ask(text, lambda answer: self._ended(call, answer))

    def _ended(self, call: Call, answer: str) -> None:
        code = sip.code(answer) if answer else 0
        if code != 200 or not call.heard_bye or not call.acknowledged:
            heard = "" if call.heard_bye else ", which the other end did not hear"
            acked = "" if call.acknowledged else "; its 200 was never acknowledged"
            self._lose(call, f"BYE{heard}: {code or 'no answer'}{acked}")
            return
        call.state = "over"
        self._forget(call)

    def _lose(self, call: Call, why: str) -> None:
        if call.state not in ("failed", "over"):
            self.fail(call, why)
            call.state = "failed"
            self._forget(call)

    def _forget(self, call: Call) -> None:
        self.loop.call_later(FORGOTTEN_AFTER, self.calls.pop, call.call_id, None)
        self.loop.call_later(FORGOTTEN_AFTER, self.acks.pop, call.call_id, None)
        if call.when_over:
            call.when_over(call)

    # -- the callee, and whoever is asked -----------------------------------------------------

    def serve(self, end: ends.End, method: str, text: str, send: ends.Send) -> None:
        """Answer a request that was not seen before."""
        call = self.calls.get(sip.header(text, "Call-ID"))
        code, contact, body = 200, "", ""
        if method == "ACK":
            if call and end is self._called(call)[0]:
                call.acknowledged = True
            return
        if call is None and sip.tag(sip.header(text, "To")):
            code = 481
        elif call and method == "INVITE":
            if not sip.tag(sip.header(text, "To")):
                self._ring(call, text, send)
                return
            contact, body = end.contact, end.sdp(call.port)
        elif call and method == "BYE":
            call.heard_bye = True
        end.reply(text, sip.answer(text, code, own_tag="x", contact=contact, body=body), send)

    def _ring(self, call: Call, text: str, send: ends.Send) -> None:
        end, _ = self._called(call)
        if call.callee is not None:
            self.tell("forked")
            return
        own_tag = f"d{call.name}"
        call.callee = sip.Side(
            via=end.via,
            contact=end.contact,
            local=f"{sip.header(text, 'To')};tag={own_tag}",
            remote=sip.header(text, "From"),
            target=sip.target(text),
            routes=sip.routes(text),
        )
        call.media.append(sip.audio(text))
        call.rang = call.picked_up = time.monotonic()
        if call.ring:
            ringing = sip.answer(text, 180, own_tag=own_tag, contact=end.contact)
            end.reply(text, ringing, send)
        body = end.sdp(call.port)
        final = sip.answer(text, 200, own_tag=own_tag, contact=end.contact, body=body)
        self.loop.call_later(call.ring, self._pick_up, call, text, final, send)

    def _pick_up(self, call: Call, text: str, final: str, send: ends.Send) -> None:
        call.picked_up = time.monotonic()
        self._called(call)[0].reply(text, final, send)
        self.loop.call_later(ends.T1, self._insist, call, lambda: send(final), ends.T1)

    def _insist(self, call: Call, again: Callable[[], None], wait: float) -> None:
        """Send the 200 again until somebody acknowledges it (RFC 3261 13.3.1.4)."""
        if call.acknowledged or call.state in ("failed", "over"):
            return
        self.tell("repeats")
        again()
        wait = min(wait * 2, ends.T2)
        self.loop.call_later(wait, self._insist, call, again, wait)
