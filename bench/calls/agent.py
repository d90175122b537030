"""Both ends of every call: transactions, dialogs, and an exact account of what became of each.

The caller's and the callee's end of a call are kept together, because both are ours: that a BYE
was answered by the one who should have got it is seen, and not believed.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import sip

T1 = 0.5
T2 = 4.0
PATIENCE = 16.0
"""Seconds until a request counts as unanswered; RFC 3261 says 32, and nobody waits that long."""
RING_PATIENCE = 60.0
SILENT_PORT = 40002
"""Where calls want their audio that send none."""

Done = Callable[[str], None]


@dataclass
class Call:
    """One call; ``phase`` is the one in which it was dialled.

    Attributes:
        ring: Seconds it rings.
        port: Where both ends want their audio.
        state: dialling, ringing, talking, ending, over, or failed.
        why: What failed.
    """

    call_id: str
    kind: str
    phase: str
    ring: float
    port: int = SILENT_PORT
    state: str = "dialling"
    why: str = ""
    dialled: float = 0.0
    rang: float = 0.0
    picked_up: float = 0.0
    setup: float = 0.0
    caller: sip.Side | None = None
    callee: sip.Side | None = None
    media: list[tuple[str, int]] = field(default_factory=list)
    """Where the caller and the callee send their audio."""
    acknowledged: bool = False
    heard_bye: bool = False
    when_up: Callable[[Call], None] | None = None
    when_over: Callable[[Call], None] | None = None

    @property
    def name(self) -> str:
        """The Call-ID as a token, for tags."""
        return self.call_id.partition("@")[0]


class Transaction:
    """A request of ours until its final answer; repeated as RFC 3261 17.1 says for UDP."""

    def __init__(self, end: End, text: str, done: Done, patience: float) -> None:
        self.end = end
        self.text = text
        self.done = done
        self.is_invite = text.startswith("INVITE")
        self.is_repeating = True
        self.repeats = 0
        self.wait = T1
        loop = end.agent.loop
        self.again = loop.call_later(T1, self._again)
        self.giving_up = loop.call_later(patience, self.finish, "")
        end.send(text)

    def _again(self) -> None:
        if self.is_repeating:
            self.repeats += 1
            self.end.agent.tell("repeats", 1)
            self.end.send(self.text)
            self.wait = self.wait * 2 if self.is_invite else min(self.wait * 2, T2)
            self.again = self.end.agent.loop.call_later(self.wait, self._again)

    def provisional(self) -> None:
        if self.is_invite:
            self.is_repeating = False
            self.again.cancel()
            self.giving_up.cancel()
            loop = self.end.agent.loop
            self.giving_up = loop.call_later(RING_PATIENCE, self.finish, "")

    def finish(self, answer: str) -> None:
        """With the final answer; empty when none came."""
        self.is_repeating = False
        self.again.cancel()
        self.giving_up.cancel()
        self.end.pending.pop(sip.branch(self.text), None)
        self.done(answer)


class End:
    """One address: a socket, its transactions and what it has answered."""

    def __init__(self, agent: Agent, address: str) -> None:
        self.agent = agent
        self.address = address
        self.pending: dict[str, Transaction] = {}
        self.answered: dict[str, str] = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.settimeout(0)
        self.socket.bind((address, 5060))
        agent.loop.add_reader(self.socket, self._read)

    def send(self, text: str) -> None:
        self.socket.sendto(text.encode(), (sip.SBC, 5060))

    def ask(self, text: str, done: Done, patience: float = PATIENCE) -> None:
        self.pending[sip.branch(text)] = Transaction(self, text, done, patience)

    def reply(self, request: str, text: str) -> None:
        """Answer, and remember it for a repetition."""
        mark = f"{sip.branch(request)}/{request.partition(' ')[0]}"
        self.answered[mark] = text
        self.agent.loop.call_later(40, self.answered.pop, mark, None)
        self.send(text)

    def _read(self) -> None:
        for _ in range(64):
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            text = data.decode()
            if text.startswith("SIP/2.0"):
                self._take_answer(text)
            else:
                self._take_request(text)

    def _take_answer(self, text: str) -> None:
        mark = sip.branch(text)
        held = self.pending.get(mark)
        code = sip.code(text)
        if held is None:
            # A 200 that came again: its ACK was lost.
            if 200 <= code < 300 and sip.header(text, "CSeq").endswith("INVITE"):
                self.agent.acknowledge_again(sip.header(text, "Call-ID"))
            return
        if code >= 300 and held.is_invite:
            self.send(sip.refusal_ack(held.text, text))
        if code < 200:
            held.provisional()
            self.agent.progress(text)
        else:
            held.finish(text)

    def _take_request(self, text: str) -> None:
        method = text.partition(" ")[0]
        known = self.answered.get(f"{sip.branch(text)}/{method}")
        if known is not None:
            self.send(known)
            return
        self.agent.serve(self, method, text)


class Agent:
    """Places calls from one address and takes them at the other.

    Args:
        caller: The address that calls.
        callee: The address that is called.
        dialled: The number that is called.
        tell: Counts something in the present phase.
        fail: Is told what went wrong with which call.
    """

    def __init__(
        self,
        *,
        caller: str,
        callee: str,
        dialled: str,
        tell: Callable[[str, int], None],
        fail: Callable[[Call, str], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.tell = tell
        self.fail = fail
        self.dialled = dialled
        self.calls: dict[str, Call] = {}
        self.acks: dict[str, str] = {}
        self.marks = itertools.count(1)
        self.caller = End(self, caller)
        self.callee = End(self, callee)

    def mark(self) -> str:
        return f"load{next(self.marks)}"

    # -- the caller ---------------------------------------------------------------------------

    def dial(self, call: Call) -> None:
        """Place *call*; what becomes of it is seen in its state."""
        here = self.caller.address
        self.calls[call.call_id] = call
        call.dialled = time.monotonic()
        call.caller = sip.Side(
            address=here,
            local=f"<sip:+4930777@{here}>;tag=c{call.name}",
            remote=f"<sip:{self.dialled}@{sip.SBC}>",
            target=f"sip:{self.dialled}@{sip.SBC}:5060",
            routes=[],
        )
        text = call.caller.request("INVITE", call.call_id, self.mark(), sip.sdp(here, call.port))
        self.caller.ask(text, lambda answer: self._answered(call, answer))

    def progress(self, text: str) -> None:
        """A provisional answer came."""
        call = self.calls.get(sip.header(text, "Call-ID"))
        if call and call.state == "dialling" and sip.code(text) >= 180:
            call.state = "ringing"
            self.tell("rang", 1)

    def _answered(self, call: Call, answer: str) -> None:
        code = sip.code(answer) if answer else 0
        if not 200 <= code < 300:
            self._lose(call, f"INVITE while {call.state}: {code or 'no answer'}")
            return
        if call.callee is None:
            self._lose(call, f"INVITE: {code} of somebody else")
            return
        assert call.caller
        call.setup = time.monotonic() - call.dialled - (call.picked_up - call.rang)
        call.caller.remote = sip.header(answer, "To")
        call.caller.target = sip.target(answer)
        call.caller.routes = sip.routes(answer)[::-1]
        call.media.insert(0, sip.audio(answer))
        call.state = "talking"
        self._acknowledge(call)
        self.tell("set_up", 1)
        if call.when_up:
            call.when_up(call)

    def _acknowledge(self, call: Call) -> None:
        assert call.caller
        text = call.caller.request("ACK", call.call_id, self.mark())
        self.acks[call.call_id] = text
        self.caller.send(text)

    def acknowledge_again(self, call_id: str) -> None:
        if call_id in self.acks:
            self.caller.send(self.acks[call_id])

    # -- inside a dialog ----------------------------------------------------------------------

    def ask(self, call: Call, method: str, *, by_callee: bool = False) -> None:
        """A request inside the dialog, which must be answered by 200."""
        side, end = (call.callee, self.callee) if by_callee else (call.caller, self.caller)
        if call.state != "talking" or side is None:
            return
        body = sip.sdp(side.address, call.port) if method == "INVITE" else ""
        text = side.request(method, call.call_id, self.mark(), body)
        self.tell("in_dialog", 1)
        end.ask(text, lambda answer: self._asked(call, method, answer))

    def _asked(self, call: Call, method: str, answer: str) -> None:
        code = sip.code(answer) if answer else 0
        if code != 200:
            self._lose(call, f"{method} in the dialog: {code or 'no answer'}")
        elif method == "INVITE":
            self._acknowledge(call)

    def hang_up(self, call: Call, *, by_callee: bool = False) -> None:
        """End a call; the other end must hear of it."""
        side, end = (call.callee, self.callee) if by_callee else (call.caller, self.caller)
        if call.state != "talking" or side is None:
            return
        call.state = "ending"
        text = side.request("BYE", call.call_id, self.mark())
        end.ask(text, lambda answer: self._ended(call, answer))

    def _ended(self, call: Call, answer: str) -> None:
        code = sip.code(answer) if answer else 0
        if code != 200 or not call.heard_bye or not call.acknowledged:
            heard = "" if call.heard_bye else ", which the other end did not hear"
            acked = "" if call.acknowledged else "; its 200 was never acknowledged"
            self._lose(call, f"BYE{heard}: {code or 'no answer'}{acked}")
            return
        call.state = "over"
        self.tell("ended", 1)
        self._forget(call)

    def _lose(self, call: Call, why: str) -> None:
        if call.state not in ("failed", "over"):
            self.fail(call, why)
            call.state, call.why = "failed", why
            self._forget(call)

    def _forget(self, call: Call) -> None:
        self.loop.call_later(10, self.calls.pop, call.call_id, None)
        self.loop.call_later(10, self.acks.pop, call.call_id, None)
        if call.when_over:
            call.when_over(call)

    # -- the callee, and whoever is asked -----------------------------------------------------

    def serve(self, end: End, method: str, text: str) -> None:
        """Answer a request that was not seen before."""
        call = self.calls.get(sip.header(text, "Call-ID"))
        if method == "ACK":
            if call and end is self.callee:
                call.acknowledged = True
        elif method == "INVITE" and call and not sip.tag(sip.header(text, "To")):
            self._ring(call, text)
        elif method == "INVITE" and call:
            body = sip.sdp(end.address, call.port)
            contact = f"sip:load@{end.address}:5060"
            end.reply(text, sip.answer(text, 200, own_tag="x", contact=contact, body=body))
        elif method == "BYE" and call:
            call.heard_bye = True
            end.reply(text, sip.answer(text, 200, own_tag="x"))
        elif call is None and sip.tag(sip.header(text, "To")):
            end.reply(text, sip.answer(text, 481, own_tag="x"))
        else:
            end.reply(text, sip.answer(text, 200, own_tag="x"))

    def _ring(self, call: Call, text: str) -> None:
        if call.callee is not None:
            self.tell("forked", 1)
            return
        here = self.callee.address
        own_tag = f"d{call.name}"
        call.callee = sip.Side(
            address=here,
            local=f"{sip.header(text, 'To')};tag={own_tag}",
            remote=sip.header(text, "From"),
            target=sip.target(text),
            routes=sip.routes(text),
        )
        call.media.append(sip.audio(text))
        call.rang = call.picked_up = time.monotonic()
        contact = f"sip:load@{here}:5060"
        if call.ring:
            self.callee.reply(text, sip.answer(text, 180, own_tag=own_tag, contact=contact))
        body = sip.sdp(here, call.port)
        final = sip.answer(text, 200, own_tag=own_tag, contact=contact, body=body)
        self.loop.call_later(call.ring, self._pick_up, call, text, final)

    def _pick_up(self, call: Call, text: str, final: str) -> None:
        call.picked_up = time.monotonic()
        self.callee.reply(text, final)
        self.loop.call_later(T1, self._insist, call, final, T1)

    def _insist(self, call: Call, final: str, wait: float) -> None:
        """Send the 200 again until somebody acknowledges it (RFC 3261 13.3.1.4)."""
        if call.acknowledged or call.state in ("failed", "over") or wait > PATIENCE:
            return
        self.tell("repeats", 1)
        self.callee.send(final)
        wait = min(wait * 2, T2)
        self.loop.call_later(wait, self._insist, call, final, wait)
