"""A small program that lives in a sandbox: registrations at a carrier through several applies.

``python registered.py [ENGINE ROOT]`` prints one JSON object; test_registrations.py starts it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import inside

from orchestrator.engines import kamailio_rpc
from orchestrator.host import sandbox
from orchestrator.lab import addresses, run, world

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SITE = EXAMPLES / "03-trunks/site.yaml"


async def play(lab: run.Lab) -> dict[str, object]:
    """Register, ask for another time, be removed from site.yaml, be refused."""
    carrier = lab.actors.registrar
    first = await carrier.registered(within=15.0)
    text = SITE.read_text()
    shorter = await apply(lab, text.replace("expires: 300", "expires: 240"))
    renewed = carrier.binding
    socket = world.HOME / "run/kamailio/kamailio.sock"
    rpc = kamailio_rpc.Rpc(socket, Path(tempfile.mkdtemp()))
    await asyncio.to_thread(rpc.call, "uac.reg_remove", "company")
    restored = await apply(lab, text.replace("expires: 300", "expires: 240"))
    gone = await apply(lab, (EXAMPLES / "02-company/site.yaml").read_text())
    binding = carrier.binding
    async with carrier.refusing(503):
        refused = await apply(lab, text)
    carrier.granted = 8
    await apply(lab, text.replace("expires: 300", "expires: 200"))
    known = len(carrier.registrations.entries)
    again = await carrier.registered(within=15.0, after=known)
    before = carrier.registrations.entries[known - 1]
    return {
        "first": first.seconds,
        "shorter": steps(shorter),
        "renewed": renewed.seconds if renewed else None,
        "restored": steps(restored),
        "gone": steps(gone),
        "binding": binding is not None,
        "refused": refused["warnings"],
        "granted": before.seconds,
        "same call": again.call_id == before.call_id,
        "counted on": again.number > before.number,
    }


async def apply(lab: run.Lab, text: str) -> dict[str, object]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        file.write(text)
    return await asyncio.to_thread(lab.world.apply, Path(file.name), addresses.SECRETS)


def steps(said: dict[str, object]) -> list[str]:
    found = said["steps"]
    assert isinstance(found, list)
    return [step["kind"] for step in found]


def main() -> int:
    if not sandbox.inside():
        return sandbox.rerun([sys.executable, *sys.argv], env=os.environ)
    sandbox.enter()
    root = sys.argv[1] if len(sys.argv) > 1 else None
    settings = run.Settings(EXAMPLES, engine_root=root)
    inside.say(json.dumps(run.open_lab(settings, inside.Quiet(), play, site="03-trunks")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
