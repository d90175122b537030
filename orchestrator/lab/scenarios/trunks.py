"""Several trunks: PBXs and carriers, over UDP and TCP, and what happens when a gateway is down."""

from __future__ import annotations

import asyncio
import functools

from orchestrator.lab import addresses, leg, offers, offers_srtp, pbx, rules_trunk, story
from orchestrator.lab.scenarios import openings

SITE = "02-company"
KINDS = "03-trunks"

_MANY = 32
"""Calls that are shared: so many that weights of 75 and 25 leave no gateway out by chance."""

_MEDIA = ("MED-1", "MED-2", "MED-3", "MED-4", "MED-11", "MED-15")


async def teams_calls_branch(told: story.Story) -> str:
    """SIP over TCP towards the trunk, from the INVITE to the BYE."""
    caller, callee = await openings.teams_to_trunk(told, told.lab.branch, addresses.BRANCH_NUMBER)
    if callee.call.server.flow.transport != "tcp":
        raise story.Failed("the branch's PBX speaks TCP and was called by something else")
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "answered over TCP, audio both ways, Teams hung up"


async def branch_calls_teams(told: story.Story) -> str:
    """SIP over TCP from the trunk; Teams, the callee, hangs up."""
    caller, callee = await openings.trunk_to_teams(told, told.lab.branch, addresses.BRANCH_NUMBER)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "called over TCP, audio both ways, Teams hung up"


async def office_calls_branch(told: story.Story) -> str:
    """From one PBX to the other: UDP on one side, TCP on the other."""
    lab = told.lab
    caller, callee = await openings.trunk_to_trunk(
        told, lab.pbx, addresses.PBX_NUMBER, lab.branch, addresses.BRANCH_NUMBER
    )
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "UDP to TCP, audio both ways, the branch hung up"


async def teams_calls_carrier(told: story.Story) -> str:
    """A number nobody in the company serves goes to the carrier's first gateway."""
    lab = told.lab
    caller, callee = await openings.teams_to_trunk(told, lab.carrier_a, addresses.PSTN_NUMBER)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    if lab.carrier_b.waiting_calls:
        raise story.Failed("the second gateway was called although the first one had answered")
    return "answered by the first gateway, audio both ways, the carrier hung up"


async def carrier_gateway_is_closed(told: story.Story) -> str:
    """The first gateway's port is closed; the call goes to the second one."""
    lab = told.lab
    async with lab.carrier_a.closed():
        caller, callee = await openings.teams_to_trunk(told, lab.carrier_b, addresses.PSTN_NUMBER)
        await told.connect(caller, callee)
        await told.talk()
        await openings.hang_up(caller, callee)
    return "the first gateway was closed, the second one answered, audio both ways"


async def teams_calls_secure(told: story.Story) -> str:
    """TLS and SRTP towards a PBX, from the INVITE to the BYE."""
    caller, callee = await openings.teams_to_trunk(told, told.lab.secure, addresses.SECURE_NUMBER)
    if callee.call.server.flow.transport != "tls":
        raise story.Failed("the PBX speaks TLS and was called by something else")
    shown = callee.call.server.flow.facts
    if shown is None or addresses.SBC_FQDN not in shown.names:
        raise story.Failed(f"the SBC showed the PBX a certificate for {shown and shown.names}")
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "answered over TLS, encrypted audio both ways, Teams hung up"


async def secure_calls_teams(told: story.Story) -> str:
    """A PBX over TLS calls; its connections are closed, and Teams hangs up over a new one."""
    lab = told.lab
    caller, callee = await openings.trunk_to_teams(told, lab.secure, addresses.SECURE_NUMBER)
    await told.connect(caller, callee)
    await told.talk()
    await lab.secure.close_connections()
    await openings.hang_up(callee, caller)
    return "called over TLS, encrypted audio both ways, Teams hung up over a new connection"


async def secure_offers_plain_audio(told: story.Story) -> str:
    """The PBX offers what its trunk must not speak, and gets 488; nobody else hears of it."""
    lab = told.lab
    plain = leg.Wishes(offer=lambda here: offers.plain_offer(here, session=7))
    caller = await lab.secure.dial(
        addresses.TEAMS_NUMBER, caller=addresses.SECURE_NUMBER, wishes=plain
    )
    answer = await caller.connected()
    if answer.status != 488:
        raise story.Failed(f"plain audio of an encrypted trunk was answered {answer.start_line}")
    encrypted = leg.Wishes(
        offer=lambda here: offers_srtp.encrypted(offers.plain_offer(here, session=8))
    )
    caller = await lab.carrier_a.dial(
        addresses.TEAMS_NUMBER, caller=addresses.PSTN_NUMBER, wishes=encrypted
    )
    answer = await caller.connected()
    if answer.status != 488:
        raise story.Failed(f"encrypted audio of a plain trunk was answered {answer.start_line}")
    if lab.teams.waiting_calls:
        raise story.Failed("Teams was called with media that cannot be")
    return "488 for plain audio of an encrypted trunk and the other way round"


