"""Start a lab that stays when the command ends, and show how it comes up until it is there.

The lab's stdout and stderr are pipes to us until it says that it is ready; from then on it writes
to a log of its own, and nobody waits for the end of our output because a lab still holds it.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.host import sandbox

CONTROL = "SBCCTL_LAB_CONTROL"
"""The variable with the number of the control socket inside the lab."""

READY = "SBCCTL_LAB_READY"
"""The variable with the number of the pipe on which the lab says that it is ready."""


def start(argv: Sequence[str], env: Mapping[str, str], listener: socket.socket) -> int:
    """Start *argv* in a sandbox and wait until it is ready; its output is passed on until then.

    Args:
        argv: The program, which calls :func:`say_ready` in time.
        env: Its environment.
        listener: The control socket; it is handed over and closed here.

    Returns:
        0 when it is ready, otherwise its exit code.

    Raises:
        HostError: The kernel refuses the namespaces.
    """
    with selectors.DefaultSelector() as selector:
        theirs = []
        for target in (sys.stdout, sys.stderr, None):
            ours, other = os.pipe()
            selector.register(ours, selectors.EVENT_READ, target)
            theirs.append(other)
        os.set_inheritable(theirs[2], True)  # noqa: FBT003 - it takes no names
        listener.set_inheritable(True)
        numbers = {CONTROL: str(listener.fileno()), READY: str(theirs[2])}
        silence = os.open(os.devnull, os.O_RDONLY)
        files = {0: silence, 1: theirs[0], 2: theirs[1]}
        try:
            chain = sandbox.spawn(argv, env={**env, **numbers}, tied=False, files=files)
        finally:
            for number in (*theirs, silence):
                os.close(number)
            listener.close()
        try:
            ready = _pass_on(selector)
        except KeyboardInterrupt:
            # The whole lab hangs on this one process.
            with suppress(ProcessLookupError):
                os.kill(chain, signal.SIGKILL)
            os.waitpid(chain, 0)
            raise
        finally:
            for key in tuple(selector.get_map().values()):
                os.close(key.fd)
    return 0 if ready else sandbox.wait(chain)


def take_control() -> socket.socket | None:
    """The control socket that was handed to us, once; None when there is none."""
    number = os.environ.pop(CONTROL, "")
    if not number:
        return None
    taken = socket.socket(fileno=int(number))
    taken.set_inheritable(False)
    return taken


def say_ready(log: Path) -> None:
    """Tell who started us that we are up, and write to *log* from now on.

    Raises:
        BrokenPipeError: Who started us is gone: nobody wants this lab.
    """
    number = os.environ.pop(READY, "")
    if not number:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(int(number), b"1")
    os.close(int(number))
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)


def _pass_on(selector: selectors.BaseSelector) -> bool:
    """Copy output until the lab is ready (True) or has closed everything (False)."""
    while selector.get_map():
        # What was said before "ready" is in the pipes already and is passed on first.
        events = sorted(selector.select(), key=lambda event: event[0].data is None)
        for key, _ in events:
            data = os.read(key.fd, 65536)
            if not data:
                selector.unregister(key.fd)
                os.close(key.fd)
            elif key.data is None:
                return True
            else:
                key.data.write(data.decode("utf-8", "replace"))
                key.data.flush()
    return False
