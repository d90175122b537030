"""Which data files the running Kamailio was made to read: a note in the run directory.

The note is taken away before a reload and written after it was read back, so what it says is
never more than what is true; a missing note costs one harmless reload (plan rule 7).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from orchestrator.host import access, files

_OURS = access.Access(0o600)


def read_loaded(run_dir: Path) -> tuple[tuple[str, str], ...]:
    """Path and digest of each file that was read, sorted; none when there is no note."""
    try:
        noted = json.loads(_path(run_dir).read_bytes())
        return tuple(sorted((str(path), str(digest)) for path, digest in noted.items()))
    except (OSError, ValueError, AttributeError):
        return ()


def write_loaded(run_dir: Path, loaded: Iterable[tuple[str, str]]) -> None:
    """Note which files were read; the note changes as a whole.

    Raises:
        HostError: The run directory cannot be written.
    """
    path = _path(run_dir)
    # The digest of a table of passwords helps to guess them.
    with files.translated(path, "write"):
        files.write(path, (json.dumps(dict(loaded), indent=1) + "\n").encode(), _OURS)


def _path(run_dir: Path) -> Path:
    return run_dir / "loaded.json"
