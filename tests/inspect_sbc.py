"""Work with the orchestrator from inside a test's machine, as `sbcctl` does; JSON on stdout.

python inspect_sbc.py read-back STATE RUN
    What the running engines hold otherwise than written, and whether they serve the
    certificate on disk.
python inspect_sbc.py apply STATE RUN ROOT|- SITE KAMAILIO-UID:GID RTPENGINE-UID:GID
    Apply with engines that have users of their own, as where systemd runs; the steps taken.
python inspect_sbc.py stop STATE RUN ROOT|-
    Stop the engines.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass

from orchestrator import apply, console, observe
from orchestrator.engines import certificate
from orchestrator.host import access
from orchestrator.render import views, wanted
from orchestrator.site import load


@dataclass(frozen=True)
class Shared(observe.Machine):
    """A machine whose engines have users of their own, as where systemd runs."""

    users: access.Accounts | None = None

    @property
    def accounts(self) -> access.Accounts | None:
        return self.users


def machine_of(
    state: str, run: str, root: str = "-", *rest: str, users: access.Accounts | None = None
) -> observe.Machine:
    return Shared(
        paths=views.Paths(state=state, run=run),
        engine_root=None if root == "-" else root,
        env=os.environ,
        read=rest,
        users=users,
    )


def read_back(state: str, run: str) -> object:
    machine = machine_of(state, run)
    name = machine.store.current()
    stored = machine.store.load(name) if name else None
    assert stored
    differences = observe.read_back(machine, stored.generation)
    address, port, host = wanted.teams_listener(stored.generation)
    installed = observe.see_installed_certificate(machine).installed
    assert installed
    served = certificate.served(address, port, name=host)
    return {"differences": differences, "serves": served.serial == installed.serial}


def account(text: str) -> access.Account:
    uid, _, gid = text.partition(":")
    return access.Account(uid=int(uid), gid=int(gid))


def apply_site(state: str, run: str, root: str, site: str, *users: str) -> object:
    wanted_site, _ = load.read_site(site)
    kamailio, rtpengine = map(account, users)
    roots = wanted_site.teams.trusted_roots
    assert roots
    machine = machine_of(state, run, root, roots, users=access.Accounts(kamailio, rtpengine))
    quiet = console.Console(output=console.Output.JSON, quiet=True, environ=os.environ)
    outcome = apply.apply(wanted_site, machine, quiet, lock_timeout=0)
    return [str(step.kind) for step in outcome.steps]


def stop(state: str, run: str, root: str) -> object:
    machine = machine_of(state, run, root)
    for name in ("kamailio", "rtpengine"):
        machine.supervisor.stop(name)
    return []


VERBS = {"read-back": read_back, "apply": apply_site, "stop": stop}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(VERBS[sys.argv[1]](*sys.argv[2:])) + "\n")
