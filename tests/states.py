"""What a killed sbcctl leaves behind, as a value: kept, told apart, and put back.

A process that is killed leaves what lies on the disk at that moment, and the engines as it had
made them. So one run that is stopped after each of its calls shows every state a kill can leave.
Two states count as the same where a next run could not tell them apart: the names of the two
generations, process ids and times of day are left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

_LEFT_OUT = ("lock", "history.jsonl", "log")
_OWN_TIMES = re.compile(rb'"(pid|began)": ("[^"]*"|\d+)')
_TABLES = "kamailio/tables"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an sbcctl keeps what it knows, and the two generations it goes between.

    Attributes:
        state: Its state directory.
        run: Its run directory.
        old: Name of the generation that served when it began.
        new: Name of the one it makes.
        table: A table that differs between them; what Kamailio holds of it belongs to the state.
    """

    state: Path
    run: Path
    old: str
    new: str
    table: str

    def masked(self, content: bytes) -> bytes:
        """Without what differs from one run to the next."""
        content = content.replace(self.old.encode(), b"OLD").replace(self.new.encode(), b"NEW")
        return _OWN_TIMES.sub(rb'"\1": 0', content)

    def disk(self) -> str:
        """Everything on the disk that a next run could see, as one digest."""
        newest = _seconds(self.state / "generations" / self.old / "manifest.json")
        seen = []
        for path in sorted(self.state.rglob("*")):
            place = str(path.relative_to(self.state))
            if place.partition("/")[0] in _LEFT_OUT:
                continue
            status = path.lstat()
            what = f"{place} {stat.filemode(status.st_mode)} {status.st_uid} {status.st_gid}"
            if path.is_symlink():
                what += f" {path.readlink()}"
            elif path.is_file():
                what += hashlib.sha256(self.masked(path.read_bytes())).hexdigest()
                if _TABLES in place:
                    what += f" {_seconds(path) > newest}"
            seen.append(self.masked(what.encode()).decode())
        note = self.run / "loaded.json"
        seen.append(self.masked(note.read_bytes()).decode() if note.exists() else "no note")
        return _digest("\n".join(sorted(seen)))

    def held(self) -> str:
        """What Kamailio holds of the table, as a digest; empty when it does not answer."""
        told = self.ask("htable.dump", self.table)
        return _digest(json.dumps(told["result"], sort_keys=True)) if told else ""

    def ask(self, method: str, *words: str) -> dict | None:
        """Ask Kamailio, by a way of our own."""
        own = self.run / f".state-{os.getpid()}"
        question = {"jsonrpc": "2.0", "method": method, "params": words, "id": 1}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.settimeout(5)
            try:
                asking.bind(str(own))
                asking.connect(str(self.run / "kamailio" / "kamailio.sock"))
                asking.send(json.dumps(question).encode())
                return json.loads(asking.recv(1 << 17))
            except OSError:
                return None
            finally:
                own.unlink(missing_ok=True)

    def keep(self, folder: Path) -> None:
        """Copy it to a folder that is not there yet."""
        left_out = shutil.ignore_patterns(*_LEFT_OUT)
        shutil.copytree(self.state, folder / "state", symlinks=True, ignore=left_out)
        note = self.run / "loaded.json"
        if note.exists():
            shutil.copy2(note, folder / "loaded.json")

    def put_back(self, folder: Path, later: int) -> None:
        """Make the disk what was kept in a folder, with all files so many seconds newer.

        Kamailio reads a table again only where its file is newer than the one it read.
        """
        for path in self.state.iterdir():
            if path.name in _LEFT_OUT:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        shutil.copytree(folder / "state", self.state, symlinks=True, dirs_exist_ok=True)
        for path in (self.state / "generations").rglob("*"):
            if path.is_file():
                moment = path.stat().st_mtime + later
                os.utime(path, (moment, moment))
        (self.run / "loaded.json").unlink(missing_ok=True)
        if (folder / "loaded.json").exists():
            shutil.copy2(folder / "loaded.json", self.run / "loaded.json")


def _seconds(path: Path) -> int:
    try:
        return int(path.stat().st_mtime)
    except OSError:
        return 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
