"""Customers come and go while Kamailio runs: row by row, and all are there after a restart."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import sys
import threading
from collections.abc import Iterator

import certs
import ground
import lanes
import provider
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from orchestrator import proof
from orchestrator.engines import kamailio
from orchestrator.render import tables, wanted

pytestmark = [pytest.mark.engine, pytest.mark.slow(15)]

_BIG, _PROVIDER = ("sbc.big.example", "203.0.113.11"), ("sbc.example.com", "203.0.113.10")
_ASKS = "198.51.100.81"


@pytest.fixture(scope="module")
def machine(lane: str, tmp_path_factory) -> Iterator[provider.Provider]:
    with provider.Provider(tmp_path_factory.mktemp("w"), lanes.root(lane)) as made:
        made.write_pair("sbc", "sbc.example.com", "*.sbc.example.com", number=2)
        made.say("a", "b")
        made.apply()
        yield made


def numbers(*names: str) -> dict[str, str]:
    rows = {"/8": "6,0"}
    for name in names:
        fqdn, place = f"{name}.sbc.example.com", f"{ord(name):03}"
        rows |= {f"r8/+49{place}": fqdn, f"=+48{place}": fqdn}
    return rows


def fqdns(*names: str) -> dict[str, str]:
    return {f"{name}.sbc.example.com": f"n={name}" for name in names}


def test_a_customer_comes_and_another_goes(machine):
    """Rows are set and taken away by name; nothing is read again, nothing restarts."""
    machine.say("a", "b")
    machine.apply()
    before = machine.statuses("kamailio")
    # As many rows as there were, and the seal: what a reload would put right stays.
    machine.rpc.call("htable.sets", "number", "=+48097", "b.sbc.example.com")

    machine.say("a", "c")
    assert machine.steps() == ["commit", "reload-table", "reload-table"]

    assert machine.held("tenant") == fqdns("a", "c")
    assert machine.held("number") == numbers("a", "c") | {"=+48097": "b.sbc.example.com"}
    machine.say("a", "c", caller_id={"policy": "own", "main": "+4909701"})
    assert machine.steps() == ["commit", "reload-table"]
    assert machine.held("tenant")["a.sbc.example.com"] == "n=a;cid=own/+4909701"
    assert [told["Pid"] for told in machine.statuses("kamailio")] == [t["Pid"] for t in before]
    machine.say("a", "c")
    machine.apply()
    machine.rpc.call("htable.sets", "number", "=+48097", "a.sbc.example.com")
    assert machine.steps() == []


def test_two_customers_swap_their_names(machine):
    """Every row of both is another one then; all are right in the end, and nothing restarts."""
    machine.say("a", "b", limits={"calls": 5})
    machine.apply()
    before = machine.statuses("kamailio")
    site = machine.folder / "site.yaml"
    names = {"a.sbc.example.com": "b.sbc.example.com", "b.sbc.example.com": "a.sbc.example.com"}
    site.write_text(re.sub(r"[ab]\.sbc\.example\.com", lambda m: names[m[0]], site.read_text()))

    assert machine.steps() == ["commit", "reload-table", "reload-table"]

    assert machine.held("tenant") == {
        "b.sbc.example.com": "n=a;max=5",
        "a.sbc.example.com": "n=b",
    }
    assert machine.held("number") == {
        key: names.get(value, value) for key, value in numbers("a", "b").items()
    }
    assert [told["Pid"] for told in machine.statuses("kamailio")] == [t["Pid"] for t in before]
    assert machine.steps() == []


def test_a_customer_that_is_renamed_misses_no_call(machine):
    """Whatever name a number leads to at some moment, it is a customer's."""
    wide = {"numbers": [f"+47{place:03}" for place in range(400)]}
    machine.say("a", "b", **wide)
    machine.apply()
    done, orphans = threading.Event(), []

    def watch() -> None:
        while not done.is_set():
            for key in ("=+47000", "=+47399"):
                owner = kamailio.table_value(machine.rpc, "number", key)
                if owner is None or kamailio.table_value(machine.rpc, "tenant", owner):
                    continue
                # Between the two questions it may have become another's.
                if kamailio.table_value(machine.rpc, "number", key) == owner:
                    orphans.append((key, owner))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        machine.say("a", "b", fqdn="new.sbc.example.com", **wide)
        assert machine.steps() == ["commit", "reload-table", "reload-table"]
        machine.say("a", "b", **wide)
        machine.apply()
    finally:
        done.set()
        watching.join()
    assert orphans == []


