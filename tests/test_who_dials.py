"""Who may dial the SBC by TLS, and with what: a real Kamailio on each generation is dialled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import certs
import ground
import lanes
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from orchestrator.engines import kamailio_rpc, kamailio_tls

pytestmark = [pytest.mark.engine]

BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
FOUR = (
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES128-SHA256",
)
UNNAMED = "198.51.100.81"
"""Inside Microsoft's network of the site, and no name of Microsoft's leads there."""
STRANGER = "192.0.2.20"
MICROSOFT = list(ground.NAMES)[:3]


@pytest.fixture(scope="module")
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine whose SBC serves, with some certificates to dial it with."""
    with ground.Ground(tmp_path_factory.mktemp("w"), lanes.root(lane)) as made:
        made.apply()
        write(made, "both", made.ca.leaf(*MICROSOFT, usage=BOTH))
        write(made, "client", made.ca.leaf(*MICROSOFT, usage=ExtendedKeyUsageOID.CLIENT_AUTH))
        write(made, "plain", made.ca.leaf(*MICROSOFT, usage=()))
        write(made, "other", made.ca.leaf("sip.example.org"))
        write(made, "forged", certs.Ca("Forger").leaf(*MICROSOFT))
        yield made


def write(machine: ground.Ground, name: str, leaf: bytes) -> None:
    (machine.folder / f"{name}.chain").write_bytes(leaf)
    (machine.folder / f"{name}.key").write_bytes(certs.pem_key(certs.rsa_key()))


def words(machine: ground.Ground, source: str, pair: str, **more) -> tuple[str, ...]:
    """The argv of a dialler."""
    call = {
        "source": source,
        "port": 0,
        "target": "203.0.113.10",
        "chain": f"{machine.folder}/{pair}.chain" if pair else "",
        "key": f"{machine.folder}/{pair}.key" if pair else "",
        "ciphers": "",
        "versions": ["TLSv1_2", "TLSv1_3"],
        **more,
    }
    return sys.executable, "tests/fakes/dialler.py", json.dumps(call)


def dial(
    machine: ground.Ground, source: str = ground.TEAMS[0], pair: str = "peer", **more
) -> dict:
    """Dial with a certificate of this machine; what the dialler says."""
    return json.loads(machine.run(*words(machine, source, pair, **more)).stdout)


def log_of(machine: ground.Ground) -> str:
    return (machine.state / "log" / "kamailio.log").read_text()


def test_a_certificate_for_server_auth_only_is_taken(machine):
    """EKU-1: what Microsoft shows since 2026."""
    assert dial(machine)["status"] == 200


def test_a_certificate_for_client_auth_as_well_is_taken(machine):
    """EKU-3: what Microsoft showed before, and may show still."""
    assert dial(machine, pair="both")["status"] == 200


@pytest.mark.parametrize("pair", ["client", "plain", ""])
def test_a_certificate_for_clients_for_anything_or_none_at_all_is_taken(machine, pair):
    """EKU-2: Microsoft may show what it likes, or nothing; its network and its names count."""
    assert dial(machine, pair=pair)["status"] == 200


def test_what_a_peer_showed_is_remembered_for_support(machine):
    """Both ways, the refused ones too: certificate, version and suite."""
    dial(machine, UNNAMED, versions=["TLSv1_2", "TLSv1_2"], ciphers=FOUR[1])
    dial(machine, ground.TEAMS[2], pair="other")
    ran = machine.run(
        *machine.words("doctor", str(machine.folder / "site.yaml"), "--output", "json"), code=1
    )
    told = [each for each in json.loads(ran.stdout)["findings"] if each["check"] == "peer"]

    [came] = [each["seen"] for each in told if each["seen"].startswith(f"{UNNAMED} dialled us")]
    assert "RSA 2048, serverAuth, by Test CA" in came
    assert f"TLSv1.2, {FOUR[1]}, the chain verified" in came
    went = [each["seen"] for each in told if " was dialled and showed " in each["seen"]]
    assert {each.partition(" ")[0] for each in went} == set(ground.TEAMS)
    assert all("the chain verified" in each for each in went)
    [gone] = [each for each in told if "was refused" in each["seen"]]
    assert gone["level"] == "warning"
    assert gone["seen"].startswith(f"{ground.TEAMS[2]} was refused: it showed a certificate for")
    assert "sip.example.org" in gone["seen"]


def test_a_forged_certificate_is_told_from_microsofts_afterwards(machine):
    """EKU-2: doctor compares with the CAs that Microsoft's own names show."""
    dial(machine, ground.TEAMS[0])
    dial(machine, ground.TEAMS[1], pair="forged")
    words = machine.words("doctor", str(machine.folder / "site.yaml"), "--output", "json")
    told = json.loads(machine.run(*words, code=1).stdout)["findings"]
    came = {each["seen"].partition(" ")[0]: each for each in told if "dialled us" in each["seen"]}

    assert came[ground.TEAMS[0]]["level"] == "ok"
    assert "the chain verified" in came[ground.TEAMS[0]]["seen"]
    assert came[ground.TEAMS[1]]["level"] == "warning"
    assert "the chain not verified" in came[ground.TEAMS[1]]["seen"]
    assert "no CA that Microsoft's names show has signed it" in came[ground.TEAMS[1]]["do"]


