"""No pair of tenants reaches each other's trunks, numbers or names, whatever the site."""

from __future__ import annotations

import pytest
import random_hosting
import random_sites
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import changes
from orchestrator.render import explain, hosting, routes, tables
from orchestrator.site import model, tenant_rules, tenants
from orchestrator.site import routes as meaning


def without_trunks_for_help(site: model.Site):
    """What is decided for calls from Teams when no tenant says anything of emergencies."""
    tree = changes.as_tree(site)
    for each in tree["tenants"].values():
        each.pop("emergency", None)
    plain = model.Site.model_validate(tree)
    table, hosted = routes.compile_site(plain), hosting.Hosted(plain)
    return lambda number, fqdn: hosted.decide(table, hosting.Call("teams", number, fqdn)).decision


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=True))
def test_no_tenant_reaches_another(choose):
    """A call shows the name of the tenant that owns its number, and takes its trunks only."""
    site = random_hosting.site_from(choose)
    table, hosted = routes.compile_site(site), hosting.Hosted(site)
    own = {name: set(each.trunks) for name, each in site.tenants.items()}
    by_name = {each.fqdn: name for name, each in site.tenants.items()}
    owned, plain = meaning.own_trunks(site), without_trunks_for_help(site)
    for number in random_hosting.numbers_of(choose, site):
        for source in meaning.parties_of(site):
            for name in by_name if source == "teams" else [""]:
                caller = choose.choice(random_hosting.numbers_of(choose, site))
                verdict = hosted.decide(table, hosting.Call(source, number, name, (caller,)))
                asked = {step.party for step in verdict.decision.steps}
                whose = by_name.get(verdict.fqdn)
                if source == "teams":
                    # It goes by its own name, never as another's, to no other's trunk.
                    assert verdict.fqdn == name
                    holder, helps = hosted.owner_of(caller), verdict.decision.emergency
                    stranger = holder not in ("", name)
                    barred = is_barred(site.tenants[by_name[name]], number)
                    assert (verdict.refusal == 403) <= (stranger or barred)
                    assert verdict.refusal == 403 or helps or holder in ("", name)
                    assert helps or asked & owned <= own[whose]
                    if not verdict.refusal:
                        check_what_trunks_see(site.tenants[whose], hosted, caller, verdict)
                        check_the_ways_of_help(
                            site.tenants[whose], owned, plain(number, name), verdict
                        )
                elif source in owned:
                    users = [site.tenants[who] for who, trunks in own.items() if source in trunks]
                    barred = is_barred(users[0] if len(users) == 1 else None, number)
                    assert (verdict.refusal == 403) <= barred
                    assert not asked or verdict.decision.emergency or not barred
                    # A tenant's trunk reaches the Teams of its tenants, and their trunks.
                    assert whose is None or source in own[whose]
                    friends = {
                        trunk for trunks in own.values() if source in trunks for trunk in trunks
                    }
                    assert verdict.decision.emergency or asked & owned <= friends
                else:
                    assert whose is None or not own[whose]
                    if (holder := hosted.owner_of(number)) and not verdict.decision.emergency:
                        # What is somebody's goes to nobody else, by whatever route.
                        assert asked & owned <= own[by_name[holder]]
                if "teams" in asked:
                    assert hosted.owner_of(number) == verdict.fqdn != ""


def is_barred(tenant, number) -> bool:
    """Whether a tenant may not call a number; without a tenant, whether nobody may."""
    named = {}
    if tenant is not None and tenant.destinations is not None:
        named = dict.fromkeys(tenant.destinations.barred, True)
        named |= dict.fromkeys(tenant.destinations.allowed, False)
    named = {each: may for each, may in named.items() if number.startswith(each)}
    if named:
        return named[max(named, key=len)]
    return number.startswith(tenants.BARRED)


def check_what_trunks_see(tenant, hosted, caller, verdict) -> None:
    """A number of the tenant's own wherever it has said so, and otherwise the caller's."""
    policy, (seen,) = tenant.caller_id, verdict.callers
    if verdict.decision.emergency and tenant.emergency:
        assert seen == tenant.emergency.caller
    elif policy is None:
        assert seen == caller
        return
    elif policy.policy == "main" or hosted.owner_of(caller) != tenant.fqdn:
        assert seen == policy.main
    else:
        assert seen == caller
    assert hosted.owner_of(seen) == tenant.fqdn