def test_a_saved_plan_needs_no_file_of_a_customer_any_more(machine):
    """What was approved is done, whatever became of the file; without the plan its end is told."""
    machine.say("a", "b")
    machine.apply()
    site, plan = machine.folder / "site.yaml", str(machine.folder / "plan.json")
    late = machine.folder / "tenants.d/c.yaml"
    late.parent.mkdir(exist_ok=True)
    late.write_text("c: {fqdn: c.sbc.example.com, numbers: [+48099, +4909900-+4909999]}\n")
    text = site.read_text().replace("tenants: {", "tenants: {include: tenants.d/*.yaml, ")
    site.write_text(text)
    machine.run(*machine.words("plan", str(site), "--out", plan))
    late.unlink()

    for asked in (fqdns("a", "b"), fqdns("a", "b", "c")):
        refused = machine.apply(code=3)
        assert "tenants.d/*.yaml" in refused.stderr
        assert "nothing was changed" in refused.stderr
        assert machine.held("tenant") == asked
        if asked == fqdns("a", "b"):
            machine.run(*machine.words("apply", plan))
    assert machine.held("number") == numbers("a", "b", "c")

    # One that a plan would take away is not taken away by a plan of before.
    late.write_text("c: {fqdn: c.sbc.example.com, numbers: [+48099]}\n")
    machine.run(*machine.words("plan", str(site), "--out", plan))
    machine.say("a", "b")
    machine.apply()
    stale = machine.run(*machine.words("apply", plan), code=1)
    assert "the plan is stale and nothing was changed" in stale.stderr
    assert machine.held("tenant") == fqdns("a", "b")


def test_a_table_without_its_seal_is_read_again(machine):
    """A change that broke off, or a row too many or too few, shows in the plan and is mended."""
    machine.say("a", "b")
    machine.apply()
    for spoil in (
        ("htable.sets", "number", tables.SEAL, "0"),
        ("htable.sets", "number", "=+1", "a.sbc.example.com"),
        ("htable.delete", "number", "=+48097"),
    ):
        machine.rpc.call(*spoil)
        assert machine.steps() == ["reload-table"], spoil
        assert machine.held("number") == numbers("a", "b")


def test_a_restart_comes_back_with_all_of_them(machine):
    """Rows that were set one by one stand in the files as well, and what Kamailio starts from is
    made anew when somebody has damaged it."""
    machine.say("a")
    machine.apply()
    machine.say("a", "b", "c", "d")
    machine.apply()
    database = machine.state / "current" / wanted.DATABASE
    database.write_bytes(b"")
    drift = machine.run(*machine.words("status"), code=1).stdout
    assert f"changed by somebody else: {wanted.DATABASE}" in drift
    for told in machine.statuses("kamailio"):
        machine.run("kill", "-9", told["Pid"], code=None)
    assert machine.steps() == ["commit", "start-kamailio"]
    assert machine.held("tenant") == fqdns("a", "b", "c", "d")
    assert machine.held("number") == numbers("a", "b", "c", "d")
    assert machine.steps() == []


def test_rows_out_of_a_changed_database_go(machine):
    """Whether Kamailio was started from it nobody knows, and its rows are as many."""
    machine.say("a", "b")
    machine.apply()
    path = machine.state / "current" / wanted.DATABASE
    with contextlib.closing(sqlite3.connect(path)) as changed, changed:
        named = "key_value = 'a.sbc.example.com' WHERE key_name = '=+48098'"
        changed.execute(f"UPDATE number SET {named}")
    machine.rpc.call("htable.reload", "number")
    assert machine.held("number")["=+48098"] == "a.sbc.example.com"
    machine.say("a", "b", caller_id={"policy": "own", "main": "+4909701"})
    assert machine.steps() == ["commit", "reload-table", "reload-table"]
    assert machine.held("number") == numbers("a", "b")

    # A row that was changed in Kamailio alone is not seen; without the file all are read again.
    machine.rpc.call("htable.sets", "number", "=+48098", "a.sbc.example.com")
    assert machine.steps() == []
    assert machine.held("number") != numbers("a", "b")
    pids = [told["Pid"] for told in machine.statuses("kamailio")]
    (machine.state / "current" / wanted.DATABASE).unlink()
    assert machine.steps() == ["commit", "reload-table", "reload-table"]
    assert machine.held("number") == numbers("a", "b")
    assert [told["Pid"] for told in machine.statuses("kamailio")] == pids


# -- a trunk of its own -------------------------------------------------------------------------


def write_both(machine: provider.Provider, name: str, *names: str, number: int) -> None:
    """A pair that the fake Microsoft takes of who dials it as well."""
    usage = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    key = certs.rsa_key(number)
    chain = machine.ca.leaf(*names, key=key, usage=usage) + machine.ca.pem
    (machine.folder / f"{name}.chain").write_bytes(chain)
    (machine.folder / f"{name}.key").write_bytes(certs.pem_key(key))


def say_big(machine: provider.Provider) -> None:
    """A customer under the provider's wildcard, and one with a certificate of its own."""
    machine.say("a")
    files = {"chain": f"{machine.folder}/big.chain", "key": f"{machine.folder}/big.key"}
    big = {"fqdn": _BIG[0], "address": _BIG[1], "certificate": {"files": files}}
    text = (machine.folder / "site.yaml").read_text()
    said = json.dumps({**big, "numbers": ["+4870"]})
    (machine.folder / "site.yaml").write_text(
        text.replace("tenants: {", f'tenants: {{"big": {said}, ')
    )


