"""How much of their limits customers use, out of the sums that Kamailio keeps."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator

import lanes
import provider
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import use
from orchestrator.cli import status as told
from orchestrator.render import generation, views
from orchestrator.site import load

SITE = """
version: 1
site: fra1
node: {public_address: 203.0.113.10, trunk_address: 192.0.2.10}
teams: {fqdn: sbc.example.com}
certificate: {files: {chain: /c, key: /k}}
trunks:
  office: {kind: pbx, gateways: ["sip:192.0.2.20"]}
  world: {kind: carrier, gateways: ["sip:192.0.2.30"], numbers: [], limits: {minutes_per_day: 9}}
"""
TENANTS = """
tenants:
  one: {fqdn: one.sbc.example.com, numbers: ["+4930"], limits: {calls: 3, minutes_per_day: 60}}
  two: {fqdn: two.sbc.example.com, numbers: ["+4931"], limits: {calls: 4}}
  new: {fqdn: new.sbc.example.com, numbers: ["+4932"], limits: {calls_per_second: 4}}
  any: {fqdn: any.sbc.example.com, numbers: ["+4933"], trunks: [office]}
"""
ONE = use.Limit("one.sbc.example.com", "one", 3, 60)
TWO = use.Limit("two.sbc.example.com", "two", 4, None)
WORLD = use.Limit("world", "world", None, 9)
NOW = 1_795_000_000


def rendered(text: str) -> generation.Generation:
    return generation.render_site(
        load.load_site(text.encode(), "site.yaml"),
        facts=views.DEBIAN_13,
        paths=views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl"),
        secrets=views.Secrets(contact_key="k" * 64, phones={}),
    )


def test_limits_are_those_of_the_rendered_tables():
    """Calls in a second are over in a second: nobody is full of them."""
    assert use.limits_in(rendered(SITE + TENANTS)) == (ONE, TWO, WORLD)
    assert use.limits_in(rendered(SITE.replace(", limits: {minutes_per_day: 9}", ""))) == ()


def signed(number: int, bits: int) -> str:
    """As an integer of so many bits has it."""
    half = 1 << (bits - 1)
    return str((number + half) % (2 * half) - half)


@given(
    st.lists(st.integers(0, 50_000), max_size=50),
    st.integers(0, 90_000),
    st.sampled_from((32, 64)),
)
def test_what_was_talked_is_right_though_the_sum_overflows(ages, ended, bits):
    """Calls that began so many seconds ago talk; some have ended today, others yesterday."""
    day, who = NOW // 86400, ONE.whose
    since = signed(sum(NOW - age for age in ages), bits)
    counts = use.Counts(
        NOW,
        busy={who: str(len(ages))},
        talking={who: str(len(ages)), f"{who}/since": since},
        talked={f"{who}/{day}": str(ended), f"{who}/{day - 1}": "7"},
    )
    (found,) = use.judge((ONE,), counts)
    assert (found.calls, found.seconds) == (len(ages), sum(ages) + ended)


@given(st.integers(0, 50), st.sampled_from((-1, 1)), st.sampled_from((32, 64)))
def test_sums_that_were_read_in_the_middle_of_a_change_tell_nothing(calls, torn, bits):
    """A call is in the one sum and not in the other."""
    who = ONE.whose
    since = signed(NOW * (calls + torn), bits)
    counts = use.Counts(NOW, talking={who: str(calls), f"{who}/since": since})
    (found,) = use.judge((ONE,), counts)
    assert found.seconds is None


def test_who_has_least_room_is_first():
    who = {ONE.whose: "1", TWO.whose: "2", "world": "9"}
    talked = {f"{ONE.whose}/{NOW // 86400}": "1200", f"world/{NOW // 86400}": "540"}
    found = use.judge((ONE, TWO, WORLD), use.Counts(NOW, busy=who, talked=talked))
    assert [(each.limit, each.share) for each in found] == [(WORLD, 1), (TWO, 0.5), (ONE, 1 / 3)]


def test_ten_thousand_are_told_in_some_lines():
    """Who is nearly full is among them, and of the others how full they are at most."""
    many = [use.Limit(f"t{place}", f"t{place}", 100, None) for place in range(10_000)]
    busy = {each.whose: str(place % 90) for place, each in enumerate(many)}
    shown = told.use_lines(use.judge(tuple(many), use.Counts(NOW, busy)))
    head, first, *_, last = shown
    assert len(shown) == 22
    assert head.split() == ["CALLS", "MINUTES", "TODAY", "WHOSE"]
    assert first.split() == ["89", "of", "100", "-", "t1079"]
    assert (
        last == "and 9,980 more with limits, the fullest of them at 89 %; --output json tells all"
    )
    idle = told.use_lines(use.judge(tuple(many), use.Counts(NOW)))
    assert idle[-1] == "and 9,980 more with limits, all idle; --output json tells all"
    unknown = use.Use(ONE, 1, None)
    assert told.use_lines((unknown,))[1].split() == ["1", "of", "3", "-", "of", "60", ONE.whose]


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[provider.Provider]:
    with provider.Provider(tmp_path_factory.mktemp("u"), lanes.root(lane)) as made:
        made.write_pair("sbc", "sbc.example.com", "*.sbc.example.com", number=2)
        yield made


@pytest.mark.engine
@pytest.mark.slow
def test_status_tells_how_much_of_its_limits_a_customer_uses(machine):
    """A call that stands is one of so many; what was talked today is counted from both sums."""
    machine.say("a", "b", limits={"calls": 5, "minutes_per_day": 600})
    machine.apply()
    dialog = str(machine.folder / "dialog")
    caller = (sys.executable, "tests/fakes/caller.py")
    assert machine.run(*caller, "call", "+48097", dialog).stdout.split()[:1] == ["200"]
    fqdn, day = "a.sbc.example.com", int(time.time()) // 86400
    machine.rpc.call("htable.seti", "talked", f"{fqdn}/{day}", 150)
    machine.rpc.call("htable.seti", "talked", f"{fqdn}/{day - 1}", 6000)

    words = machine.words("status", "--output", "json")
    (found,) = json.loads(machine.run(*words).stdout)["use"]
    assert found == {
        "whose": fqdn,
        "name": "a",
        "calls": 1,
        "most_calls": 5,
        "minutes": 2.5,
        "most_minutes": 600,
    }
    text = machine.run(*machine.words("status")).stdout
    assert re.search(rf"^1 of 5 +2 of 600 +{fqdn}$", text, re.MULTILINE)

    # Sums that do not fit are read again, and then told as what nobody knows.
    machine.rpc.call("htable.seti", "talking", fqdn, 1)
    (found,) = json.loads(machine.run(*words).stdout)["use"]
    assert (found["calls"], found["minutes"]) == (1, None)
    machine.rpc.call("htable.seti", "talking", fqdn, 0)

    assert machine.run(*caller, "bye", dialog).stdout.split()[:1] == ["200"]
    (found,) = json.loads(machine.run(*words).stdout)["use"]
    assert found["calls"] == 0
    machine.say("a", "b")
    machine.apply()
    assert json.loads(machine.run(*words).stdout)["use"] == []
    assert "MINUTES TODAY" not in machine.run(*machine.words("status")).stdout
