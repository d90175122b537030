"""A machine whose SBC serves customers: what its site.yaml says of them, what Kamailio holds."""

from __future__ import annotations

import json

import ground

from orchestrator.engines import kamailio, kamailio_rpc
from orchestrator.render import tables


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