def shown_at(machine: provider.Provider, address: str) -> x509.Certificate:
    """What the listener there shows who names nobody (no SNI)."""
    words = f"import ssl; print(ssl.get_server_certificate(({address!r}, 5061)))"
    ran = machine.run(sys.executable, "-W", "ignore", "-c", words)
    return x509.load_pem_x509_certificate(ran.stdout.encode())


def call(machine: provider.Provider, number: str) -> None:
    """A call from the office to a customer's user, there and back."""
    caller = (sys.executable, "tests/fakes/caller.py")
    dialog = str(machine.folder / "dialog")
    assert machine.run(*caller, "call", number, dialog).stdout.split()[:1] == ["200"]
    assert machine.run(*caller, "bye", dialog).stdout.split()[:1] == ["200"]


def serial_in_call(machine: provider.Provider, number: str) -> int:
    """The serial of the certificate that Microsoft sees in a call of that customer's."""
    call(machine, number)
    lines = (machine.folder / "shown").read_text().splitlines()
    last = next(line for line in reversed(lines) if line.startswith("INVITE "))
    return int(last.split()[2], 16)


@pytest.fixture
def asking(machine) -> provider.Provider:
    """Microsoft is where certificates are asked for; the machine has an address more."""
    write_both(machine, "sbc", "sbc.example.com", "*.sbc.example.com", number=2)
    write_both(machine, "big", _BIG[0], number=3)
    machine.write_pair(_ASKS, "sip.pstnhub.microsoft.com", number=1)
    (machine.folder / f"{_ASKS}.asks").touch()
    machine.run("ip", "addr", "add", f"{_BIG[1]}/32", "dev", "lo")
    # The customer's name is in no DNS: its zone, which is the customer's, keeps nobody waiting.
    machine.set_names({**ground.NAMES, "sip.pstnhub.microsoft.com": _ASKS})
    script = (sys.executable, "tests/fakes/peers.py", str(machine.folder))
    peers = machine.start(*script, "198.51.100.53", _ASKS, "--")
    assert peers.stdout
    assert peers.stdout.readline() == b"ready\n"
    say_big(machine)
    machine.apply()
    return machine


def test_a_customer_has_a_trunk_of_its_own(asking, lane):
    """Its own certificate is shown to who dials it and to whom it dials, and nobody else's is."""
    for name, address in (_BIG, _PROVIDER):
        assert name in proof.names_in(shown_at(asking, address))
        call_of = {"source": "198.51.100.11", "port": 0, "target": address, "name": name}
        with_tls = {"chain": "", "key": "", "ciphers": "", "versions": ["TLSv1_2", "TLSv1_3"]}
        words = json.dumps({**call_of, **with_tls})
        told = json.loads(asking.run(sys.executable, "tests/fakes/dialler.py", words).stdout)
        assert (told["status"], told["contact"]) == (
            200,
            f"Contact: <sip:{name}:5061;transport=tls>",
        )

    for number in ("+4870", "+48097", "+4870"):
        call(asking, number)
    seen = (asking.folder / "shown").read_text().splitlines()
    own, shared = _BIG[0], "*.sbc.example.com,sbc.example.com"
    pairs = {(own, own), (shared, "a.sbc.example.com"), (shared, "sbc.example.com")}
    told = [line.partition("> ")[0].split(maxsplit=4) for line in seen]
    named = {(each[1], re.sub(".*[:@](.*):5061.*", r"\1", each[4])) for each in told if each[4:]}
    assert named == pairs
    for method in ("INVITE", "ACK", "BYE", "OPTIONS"):
        assert {each[1] for each in told if each[0] == method} == {own, shared}, method
    # OPT-5: OPTIONS say so in Via as well; a call's has the address.
    via = {(each[0], each[3]) for each in told if each[1] == own and each[0] in ("OPTIONS", "BYE")}
    assert via == {("OPTIONS", f"{own}:5061"), ("BYE", f"{_BIG[1]}:5061")}

    # Another pair serves without a restart, where TLS can be read again.
    pids = [told["Pid"] for told in asking.statuses("kamailio")]
    before = shown_at(asking, _BIG[1]).serial_number
    write_both(asking, "big", _BIG[0], number=4)
    old = lane != "debian13"
    assert asking.steps() == [
        "install-certificate",
        "restart-kamailio" if old else "reload-tls",
    ]
    serial = shown_at(asking, _BIG[1]).serial_number
    assert serial != before
    asking.wait_until(lambda: serial_in_call(asking, "+4870") == serial)
    assert ([told["Pid"] for told in asking.statuses("kamailio")] == pids) is not old
    assert asking.steps() == []

    # What cannot serve is refused where it is named, and nothing changes.
    (asking.folder / "big.key").write_bytes(certs.pem_key(certs.rsa_key(5)))
    refused = asking.apply(code=3).stderr
    said = "big.chain of tenant big: the key does not belong to the certificate"
    assert said in refused
    # Cron's renewal of the site's own certificate passes over it, and says so.
    renewed = asking.run(*asking.words("cert", "renew"))
    assert said in renewed.stdout + renewed.stderr
    assert asking.run(*asking.words("status")).stdout.count("disk = wire: yes") == 2
