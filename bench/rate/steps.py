"""So many calls a second for so long, and what became of each."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Protocol

T1 = 0.5
HOLD = 0.1
AT_ONCE = 16
DRAIN = 1.5
"""Seconds after the last call in which answers may still come; they are late then."""


class Caller(Protocol):
    """The end that calls."""

    via: bytes
    contact: bytes
    sdp: bytes

    def target(self) -> bytes:
        """The URI that is called."""

    def send(self, data: bytes) -> None:
        """To the SBC."""


class Step:
    """So many calls a second for so long, and what became of them."""

    def __init__(self, party: Caller, order: dict) -> None:
        self.party = party
        self.rate, self.total = order["rate"], round(order["rate"] * order["seconds"])
        self.relayed = order["relayed"].encode()
        self.began = self.due = time.monotonic()
        self.cpu = time.process_time()
        self.dialled = self.good = 0
        self.behind = self.last = 0.0
        self.calls: dict[bytes, float] = {}
        """When the INVITE was sent, or the BYE."""
        self.late: set[bytes] = set()
        self.hanging: deque[tuple[float, bytes, bytes]] = deque()
        self.wrong: Counter[str] = Counter()
        self.mark = b"%x" % time.monotonic_ns()

    def turn(self, now: float) -> float | None:
        """Dial and hang up what is due; seconds until the next time, None when all is over."""
        # Answers are read in between, however late it is.
        most = min(self.total, self.dialled + AT_ONCE)
        while self.dialled < most and self.due <= now:
            self.behind = max(self.behind, now - self.due)
            self._dial(now)
            self.due += 1 / self.rate
            self.last = now = time.monotonic()
        while self.hanging and self.hanging[0][0] <= now:
            _, call, bye = self.hanging.popleft()
            self.calls[call] = now
            self.party.send(bye)
        if self.dialled == self.total:
            if not self.calls or now > self.last + DRAIN:
                return None
            return 0.005
        until = min(self.due, self.hanging[0][0]) if self.hanging else self.due
        return max(0.0, until - now)

    def _dial(self, now: float) -> None:
        party = self.party
        mark = b"%s-%d" % (self.mark, self.dialled)
        target = party.target()
        call = mark + b"@rate"
        self.dialled += 1
        self.calls[call] = now
        party.send(
            b"INVITE %s SIP/2.0\r\nVia: %s;branch=z9hG4bK%si\r\nMax-Forwards: 70\r\n"
            b"From: <sip:+4930777@rate.example.com>;tag=c%s\r\nTo: <%s>\r\nCall-ID: %s\r\n"
            b"CSeq: 1 INVITE\r\n"
            % (target, party.via, mark, mark, target.partition(b";")[0], call)
            + party.contact
            + party.sdp
        )

    def connected(self, call: bytes, text: bytes, bye: bytes) -> bool:
        """The 200 of an INVITE came; False when the call is none of ours."""
        began = self.calls.get(call)
        if began is None:
            return False
        now = time.monotonic()
        if now - began > T1:
            self.late.add(call)
        if self.relayed not in text:
            self.refused(call, "not relayed")
            return False
        self.calls[call] = now + HOLD
        self.hanging.append((now + HOLD, call, bye))
        return True

    def ended(self, call: bytes, status: int) -> None:
        """The answer to a BYE came."""
        began = self.calls.pop(call, None)
        if began is None:
            return
        if status != 200:
            self.wrong[f"BYE {status}"] += 1
        elif call in self.late or time.monotonic() - began > T1:
            self.wrong["late"] += 1
        else:
            self.good += 1

    def refused(self, call: bytes, why: str) -> None:
        if self.calls.pop(call, None) is not None:
            self.wrong[why] += 1

    def told(self) -> dict:
        """The account."""
        if self.calls:
            self.wrong["no answer"] += len(self.calls)
        told = {"dialled": self.dialled, "good": self.good, "wrong": dict(self.wrong)}
        cpu, seconds = time.process_time() - self.cpu, time.monotonic() - self.began
        return {**told, "behind": self.behind, "cpu": cpu, "seconds": seconds}
