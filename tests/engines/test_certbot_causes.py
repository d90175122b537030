"""Every way not to get a certificate, each with its cause, from a real CA and a real DNS server.

certbot runs on this machine, whatever the engines are from: one lane is enough.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
import sys
from collections.abc import Iterator

import acme_ground
import certs
import ground
import pytest
from cryptography import x509

from orchestrator.lab import acme_front, addresses

pytestmark = [pytest.mark.engine, pytest.mark.slow(40)]

OTHER = "acme2.example.net"
HMAC = "-Wjnvjr4R1Rg1Cn4TmZ0YcXuBWWlVyRFqhPVAgmZzBk"
EAB = "eab: {kid: kid-1, hmac: {env: EAB_HMAC}}"
LIMITED = {"status": 429, "type": "rateLimited", "detail": "too many certificates"}
UPDATES = acme_ground.UPDATES


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine with BIND, a CA behind the front, and a second CA that knows its customers."""
    with ground.Ground(tmp_path_factory.mktemp("w"), None) as made:
        acme_ground.start_bind(made)
        acme_ground.start_front(made, dns=acme_ground.BIND)
        known = {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"kid-1": HMAC}}
        made.start_acme(OTHER, dns=acme_ground.BIND, **known)
        yield made


@pytest.fixture(autouse=True)
def good_mood(machine) -> Iterator[None]:
    acme_ground.set_mood(machine)
    yield
    acme_ground.set_mood(machine)


def failed(machine, words: str = "", **more) -> dict[str, str]:
    told = acme_ground.obtain(machine, words, **more)
    assert told["cause"], "a certificate was obtained"
    assert addresses.TSIG_SECRET not in str(told)
    return told


def obtained(machine, words: str = "", **more) -> tuple[x509.Certificate, str]:
    told = acme_ground.obtain(machine, words, **more)
    assert not told["cause"], told
    return x509.load_pem_x509_certificates(told["chain"].encode())[0], told["directory"]


# -- the CA -----------------------------------------------------------------------------------


def test_a_ca_that_hangs_up(machine):
    acme_ground.set_mood(machine, closed=True)
    told = failed(machine)
    assert told["cause"] == "ca-down"
    assert "cannot be reached from here" in told["hint"]


def test_a_ca_that_is_out_of_order_and_says_until_when(machine):
    down = {"status": 503, "type": "serverInternal", "retry_after": "900"}
    acme_ground.set_mood(machine, refuse={"newOrder": down})
    told = failed(machine)
    assert told["cause"] == "ca-down"
    assert 800 < seconds_until(told["retry_at"]) <= 900


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_ca_that_asks_for_patience(machine, form):
    """Retry-After is a value, so that renewal can honour it; the hint says it to the minute."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    wait = "3600" if form == "seconds" else email.utils.format_datetime(end, usegmt=True)
    acme_ground.set_mood(machine, refuse={"newOrder": {**LIMITED, "retry_after": wait}})
    told = failed(machine)
    assert told["cause"] == "limited"
    assert 3500 < seconds_until(told["retry_at"]) <= 3600
    at = dt.datetime.fromisoformat(told["retry_at"])
    assert f"it names {at:%Y-%m-%d %H:%M}Z" in told["hint"]
    assert "too many certificates" in told["words"]


def test_apply_tells_programs_the_cause_and_the_time(machine):
    acme_ground.set_mood(machine, refuse={"newOrder": {**LIMITED, "retry_after": "3600"}})
    files = f"files: {{chain: {machine.folder}/sbc.chain, key: {machine.folder}/sbc.key}}"
    acme = f"{{email: ops@example.com, directory: 'https://{acme_ground.HOST}/dir'}}"
    machine.write_site((files, f"acme: {acme}"))
    told = json.loads(machine.apply("--output", "json", code=1).stdout)
    assert told["cause"] == "limited"
    assert 3500 < seconds_until(told["retry_at"]) <= 3600
    assert not (machine.state / "current").is_symlink()


def test_a_storm_of_refused_nonces(machine):
    storm = {"status": 400, "type": "badNonce", "detail": "JWS has an invalid anti-replay nonce"}
    acme_ground.set_mood(machine, refuse={"*": storm})
    told = failed(machine)
    assert told["cause"] == "nonce"
    assert "refuses its own nonces" in told["hint"]


def test_a_clock_that_is_a_day_off(machine):
    """The CA's Date tells, whatever else it says."""
    no = {"status": 400, "type": "rejectedIdentifier", "detail": "no"}
    acme_ground.set_mood(machine, refuse={"newOrder": no}, date_offset=86400)
    told = failed(machine)
    assert told["cause"] == "clock"
    assert "24 h 00 min behind the CA's" in told["hint"]


