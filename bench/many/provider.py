"""A machine for very many tenants, each with a hundred numbers: one range, or one by one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Container
from pathlib import Path

import ground

from orchestrator.engines import kamailio_rpc

NUMBERS = 100
FIRST = 10_000_000
FAR = 500_000_000
"""What is added to the numbers of a tenant that was changed."""

MORE = 101
"""So many tenants more than at first fit into Kamailio's memory."""


def line(name: str, numbers: list[str]) -> str:
    """A tenant as a line of JSON."""
    told = {"name": name, "fqdn": f"{name}.sbc.example.com", "numbers": numbers}
    return json.dumps(told) + "\n"


class Provider(ground.Ground):
    """The machine; a context manager. It is there for fifteen minutes at most."""

    def __init__(self, folder: Path, root: Path | None, kind: str) -> None:
        super().__init__(folder, root)
        self.singles = kind == "singles"
        self.memory = ""

    def settle(self) -> None:
        super().settle()
        self.write_pair("sbc", "sbc.example.com", "*.sbc.example.com", number=2)

    def number(self, tenant: int, place: int, moved: int = 0) -> str:
        return f"+49{FIRST + tenant * NUMBERS + place + moved:09d}"

    def line(self, tenant: int, moved: int) -> str:
        """One of the tenants."""
        if self.singles:
            numbers = [self.number(tenant, place, moved) for place in range(NUMBERS)]
        else:
            ends = (self.number(tenant, place, moved) for place in (0, NUMBERS - 1))
            numbers = ["-".join(ends)]
        return line(f"t{tenant}", numbers)

    def write(self, count: int, *, moved: Container[int] = ()) -> None:
        """Write a site of so many tenants; some of them may have other numbers than before."""
        self.write_site(("engines: {", f"engines: {{{self.memory}"))
        with (self.folder / "site.yaml").open("a") as site:
            site.write("tenants: {include: tenants.jsonl}\n")
        with (self.folder / "tenants.jsonl").open("w") as lines:
            lines.writelines(self.line(n, FAR * (n in moved)) for n in range(count))

    def fit(self, count: int) -> None:
        """Give Kamailio the memory that `validate` says such a site needs, and write it."""
        self.write(count + MORE)
        ran = self.run(*self.words("validate", str(self.folder / "site.yaml")), code=None)
        wanted = re.findall(
            r"engines: \{((?:private|shared)_memory: \d+)\}", ran.stdout + ran.stderr
        )
        self.memory = "".join(f"{each}, " for each in dict.fromkeys(wanted))
        self.write(count)

    def call(self, number: str) -> str:
        """The status that a trunk's call to this number gets."""
        script = str(ground.HERE / "fakes/caller.py")
        ran = self.run(sys.executable, script, "call", number, str(self.folder / "dialog"))
        return ran.stdout.split()[0]

    def restart(self, number: str) -> dict:
        """Kill Kamailio, start it as it was, and call; see first_call.py."""
        pid = (self.run_dir / "kamailio.pid").read_text().strip()
        told = self.run("cat", f"/proc/{pid}/cmdline").stdout
        pids = [pid, *(each["Pid"] for each in self.statuses("kamailio"))]
        script = str(Path(__file__).parent / "first_call.py")
        log = str(self.folder / "kamailio.again")
        words = told.rstrip("\0").split("\0")
        ran = self.run(sys.executable, script, log, number, *pids, "--", *words)
        return json.loads(ran.stdout)

    def held(self) -> dict[str, float]:
        """MiB of Kamailio: shared memory in use, the largest process, all of their own.

        What processes have from the one that read the tables is counted once (Pss).
        """
        rpc = kamailio_rpc.Rpc(self.run_dir / "kamailio/kamailio.sock", self.run_dir)
        told = self.statuses("kamailio")

        def sizes(what: str) -> list[float]:
            return [int(each[what].split()[0]) / 1024 for each in told]

        return {
            "shared": int(rpc.call("core.shmmem")["used"]) / 2**20,
            "largest": max(sizes("VmRSS")),
            "own": sum(map(self._own, told)),
        }

    def _own(self, process: dict[str, str]) -> float:
        """MiB of a process: its share of what is not shared memory."""
        told = self.run("cat", f"/proc/{process['Pid']}/smaps_rollup").stdout
        found = re.search(r"^Pss_Anon: +(\d+) kB", told, re.MULTILINE)
        assert found
        return int(found[1]) / 1024
