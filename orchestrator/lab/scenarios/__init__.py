"""The stories of the lab; each proves requirements of facts/teams.md on the wire.

A story fails when a call does not go as told, when audio does not arrive unaltered both ways, or
when Microsoft's or the trunk's rules were broken by anything the SBC sent while it ran.

There is a module for each family of stories. Each has ``SCENARIOS``, in the order they are told; a
new one is imported here and stands in ``FAMILIES``, and in README's map. What several families
need stands in ``openings``. A story that needs another company than the first example names its
folder: ``story.Scenario(..., site="02-company")``. Stories of one site are told together.

A story names an id when it proves the whole sentence of that row (requirements.toml), alone or
together with the others that name it; then `make conformance STORIES=new` puts it on record.
"""

from __future__ import annotations

from orchestrator.lab import story
from orchestrator.lab.scenarios import basic, hold, media, trunks

FAMILIES = (basic, hold, media, trunks)
"""Every family, in the order they are told."""

SCENARIOS: tuple[story.Scenario, ...] = tuple(
    scenario for family in FAMILIES for scenario in family.SCENARIOS
)
"""Every story, in the order they are told."""
