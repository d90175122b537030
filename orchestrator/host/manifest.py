"""What a generation says of itself: its files as they were written, and where it came from.

The manifest is written last, so a generation without one was never finished.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.render import generation as generations

NAME = "manifest.json"


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
    """What manifest.json says; ``origin`` is empty where nothing was said about it."""

    digest: str
    skeleton: str
    files: tuple[Entry, ...]
    origin: str = ""


def read(path: Path) -> Manifest | None:
    """Read a manifest; None when there is none, or none that makes sense."""
    try:
        told = json.loads(path.read_bytes())
        return Manifest(
            digest=told["digest"],
            skeleton=told["skeleton"],
            files=tuple(Entry(**entry) for entry in told["files"]),
            origin=str(told.get("origin", "")),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


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


def as_json(generation: generations.Generation, origin: str) -> bytes:
    """The manifest of a generation, as it is written."""
    manifest = {
        "format": 1,
        "digest": generation.digest,
        "skeleton": generation.skeleton,
        "origin": origin,
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
