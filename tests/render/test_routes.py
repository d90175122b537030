"""The table of routes says of every call what the rules say, and changes as little as the site."""

from __future__ import annotations

import dataclasses

import random_sites
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.render import routes as tables
from orchestrator.site import model, routes, rules

SITES = 1_000
CALLS = 20


def site(text: str, **changes: str) -> model.Site:
    tree = {
        **random_sites.BASE,
        "trunks": {
            "office": {"kind": "pbx", "gateways": ["sip:192.0.2.20"]},
            "colt": {"kind": "carrier", "gateways": ["sip:192.0.2.30"], "numbers": ["+49"]},
        },
        "phones": {
            "realm": "sbc.example.com",
            "users": {"anna": {"number": "+49301", "password": {"env": "A"}}},
        },
        "routes": yaml.load(text, Loader=yaml.BaseLoader) or {},
    }
    return model.Site.model_validate(tree)


def decided(text: str, source: str, number: str) -> tuple[str, list[str]]:
    decision = tables.decide(tables.compile_site(site(text)), source, number)
    return decision.route, [step.party for step in decision.steps]


@settings(max_examples=SITES, deadline=None)
@given(st.randoms(use_true_random=True))
def test_the_table_says_what_the_rules_say(choose):
    """1,000 sites x 20 calls: the rows decide as the rules do, read one by one."""
    wanted = random_sites.site_from(choose)
    table = tables.compile_site(wanted)
    rules = routes.rules_of(wanted)
    for source, number in random_sites.calls_from(choose, wanted, CALLS):
        fitting = routes.fitting(rules, source, number)
        decision = tables.decide(table, source, number)
        if not fitting:
            assert decision == tables.Decision("", "", False, ())
            continue
        first = fitting[0]
        assert decision.route == first.name
        assert decision.emergency == (first.match.precision is routes.Precision.EMERGENCY)
        assert [(s.party, s.codes, s.ring_within, s.answer_within) for s in decision.steps] == [
            (hop.party, hop.codes, hop.ring_within, hop.answer_within)
            for hop in first.hops
            if hop.serves(source)
        ]


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=True))
def test_no_two_rules_decide_with_equal_right(choose):
    """What the rules of site.yaml let pass has one winner for every call."""
    wanted = random_sites.site_from(choose)
    rules = routes.rules_of(wanted)
    for source, number in random_sites.calls_from(choose, wanted, CALLS):
        ranks = [rule.rank for rule in routes.fitting(rules, source, number)]
        assert len(set(ranks[:2])) == len(ranks[:2])


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=True))
def test_a_site_without_the_order_of_its_parts(choose):
    """The order in which trunks and routes are written is nothing to the table."""
    wanted = random_sites.site_from(choose)
    turned = wanted.model_copy(
        update={
            "routes": dict(reversed(wanted.routes.items())),
            "trunks": dict(reversed(wanted.trunks.items())),
        }
    )
    before, after = tables.compile_site(wanted), tables.compile_site(turned)
    assert list(before.route.items()) == list(after.route.items())
    assert list(before.target.items()) == list(after.target.items())


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=True))
def test_a_removed_route_changes_no_other_decision(choose):
    """Calls that another route decided are decided by it still.

    Perhaps by a wider piece of its range: the row of a narrower one named its caller, too.
    """
    wanted = random_sites.site_from(choose)
    if not wanted.routes:
        return
    gone = choose.choice(list(wanted.routes))
    less = wanted.model_copy(
        update={"routes": {k: v for k, v in wanted.routes.items() if k != gone}}
    )
    before, after = tables.compile_site(wanted), tables.compile_site(less)
    for source, number in random_sites.calls_from(choose, wanted, CALLS):
        decision = tables.decide(before, source, number)
        if decision.route != gone:
            left = tables.decide(after, source, number)
            assert dataclasses.replace(left, key=decision.key) == decision


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
def test_a_range_is_its_prefixes(one, other, plus):
    """Every number of a range begins with exactly one of its prefixes, and no other does."""
    low, high = sorted((one, other))
    head = "+" if plus else ""
    parts = routes.prefixes_of(f"{head}{low:07d}", f"{head}{high:07d}")
    assert sum(10 ** (7 + len(head) - len(part)) for part in parts) == high - low + 1
    assert len(parts) <= 2 * 9 * 7
    for number in (low - 1, low, (low + high) // 2, high, high + 1):
        if 0 <= number <= 9_999_999:
            text = f"{head}{number:07d}"
            assert sum(text.startswith(part) for part in parts) == (low <= number <= high)


def test_without_routes_numbers_decide():
    """Phones first, then the longest prefix, then the trunk without numbers or Teams."""
    assert decided("", "teams", "+49301") == (".phone", ["phone"])
    assert decided("", "teams", "+49302") == (".colt", ["colt"])
    assert decided("", "teams", "+1") == (".office", ["office"])
    assert decided("", "office", "+49302") == (".colt", ["colt"])
    assert decided("", "colt", "+49302") == (".teams", ["teams"])
    assert decided("", "colt", "+1") == (".teams", ["teams"])
    assert decided("", "phone", "alice") == (".teams", ["teams"])


def test_a_call_to_nobody_has_no_route():
    """Teams dials what no trunk serves: nothing is for it, and not Teams itself either."""
    wanted = site("").model_copy(
        update={"trunks": {"colt": site("").trunks["colt"]}},
    )
    table = tables.compile_site(wanted)
    assert tables.decide(table, "teams", "+1") == tables.Decision("", "", False, ())
    assert tables.decide(table, "colt", "+1").route == ".teams"


def test_an_empty_list_of_numbers_leaves_a_trunk_to_routes():
    """Several such trunks are no default of anybody's, and what they dial goes where it went."""
    tree = site("out: {from: [teams], prefix: '+1', to: [colt, office]}")
    none = {name: it.model_copy(update={"numbers": ()}) for name, it in tree.trunks.items()}
    wanted = tree.model_copy(update={"trunks": none})
    assert rules.find_problems(wanted) == ()
    table = tables.compile_site(wanted)
    decision = tables.decide(table, "teams", "+1")
    assert [step.party for step in decision.steps] == ["colt", "office"]
    assert tables.decide(table, "teams", "+49").route == ""
    assert tables.decide(table, "teams", "+49301").route == ".phone"
    for source in none:
        assert tables.decide(table, source, "+1").route == ".teams"


def test_a_token_of_a_transfer_is_no_number():
    """Even where everything is for somebody: only Kamailio knows where a token leads."""
    assert decided("all: {to: [office]}", "teams", "transfer-0123456789") == ("", [])
    assert routes.fitting(routes.rules_of(site("all: {to: [office]}")), "colt", "Transfer-1") == []


ORDER = """
sos: {emergency: ["112"], to: [colt]}
one: {number: "+49305", to: [office]}
some: {range: "+49300-+49309", to: [office]}
ours: {range: "+49300-+49305", from: [teams], to: [colt]}
near: {prefix: "+4930", to: [teams]}
far: {prefix: "+49", to: [teams, office]}
rest: {to: [office, colt]}
"""


def test_precision_decides():
    """Emergency, one number, range, longest prefix, everything; named callers before anybody."""
    assert decided(ORDER, "teams", "112") == ("sos", ["colt"])
    assert decided(ORDER, "teams", "+49305") == ("one", ["office"])
    assert decided(ORDER, "teams", "+49304") == ("ours", ["colt"])
    assert decided(ORDER, "colt", "+49304") == ("some", ["office"])
    assert decided(ORDER, "teams", "+49307") == ("some", ["office"])
    assert decided(ORDER, "colt", "+493071") == ("near", ["teams"])
    assert decided(ORDER, "colt", "+4931") == ("far", ["teams", "office"])
    assert decided(ORDER, "colt", "alice") == ("rest", ["office"])


def test_no_call_goes_back_unless_a_route_says_so():
    """A target the call came from is left out; a route with no other is none for that caller."""
    assert decided(ORDER, "colt", "112") == ("rest", ["office"])
    assert decided("a: {to: [colt, teams]}", "colt", "1") == ("a", ["teams"])
    assert decided("a: {to: [colt]}", "colt", "1") == (".teams", ["teams"])
    assert decided("a: {from: [colt], to: [colt]}", "colt", "1") == ("a", ["colt"])
    assert decided("a: {to: [phones]}", "phone", "+49301") == ("a", ["phone"])


def test_another_route_changes_its_own_rows_only():
    """The diff of the tables is as small as the change in site.yaml."""
    before = tables.compile_site(site(ORDER))
    after = tables.compile_site(site(ORDER + 'new: {prefix: "+44", to: [colt]}'))
    assert dict(after.route.items() - before.route.items()) == {"p+44": "_any=new;colt=-"}
    assert dict(after.target.items() - before.target.items()) == {
        "new/0": "on=500|502|503|504;to=colt"
    }
    assert before.route.keys() <= after.route.keys()


def test_a_target_carries_what_the_route_says():
    """Codes, limits and the permission to go back are parameters of the target's row."""
    text = """
    a:
      from: [colt]
      to:
        - {party: colt, failover_on: ["603", "486"], ring_within: "5", answer_within: "30"}
        - {party: teams, failover_on: []}
    """
    table = tables.compile_site(site(text))
    assert table.target["a/0"] == "answer=30;back=1;on=486|603;ring=5;to=colt"
    assert table.target["a/1"] == "on=none;to=teams"
    assert tables.decide(table, "colt", "1").steps == (
        tables.Step("colt", (486, 603), 5, 30),
        tables.Step("teams", (), None, None),
    )


def test_what_no_row_begins_with_is_not_looked_for():
    """Neither beginnings of other lengths, nor ranges of other numbers."""
    rows = {"p+49": "", "p+4930": "", "r8/+4930": "", "=+49301": "", "*": "", "e112": ""}
    rows |= tables.widths_of(rows)
    assert {key: rows[key] for key in rows if tables.is_about_lengths(key)} == {
        "/p": "5,3,0",
        "/8": "5,0",
    }
    assert list(tables.keys_below("+4930123", rows)) == [
        *("=+4930123", "r8/+4930", "p+4930", "p+49"),
    ]
    assert list(tables.keys_below("+493", rows)) == ["=+493", "p+49"]
    assert list(tables.keys_below("alice", rows)) == ["=alice", "palice", "pali"]
    assert list(tables.keys_below("1", {})) == ["=1"]
    assert tables.joined_widths("11,0", "10,0") == "11,10,0"
    assert not tables.is_about_lengths("/+881")
