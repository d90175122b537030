"""Customers come and go while Kamailio runs: row by row, and all are there after a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator

import ground
import lanes
import pytest

from orchestrator.engines import kamailio, kamailio_rpc
from orchestrator.render import tables

pytestmark = [pytest.mark.engine, pytest.mark.slow(15)]


class Provider(ground.Ground):
    """A machine whose SBC serves customers."""

    def say(self, *names: str, **more: object) -> None:
        """Write a site with these tenants, each with a hundred numbers and one more.

        *more* is said of the first one.
        """
        self.write_site()
        said = {
            name: {
                "fqdn": f"{name}.sbc.example.com",
                "numbers": [f"+49{ord(name):03}00-+49{ord(name):03}99", f"+48{ord(name):03}"],
            }
            for name in names
        }
        said[names[0]] |= more
        with (self.folder / "site.yaml").open("a") as file:
            file.write(f"tenants: {json.dumps(said)}\n")

    @property
    def rpc(self) -> kamailio_rpc.Rpc:
        return kamailio_rpc.Rpc(self.run_dir / "kamailio/kamailio.sock", self.run_dir)

    def held(self, table: str) -> dict[str, str]:
        """What Kamailio holds, without the seal."""
        found = kamailio.table_rows(self.rpc, table)
        assert found is not None
        assert len(found.pop(tables.SEAL)) == 32
        # What is barred for everybody is there whoever comes and goes.
        return {key: value for key, value in found.items() if not key.startswith("/+")}

    def steps(self, *arguments: str) -> list[str]:
        """The steps of an apply."""
        said = json.loads(self.apply("--output", "json", *arguments).stdout)
        return [step["kind"] for step in said["steps"]]


@pytest.fixture(scope="module")
def machine(lane: str, tmp_path_factory) -> Iterator[Provider]:
    with Provider(tmp_path_factory.mktemp("w"), lanes.root(lane)) as made:
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
    """Rows that were set one by one stand in the files as well."""
    machine.say("a")
    machine.apply()
    machine.say("a", "b", "c", "d")
    machine.apply()
    for told in machine.statuses("kamailio"):
        machine.run("kill", "-9", told["Pid"], code=None)
    assert machine.steps() == ["start-kamailio"]
    assert machine.held("tenant") == fqdns("a", "b", "c", "d")
    assert machine.held("number") == numbers("a", "b", "c", "d")
