"""What tenants may not say of each other: whose a number is, whose a name, which trunks."""

from __future__ import annotations

import copy
import itertools
import random
import time

import pytest
import random_sites

from orchestrator import changes, errors
from orchestrator.render import hosting
from orchestrator.site import model, rules, tenant_rules, tenants

WILDCARD = {"names": ["*.sbc.example.com"], "dns": {"hook": {"auth": "/usr/local/sbin/dns-add"}}}


def site(said: dict, *, trunks: tuple[str, ...] = ("one", "two"), **acme: object) -> model.Site:
    """A site with these tenants; each gets a name when it has none."""
    tree = copy.deepcopy(random_sites.BASE)
    tree["trunks"] = {
        trunk: {
            "kind": "pbx",
            "gateways": [f"sip:192.0.{2 + number // 200}.{20 + number % 200}"],
            "numbers": [str(number)],
        }
        for number, trunk in enumerate(trunks)
    }
    tree["certificate"] = {"acme": {"email": "ops@example.com", **(acme or WILDCARD)}}
    tree["tenants"] = {
        name: {"fqdn": f"{name}.sbc.example.com", **fields} for name, fields in said.items()
    }
    return model.Site.model_validate(tree)


def found(wanted: model.Site) -> list[tuple[object, ...]]:
    return [(each.id, *each.path[1:]) for each in rules.find_problems(wanted)]


def only(wanted: model.Site) -> errors.Problem:
    (problem,) = rules.find_problems(wanted)
    return problem


# -- numbers ----------------------------------------------------------------------------------

CLASHES = [
    ({"numbers": ["+4930"]}, {"numbers": ["+4931", "+4930"]}, "numbers", 1),
    ({"numbers": ["+4930"]}, {"numbers": ["+4929-+4931"]}, "numbers", 0),
    ({"numbers": ["+4929-+4931"]}, {"numbers": ["+4930"]}, "numbers", 0),
    ({"numbers": ["+4929-+4931"]}, {"numbers": ["+4900-+4920", "+4931-+4939"]}, "numbers", 1),
    ({"numbers": ["+4900-+4999"]}, {"numbers": ["+4931-+4939"]}, "numbers", 0),
    ({"numbers": ["+4930"]}, {"prefixes": ["+31", "+49"]}, "prefixes", 1),
    ({"prefixes": ["+49"]}, {"numbers": ["+4930"]}, "numbers", 0),
    ({"prefixes": ["+49"]}, {"numbers": ["+4999-+5099"]}, "numbers", 0),
    ({"prefixes": ["+4930"]}, {"numbers": ["+4930"]}, "numbers", 0),
    ({"prefixes": ["+49"]}, {"prefixes": ["+493"]}, "prefixes", 0),
    ({"prefixes": ["+493"]}, {"prefixes": ["+49"]}, "prefixes", 0),
    ({"prefixes": ["+49"]}, {"prefixes": ["+49"]}, "prefixes", 0),
    ({"prefixes": ["+" + "1" * 15]}, {"prefixes": ["+" + "1" * 15]}, "prefixes", 0),
]


@pytest.mark.parametrize(("one", "other", "field", "place"), CLASHES)
def test_a_number_has_one_tenant(one, other, field, place):
    assert found(site({"a": one, "b": other})) == [("tenants-overlap", "b", field, place)]


@pytest.mark.parametrize("wide", ["+4900-+4999", "+4920-+4999"])
def test_every_entry_that_overlaps_is_told(wide):
    """Also one that stands within a wider one of its own tenant."""
    said = {"a": {"numbers": ["+4910-+4950"]}, "b": {"numbers": [wide, "+4930-+4931"]}}

    assert sorted(found(site(said))) == [
        ("tenants-overlap", "b", "numbers", 0),
        ("tenants-overlap", "b", "numbers", 1),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"numbers": ["+4930"]}, {"numbers": ["+49300", "+493"]}),
        ({"numbers": ["+4930-+4939"]}, {"numbers": ["+49305", "+4940", "+4929"]}),
        ({"prefixes": ["+493"]}, {"numbers": ["+49"], "prefixes": ["+494"]}),
        # Within a tenant nothing is ambiguous.
        ({"numbers": ["+4930", "+4930-+4939"], "prefixes": ["+49"]}, {"numbers": ["+4830"]}),
    ],
)
def test_numbers_beside_each_other_are_fine(one, other):
    assert found(site({"a": one, "b": other})) == []


