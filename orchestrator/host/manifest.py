"""What a generation says of itself: its files as they were written, and where it came from.

The manifest is written last, so a generation without one was never finished. It is read often, and
where a generation came from may be as large as all files of its tenants: that lies beside it, in a
file whose name begins with :data:`ORIGIN` and which counts only while it has its digest.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host import files
from orchestrator.render import generation as generations
from orchestrator.render import wanted

NAME = "manifest.json"
ORIGIN = "origin."


@dataclass(frozen=True, slots=True)
class Entry:
    """One file."""

    path: str
    sha256: str
    effect: str
    secret: bool
    table: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What manifest.json says.

    Attributes:
        digest: Of the generation.
        skeleton: Of its skeleton.
        files: Each file as it was written.
        source: SHA-256 of the text about where it came from; empty where nothing was said.
        origin: That text itself, in what an earlier sbcctl wrote.
        database: SHA-256 of the tables for Kamailio's start; empty where there are none, and
            in what an earlier sbcctl wrote.
    """

    digest: str
    skeleton: str
    files: tuple[Entry, ...]
    source: str = ""
    origin: str = ""
    database: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What lies there now, beside what a manifest says.

    Attributes:
        generation: The files as they are.
        drifted: Paths of those that are no longer what was written, sorted.
        missing: Those of them that are not there at all, or cannot be read.
    """

    generation: generations.Generation
    drifted: tuple[str, ...]
    missing: tuple[str, ...]


def read(path: Path) -> Manifest | None:
    """Read a manifest; None when there is none, or none that makes sense."""
    try:
        told = json.loads(path.read_bytes())
        return Manifest(
            digest=told["digest"],
            skeleton=told["skeleton"],
            files=tuple(Entry(**entry) for entry in told["files"]),
            source=str(told.get("source", "")),
            origin=str(told.get("origin", "")),
            database=str(told.get("database", "")),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def look(folder: Path, told: Manifest) -> Found:
    """Read the files of a generation again, and compare them with what was written."""
    found, drifted, missing = [], [], []
    for entry in told.files:
        try:
            content = (folder / entry.path).read_bytes()
        except OSError:
            content = b""
            missing.append(entry.path)
        held = hashlib.sha256(content).hexdigest()
        if held != entry.sha256:
            drifted.append(entry.path)
        text = content.decode("utf-8", "replace")
        found.append(
            generations.File(
                path=entry.path,
                text=text,
                effect=generations.Effect(entry.effect),
                secret=entry.secret,
                table=entry.table,
                # A character that was replaced makes another text of it.
                known="" if "\ufffd" in text else held,
            )
        )
    generation = generations.Generation(files=tuple(found), skeleton=told.skeleton)
    if told.database or wanted.reads_database(generation):
        held = files.digest(folder / wanted.DATABASE)
        if not held:
            missing.append(wanted.DATABASE)
        if not held or told.database not in ("", held):
            drifted.append(wanted.DATABASE)
    return Found(generation, tuple(drifted), tuple(missing))


def origin_path(folder: Path, digest: str) -> Path:
    """Where the text with this digest lies, about where a generation came from."""
    return folder / f"{ORIGIN}{digest[:12]}"


def read_origin(folder: Path, told: Manifest) -> str:
    """Where a generation came from; empty when it does not say, or not as it was written."""
    if not told.source:
        return told.origin
    try:
        content = origin_path(folder, told.source).read_bytes()
    except OSError:
        return ""
    return content.decode() if hashlib.sha256(content).hexdigest() == told.source else ""


def find_text(folders: Path, path: str, digest: str) -> str | None:
    """A file of any generation by its digest; None when none has it, or has it whole.

    Args:
        folders: Where the generations lie.
        path: The file's place in a generation.
        digest: SHA-256 of its content.
    """
    for manifest in sorted(folders.glob(f"*/{NAME}")):
        told = read(manifest)
        entries = told.files if told else ()
        if any(entry.path == path and entry.sha256 == digest for entry in entries):
            with suppress(OSError):
                content = (manifest.parent / path).read_bytes()
                if hashlib.sha256(content).hexdigest() == digest:
                    return content.decode()
    return None


def as_json(generation: generations.Generation, source: str, database: str) -> bytes:
    """The manifest of a generation, as it is written; the others are digests."""
    manifest = {
        "format": 1,
        "digest": generation.digest,
        "skeleton": generation.skeleton,
        "source": source,
        "database": database,
        "files": [
            {
                "path": file.path,
                "sha256": file.digest,
                "effect": str(file.effect),
                "secret": file.secret,
                "table": file.table,
            }
            for file in generation.files
        ],
    }
    return (json.dumps(manifest, indent=1) + "\n").encode()
