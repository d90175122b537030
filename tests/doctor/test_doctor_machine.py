"""What doctor says about the clock, port 80, the CA and what is to come."""

from __future__ import annotations

import datetime as dt
import os
import socket

import certs
import listening
import pytest

from orchestrator.doctor import calendar, finding, judge, seen
from orchestrator.host import clock, ports, web
from orchestrator.site import acme, load

SITE = """
version: 1
site: fra1
node: {public_address: 203.0.113.10}
teams: {fqdn: sbc.example.com}
certificate: {acme: {email: ops@example.com}}
trunks: {office: {kind: pbx, gateways: ["sip:192.0.2.20"]}}
"""
BOUGHT = SITE.replace("{acme: {email: ops@example.com}}", "{files: {chain: /c, key: /k}}")
FORWARDED = SITE.replace("{email", "{http_port: 8080, email")
NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
CA = certs.Ca()


def told(check: str, found: seen.Seen, text: str = SITE, now: dt.datetime = NOW):
    site = load.load_site(text.encode(), "site.yaml")
    [one] = [each for each in judge.judge(site, found, now) if each.check == check]
    return one


def answered(answer: web.Answer) -> seen.Seen:
    return seen.Seen(applied=False, directories={acme.LETS_ENCRYPT: answer})


def asked(tmp_path, off: float) -> seen.Seen:
    """A directory that was asked over HTTPS, whose clock is off."""
    (tmp_path / "ca.pem").write_bytes(CA.pem)
    with listening.directory(off, tmp_path, CA) as port:
        answer = web.get(f"https://localhost:{port}/dir", trusted=str(tmp_path / "ca.pem"))
    return answered(answer)


def test_a_directory_that_answers_and_a_clock_that_agrees(tmp_path):
    found = asked(tmp_path, 0)
    assert told("acme", found).level is finding.Level.OK
    assert told("clock", found).level is not finding.Level.PROBLEM


@pytest.mark.parametrize(
    ("off", "words"), [(-86400, "is 24 hours ahead of"), (260000, "is 3 days behind")]
)
def test_a_clock_that_is_off_is_a_problem(tmp_path, off, words):
    one = told("clock", asked(tmp_path, off))
    assert one.level is finding.Level.PROBLEM
    assert words in one.seen


def test_a_directory_that_this_machine_does_not_trust(tmp_path):
    (tmp_path / "ca.pem").write_bytes(certs.Ca("Other").pem)
    with listening.directory(0, tmp_path, CA) as port:
        answer = web.get(f"https://localhost:{port}/dir", trusted=str(tmp_path / "ca.pem"))
    one = told("acme", answered(answer))
    assert one.level is finding.Level.PROBLEM
    assert "its own certificate was refused" in one.seen


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"hello", "is no JSON"), (b"[]", "no JSON object"), (b"{}", "what it answered is none")],
)
def test_a_web_server_that_is_no_directory(tmp_path, body, words):
    (tmp_path / "ca.pem").write_bytes(CA.pem)
    chain = CA.leaf("localhost") + CA.pem
    with listening.shower(tmp_path, chain, answer=body) as port:
        answer = web.get(f"https://localhost:{port}/", trusted=str(tmp_path / "ca.pem"))
    one = told("acme", answered(answer))
    assert one.level is finding.Level.PROBLEM
    assert words in one.seen


