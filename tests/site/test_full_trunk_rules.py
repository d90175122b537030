"""What a tenant with a trunk of its own at Microsoft may not say, and what it costs."""

from __future__ import annotations

import copy

import pydantic
import pytest
import random_sites

from orchestrator.site import acme, full_trunk_rules, model, rules

BIG = {
    "fqdn": "sbc.big.example",
    "numbers": ["+4989555"],
    "address": "203.0.113.11",
    "certificate": {"files": {"chain": "/etc/ssl/big.pem", "key": "/etc/ssl/big.key"}},
}


def site(memory: int = 1024, **tenants: dict) -> model.Site:
    tree = copy.deepcopy(random_sites.BASE)
    tree["node"] = {"public_address": "203.0.113.10", "trunk_address": "192.0.2.10"}
    tree["trunks"] = {"office": {"kind": "pbx", "gateways": ["sip:192.0.2.20"]}}
    tree["tenants"] = tenants
    tree["engines"] = {"shared_memory": str(memory)}
    return model.Site.model_validate(tree)


def many(count: int) -> dict[str, dict]:
    return {
        f"t{place:03}": {
            **BIG,
            "fqdn": f"sbc.t{place}.example",
            "numbers": [f"+4989{place:04}"],
            "address": f"198.18.0.{place + 1}",
        }
        for place in range(count)
    }


def test_its_name_may_be_anything():
    found = site(big=BIG)
    assert rules.find_problems(found) == ()
    (hint,) = full_trunk_rules.find_hints(found)
    assert "8 MiB" in hint.message
    assert site(a={"fqdn": "a.sbc.example.com", "numbers": ["+49"]}).full_trunks == {}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"address": "203.0.113.10"}, ("address-taken", "address")),
        ({"address": "192.0.2.10"}, ("address-taken", "address")),
        ({"address": "127.0.0.1"}, ("unusable-address", "address")),
        ({"address": "2001:db8::1"}, ("ipv6", "address")),
        ({"public_address": "0.0.0.0"}, ("unusable-address", "public_address")),
        ({"fqdn": random_sites.BASE["teams"]["fqdn"]}, ("certificate-twice", "certificate")),
    ],
)
def test_what_it_may_not_say(changes, found):
    (problem,) = rules.find_problems(site(big={**BIG, **changes}))
    assert (problem.id, *problem.path) == (found[0], "tenants", "big", found[1])


def test_each_has_an_address_of_its_own():
    other = {**BIG, "fqdn": "sbc.small.example", "numbers": ["+4940"]}
    (problem,) = rules.find_problems(site(big=BIG, small=other))
    assert problem.id == "address-taken"
    assert problem.path == ("tenants", "small", "address")
    assert "tenant big" in problem.message


@pytest.mark.parametrize("lost", ["address", "certificate"])
def test_address_and_certificate_go_together(lost):
    left = {key: value for key, value in BIG.items() if key != lost}
    with pytest.raises(pydantic.ValidationError, match="or neither"):
        site(big=left)


def test_a_public_address_alone_is_nothing():
    with pytest.raises(pydantic.ValidationError, match="address of its own"):
        site(a={"fqdn": "a.sbc.example.com", "numbers": ["+49"], "public_address": "192.0.2.99"})


ACME = {"email": "ops@big.example"}


def by_acme(**more: object) -> dict[str, object]:
    return {**BIG, "certificate": {"acme": {**ACME, **more}}}


def test_its_certificate_may_come_by_acme():
    found = site(big=by_acme())
    assert rules.find_problems(found) == ()
    assert list(found.by_acme) == [("tenants", "big", "certificate", "acme")]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"http_port": "5060"}, ("port-clash", "http_port")),
        ({"http_port": "5061"}, ("port-clash", "http_port")),
        (
            {"fallback": {"directory": acme.LETS_ENCRYPT}},
            ("fallback-same-ca", "fallback", "directory"),
        ),
    ],
)
def test_what_it_may_not_say_of_acme(said, found):
    (problem,) = rules.find_problems(site(big=by_acme(**said)))
    place = ("tenants", "big", "certificate", "acme")
    assert (problem.id, *problem.path) == (found[0], *place, *found[1:])
    assert ".".join(place) in problem.message


def test_its_certificate_has_its_name_alone():
    with pytest.raises(pydantic.ValidationError, match="Extra inputs"):
        site(big=by_acme(names=["sbc2.big.example"]))


@pytest.mark.parametrize("certificate", [{}, {**BIG["certificate"], "acme": ACME}])
def test_its_certificate_has_one_source(certificate):
    with pytest.raises(pydantic.ValidationError, match="exactly one of them"):
        site(big={**BIG, "certificate": certificate})


def test_there_are_at_most_a_hundred():
    assert rules.find_problems(site(**many(100))) == ()
    (problem,) = rules.find_problems(site(**many(101)))
    assert (problem.id, problem.path[1]) == ("too-many-certificates", "t100")


def test_kamailio_has_the_memory_for_them():
    assert rules.find_problems(site(256, **many(20))) == ()
    (problem,) = rules.find_problems(site(256, **many(21)))
    assert problem.id == "certificates-too-large"
    assert "264" in problem.hint
