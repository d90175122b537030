"""302: a trunk that sends a call elsewhere is asked itself, and nobody else is (XF-11)."""

from __future__ import annotations

from orchestrator.lab import addresses, story
from orchestrator.lab.scenarios import openings
from orchestrator.sip import uri

SITE = "02-company"


async def a_carrier_redirects(told: story.Story) -> str:
    """302 of a carrier: itself is asked for the number it names, even when that is an office's."""
    lab = told.lab
    user = await lab.teams.dial(addresses.PSTN_NUMBER, caller=addresses.TEAMS_NUMBER)
    told.track("Teams hears carrier-a", user)
    first = await lab.carrier_a.next_leg()
    first.close()
    first.refuse(302, extra=_moved_to(f"{addresses.PBX_NUMBER}@{addresses.PBX_ADDRESS}"))
    second = await lab.carrier_a.next_leg()
    told.track("carrier-a hears Teams", second)
    if uri.parse_uri(second.call.invite.target).user != addresses.PBX_NUMBER:
        raise story.Failed(f"the SBC asked for {second.call.invite.target}")
    if lab.pbx.waiting_calls:
        raise story.Failed("a carrier made the SBC call another trunk")
    await told.connect(user, second)
    await told.talk(story.TALK // 2)
    await openings.hang_up(user, second)
    return "302 was followed at the carrier itself, audio both ways"


async def a_carrier_redirects_for_ever(told: story.Story) -> str:
    """The third 302 ends the call; Teams reads 480 and no address."""
    lab = told.lab
    user = await lab.teams.dial(addresses.PSTN_NUMBER, caller=addresses.TEAMS_NUMBER)
    (await lab.carrier_a.next_leg()).refuse(302, extra=_moved_to(f"+44163@{addresses.CARRIER_B}"))
    (await lab.carrier_a.next_leg()).refuse(486)
    if (answer := await user.call.final()).status != 486:
        raise story.Failed(f"where the carrier sent it was busy, Teams got {answer.start_line}")
    user, carrier = await openings.teams_to_trunk(told, lab.carrier_a, addresses.PSTN_NUMBER)
    for number in ("+441632960101", "+441632960102", "+441632960103"):
        carrier.refuse(302, extra=_moved_to(f"{number}@{addresses.CARRIER_B}"))
        if number[-1] != "3":
            carrier = await lab.carrier_a.next_leg()
    answer = await user.call.final()
    if answer.status != 480 or answer.contacts:
        raise story.Failed(f"Teams got {answer.start_line}")
    if lab.carrier_a.waiting_calls or lab.carrier_b.waiting_calls:
        raise story.Failed("302 was followed more than twice")
    return "302 was followed twice, and then Teams got 480"


async def teams_redirects(told: story.Story) -> str:
    """302 of Teams is not followed, and no address of Microsoft's reaches the trunk."""
    caller = await told.lab.pbx.dial(addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER)
    user = await told.lab.teams.next_leg()
    user.refuse(302, extra=_moved_to(f"{addresses.BRANCH_NUMBER}@{addresses.SBC_FQDN}"))
    answer = await caller.call.final()
    if answer.status != 480 or answer.contacts or told.lab.branch.waiting_calls:
        raise story.Failed(f"Teams said 302, and the PBX got {answer.start_line}")
    return "302 of Teams became 480, and nobody else was called"


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "carrier-302",
        "a carrier sends a call elsewhere",
        ("XF-11",),
        a_carrier_redirects,
        site=SITE,
    ),
    story.Scenario(
        "carrier-302-loop",
        "a carrier redirects for ever",
        ("XF-11",),
        a_carrier_redirects_for_ever,
        site=SITE,
    ),
    story.Scenario(
        "teams-302", "Teams sends a call elsewhere", ("SIG-15",), teams_redirects, site=SITE
    ),
)
"""In the order they are told."""


def _moved_to(whom: str) -> tuple[tuple[str, str], ...]:
    return (("Contact", f"<sip:{whom}:5060>"),)
