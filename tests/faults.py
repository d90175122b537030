"""Every call of a command line that touches disk or engines, found by strace and then broken.

A **point** is one such call: its name, what it was about, and the how-manieth of its name it is.
A dry run finds all; then each is hit by every fault that can come there. strace does the
breaking, so what fails is the system call of the program itself.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import ground
from cryptography import x509
from cryptography.hazmat.primitives import serialization

KILL = "SIGKILL"
DISK = ("ENOSPC", "EDQUOT", "EROFS", "EIO")
_NOTHING_NEW = ("EROFS", "EIO")
_OPEN_ALREADY = ("ENOSPC", "EDQUOT", "EIO")
_NEW = ("mkdir", "mknod", "symlink", "rename", "link")
_ATTRIBUTES = ("unlink", "rmdir", "utimensat", "fchmod", "fchown", "chown", "ftruncate")
TRACED = (
    "openat,write,pwrite64,fsync,fdatasync,utimensat,ftruncate,fchmod,fchown,?chown,fchownat,"
    "?mkdir,mkdirat,mknodat,?symlink,symlinkat,?rename,renameat,renameat2,?unlink,unlinkat,"
    "?rmdir,connect,bind,sendto,sendmsg,recvfrom,recvmsg,read"
)
_CWD = f"<{ground.HERE.parent}>"
_LINE = re.compile(r"(\w+)\((.*)")


@dataclass(frozen=True, slots=True)
class Point:
    """One call: its name, what it is about, the number it has, and whether it is an exchange."""

    call: str
    about: str
    number: int
    kind: str

    def faults(self) -> tuple[str, ...]:
        """Everything that can come there."""
        if self.kind == "exchange":
            refused = self.call in ("connect", "sendto", "sendmsg", "recvfrom", "recvmsg")
            return (KILL, "ECONNREFUSED") if refused else (KILL,)
        if self.call == "openat":
            return (KILL, *(DISK if "O_CREAT" in self.about else _NOTHING_NEW))
        if self.call.startswith(_NEW):
            return (KILL, *DISK)
        if self.call.startswith(_ATTRIBUTES):
            return (KILL, *_NOTHING_NEW)
        return (KILL, *_OPEN_ALREADY)


def _about(rest: str, places: tuple[str, ...]) -> tuple[str, str]:
    """What a call was about, without what changes from run to run, and its kind."""
    kind = ""
    if "<UNIX" in rest or "<UDP:" in rest or "sun_path=" in rest:
        kind = "exchange"
    elif any(place in rest for place in places):
        kind = "exchange" if "/rpc-" in rest or ".fifo" in rest else "file"
    text = re.sub(r"<(UNIX|UDP)[^>]*>", r"<\1>", rest)
    text = re.sub(r"rpc-\d+-\d+", "rpc", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "NAME", text)
    for place in places:
        text = text.replace(str(Path(place).parent), "")
    found = re.findall(r'<[/UN][^>]*>|"/[^"]*"|"generations[^"]*"|O_[A-Z_|]+', text)
    return " ".join(word for word in found if word != _CWD), kind


def points(trace: str, places: tuple[str, ...]) -> tuple[Point, ...]:
    """All points of a dry run, in order."""
    counts: Counter[str] = Counter()
    found = []
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        call, rest = match[1], match[2]
        counts[call] += 1
        about, kind = _about(rest, places)
        reads = call == "openat" and not re.search("O_WRONLY|O_RDWR|O_CREAT", rest)
        if kind == "" or (kind == "file" and (reads or call == "read")):
            continue
        found.append(Point(call, about, counts[call], kind))
    return tuple(found)


def once_each(found: tuple[Point, ...]) -> tuple[Point, ...]:
    """Of calls that a loop repeats for file after file: the first and the last of each round."""
    rounds: dict[tuple[object, ...], list[Point]] = {}
    commits = 0
    for point in found:
        commits += point.call.startswith("symlink")
        about = re.sub(r"(generations/NAME)/[^>\" ]+", r"\1/FILE", point.about)
        rounds.setdefault((commits, point.call, about, point.kind), []).append(point)
    kept = {point for group in rounds.values() for point in (group[0], group[-1])}
    return tuple(point for point in found if point in kept)


class Broken(AssertionError):
    """A state that must not be."""


class Warm:
    """sbcctl, warm, inside a machine that serves."""

    def __init__(self, machine: ground.Ground) -> None:
        self.machine = machine
        self._asked = itertools.count()
        script = str(Path(__file__).with_name("warm.py"))
        python = machine.words()[0]
        self._server = machine.start(
            python, script, str(machine.folder), env={"PYTHONPATH": str(ground.HERE.parent)}
        )
        self._ask({"words": self.words("apply"), "here": True})

    def words(self, verb: str, *more: str) -> list[str]:
        """The command line of a verb."""
        site = (str(self.machine.folder / "site.yaml"),) if verb == "apply" else ()
        argv = self.machine.words(verb, *site, "--output", "json", *more)
        return list(argv[argv.index("orchestrator.cli") + 1 :])

    def _ask(self, question: dict[str, object]) -> int:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(question).encode() + b"\n")
        self._server.stdin.flush()
        while line := self._server.stdout.readline():
            if line.startswith(b"@"):
                code: int = json.loads(line[1:])["code"]
                return code
        raise Broken("the warm process has died")

    def run(self, words: list[str], *strace: str) -> tuple[int, str, str]:
        """Exit code (negative: a signal), what was said, what strace saw."""
        trace = self.machine.folder / "trace"
        trace.unlink(missing_ok=True)
        code = self._ask({"words": words, "strace": strace})
        said = (self.machine.folder / "said").read_text(errors="replace")
        return code, said, trace.read_text(errors="replace") if strace else ""

    def trace(self, words: list[str]) -> tuple[Point, ...]:
        """A dry run: the points of a command line that succeeds."""
        code, said, trace = self.run(words, "-yy", "-s", "256", "-e", f"trace={TRACED}")
        assert code == 0, said
        return points(trace, self.places)

    def hit(self, words: list[str], point: Point, fault: str) -> tuple[int, str, str]:
        """Run a command line with one fault; exit code, what was said, the call that was hit."""
        how = "signal=KILL" if fault == KILL else f"error={fault}"
        inject = f"inject={point.call}:{how}:when={point.number}"
        code, said, trace = self.run(
            words, "-yy", "-s", "256", "-e", f"trace={point.call}", "-e", inject
        )
        lines = [line for line in trace.splitlines() if _LINE.match(line)]
        hit = next((line for line in lines if "(INJECTED)" in line), "")
        if fault == KILL and "+++ killed by SIGKILL" in trace:
            hit = lines[-1]
        return code, said, _about(hit.partition("(")[2], self.places)[0] if hit else ""

    @property
    def places(self) -> tuple[str, str]:
        """The directories that count."""
        return str(self.machine.state), str(self.machine.run_dir)

    def snapshot(self) -> str:
        """Everything in the state directory that a next run could see, as one digest."""
        state = self.machine.state
        seen = []
        for path in sorted(state.rglob("*")):
            if path.name in ("lock", "history.jsonl") or path.parent.name == "log":
                continue
            status = path.lstat()
            what = f"{path} {status.st_mode} {status.st_uid} {status.st_gid}"
            if path.is_symlink():
                what += f" {path.readlink()}"
            elif path.is_file():
                what += f" {status.st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            seen.append(what)
        note = self.machine.run_dir / "loaded.json"
        seen.append(note.read_text() if note.exists() else "no note")
        return hashlib.sha256("\n".join(seen).encode()).hexdigest()

    # -- what must hold after every fault ---------------------------------------------------

    def current(self) -> str:
        """The name of the generation that is current; whole and as it was written."""
        state = self.machine.state
        try:
            folder = state / (state / "current").readlink()
            manifest = json.loads((folder / "manifest.json").read_bytes())
        except (OSError, ValueError) as error:
            raise Broken(f"current leads nowhere: {error}") from error
        for file in manifest["files"]:
            content = (folder / file["path"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != file["sha256"]:
                raise Broken(f"{folder.name}/{file['path']} is not what was written")
        return folder.name

    def keep_only_current(self) -> None:
        """Remove all other generations, so that the next one must be written."""
        current = self.current()
        for folder in (self.machine.state / "generations").iterdir():
            if folder.name != current:
                shutil.rmtree(folder)

    def check_certificate(self) -> None:
        """The certificate in use has its key."""
        folder = self.machine.state / "certificates" / "current"
        leaf = x509.load_pem_x509_certificate((folder / "chain.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
        if leaf.public_key() != key.public_key():  # type: ignore[union-attr]
            raise Broken("the certificate in use and its key are no pair")

    def answers(self) -> bool:
        """Whether Kamailio answers."""
        own = self.machine.run_dir / f".check-{next(self._asked)}"
        theirs = self.machine.run_dir / "kamailio" / "kamailio.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.settimeout(2)
            try:
                asking.bind(str(own))
                asking.connect(str(theirs))
                asking.send(b'{"jsonrpc":"2.0","method":"core.version","id":1}')
                return b"kamailio" in asking.recv(4096)
            except OSError:
                return False
            finally:
                own.unlink(missing_ok=True)
