"""What routes may not say: parties that do not exist, numbers two of them take, SIG-15."""

from __future__ import annotations

import copy

import pytest
import random_sites
import yaml

from orchestrator import errors
from orchestrator.site import load, model, rules

TRUNKS = {
    "office": {"kind": "pbx", "gateways": ["sip:192.0.2.20"]},
    "colt": {"kind": "carrier", "gateways": ["sip:192.0.2.30"], "numbers": ["+49"]},
}


def found(text: str, **changes: object) -> list[tuple[str, tuple[str | int, ...]]]:
    """Ids and places of the Problems of a site with these routes."""
    tree = copy.deepcopy(random_sites.BASE) | {"trunks": TRUNKS} | changes
    tree["routes"] = yaml.load(text, Loader=yaml.BaseLoader)
    return [(p.id, p.path) for p in rules.find_problems(model.Site.model_validate(tree))]


CASES = [
    ("a: {from: [ofice], to: [teams]}", "unknown-party", ("routes", "a", "from", 0)),
    ("a: {to: [teams, phones]}", "unknown-party", ("routes", "a", "to", 1)),
    ("a: {to: [teams, {party: x}]}", "unknown-party", ("routes", "a", "to", 1)),
    ("a: {to: [colt, {party: colt}]}", "party-twice", ("routes", "a", "to", 1)),
    ("a: {from: [teams, teams], to: [colt]}", "party-twice", ("routes", "a", "from", 1)),
    (
        'a: {to: [{party: teams, failover_on: ["503", "486"]}, colt]}',
        "teams-said-no",
        ("routes", "a", "to", 0, "failover_on", 1),
    ),
    (
        'a: {to: [{party: teams, failover_on: ["603"]}, colt]}',
        "teams-said-no",
        ("routes", "a", "to", 0, "failover_on", 0),
    ),
    (
        'a: {emergency: ["112"], to: [{party: colt, answer_within: "9"}]}',
        "emergency-limit",
        ("routes", "a", "to", 0, "answer_within"),
    ),
    (
        'a: {emergency: ["112", "110", "112"], to: [colt]}',
        "number-twice",
        ("routes", "a", "emergency", 2),
    ),
    (
        'a: {number: "+491", to: [colt]}\nb: {number: "+491", to: [teams]}',
        "routes-clash",
        ("routes", "b", "number"),
    ),
    (
        'a: {range: "10-30", to: [colt]}\nb: {range: "25-27", to: [office]}',
        "routes-clash",
        ("routes", "b", "range"),
    ),
    (
        'a: {emergency: ["112"], to: [colt]}\nb: {emergency: ["110", "112"], to: [office]}',
        "routes-clash",
        ("routes", "b", "emergency"),
    ),
    ("a: {to: [colt]}\nb: {to: [office]}", "routes-clash", ("routes", "b")),
    (
        "a: {from: [teams, office], to: [colt]}\nb: {from: [office], to: [teams]}",
        "routes-clash",
        ("routes", "b"),
    ),
]


@pytest.mark.parametrize(("text", "kind", "path"), CASES)
def test_what_routes_may_not_say(text, kind, path):
    """Each rule finds its problem, once, at its place, and nothing else."""
    assert found(text) == [(kind, path)]


@pytest.mark.parametrize(
    "text",
    [
        'a: {range: "10-30", to: [colt]}\nb: {range: "25-27", from: [teams], to: [office]}',
        'a: {range: "10-30", to: [colt]}\nb: {range: "+10-+30", to: [office]}',
        'a: {range: "10-30", to: [colt]}\nb: {range: "010-030", to: [office]}',
        'a: {range: "10-30", to: [colt]}\nb: {range: "31-40", to: [office]}',
        'a: {number: "1", to: [colt]}\nb: {prefix: "1", to: [colt]}\nc: {to: [colt]}',
        "a: {from: [teams], to: [colt]}\nb: {from: [office], to: [colt]}\nc: {to: [office]}",
        'a: {to: [{party: teams, failover_on: ["500", "504"]}, colt]}',
        'a: {emergency: ["112"], to: [{party: colt, ring_within: "5"}, office]}',
    ],
)
def test_what_routes_may_say(text):
    """Routes that differ in precision, in numbers or in whom they name stand side by side."""
    assert found(text) == []


