"""What happens to the media of a call: ports, keys, early media, digits, silence, RTCP."""

from __future__ import annotations

import secrets

from orchestrator.lab import addresses, leg, offers, story, tones
from orchestrator.lab.scenarios import openings
from orchestrator.sip import sdp

_STEP = 25
"""Packets between two steps: half a second."""
_QUIET = 3.0
"""Seconds of silence."""
_RTCP_WITHIN = 3.0
"""Seconds within which RTCP comes, which the lab's endpoints send each second."""


async def pbx_moves(told: story.Story) -> str:
    """The PBX moves its audio three times; Microsoft sees port and key stand still."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    for _ in range(3):
        await told.still_heard(_STEP)
        answer = await callee.move()
        if answer.status != 200:
            raise story.Failed(f"the move was answered by {answer.start_line}")
    await told.still_heard(_STEP)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "the PBX moved three times, audio both ways after each"


async def early_media(told: story.Story) -> str:
    """The PBX speaks before it answers, hears digits, and nothing changes in the 200 (SIG-28)."""
    caller, callee = await openings.teams_to_pbx(told)
    callee.early(183)
    early = await caller.early()
    await told.still_heard(_STEP)
    await press(told, caller, callee, "42")
    callee.answer()
    answer = await caller.connected()
    await callee.confirmed()
    if _where(early.body) != _where(answer.body):
        raise story.Failed("the 200 has another address, port or key than the 183")
    if early.to.tag != answer.to.tag:
        raise story.Failed("the 200 has another To tag than the 183")
    await told.talk()
    await openings.hang_up(caller, callee)
    return "early media both ways, digits before the answer, the same media after it"


async def teams_early_media(told: story.Story) -> str:
    """Teams speaks before it answers: voicemail, announcements; the PBX sends digits."""
    caller, callee = await openings.pbx_to_teams(told)
    callee.early(183)
    await caller.early()
    await told.still_heard(_STEP)
    await press(told, caller, callee, "1")
    callee.ring()
    await caller.call.status(180)
    callee.answer()
    await caller.connected()
    await callee.confirmed()
    await told.talk()
    await openings.hang_up(caller, callee)
    return "183 with audio, then 180, then 200; digits before the answer"


async def digits(told: story.Story) -> str:
    """All sixteen digits each way, at the payload numbers of both sides, and a long one."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    await press(told, caller, callee, tones.DIGITS)
    await press(told, callee, caller, tones.DIGITS[::-1])
    await press(told, callee, caller, "5", seconds=1.0)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "sixteen digits each way and one of a second"


async def silence(told: story.Story) -> str:
    """The PBX suppresses silence: comfort noise passes, nobody hangs up (MED-19)."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    caller.stream.hush()
    before = callee.stream.report().noise
    await told.wait(_QUIET)
    if callee.stream.report().noise - before < _QUIET * 4:
        raise story.Failed("the comfort noise did not arrive")
    caller.stream.speak()
    await told.still_heard(_STEP)
    await told.talk()
    await openings.hang_up(caller, callee)
    return f"{_QUIET:g} s of comfort noise passed, then audio"


async def rtcp_on_hold(told: story.Story) -> str:
    """RTCP reaches Teams while a call is held, so nobody takes it for dead (MED-13)."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    await callee.hold("sendonly")
    await _more_rtcp(told, caller, "RTCP for Teams during hold")
    await callee.resume()
    await told.talk()
    await openings.hang_up(caller, callee)
    return "RTCP reached Teams during hold"


async def without_mux(told: story.Story) -> str:
    """Teams without rtcp-mux and with its old list of codecs: audio and RTCP all the same."""
    wishes = leg.Wishes(offer=_old_offer)
    caller = await told.lab.teams.dial(
        addresses.PBX_NUMBER, caller=addresses.TEAMS_NUMBER, wishes=wishes
    )
    told.track("Teams hears the PBX", caller)
    callee = await told.lab.pbx.next_leg()
    told.track("PBX hears Teams", callee)
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    await _more_rtcp(told, caller, "RTCP for Teams on a port of its own")
    await told.talk()
    await openings.hang_up(caller, callee)
    return "audio and RTCP on two ports, from the old list of codecs"


async def media_dies(told: story.Story) -> str:
    """The PBX falls silent; Microsoft hangs up after its timeout, and the PBX learns of it."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    callee.stream.pause()
    answer = await caller.hang_up_when_silent(1.0)
    if answer.status != 200:
        raise story.Failed(f"BYE was answered by {answer.start_line}")
    await callee.ended()
    return "nothing came from the PBX for a second, Teams hung up"


async def _more_rtcp(told: story.Story, one: leg.Leg, what: str) -> None:
    before = one.stream.report().rtcp
    await told.until(lambda: one.stream.report().rtcp > before, what, within=_RTCP_WITHIN)


async def press(
    told: story.Story, one: leg.Leg, other: leg.Leg, pressed: str, *, seconds: float = 0.1
) -> None:
    """*one* sends digits, *other* hears just these, as RFC 4733 wants them."""
    before = len(other.stream.report().digits)
    one.stream.press(pressed, seconds=seconds)
    await told.until(lambda: not one.stream.pressing, f"{pressed} sent", within=10.0)
    await other.stream.heard_more(5)
    report = other.stream.report()
    if report.digits[before:] != pressed:
        raise story.Failed(f"{pressed} was sent as digits, {report.digits[before:]} came")
    if report.tone_faults:
        raise story.Failed(f"digits came broken: {report.tone_faults[0]}")


def _where(body: bytes) -> tuple[object, ...]:
    """Address, port and keys of the audio in an SDP."""
    parsed = sdp.parse(body)
    if parsed.audio is None:
        raise story.Failed("an SDP without audio")
    return (parsed.address_of(parsed.audio), parsed.audio.port, parsed.audio.crypto)


def _old_offer(here: offers.Place) -> bytes:
    keys = (secrets.token_bytes(30), secrets.token_bytes(30))
    session = secrets.randbelow(90_000)
    return offers.teams_offer(
        here, session=session, keys=keys, codecs=offers.OLD_TEAMS_CODECS, mux=False
    )


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario("media-moves", "the PBX moves its audio", ("MED-6", "MED-7"), pbx_moves),
    story.Scenario(
        "early-media",
        "the PBX plays before it answers",
        ("SIG-28", "MED-14", "MED-18"),
        early_media,
    ),
    story.Scenario(
        "early-media-teams",
        "Teams plays before it answers",
        ("SIG-10", "MED-18", "MED-22"),
        teams_early_media,
    ),
    story.Scenario("digits", "sixteen digits each way", ("MED-18",), digits),
    story.Scenario("silence", "comfort noise", ("MED-19",), silence),
    story.Scenario("rtcp-on-hold", "RTCP goes on during hold", ("MED-13",), rtcp_on_hold),
    story.Scenario(
        "without-mux",
        "Teams without rtcp-mux, with its old codecs",
        ("MED-12", "MED-17"),
        without_mux,
    ),
    story.Scenario("media-dies", "the audio of the PBX dies", ("MED-14",), media_dies),
)
"""The stories of media, in the order they are told."""
