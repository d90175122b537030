"""Take no new calls until those that stand have ended, before a step that ends calls.

1. Only a restart ends calls, so only a plan with one is waited for.
2. Kamailio refuses new calls by a lease that is renewed all the time. Whatever becomes of us, it
   takes calls again by itself, 15 seconds later at most.
3. Nothing is committed yet while we wait: Ctrl-C has nothing to put back but the lease.
4. Our own OPTIONS go on. Microsoft calls the next SBC for each 503 at once; that an SBC is silent
   it believes after minutes, and as slowly that it is back (docs/decisions/0023).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from orchestrator import announce, errors, observe, plan
from orchestrator.engines import kamailio, kamailio_load
from orchestrator.host import journal

_ENDING = frozenset({plan.Kind.RESTART_KAMAILIO, plan.Kind.RESTART_RTPENGINE})
_LEASE = 15
_LAST_LEASE = 30
"""From the last look at the calls until the engines are stopped."""
_RENEWED = 3.0
_POLL = 0.5
_TOLD = 10.0


@contextmanager
def drained(
    machine: observe.Machine,
    progress: announce.Progress,
    todo: plan.Plan,
    before: journal.Before,
    seconds: float | None,
) -> Iterator[tuple[str, ...]]:
    """Inside the block no new call comes, and those that stood have ended or *seconds* have.

    At the end of the block, and where anything goes wrong, calls are taken again.

    Args:
        machine: Where.
        progress: Who is told how many calls are left.
        todo: What will be done inside.
        before: What was staged for it; discarded when the wait is broken off.
        seconds: How long to wait at most; None: not at all.

    Yields:
        What the operator should know, as sentences.

    Raises:
        EngineRefused: The running Kamailio cannot be asked to take no calls.
    """
    if seconds is None:
        yield ()
        return
    if _ENDING.isdisjoint(todo.kinds):
        with progress.step("drain", "not needed") as step:
            step.note("no engine is restarted: calls go on")
        yield ()
        return
    try:
        try:
            warnings = _wait(machine, progress, seconds)
        except BaseException:
            if before.staged:
                machine.store.discard(before.candidate)
            raise
        yield warnings
    finally:
        # One that is silent takes no calls; the lease ends by itself when it is back.
        with suppress(errors.EngineError):
            kamailio.take_no_calls(machine.rpc, 0)


def _wait(
    machine: observe.Machine, progress: announce.Progress, seconds: float
) -> tuple[str, ...]:
    """Wait until no call is left; a Kamailio that does not answer takes none anyway."""
    began = time.monotonic()
    renewed = told = -_TOLD
    with progress.step("drain", "no new calls until those that stand have ended") as step:
        try:
            while True:
                now = time.monotonic() - began
                if now - renewed >= _RENEWED:
                    _renew(machine, _LEASE)
                    renewed = now
                calls, ringing = _left(machine)
                if not calls and not ringing:
                    break
                if now >= seconds:
                    _renew(machine, _LAST_LEASE)
                    step.note(f"the time is up, {calls} calls left")
                    return (f"the time to drain was up with {calls} calls left",)
                text = f"{calls} calls left, {_clock(seconds - now)} to wait"
                step.note(text)
                if now - told >= _TOLD:
                    progress.say(f"  drain        {text}")
                    told = now
                time.sleep(min(_POLL, max(0.0, seconds - now)))
            _renew(machine, _LAST_LEASE)
            step.note("no call is left")
        except errors.EngineSilent as silent:
            step.note(silent.message)
    return ()


def _left(machine: observe.Machine) -> tuple[int, int]:
    """Calls that RTPEngine carries, and transactions of Kamailio that have no final answer."""
    try:
        calls = machine.media.sessions()
    except errors.EngineSilent:
        calls = 0
    return calls, kamailio_load.open_transactions(machine.rpc)


def _renew(machine: observe.Machine, seconds: int) -> None:
    try:
        kamailio.take_no_calls(machine.rpc, seconds)
    except errors.EngineRefused as refusal:
        raise errors.EngineRefused(
            "the running Kamailio cannot be drained: it was started by an sbcctl that could not",
            words=refusal.words,
            hint="apply without --drain, when few calls are up; from then on it can",
        ) from refusal


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{rest:02d}"