def test_ranges_of_too_many_rows():
    """Kamailio's reader refuses tables of 100,000 rows, so a site stays well below."""
    crooked = "\n".join(
        f'r{n}: {{range: "{n}00000000001-{n}99999999998", to: [colt]}}' for n in range(1000, 1500)
    )
    assert [kind for kind, _ in found(crooked)] == ["too-many-rows"]
    assert found(crooked.replace("0001-", "0000-").replace("9998", "9999")) == []


@pytest.mark.parametrize(
    ("text", "late"),
    [
        ("a: {to: [office, colt]}", []),
        ('a: {to: [{party: office, ring_within: "9"}, colt]}', [("routes", "a", "to", 1)]),
        ('a: {from: [colt], to: [{party: office, ring_within: "9"}, teams]}', []),
        ('a: {from: [teams], to: [{party: office, ring_within: "8"}, colt]}', []),
        ('a: {to: [{party: office, ring_within: "9"}, teams]}', []),
        ("a: {from: [teams], to: [many, colt]}", [("routes", "a", "to", 1)]),
    ],
)
def test_targets_that_teams_does_not_wait_for(text, late):
    """SIG-25: what comes after nine silent seconds is hinted at; it may be meant for others."""
    gateways = [f"sip:192.0.2.{n}" for n in (60, 61, 62)]
    many = {"kind": "pbx", "gateways": gateways, "numbers": ["5"]}
    tree = copy.deepcopy(random_sites.BASE) | {"trunks": {**TRUNKS, "many": many}}
    tree["routes"] = yaml.load(text, Loader=yaml.BaseLoader)
    site = model.Site.model_validate(tree)
    assert rules.find_problems(site) == ()
    assert [hint.path for hint in rules.find_hints(site)] == late


SITE = """version: 1
site: a
node: {public_address: 203.0.113.10, trunk_address: 192.0.2.10}
teams: {fqdn: sbc.example.com}
certificate: {acme: {email: ops@example.com}}
trunks: {office: {kind: pbx, gateways: ["sip:192.0.2.20"]}}
routes:
  near:
    from: [teams]
"""


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("    number: 1\n    prefix: 1\n    to: [office]\n", "bad-value", "number and prefix"),
        ("    range: 19-10\n    to: [office]\n", "bad-value", "lowest number"),
        ("    range: 10-100\n    to: [office]\n", "bad-value", "written alike"),
        ("    range: +100-1000\n    to: [office]\n", "bad-value", "written alike"),
        ("    range: 10\n    to: [office]\n", "bad-value", "FIRST-LAST"),
        ("    to: []\n", "empty", "at least one"),
        ("    to: office\n", "wrong-type", "must be a list"),
        ("    to: [{trunk: office}]\n", "missing-key", "required key party"),
        ("    to: [{party: office, failover_on: [200]}]\n", "out-of-range", "at least 400"),
        ("    to: [{party: office, ring_within: 0}]\n", "out-of-range", "at least 1"),
        ("    emergency: []\n    to: [office]\n", "empty", "at least one"),
        ("    form: [office]\n    to: [office]\n", "unknown-key", "unknown key"),
    ],
)
def test_what_a_route_is_told_about_its_form(line, kind, words):
    """A route that cannot be read is a Problem with its place, in words of ours."""
    with pytest.raises(errors.SiteError) as caught:
        load.load_site((SITE + line).encode(), "site.yaml")
    problems = caught.value.problems
    assert kind in [problem.id for problem in problems]
    assert any(words in problem.message for problem in problems)
    assert all(problem.position and problem.position.line >= 8 for problem in problems)


def test_a_misspelt_key_of_a_route_is_recognised():
    """``from`` is known by its name in site.yaml, though it is a word of Python's."""
    with pytest.raises(errors.SiteError) as caught:
        load.load_site((SITE + "    form: [x]\n    to: [office]\n").encode(), "site.yaml")
    assert [problem.hint for problem in caught.value.problems] == ["did you mean from?"]
