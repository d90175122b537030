"""What the running Kamailio holds is compared with what was written, whole and both ways."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import ground
import lanes
import pytest

from orchestrator.engines import kamailio, kamailio_rpc

pytestmark = [pytest.mark.engine]

CONTROL = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
    own = sys.argv[1] + ".test"
    asking.bind(own)
    asking.connect(sys.argv[1])
    words = [int(word[4:]) if word.startswith("int:") else word for word in sys.argv[3:]]
    question = {"jsonrpc": "2.0", "id": 1, "method": sys.argv[2], "params": words}
    asking.send(json.dumps(question).encode())
    answer = asking.recv(70000).decode()
    os.unlink(own)
    assert "error" not in json.loads(answer), answer
"""


@pytest.fixture(scope="module")
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine that serves; its RPC socket is a file, so it is reached from out here."""
    with ground.Ground(tmp_path_factory.mktemp("r"), lanes.root(lane)) as made:
        made.apply()
        yield made


@pytest.fixture
def rpc(machine: ground.Ground) -> kamailio_rpc.Rpc:
    return kamailio_rpc.Rpc(machine.run_dir / "kamailio/kamailio.sock", machine.run_dir)


def control(machine: ground.Ground, *words: str) -> None:
    """Tell Kamailio what sbcctl never would."""
    machine.run("python3", "-c", CONTROL, str(machine.run_dir / "kamailio/kamailio.sock"), *words)


def kinds(ran: subprocess.CompletedProcess[str]) -> list[str]:
    return [step["kind"] for step in json.loads(ran.stdout)["steps"]]


@pytest.mark.parametrize(
    "words",
    [
        ("htable.delete", "trunk", "office"),
        ("htable.sets", "trunk", "stranger", "1"),
        ("htable.sets", "trunk", "office", "7"),
    ],
)
def test_a_table_that_somebody_changed_is_loaded_again(machine, words):
    """A row that is gone, one too many, another value."""
    machine.write_site()
    machine.apply()
    control(machine, *words)
    ran = machine.apply("--output", "json")
    assert kinds(ran) == ["reload-table"]
    reason = json.loads(ran.stdout)["steps"][0]["reason"]
    assert reason == "Kamailio holds something else than kamailio/tables/trunk"
    assert kinds(machine.apply("--output", "json")) == []


def test_addresses_that_somebody_changed_are_loaded_again(machine):
    """A network nobody asked for is a hole in the gate."""
    machine.write_site()
    machine.apply()
    path = machine.state / "current/kamailio/addresses.list"
    text = path.read_text()
    path.write_text(f"{text}1 0.0.0.0 0 0 teams\n")
    control(machine, "permissions.addressReload")
    path.write_text(text)
    ran = machine.apply("--output", "json")
    assert kinds(ran) == ["reload-addresses"]
    assert kinds(machine.apply("--output", "json")) == []


def test_many_rows_of_every_shape(machine, rpc):
    """What Kamailio tells of several addresses, networks and numbers is what was written."""
    gateways = ", ".join(f'"sip:192.0.2.{n}:5060;transport=udp"' for n in range(20, 24))
    machine.write_site(
        (
            "networks: [198.51.100.0/24]",
            "networks: [198.51.100.0/24, 10.0.0.0/8]",
        ),
        ('gateways: ["sip:192.0.2.20:5060;transport=udp"]', f"gateways: [{gateways}]"),
        ("kind: pbx,", 'kind: pbx, numbers: ["+4930", "+4940", "+4950"],'),
    )
    machine.apply()
    held = kamailio.allowed_addresses(rpc)
    assert {row.network for row in held if row.tag == "teams"} == {
        "198.51.100.0/24",
        "10.0.0.0/8",
    }
    assert {row.network for row in held if row.tag == "office"} == {
        f"192.0.2.{n}/32" for n in range(20, 24)
    }
    numbers = {"p+4930", "p+4940", "p+4950"}
    assert (kamailio.table_rows(rpc, "route") or {}).keys() == numbers | {"*", "/p"}
    assert kamailio.table_rows(rpc, "nothing") is None
    assert kinds(machine.apply("--output", "json")) == []


def test_a_table_too_large_for_a_datagram_is_read_back_whole(machine, rpc):
    """The last of many rows is seen to be gone, and comes back."""
    numbers = ", ".join(f'"+4930{n}"' for n in range(4000))
    rows = 4000 + len(("*", "/p"))
    machine.write_site(("kind: pbx,", f"kind: pbx, numbers: [{numbers}],"))
    machine.apply()
    assert len(kamailio.table_rows(rpc, "route") or {}) == rows
    assert kinds(machine.apply("--output", "json")) == []
    control(machine, "htable.delete", "route", "p+49303999")
    assert kinds(machine.apply("--output", "json")) == ["reload-table"]
    assert len(kamailio.table_rows(rpc, "route") or {}) == rows


def test_more_destinations_than_a_datagram_could_name(machine, rpc):
    """All are read back: those that nobody asked for are seen and go, and calls stay."""
    list_file = machine.state / "current/kamailio/dispatcher.list"
    kept = list_file.read_text()
    rows = [f"{2000 + n} sip:10.1.1.1:{5000 + n};transport=udp 0 0\n" for n in range(5000)]
    try:
        list_file.write_text(kept + "".join(rows))
        kamailio.reload_dispatcher(rpc)
        assert len(kamailio.destinations(rpc)) == 5000 + len(kept.splitlines()) - 2
        pid = (machine.run_dir / "kamailio.pid").read_text()
        ran = machine.apply("--output", "json")
        assert "reload-dispatcher" in kinds(ran)
        assert "restart-kamailio" not in kinds(ran)
        assert len(kamailio.destinations(rpc)) == len(kept.splitlines()) - 2
        assert (machine.run_dir / "kamailio.pid").read_text() == pid
    finally:
        list_file.write_text(kept)
        kamailio.reload_dispatcher(rpc)
