"""What trunks may not say of shares and order, of TLS and whom to trust, and of accounts."""

from __future__ import annotations

import copy

import pytest
import random_sites
import yaml

from orchestrator.site import model, rules

UDP = "sip:192.0.2.20"
TLS = "sip:192.0.2.21;transport=tls"
ACCOUNT = "registration: {user: company, password: {env: A}}"
OWN = "tls: {ca: /etc/own.pem}"


def site(text: str, **node: str) -> model.Site:
    """A site with these trunks, and more words about its node."""
    tree = copy.deepcopy(random_sites.BASE)
    tree["node"] = {"public_address": "203.0.113.10", "trunk_address": "192.0.2.10"} | node
    tree["trunks"] = yaml.load(text, Loader=yaml.BaseLoader)
    return model.Site.model_validate(tree)


def trunk(gateways: str, rest: str = "", name: str = "office") -> str:
    numbers = "" if name == "office" else ', numbers: ["+49"]'
    more = f", {rest}" if rest else ""
    return f"{name}: {{kind: pbx, gateways: [{gateways}]{more}{numbers}}}\n"


WEIGHTED = f'{{uri: "{UDP}", weight: 50}}'
ORDERED = '{uri: "sip:192.0.2.30", priority: 1}'

CASES = [
    (
        trunk(f'{WEIGHTED}, "sip:192.0.2.30"'),
        "gateway-order",
        ("trunks", "office", "gateways", 1),
    ),
    (trunk(f"{ORDERED}, {WEIGHTED}"), "gateway-order", ("trunks", "office", "gateways")),
    (
        trunk(f'"{UDP}"', OWN),
        "tls-unused",
        ("trunks", "office", "tls"),
    ),
    (trunk(f'"{TLS}"'), "tls-anybody", ("trunks", "office")),
    (trunk(f'"{TLS}"', "tls: {}"), "tls-anybody", ("trunks", "office", "tls")),
    (
        trunk(f'"{UDP}"', ACCOUNT) + trunk('"sip:192.0.2.22"', ACCOUNT, "colt"),
        "contact-twice",
        ("trunks", "colt", "registration"),
    ),
    (
        trunk(f'"{TLS}"', OWN)
        + trunk('"sip:192.0.2.22;transport=tls"', "tls: {name: a.example.net}", "colt"),
        "tls-roots",
        ("trunks", "colt", "tls"),
    ),
]


@pytest.mark.parametrize(("text", "problem", "path"), CASES)
def test_what_cannot_be_served_is_a_problem(text, problem, path):
    """Each has one Problem, at its place."""
    assert (problem, path) in [(p.id, p.path) for p in rules.find_problems(site(text))]


def test_trunks_and_teams_do_not_share_an_address_for_tls():
    """Whom to trust follows from our own address, so TLS trunks need one of their own."""
    found = rules.find_problems(site(trunk(f'"{TLS}"', OWN), trunk_address="203.0.113.10"))
    assert "tls-address" in [p.id for p in found]
    assert not rules.find_problems(site(trunk(f'"{UDP}"'), trunk_address="203.0.113.10"))


def test_the_tls_port_is_free():
    """The listener for trunks over TLS takes nobody's port; without such a trunk there is none."""
    clash = {"tls_port": "5060"}
    found = rules.find_problems(site(trunk(f'"{TLS}"', OWN), **clash))
    assert ("port-clash", ("node", "tls_port")) in [(p.id, p.path) for p in found]
    assert not rules.find_problems(site(trunk(f'"{UDP}"'), **clash))
    by_acme = site(trunk(f'"{TLS}"', OWN), tls_port="80").model_copy(
        update={"certificate": model.Certificate(acme=model.Acme(email="ops@example.com"))}
    )
    assert "port-clash" in [p.id for p in rules.find_problems(by_acme)]


def test_keys_in_the_clear_are_a_hint():
    """SRTP over UDP is allowed, and said to help little."""
    hints = rules.find_hints(site(trunk(f'"{UDP}"', "srtp: true")))
    assert [p.id for p in hints] == ["srtp-in-the-clear"]
    assert not rules.find_hints(site(trunk(f'"{TLS}"', f"srtp: true, {OWN}")))


def test_a_gateway_over_tls_has_the_port_of_tls():
    """sip:HOST;transport=tls is 5061, as RFC 3261 19.1.2 has it."""
    (gateway,) = site(trunk(f'"{TLS}"', OWN)).trunks["office"].gateways
    assert gateway.uri == "sip:192.0.2.21:5061;transport=tls"
