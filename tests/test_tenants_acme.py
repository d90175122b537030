"""Certificates of tenants by ACME, each for itself: had, renewed, lost; a real CA, a real wire."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterator

import acme_ground
import ground
import lanes
import pytest
import ways
from cryptography import x509

pytestmark = [pytest.mark.engine, pytest.mark.slow(60)]

PROVIDER, BIG, SMALL = "203.0.113.10", "203.0.113.11", "203.0.113.12"
NAMES = {BIG: "sbc.big.example", SMALL: "sbc.small.example"}
CAS = {BIG: "acme.example.net", SMALL: "acme2.example.net"}


def tenant(address: str) -> dict[str, object]:
    """A customer whose certificate comes from a CA of its own."""
    acme = {"email": "ops@example.com", "directory": f"https://{CAS[address]}/dir"}
    return {
        "fqdn": NAMES[address],
        "address": address,
        "certificate": {"acme": acme},
        "numbers": [f"+49{address[-2:]}"],
    }


class Provider(ground.Ground):
    """A machine whose SBC serves customers with certificates of their own."""

    def say(self, *addresses: str) -> None:
        self.write_site()
        said = {"a": {"fqdn": "a.sbc.example.com", "numbers": ["+4899"]}}
        said |= {NAMES[each].split(".")[1]: tenant(each) for each in addresses}
        with (self.folder / "site.yaml").open("a") as file:
            file.write(f"tenants: {json.dumps(said)}\n")

    def shown(self, address: str) -> x509.Certificate:
        """What the listener there shows."""
        words = f"import ssl; print(ssl.get_server_certificate(({address!r}, 5061)))"
        ran = self.run(sys.executable, "-W", "ignore", "-c", words)
        return x509.load_pem_x509_certificate(ran.stdout.encode())

    def serials(self, *addresses: str) -> dict[str, int]:
        return {address: self.shown(address).serial_number for address in addresses}

    def cert(self, *words: str, code: int = 0) -> str:
        ran = self.run(*self.words("cert", *words), code=code)
        return ran.stdout + ran.stderr

    def listed(self, code: int = 0) -> dict[str, dict]:
        """What `cert list` says of each tenant's, by its name at Microsoft."""
        told = json.loads(self.run(*self.words("cert", "list", "-o", "json"), code=code).stdout)
        return {each["name"]: each for each in told["own_certificates"]}

    def make_due(self, address: str) -> None:
        """As if its CA had said that it is time."""
        now, serial = dt.datetime.now(dt.UTC), self.shown(address).serial_number
        past = {"begin": now - dt.timedelta(hours=2), "end": now - dt.timedelta(hours=1)}
        window = {"identity": f"{serial:x}", "reason": "", **past}
        noted = {"failed": [], "window": window, "ask_again": now + dt.timedelta(hours=1)}
        text = json.dumps(noted, default=lambda each: each.isoformat())
        (self.state / f"renewal.{NAMES[address]}.json").write_text(text)


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[Provider]:
    if reason := lanes.missing(lane):
        pytest.skip(reason)
    with Provider(tmp_path_factory.mktemp("a"), lanes.root(lane)) as made:
        made.write_pair("sbc", "sbc.example.com", "*.sbc.example.com", number=2)
        for address in NAMES:
            made.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        made.say()
        made.apply()
        yield made


def test_each_is_had_renewed_and_lost_by_itself(machine, lane):
    """The first one, a renewal, and a customer whose CA is away, who holds up nobody."""
    ours = machine.serials(PROVIDER)
    machine.say(BIG)
    before = machine.run(*machine.words("history", "-o", "json")).stdout
    refused = machine.apply(code=1).stderr
    assert "tenant big: no certificate for sbc.big.example from https://acme.example" in refused
    assert "tenants.big.certificate.acme.directory" in refused
    machine.start_acme()
    refused = machine.apply(code=1).stderr
    assert "by the name sbc.big.example: check its DNS record" in refused
    assert machine.run(*machine.words("history", "-o", "json")).stdout == before
    assert machine.serials(PROVIDER) == ours

    machine.set_names({**ground.NAMES, **{name: each for each, name in NAMES.items()}})
    said = json.loads(machine.apply("-o", "json").stdout)
    kinds = [step["kind"] for step in said["steps"]]
    assert kinds[0] == "install-certificate"
    assert kinds[-1] == "restart-kamailio"
    assert "Pebble" in machine.shown(BIG).issuer.rfc4514_string()
    assert machine.serials(PROVIDER) == ours
    assert json.loads(machine.apply("-o", "json").stdout)["steps"] == []
    told = machine.listed()["sbc.big.example"]
    assert (told["on_wire"], told["decision"]["do"]) == (True, "nothing")
    assert f"next for sbc.big.example: {told['next']}" in machine.cert("list")
    assert "sbc.big.example, until" in machine.run(*machine.words("status")).stdout
    assert machine.cert("renew") == ""

    # The second customer's CA is away: nobody is taken in by halves, nobody else notices.
    both = machine.serials(PROVIDER, BIG)
    machine.say(BIG, SMALL)
    assert "tenant small: no certificate for sbc.small" in machine.apply(code=1).stderr
    assert machine.serials(PROVIDER, BIG) == both
    machine.start_acme(CAS[SMALL])
    machine.apply()
    assert machine.serials(PROVIDER, BIG) == both
    renew_one(machine, lane)
    renew_both(machine)


