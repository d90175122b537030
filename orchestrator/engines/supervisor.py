"""Start, stop and watch over the engines: systemd units, or child processes without systemd.

Both ways run the same command: the ``ExecStart`` line of the rendered unit is the one truth of
how an engine is started. What runs is found out from the system, not from a note; only the
digest of the configuration RTPEngine was started with is noted, because it cannot tell.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator import errors
from orchestrator.engines import words
from orchestrator.host import process

SYSTEMD_MARK = Path("/run/systemd/system")
"""Exists exactly where systemd runs (sd_booted(3))."""

UNIT_FOLDER = Path("/etc/systemd/system")

_STOP_SECONDS = 10.0
_SYSTEMCTL_SECONDS = 60.0
_LOG_BYTES = 200_000
_HOLDER = re.compile(r'users:\(\("(?P<name>[^"]+)",pid=(?P<pid>\d+)')


@dataclass(frozen=True, slots=True)
class Status:
    """One engine as the system knows it.

    Attributes:
        running: Whether its main process runs.
        command: The words it was started with, from the program on; none when it is down.
        started_with: What was noted when it was started; empty when unknown.
    """

    running: bool
    command: tuple[str, ...] = ()
    started_with: str = ""


class Supervisor(Protocol):
    """One interface, two ways. Names are ``kamailio`` and ``rtpengine``."""

    def status(self, name: str) -> Status:
        """How the engine stands now."""
        ...

    def start(self, name: str, command: tuple[str, ...], note: str) -> None:
        """Start an engine that does not run; returns before it is ready."""
        ...

    def stop(self, name: str) -> None:
        """End an engine and all its processes; one that does not run is no error."""
        ...

    def end_leftovers(self, name: str) -> None:
        """End processes of an engine whose first process is gone; they hold its ports."""
        ...

    def check_alive(self, name: str) -> None:
        """Raise when an engine that was started has died, with its last words."""
        ...

    def installed_units(self) -> tuple[tuple[str, str], ...] | None:
        """Path in the generation and digest of each installed unit; None without systemd."""
        ...

    def install_units(self, units: tuple[tuple[str, str], ...]) -> None:
        """Install rendered units, given as path in the generation and text."""
        ...

    def remove_units(self) -> None:
        """Take the units away, so that nothing starts at the next boot."""
        ...


def for_this_host(
    state: Path, run_dir: Path, root: process.EngineRoot | None, netns: str | None = None
) -> Supervisor:
    """Units where systemd runs, child processes elsewhere and for an engine root."""
    if netns is None and uses_units(root.path if root else None):
        return Systemd(state)
    return Children(state, run_dir, root, netns)


def uses_units(engine_root: str | None) -> bool:
    """Whether systemd starts the engines here; those of an engine root it never does."""
    return SYSTEMD_MARK.is_dir() and engine_root is None


class Children:
    """Engines as detached child processes with pid files and logs below the state directory.

    A process is ours when it is the program itself, or what leads into its engine root, and was
    started with a file below our state directory's ``current``: a lost or stale pid file
    misleads nobody, and neither does an editor that has such a file open.
    """

    def __init__(
        self, state: Path, run_dir: Path, root: process.EngineRoot | None, netns: str | None
    ) -> None:
        self._state = state
        self._run = run_dir
        self._root = root
        self._netns = netns

    def status(self, name: str) -> Status:
        """How the engine stands now; its pid file is tried first, then every process."""
        known = _read_number(self._run / f"{name}.pid")
        for pid in (known,) if known and self._is_ours(known, name) else self._ours(name):
            if process.group_of(pid) == pid:
                note = _read(self._state / "log" / f"{name}.started")
                command = _from_program(process.command_line(pid), name)
                return Status(running=True, command=command, started_with=note)
        return Status(running=False)

    def start(self, name: str, command: tuple[str, ...], note: str) -> None:
        """Start it detached; what is left of an earlier one is ended first."""
        self.stop(name)
        log = self.log(name)
        with _translated(self._run):
            self._run.mkdir(mode=0o750, parents=True, exist_ok=True)
            log_size = log.stat().st_size if log.exists() else 0
            (self._run / f"{name}.begin").write_text(f"{log_size}\n", encoding="ascii")
            (self._state / "log" / f"{name}.started").write_text(f"{note}\n", encoding="ascii")
        argv = (Path(command[0]).name, *command[1:])
        pid = process.start(argv, log=log, root=self._root, netns=self._netns)
        with _translated(self._run):
            (self._run / f"{name}.pid").write_text(f"{pid}\n", encoding="ascii")

    def stop(self, name: str) -> None:
        """End every process of it, workers without a leader included."""
        # First what may fail: an engine is not ended when no new one could be noted after it.
        with _translated(self._run):
            (self._run / f"{name}.pid").unlink(missing_ok=True)
        for group in sorted({process.group_of(pid) or pid for pid in self._ours(name)}):
            process.stop(group, timeout=_STOP_SECONDS)

    def end_leftovers(self, name: str) -> None:
        """End workers without a leader."""
        if not self.status(name).running:
            self.stop(name)

    def check_alive(self, name: str) -> None:
        """Raise when it has died; the log since its start tells why."""
        pid = _read_number(self._run / f"{name}.pid")
        if pid is not None and process.alive(pid):
            return
        begin = _read_number(self._run / f"{name}.begin") or 0
        raise _died(name, _tail(self.log(name), begin), f"see {self.log(name)}")

    def log(self, name: str) -> Path:
        """The file its output goes to."""
        return self._state / "log" / f"{name}.log"

    def installed_units(self) -> None:
        """There are no units without systemd."""
        return

    def install_units(self, units: tuple[tuple[str, str], ...]) -> None:
        """There are no units without systemd."""

    def remove_units(self) -> None:
        """There are no units without systemd."""

    def _is_ours(self, pid: int, name: str) -> bool:
        line = engine_words(process.command_line(pid))
        current = f"{self._state}/current/{name}/"
        return Path(line[0] if line else "").name == name and any(
            # The bare path, or the value of --config-file=.
            word.partition("=")[2].startswith(current) or word.startswith(current)
            for word in line[1:]
        )

    def _ours(self, name: str) -> tuple[int, ...]:
        return tuple(pid for pid in process.all_processes() if self._is_ours(pid, name))


class Systemd:
    """Engines as systemd units, installed from the generation into the folder ``units``."""

    def __init__(self, state: Path, units: Path = UNIT_FOLDER) -> None:
        self._state = state
        self._units = units
        self._begun: dict[str, float] = {}

    def status(self, name: str) -> Status:
        """What systemd says about the unit."""
        told = self._show(name, "ActiveState", "MainPID")
        pid = int(told.get("MainPID", "0") or 0)
        if told.get("ActiveState") not in ("active", "reloading") or not pid:
            return Status(running=False)
        note = _read(self._state / "log" / f"{name}.started")
        command = _from_program(process.command_line(pid), name)
        return Status(running=True, command=command, started_with=note)

    def start(self, name: str, command: tuple[str, ...], note: str) -> None:
        """Start the unit, now and at every boot; its ExecStart is the command."""
        del command
        path = self._state / "log" / f"{name}.started"
        with _translated(path):
            path.write_text(f"{note}\n", encoding="ascii")
        self._systemctl("enable", _unit(name))
        self._begun[name] = time.time()
        ran = process.run(["systemctl", "restart", _unit(name)], timeout=_SYSTEMCTL_SECONDS)
        if ran.code != 0:
            raise self._died(name)

    def stop(self, name: str) -> None:
        """Stop the unit."""
        self._systemctl("stop", _unit(name))

    def end_leftovers(self, name: str) -> None:
        """Systemd ends all processes of a unit with its first."""

    def check_alive(self, name: str) -> None:
        """Raise when it has died since its start; the journal tells why.

        Systemd starts it again and again (the unit's Restart=), so it may well be "active" now.
        """
        told = self._show(name, "ActiveState", "SubState", "NRestarts")
        begun = told.get("ActiveState") in ("active", "activating", "reloading")
        if begun and told.get("SubState") != "auto-restart" and told.get("NRestarts") == "0":
            return
        raise self._died(name)

    def installed_units(self) -> tuple[tuple[str, str], ...]:
        """The units as they are installed."""
        found = []
        for name in ("kamailio", "rtpengine"):
            content = _read_bytes(self._units / _unit(name))
            found.append((f"systemd/{_unit(name)}", hashlib.sha256(content).hexdigest()))
        return tuple(found)

    def install_units(self, units: tuple[tuple[str, str], ...]) -> None:
        """Write the units and let systemd read them."""
        for path, text in units:
            target = self._units / Path(path).name
            beside = target.with_name(f".{target.name}.new")
            with _translated(target):
                beside.write_text(text, encoding="utf-8")
                beside.replace(target)
        self._systemctl("daemon-reload")

    def remove_units(self) -> None:
        """Disable and remove the units that are there; both have been stopped before."""
        names = [_unit(name) for name in ("kamailio", "rtpengine")]
        there = [name for name in names if (self._units / name).exists()]
        if not there:
            return
        self._systemctl("disable", *there)
        for name in there:
            with _translated(self._units / name):
                (self._units / name).unlink(missing_ok=True)
        self._systemctl("daemon-reload")

    def _died(self, name: str) -> errors.SbcctlError:
        # Not what the process before it said, and all starts that systemd has tried since.
        since = [f"--since=@{self._begun[name]:.6f}"] if name in self._begun else []
        words = ["--unit", _unit(name), "--lines=60", "--output=cat", "--no-pager", *since]
        journal = process.run(["journalctl", *words], timeout=_SYSTEMCTL_SECONDS)
        return _died(name, journal.out, f"see journalctl -u {_unit(name)}")

    def _show(self, name: str, *properties: str) -> dict[str, str]:
        ran = process.run(
            ["systemctl", "show", f"--property={','.join(properties)}", _unit(name)],
            timeout=_SYSTEMCTL_SECONDS,
        )
        return dict(line.split("=", 1) for line in ran.out.splitlines() if "=" in line)

    def _systemctl(self, *arguments: str) -> None:
        process.run(["systemctl", *arguments], timeout=_SYSTEMCTL_SECONDS, check=True)


def check_free(transport: str, address: str, port: int) -> None:
    """Make sure that a socket can be bound now: ``udp``, ``tcp`` or ``tls``.

    Raises:
        HostError: Somebody has the port, or we may not bind it; the holder is named if known.
    """
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as trial:
        if kind == socket.SOCK_STREAM:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _taken(transport, address, port) from error
            raise errors.HostError(
                f"cannot bind {transport} port {port} of {address}: {error.strerror}",
                hint="ports below 1024 need root; see node and teams.port in site.yaml",
            ) from error


def _taken(transport: str, address: str, port: int) -> errors.HostError:
    holder = find_holder(port)
    return errors.HostError(
        f"{transport} port {port} of {address} is taken" + (f" by {holder}" if holder else ""),
        hint=f"end that program, or change the port in site.yaml; ss -lntup sport = :{port}",
    )


def find_holder(port: int) -> str:
    """Which process has a port, in the words of ``ss``; empty when it cannot tell."""
    try:
        ran = process.run(["ss", "-Hlntup", f"sport = :{port}"], timeout=5)
    except errors.SbcctlError:
        return ""
    match = _HOLDER.search(ran.out)
    return f"{match['name']} (process {match['pid']})" if match else ""


def _died(name: str, log: str, where: str) -> errors.SbcctlError:
    if (taken := words.taken_port(log)) is not None:
        return _taken("udp or tcp", *taken)
    return words.refusal(f"{name} ended right after its start", log, hint=where)


def _unit(name: str) -> str:
    return f"sbcctl-{name}.service"


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Say which path refused to be written, and what to do."""
    try:
        yield
    except OSError as error:
        raise errors.HostError(
            f"cannot write {error.filename or path}: {(error.strerror or str(error)).lower()}",
            hint="run sbcctl as root, and see what is in the way there and whether there is space",
        ) from error


def engine_words(line: tuple[str, ...]) -> tuple[str, ...]:
    """A command line from the engine's own program on.

    ``process.start`` begins with env, goes through nsenter into a network namespace and through
    bwrap into an engine root; bwrap stays as the parent of what it runs.
    """
    while line and Path(line[0]).name in ("env", "nsenter"):
        words = iter(line[1:])
        line = tuple(itertools.dropwhile(lambda word: word.startswith("--"), words))
    if line and Path(line[0]).name == "bwrap" and "--" in line:
        line = line[line.index("--") + 1 :]
    return line


def _from_program(line: tuple[str, ...], name: str) -> tuple[str, ...]:
    """The words an engine was started with, the program by its bare name."""
    words = engine_words(line)
    return (name, *words[1:]) if words and Path(words[0]).name == name else line


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _read(path: Path) -> str:
    return _read_bytes(path).decode("utf-8", "replace").strip()


def _read_number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text.isdigit() else None


def _tail(path: Path, begin: int) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(begin, os.fstat(log.fileno()).st_size - _LOG_BYTES))
            return log.read().decode("utf-8", "replace")
    except OSError:
        return ""
