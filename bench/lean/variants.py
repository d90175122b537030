"""The Kamailios that are compared: ours as `sbcctl apply` started it, one without media, two bare.

Each has its own two addresses on one machine, the same certificate and as many workers.
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import machine

from orchestrator.host import process

HERE = Path(__file__).parent
EMPTIED = {
    "OFFER": "$var(done) = 1;",
    "LATE_OFFER": "$var(done) = 1;",
    "TAKE_ANSWER": "return;",
    "FORGET_MEDIA": "return;",
}
"""The routes that deal with RTPEngine, and what they are in ours without media."""


SCRIPT = re.compile(r"core/(action|lvalue|pvapi|rvalue)\.c")
"""Where Kamailio's errors about a script come from."""


@dataclass(frozen=True)
class Variant:
    """One Kamailio: its address for trunks and its address for Microsoft."""

    name: str
    trunks: str
    teams: str
    has_media: bool

    def folder(self, made: machine.Machine) -> Path:
        """Where its configuration is; the command lines of its processes have it."""
        if self.name == "ours+media":
            return made.state / "current/kamailio"
        return made.folder / f"lean-{self.name}"


VARIANTS = (
    Variant("bare", "192.0.2.12", "203.0.113.12", has_media=False),
    Variant("ours", "192.0.2.13", "203.0.113.13", has_media=False),
    Variant("bare+media", "192.0.2.14", "203.0.113.14", has_media=True),
    Variant("ours+media", "192.0.2.10", "203.0.113.10", has_media=True),
)
PAIRS = (("bare", "ours"), ("bare+media", "ours+media"))


def start(made: machine.Machine, variant: Variant) -> None:
    """Write its configuration next to the applied one, start it and wait until it listens."""
    if variant.name == "ours+media":
        return
    folder = variant.folder(made)
    applied = made.state / "current/kamailio"
    shutil.copytree(applied, folder)
    if variant.name.startswith("bare"):
        _write_bare(variant, folder)
    else:
        _empty_media(made, variant, folder)
    shared = (str(made.folder),)
    names = ("/etc/resolv.conf", "/etc/hosts")
    root = process.EngineRoot(str(made.root), shared, names) if made.root else None
    prefix = root.prefix() if root else ()
    config = folder / "kamailio.cfg"
    words = ("kamailio", *_memory(made), "-DD", "-E", "-f", str(config))
    log = folder / "log"
    script = 'exec "$@" >"$0" 2>&1'
    made.start("sh", "-c", script, str(log), *prefix, *words)
    listening = f"ss -Hlnt src {variant.teams} | grep -q ."
    for _ in range(100):
        if made.run("sh", "-c", listening, code=None).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{variant.name} does not listen: {log.read_text()[-2000:]}")


def complaints(made: machine.Machine, variant: Variant) -> list[str]:
    """Errors of its script so far; that nobody was there between two turns is none."""
    log = variant.folder(made) / "log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return [line for line in lines if "ERROR: " in line and SCRIPT.search(line)]


def _memory(made: machine.Machine) -> tuple[str, ...]:
    """What the command of the applied one says of its memory: all of them have the same."""
    pid = (made.run_dir / "kamailio.pid").read_text().strip()
    told = made.run("cat", f"/proc/{pid}/cmdline").stdout.split("\0")
    told = told[told.index("-DD") :]
    return tuple(
        word for flag in ("-x", "-m", "-M") for word in (flag, told[told.index(flag) + 1])
    )


def _empty_media(made: machine.Machine, variant: Variant, folder: Path) -> None:
    """Ours, at other addresses, with the routes empty that deal with RTPEngine."""
    run = folder / "run"
    run.mkdir()
    moved = {
        str(made.state / "current/kamailio"): str(folder),
        str(made.run_dir / "kamailio"): str(run),
        "192.0.2.10": variant.trunks,
        "203.0.113.10": variant.teams,
    }
    flags = re.MULTILINE | re.DOTALL
    emptied = 0
    for file in [each for each in folder.rglob("*") if each.is_file() and not _is_data(each)]:
        text = file.read_text()
        for old, new in moved.items():
            text = text.replace(old, new)
        for route, body in EMPTIED.items():
            pattern = rf"^route\[{route}\] \{{\n.*?^\}}$"
            text, count = re.subn(pattern, f"route[{route}] {{\n    {body}\n}}", text, flags=flags)
            emptied += count
        file.write_text(text)
    if emptied != len(EMPTIED):
        raise RuntimeError(f"{emptied} routes of media were found, not {len(EMPTIED)}")


def _is_data(file: Path) -> bool:
    """A database, or a table with rows of tenants: no address of ours is in it."""
    return file.suffix == ".sqlite" or file.name in ("number", "tenant")


def _write_bare(variant: Variant, folder: Path) -> None:
    applied = (folder / "kamailio.cfg").read_text()
    found = {
        "workers": re.search(r"^children=(\d+)$", applied, re.MULTILINE),
        "modules": re.search(r'^mpath="(.*)/"$', applied, re.MULTILINE),
        "ng": re.search(r"udp:127\.0\.0\.1:(\d+)", applied),
    }
    values = {name: each[1] for name, each in found.items() if each}
    values |= {"teams": variant.teams, "trunks": variant.trunks, "folder": str(folder)}
    values |= {"callee": machine.CALLEE, "microsoft": machine.TEAMS}
    text = (HERE / "bare.cfg").read_text()
    text = re.sub(r"^##media ", "" if variant.has_media else "# ", text, flags=re.MULTILINE)
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    (folder / "kamailio.cfg").write_text(text)


def processes(made: machine.Machine, variant: Variant) -> list[Path]:
    """Folders in /proc of its processes."""
    wanted = str(variant.folder(made) / "kamailio.cfg").encode()
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            line = (each / "cmdline").read_bytes().split(b"\0")
            if wanted in line and (each / "comm").read_text() == "kamailio\n":
                found.append(each)
        except OSError:
            continue
    return found


def cpu_seconds(made: machine.Machine, variant: Variant) -> float:
    """Processor time of all its processes and threads so far, as the kernel counts it."""
    files = (file for each in processes(made, variant) for file in each.glob("task/*/schedstat"))
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9
