"""Session timers from either side (RFC 4028; SIG-29): asked for, granted, kept or let run out."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.lab import journal, leg
from orchestrator.sip import build, message

EXPIRED = 'SIP;cause=408;text="Session timer expired"'
"""Why the side that waits for refreshes hangs up."""


@dataclass(frozen=True, slots=True)
class Timer:
    """What Session-Expires says: for how many seconds a session lives, and who refreshes it."""

    seconds: int
    refresher: str = ""

    @property
    def header(self) -> tuple[str, str]:
        """The Session-Expires header."""
        by = f";refresher={self.refresher}" if self.refresher else ""
        return ("Session-Expires", f"{self.seconds}{by}")


def ask(seconds: int, *, refresher: str = "", minimum: int | None = None) -> build.Extra:
    """Headers of an INVITE that asks for a timer; short ones need no *minimum* in the lab."""
    least = (("Min-SE", str(minimum)),) if minimum is not None else ()
    return (("Supported", "timer"), Timer(seconds, refresher).header, *least)


def grant(seconds: int, *, refresher: str) -> build.Extra:
    """Headers of the 200 that says how it is; who calls is ``uac``, who is called ``uas``."""
    return (("Require", "timer"), Timer(seconds, refresher).header)


def said(parsed: message.Request | message.Response) -> Timer | None:
    """The timer in a message, or None."""
    value, *params = (part.strip() for part in (parsed.get("Session-Expires") or "").split(";"))
    if not value.isdigit():
        return None
    named = dict(param.partition("=")[::2] for param in params)
    return Timer(int(value), named.get("refresher", ""))


async def refresh(known: leg.Leg, timer: Timer) -> message.Response:
    """Refresh once: our SDP as it is, with the timer."""
    renewed = Timer(timer.seconds, "uac")
    return await known.refresh(extra=(("Supported", "timer"), renewed.header))


async def keep(known: leg.OutgoingLeg | leg.IncomingLeg, timer: Timer) -> None:
    """Refresh at half of the interval until the call is over (RFC 4028 section 7.2)."""
    while not await _over(known, timer.seconds / 2):
        await refresh(known, timer)


async def guard(known: leg.OutgoingLeg | leg.IncomingLeg, timer: Timer) -> bool:
    """Wait for the other side's refreshes; hang up when one does not come (section 10).

    Returns:
        True when a side hung up in time, False when the session ran out.
    """
    while True:
        count = len(known.call.requests.entries)
        if await _over(known, timer.seconds - min(32.0, timer.seconds / 3)):
            return True
        fresh = (each.method for each in known.call.requests.entries[count:])
        if not {"INVITE", "UPDATE"} & set(fresh):
            await known.hang_up(extra=(("Reason", EXPIRED),))
            return False


async def _over(known: leg.OutgoingLeg | leg.IncomingLeg, seconds: float) -> bool:
    try:
        await journal.happened(known.call.over, within=seconds, what="the end of the call")
    except journal.Silence:
        return False
    return True
