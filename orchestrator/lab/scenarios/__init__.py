"""The stories of the lab; each proves requirements of facts/teams.md on the wire.

A story fails when a call does not go as told, when audio does not arrive unaltered both ways, or
when Microsoft's or the trunk's rules were broken by anything the SBC sent while it ran.

There is a module for each family of stories. Each has ``SCENARIOS``, in the order they are told; a
new one is imported here and stands in ``FAMILIES``, and in README's map. What several families
need stands in ``openings``. A story that needs another company than the first example names its
folder: ``story.Scenario(..., site="02-company")``. Stories of one site are told together.

A story names an id when it proves the whole sentence of that row (requirements.toml), alone or
together with the others that name it; then `make conformance STORIES=new` puts it on record.

What a story is told with::

    async def branch_calls_teams(told: story.Story) -> str:
        caller, callee = await openings.trunk_to_teams(
            told, told.lab.branch, addresses.BRANCH_NUMBER
        )
        await told.connect(caller, callee)         # 180, 200, ACK; Failed when it goes otherwise
        await told.talk()                          # audio both ways, each packet compared
        await openings.hang_up(callee, caller)
        return "called over TCP, audio both ways"  # or raise story.Failed("where it left")

Who is there (``told.lab``, see :class:`orchestrator.lab.stage.Lab`; numbers in ``addresses``):

* ``teams``: ``dial(number, caller=..., source=...)``: a source stands for its datacentre;
  ``next_leg()``, ``waiting_calls``, ``drop_connections()``, ``books`` (OPTIONS, broken rules)
* ``pbx`` (UDP), ``branch`` (TCP), ``secure`` (TLS and SRTP), ``carrier_a`` and ``carrier_b``
  (UDP): ``dial(number, caller=...)``, ``next_leg()``, ``waiting_calls``
* ``registrar``, a carrier that wants digest: besides ``registered(within=...)``, ``binding``,
  ``dial_binding(number, caller=...)``, ``refusing(503)``, ``forget_nonces()``, ``granted``, and
  the facts ``proofs`` (``right``, ``rose``: did the CSeq) and ``registrations``
* ``phone``, ``desk``, ``home`` (behind NAT): ``register(seconds=...)``, ``dial(number)``
* ``log``: each message of everybody, in order

What can go wrong, each undone when the block ends, also by a failure::

    async with told.lab.carrier_a.closed():     # the kernel refuses; any actor can
    async with told.lab.teams.mute([address]):  # hears and says nothing; any actor can
    async with told.lab.teams.hurried():        # closes connections after each transaction
    async with told.lab.trouble.silent(addresses.CARRIER_A):     # a machine that is down
    async with told.lab.trouble.refusing(addresses.TEAMS_HOSTS[name]):  # ICMP, TCP reset
    async with told.lab.trouble.names({name: (addresses.TEAMS_SPARE,)}):  # DNS; () is no such name
    async with told.lab.trouble.forgetful_router(5):  # the NAT of ``home`` forgets after seconds

A message that the SBC's kernel held back while an address was silent may arrive when it is back,
in the next story: let a silent address be silent until the SBC has given it up.
"""

from __future__ import annotations

from orchestrator.lab import story
from orchestrator.lab.scenarios import (
    answers,
    basic,
    carriers,
    clouds,
    codecs,
    dialogs,
    emergency,
    forks,
    hold,
    hosting,
    identity,
    late,
    long,
    media,
    music,
    numbers,
    pairing,
    phones,
    redirect,
    routes,
    sessions,
    transfer,
    trunks,
)

FAMILIES = (
    basic,
    answers,
    forks,
    dialogs,
    sessions,
    hold,
    late,
    media,
    codecs,
    music,
    long,
    trunks,
    carriers,
    phones,
    transfer,
    redirect,
    routes,
    emergency,
    numbers,
    identity,
    pairing,
    clouds,
    hosting,
)
"""Every family, in the order they are told."""

SCENARIOS: tuple[story.Scenario, ...] = tuple(
    scenario for family in FAMILIES for scenario in family.SCENARIOS
)
"""Every story, in the order they are told."""


def by_family() -> dict[str, tuple[str, ...]]:
    """The names of the stories of each family, by the family's name."""
    return {
        family.__name__.rpartition(".")[2]: tuple(known.name for known in family.SCENARIOS)
        for family in FAMILIES
    }
