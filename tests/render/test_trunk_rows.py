"""Order, shares, encryption and proofs of trunks, as Kamailio and RTPEngine read them."""

from __future__ import annotations

import re

import pytest
import yaml

from orchestrator.render import generation, views, wanted
from orchestrator.site import model

TEXT = """
version: 1
site: test
node: {{public_address: 203.0.113.10, trunk_address: 192.0.2.10}}
teams: {{fqdn: sbc.example.com}}
certificate: {{acme: {{email: ops@example.com}}}}
trunks:
  office: {{kind: pbx, gateways: [{gateways}]{rest}}}
"""
PLAIN = '"sip:192.0.2.20"'
SECURE = '"sip:192.0.2.20;transport=tls"'
TLS = ", tls: {ca: /etc/own.pem, name: pbx.example.com}"
DIGEST = ", digest: {user: company, password: {env: A}}"
ACCOUNT = ", registration: {user: company, registrar: example.net, password: {env: A}}"
FACTS = (views.DEBIAN_12, views.DEBIAN_13)


def render(
    gateways: str, rest: str = "", facts=views.DEBIAN_13, password: str = "canary-password"
) -> generation.Generation:
    tree = yaml.load(TEXT.format(gateways=gateways, rest=rest), Loader=yaml.BaseLoader)
    return generation.render_site(
        model.Site.model_validate(tree),
        facts=facts,
        paths=views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl"),
        secrets=views.Secrets(
            contact_key="0" * 64,
            phones={},
            trunks={"office": password},
            registrations={"office": password},
        ),
    )


def destinations(result: generation.Generation) -> list[list[str]]:
    lines = result.file("kamailio/dispatcher.list").text.splitlines()
    return [line.split() for line in lines if line[:1].isdigit() and not line.startswith("1 ")]


def test_the_lowest_priority_is_tried_first():
    """Kamailio tries the highest first, site.yaml counts as DNS does."""
    result = render('{uri: "sip:192.0.2.20", priority: 20}, {uri: "sip:192.0.2.21", priority: 10}')
    tried = sorted(destinations(result), key=lambda words: -int(words[3]))
    assert [words[1].split(":")[1] for words in tried] == ["192.0.2.21", "192.0.2.20"]


def test_weights_are_shares():
    """Weights reach the dispatcher, and the trunk is served by shares."""
    result = render('{uri: "sip:192.0.2.20", weight: 75}, {uri: "sip:192.0.2.21", weight: 25}')
    assert [words[4].split(";")[-1] for words in destinations(result)] == [
        "rweight=75",
        "rweight=25",
    ]
    assert ";alg=11" in result.file("kamailio/tables/trunk").text
    assert "alg=" not in render(PLAIN).file("kamailio/tables/trunk").text


@pytest.mark.parametrize("facts", FACTS)
def test_tls_is_there_for_whom_it_is_needed(facts):
    """Only a trunk over TLS opens a listener, and it is trusted by CAs of its own."""
    plain, secure = render(PLAIN, facts=facts), render(SECURE, TLS, facts)
    listener = 'listen=tls:192.0.2.10:5061 name "trunk_tls"'
    assert listener in secure.file("kamailio/kamailio.cfg").text
    assert listener not in plain.file("kamailio/kamailio.cfg").text
    profile = secure.file("kamailio/tls.cfg").text.partition("[client:192.0.2.10:0]")[2]
    assert "ca_list = /etc/own.pem" in profile
    assert "verify_certificate = yes" in profile
    assert "name=pbx.example.com" in secure.file("kamailio/tables/trunk").text


def test_an_encrypted_trunk_has_no_null_cipher():
    """Keys of a trunk may be of more suites than those of Teams, never of none."""
    rows = render(SECURE, TLS + ", srtp: true").file("kamailio/tables/media").text
    (offer,) = [row for row in rows.splitlines() if row.startswith("office/offer:")]
    assert "RTP/SAVP" in offer
    assert "SDES-no-NULL_HMAC_SHA1_80" in offer
    assert "SDES-no-AES_CM_128_HMAC_SHA1_80" not in offer


def test_a_proof_is_secret():
    """The password stands in a file that only Kamailio's user may read."""
    result = render(PLAIN, DIGEST)
    assert [file.path for file in result.files if "canary-password" in file.text] == [
        "kamailio/tables/digest"
    ]
    assert result.file("kamailio/tables/digest").secret
    names = {file.path for file in render(PLAIN).files}
    assert {file.path for file in result.files} - names == {
        "kamailio/tables/digest",
        "kamailio/routes/proofs.cfg",
    }


def test_another_password_is_a_row():
    """A changed password is read again while calls run."""
    before = render(PLAIN, DIGEST)
    after = render(PLAIN, DIGEST, password="other")
    old = {file.path: file.text for file in before.files}
    changed = [file for file in after.files if old[file.path] != file.text]
    assert [(file.path, file.effect) for file in changed] == [
        ("kamailio/tables/digest", generation.Effect.TABLE_RELOAD)
    ]


def test_a_registration_is_told_to_kamailio_and_read_back():
    """The row says whom, where and for how long; what is compared is what was written."""
    result = render(PLAIN, ACCOUNT)
    file = result.file("kamailio/tables/uacreg")
    assert file.secret
    assert file.effect == generation.Effect.REGISTRATIONS_RELOAD
    assert wanted.registrations(result) == {
        (
            "company",
            "company",
            "example.net",
            "",
            "company",
            "canary-password",
            "sip:192.0.2.20:5060;transport=udp",
            "600",
            "192.0.2.10:5060;transport=udp",
            "udp:192.0.2.10:5060",
        )
    }
    assert "contact=company" in result.file("kamailio/tables/trunk").text
    assert wanted.registrations(render(PLAIN)) == frozenset()


def test_a_registration_proves_calls_as_well():
    """One password for both, unless site.yaml has a digest for calls."""
    alone, both = render(PLAIN, ACCOUNT), render(PLAIN, ACCOUNT + DIGEST.replace("company", "x"))
    rows = dict(wanted.table_rows(alone.file("kamailio/tables/digest")))
    assert rows == {"office/user": "company", "office/password": "canary-password"}
    rows = dict(wanted.table_rows(both.file("kamailio/tables/digest")))
    assert rows["office/user"] == "x"


@pytest.mark.parametrize("facts", FACTS)
def test_the_way_to_a_phone_is_kept_open(facts):
    """A router forgets a way after 30 s; pings are sooner, and only where there are phones."""
    tree = yaml.load(TEXT.format(gateways=PLAIN, rest=""), Loader=yaml.BaseLoader)
    user = {"number": "+49301", "password": {"env": "A"}}
    tree["phones"] = {"realm": "sbc.example.com", "users": {"anna": user}}
    result = generation.render_site(
        model.Site.model_validate(tree),
        facts=facts,
        paths=views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl"),
        secrets=views.Secrets(contact_key="0" * 64, phones={}),
    )
    text = result.file("kamailio/kamailio.cfg").text
    interval = re.search(r'modparam\("nathelper", "natping_interval", (\d+)\)', text)
    assert interval
    assert 0 < int(interval[1]) < 30
    assert "nathelper" not in render(PLAIN).file("kamailio/kamailio.cfg").text
