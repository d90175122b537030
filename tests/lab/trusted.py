"""A small program that lives in a sandbox: whom a trunk over TLS is taken for.

``python trusted.py [ENGINE ROOT]`` prints one JSON object; test_trusted_trunks.py starts it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import inside

from orchestrator.host import sandbox
from orchestrator.lab import addresses, journal, run, world

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SITE = EXAMPLES / "03-trunks/site.yaml"

CHANGES = {
    "right": ("name: secure.example.com", "name: secure.example.com"),
    "no name": ("name: secure.example.com", ""),
    "other name": ("name: secure.example.com", "name: other.example.com"),
    "other ca": (str(world.COMPANY_ROOT), str(world.MICROSOFT_ROOT)),
}


async def play(lab: run.Lab) -> dict[str, object]:
    """Call the PBX over TLS from sites that trust differently."""
    found: dict[str, object] = {}
    for name, (old, new) in CHANGES.items():
        text = SITE.read_text()
        assert old in text
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
            file.write(text.replace(old, new))
        words = (Path(file.name), addresses.SECRETS, "--allow-down", "secure")
        said = await asyncio.to_thread(lab.world.apply, *words)
        # A connection that stands was looked at when it was made.
        await lab.actors.secure.close_connections()
        found[name] = {"answer": await call(lab), "warnings": said["warnings"]}
    return found


async def call(lab: run.Lab) -> int:
    caller = await lab.actors.teams.dial(addresses.SECURE_NUMBER, caller=addresses.TEAMS_NUMBER)
    try:
        callee = await lab.actors.secure.next_leg(within=1.0, call_id=caller.call.invite.call_id)
        callee.refuse(486)
        callee.close()
    except journal.Silence as silence:
        inside.Quiet().note(str(silence))
    answer = await caller.call.final(within=10.0)
    caller.close()
    return answer.status


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
