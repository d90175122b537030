"""A site of a thousand trunks: it applies, is read back whole, and a missing one is seen."""

from __future__ import annotations

import json
from collections.abc import Iterator

import crowd
import lanes
import pytest
from test_apply_readback import control

from orchestrator.engines import kamailio, kamailio_rpc

pytestmark = [pytest.mark.engine, pytest.mark.slow]

COUNT = 1000
PATIENCE = 400


@pytest.fixture(scope="module")
def machine(lane: str, tmp_path_factory) -> Iterator[crowd.Many]:
    """A machine that serves a thousand trunks."""
    with crowd.Many(tmp_path_factory.mktemp("m"), lanes.root(lane)) as made:
        made.write(COUNT)
        apply(made)
        yield made


def apply(machine: crowd.Many) -> list[str]:
    """Apply what was written last; the kinds of the steps."""
    site = str(machine.folder / "site.yaml")
    ran = machine.run(*machine.words("--output", "json", "apply", site), seconds=PATIENCE)
    return [step["kind"] for step in json.loads(ran.stdout)["steps"]]


def held(machine: crowd.Many) -> tuple[set[str], int]:
    """What Kamailio holds: URIs of trunks, rows of the table of trunks."""
    rpc = kamailio_rpc.Rpc(machine.run_dir / "kamailio/kamailio.sock", machine.run_dir)
    uris = {each.uri for each in kamailio.destinations(rpc) if each.set_id > 1}
    return uris, len(kamailio.table_rows(rpc, "trunk") or {})


def gateway(number: int) -> str:
    return f"sip:{crowd.address(number + 1)}:{crowd.PORT};transport=udp"


def test_a_thousand_trunks_are_read_back_whole(machine):
    """Every one is there, and a second apply does nothing."""
    assert held(machine) == ({gateway(number) for number in range(COUNT)}, COUNT)
    assert apply(machine) == []


def test_one_of_a_thousand_that_is_gone_is_seen_and_comes_back(machine):
    """A destination removed behind our back is drift; the others are not touched for it."""
    rpc = kamailio_rpc.Rpc(machine.run_dir / "kamailio/kamailio.sock", machine.run_dir)
    gone = next(each for each in kamailio.destinations(rpc) if each.uri == gateway(COUNT * 3 // 4))
    control(machine, "dispatcher.remove", f"int:{gone.set_id}", gone.uri)
    assert gone.uri not in held(machine)[0]

    assert apply(machine) == ["reload-dispatcher"]
    assert held(machine)[0] == {gateway(number) for number in range(COUNT)}


def test_one_of_a_thousand_is_changed_by_reloads_alone(machine):
    """Its gateway moves, the table of all trunks does not."""
    machine.write(COUNT, moved=crowd.FAR)

    assert apply(machine) == ["commit", "reload-addresses", "reload-dispatcher"]
    moved = {gateway(COUNT // 2 + crowd.FAR)}
    assert held(machine)[0] == {gateway(n) for n in range(COUNT) if n != COUNT // 2} | moved