def check_the_ways_of_help(tenant, owned, without, verdict) -> None:
    """The tenant's trunks first, then everybody who is asked without them, and none else."""
    asked = [step.party for step in verdict.decision.steps]
    if not verdict.decision.emergency:
        assert verdict.decision == without
        return
    first = tenant.emergency.trunks if tenant.emergency else ()
    rest = [step.party for step in without.steps if step.party not in first]
    assert asked == [*first, *rest]
    assert not (set(first) & owned) - set(tenant.trunks)
    # Whatever a trunk answers, who comes after it is asked.
    for step in verdict.decision.steps[: len(first)] if rest else ():
        assert step.codes == tuple(range(300, 700))
        assert step.ring_within * len(first) < 9


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=True))
def test_every_row_about_tenants_is_counted(choose):
    """What Kamailio needs for the table is told before it starts."""
    site = random_hosting.site_from(choose)
    nobody = site.model_copy(update={"tenants": {}})
    rows, others = (len(hosting.tenant_table(each).rows) for each in (site, nobody))
    assert tenant_rules.rows_about_tenants(site) == rows - others


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=True))
def test_rows_of_numbers_are_those_of_each_number(choose):
    """What each tenant has stands together; lengths are named of all that are no single number."""
    site = random_hosting.site_from(choose)
    table = hosting.number_table(site)
    rows: dict[str, str] = {}
    for tenant in site.tenants.values():
        for text in tenant.numbers:
            first, last = tenants.split(text) if "-" in text else (text, text)
            keys = [f"={first}"]
            if first != last:
                keys = [f"r{len(first)}/{part}" for part in meaning.prefixes_of(first, last)]
            rows |= dict.fromkeys(keys, tenant.fqdn)
        rows |= {f"p{prefix}": tenant.fqdn for prefix in tenant.prefixes}
    found = table.entries()
    del found[tables.SEAL]
    assert found == rows | routes.widths_of(rows)


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=True))
def test_every_call_of_a_tenant_is_explained(choose):
    """`route explain` names the rule that the tables take, and each target once."""
    site = random_hosting.site_from(choose)
    for number in random_hosting.numbers_of(choose, site):
        for source in meaning.parties_of(site):
            for name in site.tenants if source == "teams" else [""]:
                told = explain.explain(site, source, number, tenant=name)
                assert (told.rule.name if told.rule else "") == told.decision.route
                hops = [hop.party for hop in told.rule.hops] if told.rule else []
                asked = [step.party for step in told.decision.steps]
                assert sorted([*asked, *told.left_out]) == sorted(hops)


@pytest.mark.parametrize(
    ("callers", "answer"),
    [
        (("+4931",), 403),
        (("4931",), 403),
        (("004931",), 403),
        (("+49-31",), 403),
        (("+4931", "+4930"), 0),
        (("+4930", "+4931"), 403),
        (("+4411", "+4931"), 403),
        (("+4411",), 0),
        (("", ""), 0),
    ],
)
def test_under_which_numbers_a_tenant_may_call(callers, answer):
    """Never another's, but for a forwarded call, which its own number vouches for (SIG-22)."""
    numbers = {"a": "+4930", "b": "+4931"}
    site = model.Site.model_validate(
        {
            **random_sites.BASE,
            "trunks": {"carrier": {"kind": "carrier", "gateways": ["sip:192.0.2.21"]}},
            "routes": {"help": {"emergency": ["112"], "to": ["carrier"]}},
            "tenants": {
                name: {"fqdn": f"{name}.sbc.example.com", "numbers": [number]}
                for name, number in numbers.items()
            },
        }
    )
    hosted, table = hosting.Hosted(site), routes.compile_site(site)
    call = hosting.Call("teams", "+4420", "a.sbc.example.com", callers)
    assert hosted.decide(table, call).refusal == answer
    # Nobody is refused help.
    for name in ("a.sbc.example.com", "nobody.sbc.example.com"):
        call = hosting.Call("teams", "112", name, callers)
        assert hosted.decide(table, call).refusal == 0


@pytest.mark.parametrize(
    ("policy", "callers", "seen"),
    [
        ("main", ("+493055501", "+4420"), ("+493055500", "+493055500")),
        ("own", ("+493055501", "+4420"), ("+493055501", "+493055500")),
        ("own", ("00493055501", "3055501"), ("+493055501", "+493055500")),
        ("own", ("", "reception"), ("", "+493055500")),
        ("main", ("", ""), ("", "")),
    ],
)
def test_what_trunks_see_of_a_caller(policy, callers, seen):
    """Own numbers in E.164 however they were written, and nothing of who hides."""
    tree = {
        **random_sites.BASE,
        "trunks": {"carrier": {"kind": "carrier", "gateways": ["sip:192.0.2.21"]}},
        "tenants": {
            "a": {
                "fqdn": "a.sbc.example.com",
                "numbers": ["+493055500-+493055509"],
                "caller_id": {"policy": policy, "main": "+493055500"},
            }
        },
    }
    site = model.Site.model_validate(tree)
    hosted, table = hosting.Hosted(site), routes.compile_site(site)
    call = hosting.Call("teams", "+4420", "a.sbc.example.com", callers)
    assert hosted.decide(table, call).callers == seen
    call = hosting.Call("carrier", "+493055501", "", callers)
    assert hosted.decide(table, call).callers == callers


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("+881612345", 403),
        ("+881691", 0),
        ("+4990", 403),
        ("+49901", 0),
        ("+499012", 403),
        ("+4930", 0),
        ("881612345", 0),
        ("+19005551234", 403),
        ("+19015551234", 0),
        ("+1900", 0),
        ("+12469765432", 403),
        ("+12468765432", 0),
        ("+449812345678", 403),
        ("+449852345678", 0),
        ("+26981", 403),
        ("+5411", 0),
    ],
)
def test_the_longest_beginning_decides_where_calls_may_go(number, answer):
    """What the tenant says, then what is barred for everybody; a number without a plus is none."""
    site = model.Site.model_validate(
        {
            **random_sites.BASE,
            "trunks": {"carrier": {"kind": "carrier", "gateways": ["sip:192.0.2.21"]}},
            "tenants": {
                "a": {
                    "fqdn": "a.sbc.example.com",
                    "numbers": ["+4931"],
                    "destinations": {
                        "barred": ["+4990", "+499012"],
                        "allowed": ["+88169", "+49901"],
                    },
                }
            },
        }
    )
    call = hosting.Call("teams", number, "a.sbc.example.com")
    assert hosting.Hosted(site).decide(routes.compile_site(site), call).refusal == answer


