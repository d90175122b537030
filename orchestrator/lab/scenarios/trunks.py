"""Several trunks: PBXs and carriers, over UDP and TCP, and what happens when a gateway is down."""

from __future__ import annotations

from orchestrator.lab import addresses, story
from orchestrator.lab.scenarios import openings

SITE = "02-company"

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
        "carrier-closed",
        "the carrier's first gateway is closed",
        ("SIG-35",),
        carrier_gateway_is_closed,
        site=SITE,
    ),
)
"""In the order they are told."""
