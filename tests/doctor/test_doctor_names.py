"""What doctor says about names: asked at a real DNS server, judged purely."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import listening
import pytest

from orchestrator.doctor import judge, seen
from orchestrator.host import names, web
from orchestrator.site import acme, load

pytestmark = [pytest.mark.engine]

SITE = """
version: 1
site: fra1
node: {public_address: 203.0.113.10}
teams: {fqdn: sbc.example.com}
certificate: {acme: {email: ops@example.com}}
trunks: {office: {kind: pbx, gateways: ["sip:192.0.2.20"]}}
"""
ZONES = {
    "example.com": """
sbc A 203.0.113.10
alias CNAME sbc
moved A 203.0.113.99
both A 203.0.113.10
both A 203.0.113.99
text TXT "no address"
sbc.theirs A 203.0.113.10
theirs CAA 0 issue "other.example"
ours CAA 0 issue "other.example"
ours CAA 0 issue "ca.example.net"
nobody CAA 0 issue ";"
mail CAA 0 iodef "mailto:a@example.com"
wild CAA 0 issuewild "other.example"
by-dns CAA 0 issue "ca.example.net; validationmethods=dns-01"
by-http CAA 0 issue "ca.example.net; validationmethods=dns-01,http-01"
strange CAA 128 future "x"
strange CAA 0 issue "ca.example.net"
""",
    "pstnhub.microsoft.com": "sip A 52.112.0.1\nsip2 A 52.123.255.254\nsip3 A 198.51.100.1\n",
    "broken.example": "",
}
NUMBERED = ("sip", "sip2", "sip3", "sip4")
CALLED = {acme.LETS_ENCRYPT: web.Answer(content=listening.DIRECTORY)}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[tuple[str, int]]:
    with listening.dns(tmp_path_factory.mktemp("dns"), ZONES) as where:
        yield where


def site_of(text: str = SITE):
    return load.load_site(text.encode(), "site.yaml")


def site_for(site, asked: tuple[str, ...]):
    """The same, whose certificate is for these names as well, whatever proves them."""
    by_acme = site.certificate.acme.model_copy(update={"names": asked})
    certificate = site.certificate.model_copy(update={"acme": by_acme})
    return site.model_copy(update={"certificate": certificate})


def said(found: seen.Seen, check: str, text: str = SITE) -> list[tuple[str, str]]:
    site = site_of(text)
    if found.authorizations and site.certificate.acme:
        site = site_for(site, tuple(found.authorizations))
    findings = judge.judge(site, found, listening.certs.NOW)
    return [(str(each.level), each.seen) for each in findings if each.check == check]


@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        ("sbc.example.com", "ok", "sbc.example.com leads to 203.0.113.10"),
        ("alias.example.com", "ok", "leads to 203.0.113.10"),
        ("moved.example.com", "problem", "leads to 203.0.113.99, and this SBC is 203.0.113.10"),
        ("both.example.com", "warning", "leads to 203.0.113.99 as well"),
        ("text.example.com", "problem", "has no A record"),
        ("absent.example.com", "problem", "has no A record"),
        ("sbc.broken.example", "problem", "cannot tell (SERVFAIL or REFUSED)"),
        ("sbc.elsewhere.example", "problem", "cannot tell (SERVFAIL or REFUSED)"),
    ],
)
def test_where_a_name_leads(server, name, level, words):
    answer = names.addresses(name, server)

    [(found, sentence)] = said(seen.Seen(applied=False, addresses={name: answer}), "dns")

    assert found == level
    assert words in sentence


def test_where_microsofts_names_lead(server):
    """EP-1, EP-4: into its networks, elsewhere, nowhere."""
    told = [names.addresses(f"{name}.pstnhub.microsoft.com", server) for name in NUMBERED]
    well = dict(zip(NUMBERED[:2], told[:2], strict=True))
    all_of_them = dict(zip(NUMBERED, told, strict=True))

    assert said(seen.Seen(applied=False, microsoft=well), "microsoft") == [
        ("ok", "sip, sip2 lead into Microsoft's networks")
    ]
    assert said(seen.Seen(applied=False, microsoft=all_of_them), "microsoft") == [
        ("warning", "sip3 leads to 198.51.100.1, outside the networks Microsoft may call from"),
        (
            "problem",
            (
                "sip4 leads nowhere: it has no A record; no call reaches Teams by it, and Kamailio"
                " does not start while it is so"
            ),
        ),
    ]


def test_a_dns_server_that_says_nothing_is_waited_for_three_seconds():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        answer = names.addresses("sbc.example.com", silent.getsockname())

    assert answer == names.Answer(failure="no DNS server answered within 3 s")


@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        ("sbc.example.com", "ok", "no CAA record limits"),
        ("sbc.theirs.example.com", "problem", "CAA at theirs.example.com does not let"),
        ("sbc.ours.example.com", "ok", "lets ca.example.net certify"),
        ("nobody.example.com", "problem", "does not let ca.example.net"),
        ("mail.example.com", "ok", "lets ca.example.net certify"),
        ("wild.example.com", "ok", "lets ca.example.net certify"),
        ("*.wild.example.com", "problem", "does not let ca.example.net certify *.wild"),
        ("*.ours.example.com", "ok", "lets ca.example.net certify *.ours"),
        ("by-dns.example.com", "problem", "but not by http-01"),
        ("by-http.example.com", "ok", "lets ca.example.net certify"),
        ("strange.example.com", "problem", "critical tag future"),
        ("sbc.broken.example", "problem", "a CA refuses then"),
    ],
)
def test_which_ca_may_certify_a_name(server, name, level, words):
    told = names.authorizations(name, server)
    found = seen.Seen(applied=False, authorizations={name: told}, directories=CALLED)

    [(judged, sentence)] = said(found, "caa")

    assert judged == level
    assert words in sentence


def test_by_dns_another_way_of_proof_counts(server):
    """RFC 8657: validationmethods names the way that is wanted."""
    by_dns = SITE.replace("{email", "{dns: {hook: {auth: /usr/bin/put}}, email")
    name = "by-dns.example.com"
    told = {name: names.authorizations(name, server)}
    found = seen.Seen(applied=False, authorizations=told, directories=CALLED)

    assert said(found, "caa", by_dns)[0][0] == "ok"
    assert said(found, "caa")[0][0] == "problem"


def test_the_ca_that_stands_in_is_judged_less_hard(server):
    """CAA that keeps the second CA out is a warning: the first one serves."""
    second = "fallback: {directory: 'https://second.example/d'}"
    two = SITE.replace("{email", f"{{{second}, email")
    name = "sbc.ours.example.com"
    answers = {
        **CALLED,
        "https://second.example/d": web.Answer(
            content={"newOrder": "x", "meta": {"caaIdentities": ["second.example"]}}
        ),
    }
    told = {name: names.authorizations(name, server)}
    found = seen.Seen(applied=False, authorizations=told, directories=answers)

    assert [level for level, _ in said(found, "caa", two)] == ["ok", "warning"]


def test_a_ca_that_does_not_say_its_name_is_known_or_it_is_said(server):
    told = names.authorizations("sbc.theirs.example.com", server)
    found = seen.Seen(applied=False, authorizations={"sbc.theirs.example.com": told})
    other = SITE.replace("{email", "{directory: 'https://ca.example.net/d', email")

    assert "does not let letsencrypt.org" in said(found, "caa")[0][1]
    [(level, sentence)] = said(found, "caa", other)
    assert level == "hint"
    assert "does not say what it is called there" in sentence


def test_caa_counts_for_a_certificate_by_acme_only(server):
    bought = SITE.replace("{acme: {email: ops@example.com}}", "{files: {chain: /c, key: /k}}")
    told = names.authorizations("nobody.example.com", server)
    found = seen.Seen(applied=False, authorizations={"nobody.example.com": told})

    assert said(found, "caa", bought) == []