def test_an_emergency_call_takes_the_sites_route():
    """Own trunks come after it, and a number under which it is made does not matter to routes."""
    site = model.Site.model_validate(
        {
            **random_sites.BASE,
            "trunks": {
                "pbx": {"kind": "pbx", "gateways": ["sip:192.0.2.20"]},
                "carrier": {"kind": "carrier", "gateways": ["sip:192.0.2.21"]},
            },
            "routes": {"help": {"emergency": ["112"], "to": ["carrier"]}},
            "tenants": {
                "a": {"fqdn": "a.sbc.example.com", "numbers": ["+4930"], "trunks": ["pbx"]}
            },
        }
    )
    hosted, table = hosting.Hosted(site), routes.compile_site(site)
    call = hosting.Call("teams", "112", "a.sbc.example.com")
    verdict = hosted.decide(table, call)
    assert verdict.decision.emergency
    assert [step.party for step in verdict.decision.steps] == ["carrier"]
    other = hosted.decide(table, hosting.Call("teams", "113", "a.sbc.example.com"))
    assert [step.party for step in other.decision.steps] == ["pbx"]


@pytest.mark.parametrize(
    ("trunks", "ways"),
    [
        ((), [("one", 4), ("two", None)]),
        (("pbx",), [("pbx", 4), ("one", 4), ("two", None)]),
        (("two", "pbx"), [("two", 3), ("pbx", 3), ("one", 4)]),
        (("two", "one"), [("two", 3), ("one", None)]),
    ],
)
def test_a_tenants_trunks_for_emergencies_come_first(trunks, ways):
    """Each with its share of the time, and all of it for whoever is the last."""
    helping = {"caller": "+493055500", **({"trunks": trunks} if trunks else {})}
    site = model.Site.model_validate(
        {
            **random_sites.BASE,
            "trunks": {
                name: {"kind": "pbx", "gateways": [f"sip:192.0.2.{20 + place}"]}
                for place, name in enumerate(("pbx", "one", "two"))
            },
            "routes": {
                "help": {"emergency": ["112"], "to": [{"party": "one", "ring_within": 4}, "two"]}
            },
            "tenants": {
                "a": {
                    "fqdn": "a.sbc.example.com",
                    "numbers": ["+493055500"],
                    "trunks": ["pbx"],
                    "emergency": helping,
                },
                "b": {"fqdn": "b.sbc.example.com", "numbers": ["+493055501"]},
            },
        }
    )
    hosted, table = hosting.Hosted(site), routes.compile_site(site)
    for name, wanted in (("a", ways), ("b", [("one", 4), ("two", None)])):
        call = hosting.Call("teams", "112", f"{name}.sbc.example.com", ("", "+4420"))
        verdict = hosted.decide(table, call)
        steps = verdict.decision.steps
        assert [(step.party, step.ring_within) for step in steps] == wanted
        assert verdict.callers == (("+493055500",) * 2 if name == "a" else call.callers)
    # A PBX of the tenant's own is followed by the site's route.
    call = hosting.Call("pbx", "112", "", ("", "+4420"))
    steps = hosted.decide(table, call).decision.steps
    assert [step.party for step in steps] == ["one", "two"]


@pytest.mark.parametrize("entry", ["+4930", "+4930-+4930", "+4929-+4931", "+4920-+4939"])
def test_a_number_is_its_tenants_however_it_is_written(entry):
    site = model.Site.model_validate(
        {
            **random_sites.BASE,
            "trunks": {"office": {"kind": "pbx", "gateways": ["sip:192.0.2.20"]}},
            "tenants": {"a": {"fqdn": "a.sbc.example.com", "numbers": [entry, "+4941"]}},
        }
    )
    hosted = hosting.Hosted(site)
    owners = [hosted.owner_of(number) for number in ("+4930", "+4941", "+4940", "+49300")]
    assert owners == ["a.sbc.example.com", "a.sbc.example.com", "", ""]