def test_a_number_has_a_plus_whatever_trunks_there_are():
    said = {
        "a": {"numbers": ["+4930", "21", "22"], "prefixes": ["+4931", "4"], "trunks": ["one"]},
        "b": {"numbers": ["+4932", "30-39"]},
    }

    assert found(site(said)) == [
        ("private-number", "a", "numbers", 1),
        ("private-number", "a", "prefixes", 1),
        ("private-number", "b", "numbers", 1),
    ]
    assert "the prefix 4 of tenant a has no plus" in rules.find_problems(site(said))[1].message


def test_an_overlap_names_both_tenants_and_what_they_have():
    said = {"a": {"prefixes": ["+4930"]}, "b": {"numbers": ["+4930100-+4930199"]}}
    problem = only(site(said))

    assert problem.message == (
        "the range +4930100-+4930199 of tenant b overlaps with the prefix +4930 of tenant a"
    )


def covered(tenant: model.Tenant) -> set[str]:
    """Every number a tenant of small numbers has, as it would be dialled."""
    ours = set()
    for text in tenant.numbers:
        first, last = tenants.split(text)
        ours |= {f"+{number:0{len(first) - 1}}" for number in range(int(first), int(last) + 1)}
    for prefix in tenant.prefixes:
        for length in range(5):
            tails = itertools.product("0123456789", repeat=length)
            ours |= {prefix + "".join(tail) for tail in tails if len(prefix) + length <= 5}
    return ours


def some_tenant(choose: random.Random, *, single: bool = False) -> dict[str, list[str]]:
    def number(length: int) -> int:
        return choose.randrange(10 ** (length - 1), 10**length)

    numbers = []
    for _ in range(choose.randrange(1, 4)):
        length = choose.choice((2, 3, 4))
        first = number(length)
        last = min(first + choose.choice((0, 0, *(() if single else (3, 40)))), 10**length - 1)
        numbers.append(f"+{first}" if first == last else f"+{first}-+{last}")
    prefixes = [] if single else [f"+{number(2)}", f"+{number(3)}"][choose.randrange(3) :]
    return {"numbers": numbers, "prefixes": prefixes}


def test_overlaps_are_those_of_the_numbers_themselves():
    """Against the plainest way there is: every number of every tenant, written out."""
    clean = 0
    for seed in range(300):
        choose = random.Random(seed)
        single = choose.random() < 0.3
        wanted = site({f"t{number}": some_tenant(choose, single=single) for number in range(5)})
        all_of = {name: covered(tenant) for name, tenant in wanted.tenants.items()}
        clashing = {
            name
            for (earlier, ours), (name, theirs) in itertools.combinations(all_of.items(), 2)
            if ours & theirs and earlier < name
        }
        told = [problem.path for problem in rules.find_problems(wanted)]
        clean += not clashing

        assert {path[1] for path in told} <= clashing, seed
        assert bool(told) == bool(clashing), seed
        for problem in rules.find_problems(wanted):
            assert problem.id == "tenants-overlap"
    assert 20 < clean < 280


def test_a_million_numbers_take_seconds():
    some = [
        tenants.Tenant(
            fqdn=f"t{number}.sbc.example.com",
            numbers=tuple(f"+49{number:04}{last:04}" for last in range(100)),
        )
        for number in range(1_000)
    ]
    wanted = site({}).model_copy(
        update={
            "tenants": {f"t{n}": t for n, t in enumerate(some)},
            "engines": model.Engines(private_memory=128),
        }
    )
    began = time.process_time()

    assert rules.find_problems(wanted) == ()
    assert time.process_time() - began < 2, "100,000 numbers; a million take ten times as long"


def test_a_prefix_over_everybody_is_not_told_a_million_times():
    said = {"a": {"prefixes": ["+49"]}} | {
        f"t{number}": {"numbers": [f"+49{number:04}"]} for number in range(1_500)
    }
    assert len(rules.find_problems(site(said))) == rules.MOST_OF_ONE_RULE


# -- names ------------------------------------------------------------------------------------


