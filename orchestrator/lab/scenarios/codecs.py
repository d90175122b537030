"""Codecs of trunks: fewer of them, in order, changed under way, none in common; early media."""

from __future__ import annotations

import secrets

from orchestrator.lab import addresses, leg, offers, story
from orchestrator.lab.scenarios import openings
from orchestrator.sip import sdp

SITE = "02-company"

_STEP = 25
"""Packets between two steps: half a second."""
_WIDE: offers.Codecs = (
    ("9", "G722/8000"),
    ("0", "PCMU/8000"),
    ("8", "PCMA/8000"),
    ("100", "telephone-event/8000"),
    ("13", "CN/8000"),
)
"""What a carrier offers that does not know what was agreed."""
_ONLY_G722: offers.Codecs = (("9", "G722/8000"), ("101", "telephone-event/8000"))
_ONLY_PCMU: offers.Codecs = (("0", "PCMU/8000"), ("101", "telephone-event/8000"))


async def fewer(told: story.Story) -> str:
    """The carrier is limited to two codecs: they alone pass each way, in its order, with DTMF."""
    lab = told.lab
    caller, callee = await openings.teams_to_trunk(told, lab.carrier_a, addresses.PSTN_NUMBER)
    _lists(callee.call.remote_sdp, "8", "0", events="101", what="the carrier")
    callee.answerer = _plain("PCMU", "PCMA")
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    caller.stream.press("42")
    await told.still_heard(_STEP)
    if callee.stream.report().digits != "42":
        raise story.Failed("the digits did not arrive")
    await openings.hang_up(caller, callee)
    wishes = leg.Wishes(offer=_offer(_WIDE))
    caller, callee = await openings.trunk_to_teams(
        told, lab.carrier_a, addresses.PSTN_NUMBER, wishes=wishes
    )
    _lists(callee.call.remote_sdp, "8", "0", events="100", what="Teams")
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "PCMA, PCMU, DTMF and comfort noise each way, nothing else, audio unaltered"


async def changed(told: story.Story) -> str:
    """The carrier changes the codec in the call, and then asks for one nobody agreed on."""
    wishes = leg.Wishes(offer=_offer(_WIDE[1:]))
    caller, callee = await openings.trunk_to_teams(
        told, told.lab.carrier_a, addresses.PSTN_NUMBER, wishes=wishes
    )
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    callee.answerer = lambda offer, here: offers.teams_answer(
        offer, here, session=1, key=secrets.token_bytes(30), speaks=("PCMU",)
    )
    for one in (caller, callee):
        one.stream.pause()  # what is on its way in the old codec would count as altered
    await told.wait(0.1)
    answer = await caller.offer_codecs(_ONLY_PCMU)
    if answer.status != 200:
        raise story.Failed(f"another codec was answered by {answer.start_line}")
    _lists(answer.body, "0", events="101", what="the carrier")
    await told.still_heard(_STEP)
    answer = await caller.offer_codecs(_ONLY_G722)
    if answer.status != 488:
        raise story.Failed(f"a codec nobody agreed on was answered by {answer.start_line}")
    await told.still_heard(_STEP)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "PCMA, then PCMU; G722 was refused by 488, and the call went on"


async def none_left(told: story.Story) -> str:
    """Nobody has a codec of the trunk's: 488 for the caller, and nobody else hears of it."""
    lab = told.lab
    wishes = leg.Wishes(offer=_offer(_ONLY_G722))
    caller = await lab.carrier_a.dial(
        addresses.TEAMS_NUMBER, caller=addresses.PSTN_NUMBER, wishes=wishes
    )
    answer = await caller.connected()
    if answer.status != 488 or lab.teams.waiting_calls:
        raise story.Failed(f"a call without a common codec led to {answer.start_line}")
    wishes = leg.Wishes(offer=_teams_offer)
    caller = await lab.teams.dial(
        addresses.PSTN_NUMBER, caller=addresses.TEAMS_NUMBER, wishes=wishes
    )
    answer = await caller.connected()
    if answer.status != 488 or lab.carrier_a.waiting_calls:
        raise story.Failed(f"Teams without a codec of the carrier's got {answer.start_line}")
    return "488 each way, nothing reached the other side"


async def ringing(told: story.Story) -> str:
    """183 of Teams becomes 180 without SDP at this carrier; the 200 brings the media (SIG-11)."""
    caller, callee = await openings.trunk_to_teams(told, told.lab.carrier_a, addresses.PSTN_NUMBER)
    callee.early(183)
    rang = await caller.call.status(180, 183)
    if rang.status != 180 or rang.body:
        raise story.Failed(f"early media of Teams reached the carrier: {rang.start_line}")
    callee.answer()
    await caller.connected()
    await callee.confirmed()
    if any(known.status == 183 for known in caller.call.responses.entries):
        raise story.Failed("a 183 reached the carrier")
    await told.talk()
    await openings.hang_up(caller, callee)
    return "180 without SDP instead of 183, audio with the 200"


def _lists(body: bytes, *voices: str, events: str, what: str) -> None:
    """An SDP lists these payloads in this order, then DTMF and comfort noise if anything."""
    audio = sdp.parse(body).audio
    formats = audio.formats if audio else ()
    rest = set(formats[len(voices) :])
    if formats[: len(voices)] != voices or events not in rest or rest - {events, "13"}:
        raise story.Failed(f"{what} was offered {' '.join(formats)}")


def _offer(codecs: offers.Codecs) -> leg.Offerer:
    return lambda here: offers.plain_offer(here, session=7, codecs=codecs)


def _plain(*speaks: str) -> leg.Answerer:
    return lambda offer, here: offers.plain_answer(offer, here, session=7, speaks=speaks)


def _teams_offer(here: offers.Place) -> bytes:
    keys = (secrets.token_bytes(30), secrets.token_bytes(30))
    return offers.teams_offer(here, session=7, keys=keys, codecs=_ONLY_G722)


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario("codecs-fewer", "a trunk with two codecs", ("MED-15",), fewer, site=SITE),
    story.Scenario("codecs-change", "the codec changes", ("MED-15",), changed, site=SITE),
    story.Scenario("codecs-none", "no codec in common", ("MED-15",), none_left, site=SITE),
    story.Scenario("early-ringing", "180 instead of 183", ("SIG-11",), ringing, site=SITE),
)
"""The stories of codecs, in the order they are told."""