def renew_one(machine: Provider, lane: str) -> None:
    """By force; the others show what they showed, and Kamailio goes on where it can."""
    pids = [told["Pid"] for told in machine.statuses("kamailio")]
    before = machine.serials(PROVIDER, BIG, SMALL)
    said = machine.cert("renew", "--force=sbc.big.example")
    assert "a new certificate serves" in said
    assert f"({'reload-tls' if lane == 'debian13' else 'restart-kamailio'})" in said.replace(
        "install-certificate, ", ""
    )
    after = machine.serials(PROVIDER, BIG, SMALL)
    assert {each for each in after if after[each] != before[each]} == {BIG}
    assert ([t["Pid"] for t in machine.statuses("kamailio")] == pids) is (lane == "debian13")
    assert "no certificate for sbc.x.example" in machine.cert(
        "renew", "--force=sbc.x.example", code=64
    )


def renew_both(machine: Provider) -> None:
    """Both are due and one CA is away: the other is renewed, the error says whose and what."""
    before = machine.serials(PROVIDER, BIG, SMALL)
    for address in (BIG, SMALL):
        machine.make_due(address)
    assert machine.listed(code=1)["sbc.small.example"]["decision"]["do"] == "renew"
    machine.run("pkill", "-f", f"{CAS[SMALL]}.json")
    failed = machine.cert("renew", code=1)
    assert "tenant small: no certificate for sbc.small.example" in failed
    assert "tenants.small.certificate.acme.directory" in failed
    after = machine.serials(PROVIDER, BIG, SMALL)
    assert {each for each in after if after[each] != before[each]} == {BIG}
    noted = json.loads((machine.state / "renewal.sbc.small.example.json").read_text())
    assert len(noted["failed"]) == 1
    assert json.loads((machine.state / "renewal.sbc.big.example.json").read_text())["failed"] == []

    # Four in an hour, its own alone; an apply of something else passes all the same.
    for _ in range(3):
        machine.cert("renew", code=1)
    refused = machine.cert("renew", code=1)
    assert "no CA is asked for a certificate for sbc.small.example before" in refused
    assert machine.apply("-o", "json").stdout
    machine.cert("renew", "--force=sbc.big.example", code=1)
    again = machine.serials(PROVIDER, BIG, SMALL)
    assert {each for each in again if again[each] != after[each]} == {BIG}


KILLS = (".renewal.sbc.big.example.json.new", ".journal.json.new", "certificates/.current.new")
"""When the certificate was obtained, before it is switched to, and when it was."""


@pytest.mark.parametrize("lane", ways.LANES)
def test_whatever_a_kill_leaves_the_next_renewal_heals_it(machine):
    acme_ground.start_front(machine)
    machine.set_names({**ground.NAMES, **{name: each for each, name in NAMES.items()}})
    machine.say(BIG)
    machine.apply()
    ours = machine.serials(PROVIDER)
    for place in KILLS:
        before = machine.serials(BIG)
        machine.make_due(BIG)
        trace = machine.folder / "trace"
        # The first rename of its attempts is before the CA is asked: of the second it dies.
        at = ":when=2" if "renewal" in place else ""
        kill = (
            "strace",
            "-f",
            "-o",
            str(trace),
            "-P",
            str(machine.state / place),
            "-e",
            "trace=rename",
        )
        kill += ("-e", f"inject=rename:signal=KILL{at}")
        machine.run(*kill, *machine.words("cert", "renew"), code=None)
        assert "+++ killed by SIGKILL +++" in trace.read_text(), place
        assert machine.serials(BIG) == before, place
        orders = len(acme_ground.asked(machine, "newOrder"))
        machine.cert("renew")
        assert machine.serials(BIG) != before, place
        assert machine.serials(PROVIDER) == ours
        # What the dead one obtained is what serves: nobody is asked once more.
        assert len(acme_ground.asked(machine, "newOrder")) == orders, place
        assert machine.cert("renew") == ""
        assert machine.listed()[NAMES[BIG]]["on_wire"]
