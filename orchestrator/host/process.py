"""Run programs and keep daemons: the only door to subprocess.

Every program gets its own session, so that a timeout or a stop ends the whole group and nothing
is left behind. Programs may come from an engine root (DESIGN section 3): a tree of another Debian
release, entered with bubblewrap, which shares the network, the process ids and the state.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator import errors

PACKAGES = {
    "kamailio": "kamailio kamailio-tls-modules kamailio-sqlite-modules",
    "rtpengine": "rtpengine-daemon",
    "bwrap": "bubblewrap",
    "certbot": "certbot",
    "nsenter": "util-linux",
    "ss": "iproute2",
}
"""Which Debian package brings a program we call."""

_PROGRAM_FOLDERS = ("usr/sbin", "usr/bin", "sbin", "bin", "usr/local/sbin", "usr/local/bin")
_STOP_POLL = 0.02


@dataclass(frozen=True, slots=True)
class EngineRoot:
    """A tree of another Debian release from which engines run.

    Attributes:
        path: The tree, an absolute directory.
        write: Host directories the engines share with us at the same path (state, run).
        read: Host files the engines read at the same path; those that are missing are left out.
    """

    path: str
    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

    def prefix(self) -> tuple[str, ...]:
        """The words in front of an argv that runs it inside the tree."""
        words = ["bwrap", "--bind", self.path, "/", "--dev", "/dev", "--proc", "/proc"]
        words += ["--bind", "/tmp", "/tmp"]  # noqa: S108 - shared with the host on purpose
        for folder in self.write:
            words += ["--bind", folder, folder]
        for file in self.read:
            words += ["--ro-bind-try", file, file]
        return (*words, "--chdir", "/", "--")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a finished program said; ``seconds`` is wall-clock time."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float


def find_program(name: str, root: EngineRoot | None = None) -> str:
    """Return the path of a program, as it is called inside ``root`` or on this machine.

    Raises:
        HostError: It is not installed; the hint names the Debian package.
    """
    if root is not None:
        for folder in _PROGRAM_FOLDERS:
            if os.access(Path(root.path) / folder / name, os.X_OK):
                return f"/{folder}/{name}"
        raise _missing(name, f"the engine root {root.path}")
    sbin = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    found = shutil.which(name, path=sbin)
    if found is None:
        raise _missing(name, "this machine")
    return found


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stdin: bytes | None = None,
    netns: str | None = None,
    root: EngineRoot | None = None,
    check: bool = False,
) -> Ran:
    """Run a program to its end and return what it said.

    Blocks for at most ``timeout`` seconds; then, and on Ctrl-C, its whole session is killed.
    ``env`` replaces the environment; ``netns`` names a network namespace below /run/netns.

    Raises:
        HostError: The program is missing or may not be run.
        EngineSilent: It did not end in time.
        EngineRefused: ``check`` was asked for and the exit code is not 0.
    """
    words = _words(argv, netns, root)
    begin = time.monotonic()
    with _spawned(words, argv[0], env, cwd) as child:
        try:
            out, err = child.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            raise errors.EngineSilent(
                f"{argv[0]} did not end within {timeout:g} s and was killed",
                hint=f"run it by hand to see what it waits for: {_quoted(words)}",
            ) from None
    ran = Ran(
        argv=words,
        code=child.returncode,
        out=out.decode("utf-8", "replace"),
        err=err.decode("utf-8", "replace"),
        seconds=time.monotonic() - begin,
    )
    if check and ran.code != 0:
        raise errors.EngineRefused(
            f"{argv[0]} ended with exit code {ran.code}",
            words=(ran.err or ran.out).strip(),
            hint=f"run it by hand to see the rest: {_quoted(words)}",
        )
    return ran


def start(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    netns: str | None = None,
    root: EngineRoot | None = None,
) -> int:
    """Start a detached program that outlives us; its output is appended to ``log``.

    Returns:
        Its process id, which is also the id of its session and process group.

    Raises:
        HostError: The program is missing, or the log cannot be written.
    """
    words = ("env", "--chdir=/", *_words(argv, netns, root))
    try:
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise errors.HostError(
            f"cannot write the log {log}: {error.strerror}", hint="see the directory's owner"
        ) from error
    try:
        return os.posix_spawnp(
            words[0],
            words,
            dict(os.environ if env is None else env),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, target, 1),
                (os.POSIX_SPAWN_DUP2, target, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
    except OSError as error:
        raise errors.HostError(
            f"{argv[0]} could not be started: {error.strerror}",
            hint="see the limits of memory and processes on this machine",
        ) from error
    finally:
        os.close(target)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not, and ours is reaped on the way."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return (stat := _stat(pid)) is not None and stat[0] not in "ZX"


def command_line(pid: int) -> tuple[str, ...]:
    """The words of a process's command line; none when it is gone."""
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(content.decode("utf-8", "replace").rstrip("\0").split("\0")) if content else ()


def group_of(pid: int) -> int | None:
    """The process group of a running process; None when it is gone or a zombie."""
    stat = _stat(pid)
    return stat[1] if stat and stat[0] not in "ZX" else None


def all_processes() -> tuple[int, ...]:
    """Every process id there is, in our process namespace."""
    return tuple(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def members(group: int) -> tuple[int, ...]:
    """The running processes of a process group, also when its leader is gone."""
    return tuple(pid for pid in all_processes() if group_of(pid) == group)


def stop(pid: int, *, timeout: float) -> None:
    """End a program started by ``start``, and all it started: TERM, wait, then KILL.

    Blocks until the whole group is gone; a program that is gone already is no error.
    """
    for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, 5.0)):
        if not _signal_group(pid, number):
            return
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not alive(pid) and not members(pid):
                return
            time.sleep(_STOP_POLL)


def _signal_group(pid: int, number: signal.Signals) -> bool:
    alive(pid)
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise errors.HostError(
            f"may not end process {pid}: it belongs to somebody else", hint="run sbcctl as root"
        ) from error
    return True


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and process group; the name before them may hold spaces and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[2])


@contextmanager
def _spawned(
    words: tuple[str, ...], name: str, env: Mapping[str, str] | None, cwd: str | Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    """A child in its own session, killed with its group when the block does not end well."""
    try:
        child = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise _missing(name, "this machine") from error
    except PermissionError as error:
        raise errors.HostError(
            f"{name} may not be run: {error.strerror}", hint="run sbcctl as root"
        ) from error
    with child:
        try:
            yield child
        except BaseException:
            _signal_group(child.pid, signal.SIGKILL)
            raise


def _words(argv: Sequence[str], netns: str | None, root: EngineRoot | None) -> tuple[str, ...]:
    """The full argv: into the namespace, into the tree, then the program."""
    program = argv[0] if "/" in argv[0] else find_program(argv[0], root)
    words: tuple[str, ...] = (program, *argv[1:])
    if root is not None:
        prefix = root.prefix()
        words = (find_program(prefix[0]), *prefix[1:], *words)
    if netns is not None:
        words = (find_program("nsenter"), f"--net=/run/netns/{netns}", *words)
    return words


def _missing(name: str, place: str) -> errors.HostError:
    package = PACKAGES.get(Path(name).name, "")
    hint = f"install it: apt-get install {package}" if package else f"install {name}"
    return errors.HostError(f"the program {name} is not installed on {place}", hint=hint)


def _quoted(words: tuple[str, ...]) -> str:
    import shlex  # noqa: PLC0415 - only for a message about a failure

    return shlex.join(words)
