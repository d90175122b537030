"""What doctor says of tenants whose certificates come by ACME, beside a site with files."""

from __future__ import annotations

import datetime as dt

import pytest

from orchestrator.doctor import finding, judge, judge_acme, seen
from orchestrator.host import names, web
from orchestrator.site import load

SITE = """
version: 1
site: fra1
node: {public_address: 203.0.113.10, trunk_address: 192.0.2.10}
teams: {fqdn: sbc.example.com}
certificate: {files: {chain: /c, key: /k}}
trunks: {office: {kind: pbx, gateways: ["sip:192.0.2.20"]}}
tenants:
  big:
    fqdn: sbc.big.example
    address: 203.0.113.11
    certificate: {acme: {email: ops@big.example, directory: "https://ca.example/dir"}}
    numbers: ["+4989"]
  small:
    fqdn: sbc.small.example
    address: 203.0.113.12
    certificate: {acme: {email: ops@small.example, directory: "https://ca.example/dir"}}
    numbers: ["+4940"]
"""
NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
ANSWER = web.Answer(content={"newOrder": "x", "meta": {"caaIdentities": ["ca.example"]}})
SAYS_NO = names.Authorizations(
    "small.example", (names.Authorization("issue", "other.example", critical=False),)
)


def told(check: str, found: seen.Seen, text: str = SITE) -> list[finding.Finding]:
    site = load.load_site(text.encode(), "site.yaml")
    return [each for each in judge.judge(site, found, NOW) if each.check == check]


def test_each_name_is_looked_at_and_each_ca_is_told_about_once():
    found = seen.Seen(
        applied=False,
        authorizations={"sbc.big.example": names.Authorizations(""), "sbc.small.example": SAYS_NO},
        directories={"https://ca.example/dir": ANSWER},
    )
    (ca,) = told("acme", found)
    assert (ca.level, ca.path[:2]) == (finding.Level.OK, ("tenants", "big"))
    big, small = told("caa", found)
    assert (big.level, big.path) == (finding.Level.OK, ("tenants", "big", "fqdn"))
    assert small.level is finding.Level.PROBLEM
    assert small.path == ("tenants", "small", "certificate", "acme", "directory")
    assert 'small.example CAA 0 issue "ca.example"' in small.do


def test_a_ca_that_is_away_is_named_with_whose_it_is():
    away = web.Answer(failure="refused")
    found = seen.Seen(applied=False, directories={"https://ca.example/dir": away})
    (ca,) = told("acme", found)
    assert ca.level is finding.Level.PROBLEM
    assert ca.path == ("tenants", "big", "certificate", "acme", "directory")


@pytest.mark.parametrize("port", [80, 8080])
def test_port_80_is_looked_at_for_tenants_as_well(port):
    text = SITE.replace("{email: ops@big", f"{{http_port: {port}, email: ops@big")
    (one,) = told("port-80", seen.Seen(applied=False, listeners=()), text)
    assert one.path == ("tenants", "big", "certificate", "acme", "http_port")
    assert ("sbc.big.example" in one.do) is (port == 8080)
    site = load.load_site(text.encode(), "site.yaml")
    assert "whether the CA reaches port 80 from outside" in judge.not_checked(
        site, offline=False, applied=True
    )
    assert judge_acme.by_port(site)


def test_what_changes_next_is_told_for_either_source():
    """Bought certificates live shorter from another day on than those of Let's Encrypt."""
    text = SITE.replace(', directory: "https://ca.example/dir"', "")
    said = [each.seen for each in told("dates", seen.Seen(applied=False), text)]
    assert [each.partition(" ")[0] for each in said] == ["on", "on"]
    assert any("Let's Encrypt" in each for each in said)
    assert any("every public CA" in each for each in said)