def test_a_ca_whose_certificate_begins_tomorrow(machine):
    """What a clock that is a day behind makes of a CA that has just renewed its own."""
    key = certs.rsa_key(4)
    tomorrow = machine.ca.leaf(OTHER, key=key, begin=dt.timedelta(days=1))
    chain = machine.folder / "early.chain"
    chain.write_bytes(tomorrow + machine.ca.pem)
    program = (
        "import ssl, socket; c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER);"
        f"c.load_cert_chain('{chain}', '{machine.folder}/{OTHER}.key');"
        "s = socket.create_server(('198.51.100.81', 444)); print('up', flush=True)\n"
        "while True:\n"
        " try: c.wrap_socket(s.accept()[0], server_side=True)\n"
        " except OSError: pass"
    )
    early = machine.start("python3", "-c", program)
    assert early.stdout
    assert early.stdout.readline() == b"up\n"
    told = failed(machine, f"directory: 'https://{OTHER}:444/dir'")
    assert told["cause"] == "clock"
    assert "compare this machine's clock" in told["hint"]


# -- the proof --------------------------------------------------------------------------------


def test_port_80_is_taken(machine):
    code = "import socket,signal;s=socket.create_server(('',8080));print('up',flush=True);"
    holder = machine.start("python3", "-c", f"{code}signal.pause()")
    assert holder.stdout
    assert holder.stdout.readline() == b"up\n"
    told = failed(machine, "http_port: 8080")
    assert told["cause"] == "port-taken"
    assert "port 8080 is taken" in told["hint"]


def test_the_wrong_machine_answers(machine):
    told = failed(machine, name=addresses.SECURE_HOST)
    assert told["cause"] == "challenge"
    assert "port 80 by the name secure.example.com" in told["hint"]


@pytest.mark.parametrize(
    ("before", "after", "cause", "said"),
    [
        ("198.51.100.53", "198.51.100.99", "dns-silent", "does not answer"),
        ("key_name: sbc", "key_name: other", "dns-refused", "know the key"),
        ("env: TSIG_SECRET", "env: WRONG", "dns-refused", "like the signature"),
    ],
)
def test_a_dns_server_that_is_dead_or_refuses(machine, before, after, cause, said):
    assert before in UPDATES
    told = failed(machine, UPDATES.replace(before, after), env={"WRONG": "d3Jvbmc="})
    assert told["cause"] == cause
    assert said in told["words"] + told["hint"]
    assert "the DNS server 198.51.100." in told["hint"]


def test_a_key_that_may_not_write_there(machine):
    """The zone of the company itself takes no updates; only those of the proofs do."""
    told = failed(machine, f"{UPDATES}, names: [pbx.example.com]")
    assert told["cause"] == "dns-refused"
    assert "REFUSED" in told["words"]
    assert acme_ground.txt_records(machine) == []


def test_a_name_of_no_zone_of_that_server(machine):
    told = failed(machine, UPDATES, name="sbc.example.org")
    assert told["cause"] == "dns-zone"


def test_a_program_that_fails(machine):
    told = failed(machine, "dns: {hook: {auth: /bin/false}}")
    assert told["cause"] == "hook"
    assert "run it by hand" in told["hint"]


def test_programs_of_the_operator_prove_a_wildcard(machine):
    """They get the name without the asterisk, and the text of the record; then they clean up."""
    program = (
        "import os, sys, dns.query, dns.tsig, dns.tsigkeyring, dns.update\n"
        "keys = dns.tsigkeyring.from_text({'sbc.example.com': os.environ['TSIG_SECRET']})\n"
        "zone = '_acme-challenge.' + os.environ['CERTBOT_DOMAIN']\n"
        "update = dns.update.Update(zone, keyring=keys, keyalgorithm=dns.tsig.HMAC_SHA256)\n"
        "text = os.environ['CERTBOT_VALIDATION']\n"
        "add = sys.argv[0].endswith('add')\n"
        "update.add('@', 5, 'TXT', text) if add else update.delete('@', 'TXT', text)\n"
        "assert dns.query.tcp(update, '198.51.100.53', 5).rcode() == 0\n"
    )
    for name in ("add", "remove"):
        (machine.folder / name).write_text(f"#!{sys.executable}\n{program}")
        (machine.folder / name).chmod(0o755)
    hook = f"{{auth: {machine.folder}/add, cleanup: {machine.folder}/remove}}"
    leaf, _ = obtained(machine, f"dns: {{hook: {hook}}}, names: ['*.customers.example.com']")
    assert names_in(leaf) == ["*.customers.example.com", "sbc.example.com"]
    assert acme_ground.txt_records(machine) == []


def test_a_program_that_writes_nothing(machine):
    told = failed(machine, "dns: {hook: {auth: /bin/true}}")
    assert told["cause"] == "challenge"
    assert "did not find the TXT record" in told["hint"]


# -- accounts, profiles, a second CA ----------------------------------------------------------