async def carrier_shares_calls(told: story.Story) -> str:
    """Both gateways get calls; with one closed the other gets them all."""
    lab = told.lab
    counts = {lab.carrier_a: 0, lab.carrier_b: 0}
    for _ in range(_MANY):
        caller = await lab.teams.dial(addresses.PSTN_NUMBER, caller=addresses.TEAMS_NUMBER)
        answer = caller.call.final()
        gateway = await _whoever_is_called(lab.carrier_a, lab.carrier_b)
        callee = await gateway.next_leg()
        counts[gateway] += 1
        callee.refuse(486)
        await answer
        callee.close()
        caller.close()
    one, other = counts.values()
    if not (one and other):
        raise story.Failed(f"{_MANY} calls were shared {one} to {other} by weights 75 to 25")
    async with lab.carrier_a.closed():
        caller, callee = await openings.teams_to_trunk(told, lab.carrier_b, addresses.PSTN_NUMBER)
        callee.refuse(486)
        await caller.call.final()
    return f"{_MANY} calls were shared {one} to {other} by weights 75 to 25, and failover went on"


async def _whoever_is_called(*trunks: pbx.Pbx) -> pbx.Pbx:
    deadline = asyncio.get_running_loop().time() + 5.0
    while asyncio.get_running_loop().time() < deadline:
        for trunk in trunks:
            if trunk.waiting_calls:
                return trunk
        await asyncio.sleep(0.01)
    raise story.Failed("no gateway was called")


async def one_datagram(told: story.Story) -> str:
    """Teams' longest offers, of today and of before, reach a carrier over UDP in one piece."""
    sizes = []
    for codecs in (offers.TEAMS_CODECS, offers.OLD_TEAMS_CODECS):
        wishes = leg.Wishes(offer=functools.partial(_longest, codecs))
        caller, callee = await openings.teams_to_trunk(
            told, told.lab.carrier_a, addresses.PSTN_NUMBER, wishes=wishes
        )
        sizes.append(len(callee.call.invite.serialise()))
        callee.refuse(486)
        await caller.call.final()
    if max(sizes) > rules_trunk.DATAGRAM:
        raise story.Failed(f"the INVITEs had {' and '.join(map(str, sizes))} bytes")
    return f"the INVITEs had {' and '.join(map(str, sizes))} bytes"


def _longest(codecs: offers.Codecs, here: offers.Place) -> bytes:
    keys = (bytes(range(30)), bytes(range(30, 60)))
    return offers.teams_offer(here, session=10_000, keys=keys, codecs=codecs)


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "teams-to-branch",
        "Teams calls a PBX over TCP",
        ("SIG-12", "SIG-20", *_MEDIA),
        teams_calls_branch,
        site=SITE,
    ),
    story.Scenario(
        "branch-to-teams",
        "a PBX calls Teams over TCP",
        ("SIG-1", "SIG-2", "SIG-7", "SIG-9", *_MEDIA),
        branch_calls_teams,
        site=SITE,
    ),
    story.Scenario(
        "office-to-branch",
        "one PBX calls another",
        ("SIG-35",),
        office_calls_branch,
        site=SITE,
    ),
    story.Scenario(
        "teams-to-carrier",
        "Teams calls the world",
        ("SIG-20", "SIG-35", *_MEDIA),
        teams_calls_carrier,
        site=SITE,
    ),
    story.Scenario(
        "datagram", "Teams' longest offers over UDP", ("SIG-17",), one_datagram, site=SITE
    ),
    story.Scenario(
        "carrier-closed",
        "the carrier's first gateway is closed",
        ("SIG-35",),
        carrier_gateway_is_closed,
        site=SITE,
    ),
    story.Scenario(
        "teams-to-secure",
        "Teams calls a PBX over TLS with encrypted audio",
        ("SIG-12", "SIG-20", "SIG-21", *_MEDIA),
        teams_calls_secure,
        site=KINDS,
    ),
    story.Scenario(
        "secure-to-teams",
        "a PBX over TLS calls Teams",
        ("SIG-1", "SIG-2", "SIG-7", "SIG-9", *_MEDIA),
        secure_calls_teams,
        site=KINDS,
    ),
    story.Scenario(
        "secure-plain",
        "a trunk offers the wrong kind of audio",
        ("MED-2",),
        secure_offers_plain_audio,
        site=KINDS,
    ),
    story.Scenario(
        "carrier-shares",
        "a carrier's gateways share the calls",
        ("SIG-26",),
        carrier_shares_calls,
        site=KINDS,
    ),
)
"""In the order they are told."""