def test_a_name_has_one_tenant():
    numbers = ({"numbers": [f"+4930{number}"]} for number in itertools.count())
    said = {
        "a": {"fqdn": "x.sbc.example.com", **next(numbers)},
        "b": {"fqdn": "X.sbc.example.com", **next(numbers)},
        "c": {"fqdn": "sbc.example.com", **next(numbers)},
    }
    # The provider may have users, too: c.
    assert found(site(said)) == [("fqdn-twice", "b", "fqdn")]
    assert only(site(said)).message.endswith("is the one of tenant a")


@pytest.mark.parametrize(
    ("fqdn", "kind"),
    [
        ("acme.sbc.example.com", None),
        ("acme.customers.example.com", None),
        ("whole.example.net", None),
        ("acme.example.com", "fqdn-outside"),
        ("acme.xsbc.example.com", "fqdn-outside"),
        ("acme.example.org", "fqdn-outside"),
        ("berlin.acme.sbc.example.com", "fqdn-too-deep"),
        ("a.b.c.customers.example.com", "fqdn-too-deep"),
        ("customers.example.com", "fqdn-outside"),
        ("acme.whole.example.net", "fqdn-outside"),
    ],
)
def test_the_certificate_covers_every_name(fqdn, kind):
    names = ["*.customers.example.com", "*.sbc.example.com", "whole.example.net"]
    wanted = site({"a": {"fqdn": fqdn, "numbers": ["+4930"]}}, names=names, dns=WILDCARD["dns"])
    assert found(wanted) == ([(kind, "a", "fqdn")] if kind else [])


def test_what_to_do_about_a_name():
    deep = only(site({"a": {"fqdn": "b.a.sbc.example.com", "numbers": ["+4930"]}}))
    outside = only(site({"a": {"fqdn": "a.example.org", "numbers": ["+4930"]}}))

    assert deep.hint == "for example b-a.sbc.example.com"
    assert outside.hint == (
        "for example a.sbc.example.com, add its wildcard to certificate.acme.names, or give it a"
        " certificate of its own"
    )


def hints(wanted: model.Site) -> list[tuple[str, tuple, str]]:
    given = ((each.id, each.path, each.message) for each in rules.find_hints(wanted))
    return [each for each in given if each[0] == "no-wildcard"]


def test_a_certificate_without_the_wildcard_gives_a_hint():
    said = {name: {"numbers": [f"+49{number}"]} for number, name in enumerate("abc")}
    path = ("certificate", "acme")
    message = "the certificate will not cover the name of tenant a"

    assert hints(site(said)) == []
    assert hints(site(said, key_size="2048")) == [
        ("no-wildcard", path, f"{message} and 2 more"),
    ]
    some = site(said, names=["b.sbc.example.com", "c.sbc.example.com"])
    assert hints(some) == [("no-wildcard", (*path, "names"), message)]
    assert hints(site({}, key_size="2048")) == []


def test_of_files_nothing_is_known():
    wanted = site({"a": {"numbers": ["+4930"]}, "b": {"fqdn": "b.example.org", "numbers": ["+1"]}})
    files = model.Certificate.model_validate({"files": {"chain": "/c.pem", "key": "/k.pem"}})
    wanted = wanted.model_copy(update={"certificate": files})

    assert hints(wanted) == []
    assert only(wanted).hint == (
        "for example b.sbc.example.com, or give it a certificate of its own"
    )


# -- callers ----------------------------------------------------------------------------------


def test_trunks_see_the_tenants_own_numbers_only():
    """As its numbers say it, and not one of another tenant's."""
    said = {
        "a": {"numbers": ["+493055500-+493055509"]},
        "b": {"numbers": ["+493055510"], "prefixes": ["+493056"]},
    }
    for name, main, fine in (
        ("a", "+493055505", True),
        ("a", "+493055510", False),
        ("b", "+4930561", True),
        ("b", "+493055509", False),
    ):
        wanted = copy.deepcopy(said)
        wanted[name]["caller_id"] = {"policy": "own", "main": main}
        assert found(site(wanted)) == (
            [] if fine else [("caller-not-own", name, "caller_id", "main")]
        )
        wanted[name]["caller_id"] = {}
        wanted[name]["emergency"] = {"caller": main}
        assert found(site(wanted)) == (
            [] if fine else [("caller-not-own", name, "emergency", "caller")]
        )
    assert main in only(site(wanted)).message


# -- trunks -----------------------------------------------------------------------------------


