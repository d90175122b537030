"""Emergency calls: where the caller is, bodies of several parts, and no limit in the way."""

from __future__ import annotations

import asyncio

from orchestrator.lab import addresses, bodies, call, leg, pbx, story
from orchestrator.lab.scenarios import openings
from orchestrator.sip import build, digest, message, uri

SITE = "02-company"

_LOCATED = leg.Wishes(location=f"sip:{addresses.TEAMS_NUMBER}@sip.pstnhub.microsoft.com")
_GUESSES = 10
"""Wrong passwords after which an address is left without an answer."""
_PATIENCE = 2.0
"""Seconds in which nobody answers a guesser."""
_NOTE = bodies.Part("text/plain", b"v=0\r\nm=audio 4000 RTP/AVP 8\r\n")
"""A part that is no SDP, whatever it looks like."""
_SAID = (("Content-ID", "<audio@lab.invalid>"), ("Content-Disposition", "session"))
"""What a part may say about itself."""


async def help_with_location(told: story.Story) -> str:
    """Teams calls 112 with a location: the carrier gets the SDP, as ours, and the location."""
    sent, caller, callee = await _located_call(told, told.lab.carrier_a, "112")
    came = _location_of(callee.call.invite)
    if came != sent:
        raise story.Failed(f"Teams sent {len(sent)} bytes of location, {len(came)} came")
    named = callee.call.invite.values("Geolocation")
    if not named or named != caller.call.invite.values("Geolocation"):
        raise story.Failed("the carrier was not told where the location stands")
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "the location reached the carrier byte for byte, audio both ways"


async def help_without_location(told: story.Story) -> str:
    """The carrier cannot take a location (415): the same call comes again without it."""
    caller = await told.lab.teams.dial("110", caller=addresses.TEAMS_NUMBER, wishes=_LOCATED)
    told.track("Teams hears the carrier", caller)
    first = await told.lab.carrier_a.next_leg()
    first.refuse(415)
    callee = await told.lab.carrier_a.next_leg()
    told.track("the carrier hears Teams", callee)
    _is_plain(callee.call.invite)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "the carrier refused the location by 415 and got the call without it"


async def location_is_private(told: story.Story) -> str:
    """An ordinary call with a location: dropped at a carrier, passed where the trunk may know."""
    lab = told.lab
    _, caller, callee = await _located_call(told, lab.carrier_a, addresses.PSTN_NUMBER)
    _is_plain(callee.call.invite)
    await told.connect(caller, callee)
    await openings.hang_up(caller, callee)
    sent, caller, callee = await _located_call(told, lab.branch, addresses.BRANCH_NUMBER)
    if _location_of(callee.call.invite) != sent:
        raise story.Failed("location: pass, and the PBX did not get it")
    await told.connect(caller, callee)
    await openings.hang_up(caller, callee)
    return "no location for a carrier in an ordinary call, but for a trunk that may know it"


async def location_stays_from_teams(told: story.Story) -> str:
    """A trunk sends several parts, in its INVITE and in its answer: Teams sees the SDP alone."""
    lab = told.lab
    wishes = leg.Wishes(location=f"sip:{addresses.PSTN_NUMBER}@carrier.example.net")
    caller, callee = await openings.trunk_to_teams(
        told, lab.carrier_a, addresses.PSTN_NUMBER, wishes=wishes
    )
    _is_plain(callee.call.invite)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    caller = await lab.teams.dial(addresses.PSTN_NUMBER, caller=addresses.TEAMS_NUMBER)
    callee = await lab.carrier_a.next_leg()
    body = callee.answer_to(callee.call.remote_sdp)
    kind, whole = bodies.multipart((_NOTE, bodies.Part(build.SDP_TYPE, body, _SAID)))
    callee.call.answer(lab.carrier_a.settings.contact, whole, extra=(("Content-Type", kind),))
    callee.call.local_sdp = body
    _is_plain(await caller.connected())
    await callee.confirmed()
    await openings.hang_up(caller, callee)
    return "neither an INVITE nor an answer of several parts shows Teams more than the SDP"


