"""Run this program again in namespaces of its own, which vanish with it.

The chain of processes, outermost first::

    we            wait, pass signals on              rerun() or spawn()
    unshare       makes the namespaces
    process 1     reaps orphans, passes signals on   enter()
    the program   does the work                      returns from enter()

Mounts, network namespaces, files below /run and every process started inside hang on process 1:
when it ends, the kernel removes all of them. Each link dies when the one above it dies
(``setpriv --pdeathsig``, ``unshare --kill-child``), so ``kill -9`` of any of them leaves nothing.

Root needs no user namespace. Everybody else gets one with itself as root inside.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from orchestrator import errors
from orchestrator.host import process

_MARK = "SBCCTL_SANDBOX"
_NAMESPACES = ("--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")
_OWN_USER = ("--user", "--map-root-user")
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 10
"""Seconds a program has to wind up after a signal."""

_SWITCHES = (
    ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces is 0"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone is 0"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)",
    ),
)


def inside() -> bool:
    """True in the program that :func:`spawn` started, until it has called :func:`enter`."""
    return os.getpid() == 1 and os.environ.get(_MARK) == "1"


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    tied: bool,
    files: Mapping[int, int] | None = None,
) -> int:
    """Start *argv* in namespaces of its own and return the process id of the chain.

    Args:
        argv: The program, found by PATH, and its arguments.
        env: Its environment; a mark for :func:`inside` is added.
        tied: True when it must die with us. It stays in our session then, in a process group of
            its own, so that the terminal's Ctrl-C reaches us alone. Otherwise it gets a session.
        files: Our file descriptors by the number they get there; inheritable ones stay.

    Raises:
        HostError: The kernel refuses the namespaces; the hint says what stands in the way.
    """
    flags = allowed_flags()
    setpriv = (process.find_program("setpriv"), "--pdeathsig", "KILL") if tied else ()
    words = (*setpriv, process.find_program("unshare"), *flags, "--", *argv)
    actions = [(os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in (files or {}).items()]
    return os.posix_spawn(
        words[0],
        words,
        {**env, _MARK: "1"},
        file_actions=actions,
        setsigdef=(signal.SIGPIPE, *_PASSED_ON),
        setsigmask=(),
        **({"setpgroup": 0} if tied else {"setsid": True}),
    )


def rerun(argv: Sequence[str], *, env: Mapping[str, str]) -> int:
    """Run *argv* in namespaces of its own and return its exit code; 128 + n for signal n.

    Blocks. Ctrl-C, SIGTERM and SIGHUP are passed on once, and the program has ten seconds to wind
    up by itself; a second one ends everything at once.

    Raises:
        HostError: As :func:`spawn`.
    """
    chain = spawn(argv, env=env, tied=True)
    return wait(chain)


def wait(chain: int) -> int:
    """Wait for what :func:`spawn` returned, pass signals on, and return its exit code."""
    passed: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        del frame
        first = _first_process(chain)
        if passed or first is None:
            number, first = signal.SIGKILL, chain
        passed.append(number)
        with suppress(ProcessLookupError):
            os.kill(first, number)
        signal.alarm(_PATIENCE)

    before = {number: signal.signal(number, pass_on) for number in (*_PASSED_ON, signal.SIGALRM)}
    try:
        _, status = os.waitpid(chain, 0)
    finally:
        signal.alarm(0)
        for number, action in before.items():
            signal.signal(number, action)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def enter() -> None:
    """Leave process 1 behind as the reaper of orphans, and return in a process of its own.

    To be called once, before there are threads, in the program that :func:`spawn` started.
    """
    os.environ.pop(_MARK, None)
    # A signal that arrives between the fork and the new handlers must wait for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if child:
        _reap(child)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)


def cover(folder: str) -> None:
    """Mount empty memory over *folder*, for the processes in here only."""
    process.run(
        ("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder), timeout=10, check=True
    )


def replace_file(target: str, source: str) -> None:
    """Show the file *source* where *target* stands, for the processes in here only.

    A link is followed. Where it points below a folder that was covered, the file is made there.

    Raises:
        HostError: There is no file *target* that could be replaced.
    """
    real = Path(target).resolve()
    if not real.exists() and real.is_relative_to("/run"):
        real.parent.mkdir(parents=True, exist_ok=True)
        real.touch()
    if not real.exists():
        raise errors.HostError(f"this machine has no {target}", hint=f"create it: touch {target}")
    process.run(("mount", "--bind", source, str(real)), timeout=10, check=True)


def allowed_flags() -> tuple[str, ...]:
    """The flags of unshare(1) with which the kernel lets us make the namespaces.

    Raises:
        HostError: It does not; the hint says what stands in the way.
    """
    ways = ((), _OWN_USER) if os.geteuid() == 0 else (_OWN_USER,)
    words = ""
    for way in ways:
        flags = (*way, *_NAMESPACES)
        ran = process.run(("unshare", *flags, "true"), timeout=20)
        if ran.code == 0:
            return flags
        words = ran.err.strip()
    raise errors.HostError(
        f"the kernel refuses namespaces of our own: {words}", hint=_reason(words)
    )


def _reason(words: str) -> str:
    """What probably stands in the way, and what to try."""
    for file, value, reason in _SWITCHES:
        with suppress(OSError):
            if Path(file).read_text(encoding="ascii").strip() == value and os.geteuid() != 0:
                return f"{reason}; run it as root, or change that setting"
    if "/proc" in words:
        return "a container that hides parts of /proc allows no /proc of our own; run it outside"
    return "run it as root, or in a container that may make namespaces (CAP_SYS_ADMIN)"


def _first_process(chain: int) -> int | None:
    """Process 1 of the inside, by its number out here; None when there is none yet."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                if int(stat.rpartition(")")[2].split()[1]) == chain:
                    return int(entry.name)
    return None


def _reap(child: int) -> NoReturn:
    """Be process 1: pass signals on to *child*, reap orphans, end when *child* ends."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        del frame
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            # Not sys.exit: what the program has buffered is the program's to write.
            os._exit(code if code >= 0 else 128 - code)
