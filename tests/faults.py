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
from dataclasses import asdict, dataclass
from pathlib import Path

import ground
import states
from cryptography import x509
from cryptography.hazmat.primitives import serialization

KILL = "SIGKILL"
QUESTIONS = ("sendto", "sendmsg", "write")
ANSWERS = ("recvfrom", "recvmsg", "read")
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
STOPS = (
    "openat,write,pwrite64,fsync,utimensat,ftruncate,fchmod,fchown,?chown,?mkdir,mkdirat,mknodat,"
    "?symlink,symlinkat,?rename,renameat,renameat2,?unlink,unlinkat,?rmdir,sendto,recvfrom,bind"
)
"""Calls after which the disk or the engines may be different."""
_CWD = f"<{ground.HERE.parent}>"
_LINE = re.compile(r"(\w+)\((.*)")


@dataclass(frozen=True, slots=True)
class Point:
    """One call: its name, what it is about, the number it has, and what it is part of.

    ``kind`` is ``file`` for files of ours, ``exchange`` where a question goes or an answer comes,
    ``way`` for the sockets and FIFOs that are made for it.
    """

    call: str
    about: str
    number: int
    kind: str

    def errnos(self) -> tuple[str, ...]:
        """Everything that it can be refused with."""
        if self.kind == "exchange":
            return ("ETIMEDOUT",) if self.call in ANSWERS else ("ECONNREFUSED",)
        if self.call == "openat":
            return DISK if "O_CREAT" in self.about else _NOTHING_NEW
        if self.call.startswith(_NEW):
            return DISK
        if self.call.startswith(_ATTRIBUTES):
            return _NOTHING_NEW
        return _OPEN_ALREADY


def _about(call: str, rest: str, places: tuple[str, ...]) -> tuple[str, str]:
    """What a call was about, without what changes from run to run, and its kind."""
    kind = ""
    asked = call in QUESTIONS or call in ANSWERS
    if "<UNIX" in rest or "<UDP:" in rest or "sun_path=" in rest:
        kind = "exchange" if asked else "way"
    elif any(place in rest for place in places):
        kind = "file"
        if re.search(r"/\.?rpc-|\.fifo", rest):
            kind = "exchange" if asked else "way"
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
        about, kind = _about(call, rest, places)
        reads = call == "openat" and not re.search("O_WRONLY|O_RDWR|O_CREAT", rest)
        if kind == "" or (kind == "file" and (reads or call == "read")):
            continue
        if call == "read" and rest.endswith(" = 0"):
            continue  # the end of an answer that has come
        found.append(Point(call, about, counts[call], kind))
    return tuple(found)


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

    def _ask(self, question: dict[str, object]) -> dict:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(question).encode() + b"\n")
        self._server.stdin.flush()
        said = b""
        while line := self._server.stdout.readline():
            if line.startswith(b"@"):
                told: dict = json.loads(line[1:])
                return told
            said += line
        raise Broken(f"the warm process has died: {said[-4000:].decode(errors='replace')}")

    def run(self, words: list[str], *strace: str) -> tuple[int, str, str]:
        """Exit code (negative: a signal), what was said, what strace saw."""
        trace = self.machine.folder / "trace"
        trace.unlink(missing_ok=True)
        code = self._ask({"words": words, "strace": strace})["code"]
        said = (self.machine.folder / "said").read_text(errors="replace")
        return code, said, trace.read_text(errors="replace") if strace else ""

    def trace(self, words: list[str]) -> tuple[Point, ...]:
        """A dry run: the points of a command line that succeeds."""
        code, said, trace = self.run(words, "-yy", "-s", "256", "-e", f"trace={TRACED}")
        assert code == 0, said
        return points(trace, self.places)

    def stop_at_each(self, words: list[str], place: states.Place, into: Path) -> dict:
        """Run a command line, stopped at each call; ``states`` are those that it made."""
        named = {key: str(value) for key, value in asdict(place).items()}
        return self._ask({"words": words, "stops": STOPS, "place": named, "into": str(into)})

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
        name, _, rest = hit.partition("(")
        return code, said, _about(name, rest, self.places)[0] if hit else ""

    @property
    def places(self) -> tuple[str, str]:
        """The directories that count."""
        return str(self.machine.state), str(self.machine.run_dir)

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