async def body_without_sdp(told: story.Story) -> str:
    """Several parts and none of them an SDP that can be found: 415, and nobody is called."""
    lab = told.lab
    kind, body = bodies.multipart((_NOTE,))
    for written in (kind, "multipart/mixed"):
        wishes = leg.Wishes(offer=lambda _: body, extra=(("Content-Type", written),))
        caller = await lab.carrier_a.dial(
            addresses.TEAMS_NUMBER, caller=addresses.PSTN_NUMBER, wishes=wishes
        )
        answer = await caller.connected()
        if answer.status != 415:
            raise story.Failed(f"a body without an SDP was answered by {answer.start_line}")
    if lab.teams.waiting_calls:
        raise story.Failed("Teams was called with a body that nobody had read")
    return "415 for bodies of several parts without an SDP"


async def guesser_calls_for_help(told: story.Story) -> str:
    """An address that guessed passwords is left without an answer; its emergency call is not."""
    lab = told.lab
    known = digest.Account(addresses.DESK_USER, addresses.PHONE_PASSWORD)
    wrong = digest.Account(addresses.DESK_USER, "a guess")
    for _ in range(_GUESSES):
        await _prove(lab.registrar, addresses.PSTN_NUMBER, wrong)
    answered = asyncio.ensure_future(
        lab.registrar.ask(_invite(lab.registrar, addresses.PSTN_NUMBER))
    )
    await asyncio.wait((answered,), timeout=_PATIENCE)
    if answered.done():
        raise story.Failed(f"after {_GUESSES} guesses came {answered.result().start_line}")
    answered.cancel()
    proven = asyncio.ensure_future(_prove(lab.registrar, "112", known))
    (await lab.carrier_a.next_leg()).refuse(486)
    answer = await proven
    if answer.status != 486:
        raise story.Failed(f"the emergency call was answered by {answer.start_line}")
    return "no answer for a guesser, but for its emergency call"


async def _located_call(
    told: story.Story, trunk: pbx.Pbx, number: str
) -> tuple[bytes, leg.OutgoingLeg, leg.IncomingLeg]:
    """A call of Teams with a location: what it says, caller and callee."""
    caller, callee = await openings.teams_to_trunk(told, trunk, number, wishes=_LOCATED)
    return _location_of(caller.call.invite), caller, callee


def _location_of(parsed: message.Request) -> bytes:
    found = (
        part.content.strip() for part in bodies.parts_of(parsed) if part.type == bodies.PIDF_TYPE
    )
    return next(found, b"")


def _is_plain(parsed: message.Request | message.Response) -> None:
    """Failed when there is more than an SDP, or a word about a location."""
    kinds = [part.type for part in bodies.parts_of(parsed)]
    if kinds != [build.SDP_TYPE] or not bodies.sdp_of(parsed):
        raise story.Failed(f"the body came as {' and '.join(kinds) or 'nothing'}")
    if parsed.values("Geolocation") or parsed.values("Geolocation-Routing"):
        raise story.Failed("a header tells that the caller's location is known")


def _invite(stranger: pbx.Pbx, number: str) -> message.Request:
    """An INVITE without SDP of somebody who says to be the phone at the desk."""
    own = f"sip:{addresses.DESK_USER}@{addresses.PHONE_REALM}"
    target = f"sip:{number}@{addresses.PHONE_REALM}"
    return build.request(
        "INVITE",
        target,
        from_=call.tagged(own),
        to=uri.NameAddr(target),
        call_id=call.new_call_id(stranger.settings.address),
        number=1,
        extra=(("Contact", stranger.settings.contact),),
    )


async def _prove(stranger: pbx.Pbx, number: str, account: digest.Account) -> message.Response:
    """Call and answer the challenge; the final answer."""
    request = _invite(stranger, number)
    challenged = await stranger.ask(request)
    return await stranger.ask(call.with_proof(request, challenged, account))


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "emergency", "Teams calls 112 with a location", ("EM-1",), help_with_location, site=SITE
    ),
    story.Scenario(
        "emergency-415",
        "a carrier cannot take the location",
        ("EM-1",),
        help_without_location,
        site=SITE,
    ),
    story.Scenario(
        "location", "an ordinary call with a location", ("EM-1",), location_is_private, site=SITE
    ),
    story.Scenario(
        "location-teams",
        "a trunk sends bodies of several parts",
        ("EM-1",),
        location_stays_from_teams,
        site=SITE,
    ),
    story.Scenario(
        "body-hidden", "a body in which no SDP is found", ("EM-1",), body_without_sdp, site=SITE
    ),
    story.Scenario(
        "emergency-guesser",
        "a locked out address calls for help",
        ("EM-2",),
        guesser_calls_for_help,
        site=SITE,
    ),
)
"""The stories of emergency calls, in the order they are told."""