def test_an_address_that_no_name_leads_to_is_taken(machine):
    """EP-4: the network counts, not what DNS says today."""
    assert dial(machine, UNNAMED)["status"] == 200


@pytest.mark.parametrize("port", [1024, 5060, 65535])
def test_every_source_port_is_taken(machine, port):
    """EP-6: the proxy's port is anything."""
    assert dial(machine, UNNAMED, port=port)["status"] == 200


def test_who_is_not_of_microsofts_networks_gets_no_answer(machine):
    """EKU-2: the best certificate does not help."""
    assert dial(machine, STRANGER)["status"] == 0
    assert f"refused: TLS from {STRANGER}, which is not a network of Microsoft" in log_of(machine)


def test_a_certificate_that_names_somebody_else_is_refused(machine):
    """EKU-2: from inside the networks as well."""
    assert dial(machine, pair="other")["status"] == 403
    assert "presented a certificate for sip.example.org" in log_of(machine)


def test_a_forged_certificate_looks_like_microsofts(machine):
    """EKU-2: OpenSSL cannot tell it (docs/limits.md), so the source network is what protects."""
    assert dial(machine, pair="forged")["status"] == 200


@pytest.mark.parametrize("kind", ["junk", "header", "many", "halves"])
@pytest.mark.parametrize("source", [STRANGER, ground.TEAMS[0]])
def test_nobody_ends_it_by_sending_much(machine, kind, source):
    """One stranger without a certificate ended Kamailio 6.0.1 with wolfSSL (record 0016)."""
    before = machine.statuses("kamailio")
    pair = (f"{machine.folder}/peer",) if source in ground.TEAMS else ()

    machine.run(sys.executable, "tests/fakes/flooder.py", source, kind, *pair)

    assert [told["Pid"] for told in machine.statuses("kamailio")] == [t["Pid"] for t in before]
    assert dial(machine)["status"] == 200


def test_each_tls_listener_has_one_worker(machine):
    """Two that sign with one key at once make signatures that no peer accepts (record 0027)."""
    rpc = kamailio_rpc.Rpc(machine.run_dir / "kamailio/kamailio.sock", machine.run_dir)
    names = [each["desc"] for each in rpc.call("pkg.stats")]
    generic = [name for name in names if name.startswith("tcp receiver (generic)")]
    own = [name for name in names if name.startswith("tcp receiver (tls:203.0.113.10:5061)")]
    # Before 6.0 one worker reads whatever comes over TCP and TLS.
    assert len(own) == 1 if own else len(generic) == 1


@pytest.mark.parametrize("suite", FOUR)
def test_each_suite_of_microsofts_is_enough(machine, suite):
    """TLS-2: a peer that has this one only."""
    told = dial(machine, ciphers=suite, versions=["TLSv1_2", "TLSv1_2"])
    assert (told["cipher"], told["status"]) == (suite, 200)


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_tls_older_than_1_2_is_refused(machine, version):
    """TLS-1: refused in the handshake."""
    told = dial(machine, ciphers="ALL:@SECLEVEL=0", versions=[version, version])
    assert (told["status"], told["version"]) == (0, "")
    assert told["failure"]


def test_options_are_answered_while_no_trunk_is(machine):
    """OPT-8: Teams would take the SBC for dead when a PBX is."""
    machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.66:5060"))
    ran = machine.apply("--allow-down", "office")
    assert "192.0.2.66:5060;transport=udp did not answer OPTIONS" in ran.stderr
    assert dial(machine)["status"] == 200


def test_no_connection_goes_on_with_the_certificate_of_before(machine):
    """TLS-7: one that Microsoft dialled and those that we dialled end by themselves."""
    rpc = kamailio_rpc.Rpc(machine.run_dir / "kamailio/kamailio.sock", machine.run_dir)
    held = hold(machine)
    before = kamailio_tls.connections(rpc)
    assert {(each.peer, each.dialled) for each in before} >= {
        (UNNAMED, False),
        *((address, True) for address in ground.TEAMS),
    }
    machine.write_pair("sbc", "*.example.com", number=3)
    steps = machine.apply("--output", "json").stdout

    if "reload-tls" in steps:
        ids = {each.id for each in before}
        machine.wait_until(
            lambda: not ids & {each.id for each in kamailio_tls.connections(rpc)}, seconds=5
        )
    else:
        # Kamailio before 6.0 was restarted, and a new one has no connection of before.
        assert "restart-kamailio" in steps
    assert json.loads(held.stdout.read())["ended"]
    assert dial(machine)["status"] == 200


def test_options_find_a_connection_with_the_certificate_of_before(machine):
    """TLS-7: one that was in the middle of its handshake when the others were retired."""
    rpc = kamailio_rpc.Rpc(machine.run_dir / "kamailio/kamailio.sock", machine.run_dir)
    rpc.call("pv.shvSet", "certificate", "str", "another")
    try:
        assert json.loads(hold(machine).stdout.read())["ended"]
        assert f"retired: the connection with {UNNAMED} shows" in log_of(machine)
    finally:
        rpc.call("pv.shvSet", "certificate", "str", "")
    assert dial(machine)["status"] == 200


def hold(machine: ground.Ground) -> subprocess.Popen[bytes]:
    """Microsoft's connection that was answered once and says nothing more."""
    held = machine.start(*words(machine, UNNAMED, "peer", hold=True))
    assert held.stdout
    assert held.stdout.readline() == b"held\n"
    return held