def test_trunks_of_tenants_exist_and_stand_once():
    said = {
        "a": {"numbers": ["+4930"], "trunks": ["one", "tow", "one"]},
        "b": {"numbers": ["+4931"], "trunks": ["two", "one"]},
    }
    assert found(site(said)) == [
        ("unknown-party", "a", "trunks", 1),
        ("party-twice", "a", "trunks", 2),
    ]
    assert rules.find_problems(site(said))[0].hint == "did you mean two?"


def test_trunks_for_emergencies_are_its_own_or_nobodys():
    said = {
        "a": {
            "numbers": ["+4930"],
            "emergency": {"trunks": ["one", "two", "tow", "three", "two"]},
        },
        "b": {"numbers": ["+4931"], "trunks": ["one"], "emergency": {"trunks": ["two", "one"]}},
    }
    wanted = site(said, trunks=("one", "two", "three"))
    assert found(wanted) == [
        ("trunk-not-own", "a", "emergency", "trunks", 0),
        ("unknown-party", "a", "emergency", "trunks", 2),
        ("party-twice", "a", "emergency", "trunks", 4),
    ]


def cut_off(said: dict, *, phones: bool = False, carrier: str = "two") -> model.Site:
    """Both trunks may be somebody's own, one of them a carrier."""
    tree = changes.as_tree(site(said))
    tree["trunks"][carrier]["kind"] = "carrier"
    if phones:
        tree["phones"] = {
            "realm": "example.com",
            "users": {"anna": {"number": "+4999", "password": {"env": "A"}}},
        }
    return model.Site.model_validate(tree)


def test_nobody_takes_the_last_trunk_from_others():
    """Who lists a trunk takes it from all who do not, perhaps in a file far from theirs."""
    said = {
        "a": {"numbers": ["+4930"]},
        "b": {"numbers": ["+4931"], "trunks": ["one", "two"]},
        "c": {"numbers": ["+4932"], "trunks": ["one"]},
        "d": {"numbers": ["+4933"]},
    }
    problem = only(cut_off(said))
    assert (problem.id, problem.path) == ("tenant-without-trunk", ("tenants", "a"))
    assert problem.message == (
        "tenant a and 1 more have no trunk, and none is left to share: tenant b lists two"
    )
    assert "take two out of their trunks, or list one here" in problem.hint
    assert "tenant b and 1 more list one" in only(cut_off(said, carrier="one")).message

    assert found(cut_off(said, phones=True)) == []
    said["b"]["trunks"] = ["one"]
    assert found(cut_off(said)) == []
    del said["a"], said["d"]
    said["b"]["trunks"] = ["one", "two"]
    assert found(cut_off(said)) == []


def test_guesses_are_not_made_for_ever():
    said = {
        f"t{number}": {"numbers": [f"+4930{number:02}"], "trunks": ["tow"]} for number in range(30)
    }
    told = [problem.hint for problem in rules.find_problems(site(said))]

    assert told.count("did you mean two?") == tenant_rules.MOST_GUESSES
    assert len(told) == 30


def test_tables_fit_into_memory():
    """One number below what 64 MiB hold, and one above; ranges take few rows."""
    most = (64 - 16) * 2**20 // 550
    numbers = [f"+49{number:09}" for number in range(most + 1)]
    assert found(site({"a": {"numbers": numbers[:-1]}})) == []

    problem = only(site({"a": {"numbers": numbers}}))
    assert (problem.id, problem.path) == ("table-too-large", ("tenants",))
    assert "they need 65 MiB of private memory; there are 64" in problem.message
    assert problem.hint == "engines: {private_memory: 65}, or write numbers as ranges"
    assert problem.message.startswith(f"the numbers of all tenants are {most + 1:,} rows")
    ranges = [f"+49{number:06}000-+49{number:06}999" for number in range(1000)]
    assert found(site({"a": {"numbers": ranges}})) == []

    barred = len(hosting.tenant_table(site({})).rows)
    # A trunk with every other, both ways, and each of them with the tenant.
    names = tuple(f"t{number}" for number in range(303))
    many = site({"a": {"numbers": ["+49"], "trunks": names}}, trunks=names)
    problem = only(many)
    rows = len(hosting.tenant_table(many).rows) - barred
    assert problem.message.startswith(f"the trunks and destinations of all tenants are {rows:,}")
    assert problem.hint == "engines: {private_memory: 65}, or list fewer of them"