def test_a_ca_that_is_not_there(tmp_path):
    (tmp_path / "ca.pem").write_bytes(CA.pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = web.get(f"https://127.0.0.1:{port}/dir", trusted=str(tmp_path / "ca.pem"))
    one = told("acme", answered(answer))
    assert "Connection refused" in one.seen


@pytest.mark.parametrize(
    ("more", "meta", "check", "level", "words"),
    [
        ("profile: short", {"profiles": {"classic": "x"}}, "profile", "warning", "it has classic"),
        ("profile: short", {}, "profile", "warning", "it has none at all"),
        (
            "profile: short, profile_required: true",
            {"profiles": {"classic": "x"}},
            "profile",
            "problem",
            "has no profile short",
        ),
        ("key_size: 3072", {"externalAccountRequired": True}, "account", "problem", "(eab)"),
    ],
)
def test_what_a_ca_does_not_have_or_wants(more, meta, check, level, words):
    answer = web.Answer(content={"newOrder": "x", "meta": meta})
    one = told(check, answered(answer), SITE.replace("{email", f"{{{more}, email"))
    assert str(one.level) == level
    assert words in one.seen


def test_nobody_needs_port_80_for_a_proof_by_dns():
    by_dns = SITE.replace("{email", "{dns: {hook: {auth: /usr/bin/put}}, email")
    site = load.load_site(by_dns.encode(), "site.yaml")
    found = seen.Seen(applied=False, listeners=(ports.Listener("nginx", 1),))
    assert "port-80" not in {each.check for each in judge.judge(site, found, NOW)}
    left = judge.not_checked(site, offline=True, applied=False)
    assert not [each for each in left if "port 80" in each]


def test_who_listens_on_a_port_is_named():
    name = ports.Path("/proc/self/comm").read_text().strip()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert ports.listeners(port) == (ports.Listener(name, os.getpid()),)
        one = told("port-80", seen.Seen(applied=False, listeners=ports.listeners(port)))
    assert one.level is finding.Level.WARNING
    assert f"{name} (process {os.getpid()}) listens on port 80" in one.seen
    assert ports.listeners(port) == ()
    free = told("port-80", seen.Seen(applied=False, listeners=()))
    assert free.level is finding.Level.OK


def test_another_port_than_80_must_be_forwarded():
    one = told("port-80", seen.Seen(applied=False, listeners=()), FORWARDED)
    assert one.level is finding.Level.HINT
    assert one.path == ("certificate", "acme", "http_port")


def test_the_kernel_tells_of_its_clock():
    told_by_kernel = clock.read()
    assert told_by_kernel.kept in (True, False)
    assert told_by_kernel.error >= 0


@pytest.mark.parametrize(
    ("steered", "level"),
    [
        (clock.Steered(kept=True), "ok"),
        (clock.Steered(kept=False), "warning"),
        (clock.Steered(kept=None), "hint"),
        (None, "hint"),
    ],
)
def test_a_clock_that_nobody_keeps_is_a_warning(steered, level):
    assert str(told("clock", seen.Seen(applied=False, steered=steered)).level) == level


@pytest.mark.parametrize(
    ("text", "now", "level", "words"),
    [
        (SITE, "2026-11-26", "ok", "on 2027-02-10 Let's Encrypt issues certificates for 64 days"),
        (SITE, "2027-01-20", "hint", "on 2027-02-10"),
        (SITE, "2027-02-10", "ok", "on 2028-02-16 Let's Encrypt issues certificates for 45"),
        (BOUGHT, "2026-11-26", "ok", "on 2027-03-15 every public CA issues for 100 days"),
        (BOUGHT, "2027-03-15", "ok", "on 2029-03-15 every public CA issues for 47 days"),
        (SITE, "2027-12-01", "hint", "is of 2026-11-26"),
        (SITE, "2026-01-01", "ok", "on 2026-06-30 Microsoft shows certificates of any of seven"),
    ],
)
def test_what_changes_next(text, now, level, words):
    one = told("dates", seen.Seen(applied=False), text, dt.datetime.fromisoformat(f"{now}T00Z"))
    assert str(one.level) == level
    assert words in one.seen


def test_the_dates_are_in_order_and_have_sources():
    days = [change.day for change in calendar.CHANGES]
    assert days == sorted(days)
    assert all(change.source for change in calendar.CHANGES)


def test_what_nobody_can_know_from_here_is_said():
    site = load.load_site(SITE.encode(), "site.yaml")
    told_offline = judge.not_checked(site, offline=True, applied=False)
    assert "DNS" in told_offline
    assert "whether the CA reaches port 80 from outside" in told_offline
    assert judge.not_checked(site, offline=False, applied=True)[-1].startswith("whether Microsoft")
