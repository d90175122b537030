"""How a certificate may be asked for: names, ways to prove them, CAs, and what does not go."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pydantic
import pytest
import random_sites
import yaml

from orchestrator.site import acme, model, rules

HOOK = "dns: {hook: {auth: /usr/local/sbin/dns-add}}"
UPDATE = "dns: {rfc2136: {server: 192.0.2.53, key_name: sbc., secret: {file: /etc/key}}}"
WILDCARD = "names: ['*.customers.example.com']"


def site(words: str) -> model.Site:
    """A site with these words in certificate.acme."""
    tree = copy.deepcopy(random_sites.BASE)
    text = f"{{acme: {{email: ops@example.com, {words}}}}}"
    tree["trunks"] = {"office": {"kind": "pbx", "gateways": ["sip:192.0.2.20"]}}
    tree["certificate"] = yaml.load(text, Loader=yaml.BaseLoader)
    return model.Site.model_validate(tree)


def found(words: str) -> list[tuple[str, tuple]]:
    return [(each.id, each.path) for each in rules.find_problems(site(words))]


def test_a_wildcard_needs_a_record_in_dns():
    """Port 80 proves no wildcard; either way into DNS does."""
    assert found("names: [b.example.com, '*.x.example.com']") == [
        ("wildcard-needs-dns", ("certificate", "acme", "names", 1))
    ]
    assert found(f"{WILDCARD}, {HOOK}") == []
    assert found(f"{WILDCARD}, {UPDATE}") == []


def test_a_second_ca_is_another_one():
    same = "directory: https://a.example.net/dir, fallback: {directory: https://a.example.net/dir}"
    path = ("certificate", "acme", "fallback", "directory")

    assert found(same) == [("fallback-same-ca", path)]
    assert found(f"fallback: {{directory: {model.LETS_ENCRYPT}}}") == [("fallback-same-ca", path)]
    assert found("fallback: {directory: https://b.example.net/dir}") == []


def test_a_port_that_is_not_used_cannot_clash():
    """With DNS-01 nothing listens on http_port."""
    clash = ("port-clash", ("certificate", "acme", "http_port"))

    assert found("http_port: 5060") == [clash]
    assert found(f"http_port: 5060, {HOOK}") == []


@pytest.mark.parametrize(
    "words",
    [
        "dns: {}",
        "dns: {hook: {auth: /a}, rfc2136: {server: 192.0.2.1, key_name: k, secret: {env: K}}}",
        "dns: {hook: {auth: 'relative'}}",
        "dns: {hook: {auth: '/a; reboot'}}",
        "dns: {rfc2136: {server: ns.example.com, key_name: k, secret: {env: K}}}",
        "dns: {rfc2136: {server: 192.0.2.1, key_name: 'a b', secret: {env: K}}}",
        "dns: {rfc2136: {server: 192.0.2.1, key_name: k, secret: in-the-clear}}",
        "dns: {rfc2136: {server: 192.0.2.1, key_name: k, algorithm: hmac-x, secret: {env: K}}}",
        "names: ['*']",
        "names: ['*.*.example.com']",
        "names: ['a.*.example.com']",
        "names: ['-d evil.example.com']",
        "key_size: 4096",
        "profile: 'a b'",
        "eab: {kid: 'a\nb', hmac: {env: K}}",
        "fallback: {directory: 'http://a.example.net/dir'}",
        "fallback: {}",
    ],
)
def test_what_could_mean_something_else_to_certbot_is_refused(words):
    with pytest.raises(pydantic.ValidationError):
        site(words)


def test_the_names_of_the_certificate():
    """All of them must be covered; what a wildcard covers is not ordered, CAs refuse it."""
    some = site(f"names: [b.example.com, '*.x.example.com', a.x.example.com], {HOOK}")

    assert some.certificate_names == (
        "sbc.example.com",
        "b.example.com",
        "*.x.example.com",
        "a.x.example.com",
    )
    assert acme.names_to_order("sbc.example.com", some.certificate_names) == (
        "sbc.example.com",
        "b.example.com",
        "*.x.example.com",
    )
    assert acme.names_to_order("sbc.x.example.com", ("*.x.example.com",)) == ("*.x.example.com",)
    assert acme.names_to_order("x.example.com", ("*.x.example.com",)) == (
        "x.example.com",
        "*.x.example.com",
    )


def test_the_cas_in_the_order_they_are_asked():
    asked = site("profile: classic, fallback: {directory: https://b.example.net/dir}")
    acme_part = asked.certificate.acme
    assert acme_part
    assert [ca.directory for ca in acme_part.authorities] == [
        model.LETS_ENCRYPT,
        "https://b.example.net/dir",
    ]
    assert [ca.profile for ca in acme_part.authorities] == ["classic", None]
    assert site("").certificate.acme.challenge == "http-01"
    assert site(HOOK).certificate.acme.challenge == "dns-01"


def test_what_the_guide_shows_is_taken():
    """docs/guide/acme.md: each piece of site.yaml, put into a site."""
    guide = (Path(__file__).parents[2] / "docs/guide/acme.md").read_text()
    pieces = re.findall(r"^```\n(certificate:\n.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert len(pieces) == 4
    for piece in pieces:
        tree = copy.deepcopy(random_sites.BASE)
        tree["trunks"] = {"office": {"kind": "pbx", "gateways": ["sip:192.0.2.20"]}}
        tree |= yaml.load(piece, Loader=yaml.BaseLoader)
        assert rules.find_problems(model.Site.model_validate(tree)) == ()
