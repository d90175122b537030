"""Start the staged generation for a moment where nobody notices, before it is committed.

``kamailio -c`` reads the grammar only. Whether modules take their parameters, tls.cfg its keys,
tables their files, and whether every listener can be bound, shows when the engines start. So
they are started in namespaces of their own (trial_inside.py): the same addresses and ports, a
network that leads nowhere, the staged files in the place of the current ones. All of it ends
with one process.

Where the machine does not allow that, or it takes too long, nothing is known and apply goes on:
the real start is read back, and undone when it fails.
"""

from __future__ import annotations

import json
import sys

from orchestrator import announce, errors, observe, plan
from orchestrator.engines import words
from orchestrator.host import journal, network, process, sandbox

_TRIED = frozenset(
    {
        plan.Kind.START_KAMAILIO,
        plan.Kind.RESTART_KAMAILIO,
        plan.Kind.START_RTPENGINE,
        plan.Kind.RESTART_RTPENGINE,
        plan.Kind.RELOAD_TLS,
    }
)
_SECONDS = 15.0
_INSIDE = ("-P", "-m", "orchestrator.apply.trial_inside")


def try_start(
    machine: observe.Machine,
    progress: announce.Progress,
    todo: plan.Plan,
    before: journal.Before,
    certificate: str | None,
) -> None:
    """Start what was staged, where *todo* starts an engine or has it read TLS again.

    Args:
        machine: Where.
        progress: Who is told what came of it.
        todo: What will be done.
        before: What was staged, and whether for this; then it is discarded when it does not start.
        certificate: Name of the certificate to start with; None: the one in use.

    Raises:
        EngineRefused: An engine does not start, or does not hold what was written.
    """
    if _TRIED.isdisjoint(todo.kinds):
        return
    with progress.step("trial", "start it in a network of its own") as step:
        try:
            step.note(_try(machine, before.candidate, certificate))
        except BaseException:
            if before.staged:
                machine.store.discard(before.candidate)
            raise


def _try(machine: observe.Machine, name: str, certificate: str | None) -> str:
    """What came of it, in words."""
    if reason := _hidden(machine):
        return f"not tried: {reason}"
    order = {
        "state": machine.paths.state,
        "run": machine.paths.run,
        "root": machine.engine_root,
        "read": machine.read,
        "name": name,
        "certificate": certificate or machine.store.certificate(),
        "addresses": sorted(network.addresses()),
    }
    try:
        flags = sandbox.allowed_flags()
        ran = process.run(
            ("setpriv", "--pdeathsig", "KILL", "unshare", *flags, sys.executable, *_INSIDE),
            stdin=json.dumps(order).encode(),
            timeout=_SECONDS,
        )
    except (errors.HostError, errors.EngineSilent) as failure:
        return f"not tried: {failure.message}"
    return _read(ran)


def _hidden(machine: observe.Machine) -> str:
    """Why the staged files cannot take the place of the current ones; empty when they can."""
    folders = (machine.state.resolve(), machine.run.resolve())
    if folders[0].is_relative_to(folders[1]) or folders[1].is_relative_to(folders[0]):
        return "the state and the run directory lie in each other"
    for file in machine.read:
        if any(file.startswith(f"{folder}/") for folder in folders):
            return f"{file} lies in the state or run directory"
    return ""


def _read(ran: process.Ran) -> str:
    """What the inside told in its last line; it refused when an engine did."""
    try:
        told = json.loads(ran.out.splitlines()[-1])
        message, said, note = told["message"], told["words"], told["note"]
    except (LookupError, ValueError, TypeError):
        last = (ran.err.strip() or f"exit code {ran.code}").splitlines()[-1]
        return f"not tried: {last[:200]}"
    if message:
        lack = words.find_lack(said)
        raise errors.EngineRefused(
            f"{message}, when it is tried in a network of its own; nothing was changed",
            words=said,
            hint=lack or "see what site.yaml says about it; if that is right, please report this",
            lacks=bool(lack),
        )
    return str(note)