def test_an_account_that_the_ca_wants_to_know(machine):
    """Without it: said so. With it: a certificate, and no command line ever held the key."""
    second = f"fallback: {{directory: 'https://{OTHER}/dir'}}"
    assert failed(machine, f"{UPDATES}, {second}", ca=1)["cause"] == "account"
    spy = machine.folder / "spy"
    spy.write_text(
        "#!/bin/sh\ncat /proc/[0-9]*/cmdline | tr '\\0' '\\n' >>"
        f"{machine.folder}/seen; ls -lR {machine.folder}/acme >>{machine.folder}/seen; exit 3\n"
    )
    spy.chmod(0o755)
    known = f"fallback: {{directory: 'https://{OTHER}/dir', {EAB}}}"
    hooked = failed(machine, f"dns: {{hook: {{auth: {spy}}}}}, {known}", ca=1, env=WITH_HMAC)
    assert hooked["cause"] == "hook"
    seen = (machine.folder / "seen").read_text()
    assert "--config" in seen
    assert HMAC not in seen
    assert re.search(r"^-rw------- .* account$", seen, re.MULTILINE)
    _, directory = obtained(machine, f"{UPDATES}, {known}", ca=1, env=WITH_HMAC)
    assert directory == f"https://{OTHER}/dir"
    assert acme_ground.txt_records(machine) == []
    nothing_secret_is_left(machine)


def test_an_account_with_the_wrong_key(machine):
    known = f"fallback: {{directory: 'https://{OTHER}/dir', {EAB.replace('kid-1', 'kid-2')}}}"
    words = f"{UPDATES}, email: other@example.com, {known}"
    told = failed(machine, words, ca=1, env={"EAB_HMAC": "d3Jvbmc"}, folder="acme-other")
    assert told["cause"] == "account", told


def test_a_secret_that_is_no_base64_is_not_shown(machine):
    code = acme_ground.obtain_words(machine, UPDATES.replace("TSIG_SECRET", "WRONG"))
    ran = machine.run(*code, code=1, env={"WRONG": "no base64, but a secret"})
    assert "certificate.acme.dns.rfc2136.secret is not in base64" in ran.stderr
    assert "but a secret" not in ran.stderr


def test_what_a_killed_run_left_is_removed(machine):
    stale = machine.folder / "acme" / "secrets"
    stale.mkdir(parents=True)
    (stale / "dns").write_text("secret")
    acme_ground.set_mood(machine, closed=True)
    failed(machine)
    assert not stale.exists()


WITH_HMAC = {"EAB_HMAC": HMAC}


def nothing_secret_is_left(machine) -> None:
    for path in (machine.folder / "acme").rglob("*"):
        if path.is_file():
            for secret in (HMAC, addresses.TSIG_SECRET):
                assert secret.encode() not in path.read_bytes(), path


def test_a_profile_is_a_wish_or_a_demand(machine):
    obtained(machine, f"{UPDATES}, profile: gone")
    assert "profile" not in acme_ground.asked(machine, "newOrder")[-1]["payload"]
    told = failed(machine, f"{UPDATES}, profile: gone, profile_required: true")
    assert told["cause"] == "profile"


def test_other_names_and_a_larger_key_replace_what_was_there(machine):
    """The same lineage; and the front says when the new one is to be renewed (RFC 9773)."""
    first, directory = obtained(machine, UPDATES)
    assert directory == f"https://{acme_ground.HOST}/dir"
    more = "names: ['*.customers.example.com'], key_size: 3072, profile: classic"
    second, _ = obtained(machine, f"{UPDATES}, {more}")
    assert acme_ground.asked(machine, "newOrder")[-1]["payload"]["profile"] == "classic"
    assert (first.public_key().key_size, second.public_key().key_size) == (2048, 3072)
    assert [names_in(each) for each in (first, second)] == [
        ["sbc.example.com"],
        ["*.customers.example.com", "sbc.example.com"],
    ]
    window_is_two_days_from_two_thirds(machine, second)


def window_is_two_days_from_two_thirds(machine, leaf: x509.Certificate) -> None:
    code = (
        "import sys, urllib.request\nprint(urllib.request.urlopen(sys.argv[1]).read().decode())\n"
    )
    bundle = {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
    url = f"https://{acme_ground.HOST}/renewal-info/{acme_front.certificate_id(leaf)}"
    window = json.loads(machine.run("python3", "-c", code, url, env=bundle).stdout)
    begin, end = map(dt.datetime.fromisoformat, window["suggestedWindow"].values())
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert (begin - leaf.not_valid_before_utc) / life == pytest.approx(2 / 3, abs=1e-6)
    assert end - begin == dt.timedelta(days=2)


def names_in(leaf: x509.Certificate) -> list[str]:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(names.get_values_for_type(x509.DNSName))


def seconds_until(moment: str) -> float:
    return (dt.datetime.fromisoformat(moment) - dt.datetime.now(dt.UTC)).total_seconds()
