"""Remove from the state directory what is old: generations, and certificates with their keys."""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestrator.host import files, store

KEEP = 5
"""Generations kept beside the current and the last known good one."""


def prune_generations(kept: store.Store, keep: int = KEEP) -> tuple[str, ...]:
    """Remove the oldest generations; the current and the last known good one stay.

    Returns:
        The names removed.

    Raises:
        HostError: One could not be removed.
    """
    pinned = {kept.current(), kept.last_known_good()}
    return _remove_oldest(kept.state / "generations", pinned, keep)


def prune_certificates(kept: store.Store) -> tuple[str, ...]:
    """Remove certificates with their keys; the one in use and the one in use before it stay.

    Returns:
        The names removed.

    Raises:
        HostError: One could not be removed.
    """
    return _remove_oldest(kept.state / "certificates", {"current", kept.certificate()}, 1)


def _remove_oldest(folder: Path, pinned: set[str | None], keep: int) -> tuple[str, ...]:
    with files.translated(folder, "clean up"):
        found = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime, reverse=True)
        rest = [path for path in found if path.name not in pinned][keep:]
        for path in rest:
            shutil.rmtree(path)
    return tuple(path.name for path in rest)
