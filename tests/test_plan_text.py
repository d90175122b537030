"""How a plan reads: short values as they are, of long lists what came and what went."""

from __future__ import annotations

import pytest
import random_sites

from orchestrator import changes
from orchestrator.cli import plan_text
from orchestrator.site import model

NUMBERS = tuple(f"+49{number:05}" for number in range(20_000))
TRUNKS = {"office": {"kind": "pbx", "gateways": ["sip:192.0.2.20"]}}


def said(before: tuple[str, ...], after: tuple[str, ...]) -> list[str]:
    """What is said of a tenant whose numbers change."""

    def site(values: tuple[str, ...]) -> model.Site:
        tenant = {"fqdn": "a.sbc.example.com", "prefixes": ["+48"]}
        tenants = {"a": {**tenant, **({"numbers": values} if values else {})}}
        return model.Site.model_validate(
            {**random_sites.BASE, "trunks": TRUNKS, "tenants": tenants}
        )

    (change,) = changes.find_changes(site(before), site(after))
    details = [{"field": e.field, "before": e.before, "after": e.after} for e in change.details]
    told = {"sign": "~", "noun": "tenant", "name": "a", "file": "site.yaml", "line": 3}
    lines = plan_text._change_lines({**told, "details": details})
    return [line.strip() for line in lines[1:]]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (("+4930",), ("+4931", "+4932"), [f"~ {'numbers':<28} +4930 -> +4931, +4932"]),
        (NUMBERS, (*NUMBERS, "+4930"), [f"~ {'numbers':<28} 20,000 -> 20,001", "+ +4930"]),
        (
            ("+4930", *NUMBERS),
            (*NUMBERS[:-7], "+4931"),
            [
                f"~ {'numbers':<28} 20,001 -> 19,994",
                "+ +4931",
                "- +4930, +4919993, +4919994, +4919995, +4919996 and 3 more",
            ],
        ),
        (
            NUMBERS,
            NUMBERS[::-1],
            [f"~ {'numbers':<28} 20,000 -> 20,000, the same in another order"],
        ),
        (
            (),
            NUMBERS,
            [
                f"+ {'numbers':<28} {', '.join(NUMBERS[:5])} and 19,995 more",
            ],
        ),
        (
            NUMBERS[:99],
            (),
            [f"- {'numbers':<28} +4900000, +4900001, +4900002, +4900003, +4900004 and 94 more"],
        ),
    ],
)
def test_of_a_long_list_what_came_and_what_went(before, after, lines):
    assert said(before, after) == lines


def test_a_long_word_is_cut():
    assert list(plan_text._detail_lines("x", "", "y" * 900)) == [
        f"      + {'x':<28} {'y' * 160}..."
    ]


@pytest.mark.parametrize(("count", "shown"), [(20, 20), (21, 5), (1000, 5)])
def test_of_many_changes_of_one_kind_a_few_are_shown(count, shown):
    """Who takes a file of a thousand customers away reads how many go, not two thousand lines."""
    changed = {"noun": "tenant", "file": "site.yaml", "line": 3, "details": []}
    gone = [{**changed, "sign": "-", "name": f"t{n:04}", "line": None} for n in range(count)]
    told = {
        "engines": {"kamailio": "6.0.1", "rtpengine": "12.5.1"},
        "site": "s",
        "from": "a",
        "to": "b",
        "effect": "e",
        "files": [],
        "restarts": 0,
        "steps": [],
        "needs": [],
        "changes": [*gone, {**changed, "sign": "~", "name": "other"}],
    }
    lines = plan_text.text_of(told).splitlines()
    assert sum("(no longer in site.yaml)" in line for line in lines) == shown
    rest = f"  - {count - 5:,} more tenants, t0005 to t{count - 1:04} (--output json tells all)"
    assert (rest in lines) == (shown < count)
    assert any("~ tenant other" in line for line in lines)
