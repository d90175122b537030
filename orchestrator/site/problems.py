"""Every kind of Problem by its id: what it means, why it is one, what to do, how it looks right.

The one registry of ids (a test compares it with what is raised anywhere in the house). Pure:
``sbcctl explain ID`` prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.site import problems_of_rules, problems_of_text
from orchestrator.site.problem_kind import Kind

FLOORS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "the text of site.yaml": problems_of_text.OF_YAML,
        "its values": problems_of_text.OF_VALUES,
        "its parts together": problems_of_rules.OF_RULES,
        "site.yaml on this machine": problems_of_rules.OF_MACHINE,
    }
)
"""The kinds by what they are about, in the order in which a site is checked."""

KINDS: Mapping[str, Kind] = MappingProxyType(
    {name: kind for floor in FLOORS.values() for name, kind in floor.items()}
)
"""Every kind by its id."""
