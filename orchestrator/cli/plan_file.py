"""The file ``sbcctl plan --out`` writes: read, and told from a site.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import errors

if TYPE_CHECKING:
    from orchestrator.apply import saved

_MOST_BYTES = 64 * 1024 * 1024
_NEEDED = ("site", "engines", "changes", "steps", "effect", "files", "needs", "asked")


def read(path: str) -> Mapping[str, object] | None:
    """The plan in a file; None when the file is none (a site.yaml, or nothing to be read).

    Raises:
        UsageError: It is a plan that somebody cut or edited, or of a newer sbcctl.
    """
    try:
        with Path(path).open("rb") as file:
            if file.read(1) != b"{":
                return None
            text = b"{" + file.read(_MOST_BYTES)
        told = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("kind") != "plan":
        return None
    if str(told.get("format_version", "")).partition(".")[0] != "1":
        raise _unfit(path, "it is of another version of sbcctl")
    if missing := [key for key in _NEEDED if key not in told]:
        raise _unfit(path, f"{', '.join(missing)} is missing")
    if not _is_sound(told):
        raise _unfit(path, "somebody changed it")
    return told


def as_saved(told: Mapping[str, object]) -> saved.Saved:
    """What is compared before it is carried out."""
    from orchestrator import plan  # noqa: PLC0415
    from orchestrator.apply import saved  # noqa: PLC0415

    engines, steps = told["engines"], told["steps"]
    assert isinstance(engines, dict)
    assert isinstance(steps, list)
    return saved.Saved(
        begin=str(told.get("from") or ""),
        end=str(told.get("to") or ""),
        kamailio=str(engines["kamailio"]),
        rtpengine=str(engines["rtpengine"]),
        steps=tuple((str(step["kind"]), str(step["subject"])) for step in steps),
        commit=saved.reason_of_commit((str(s["kind"]), str(s["reason"])) for s in steps),
        idle=any(str(step["cost"]).startswith(plan.NO_CALL) for step in steps),
    )


def _is_sound(told: Mapping[str, object]) -> bool:
    """Whether everything has the shape that ``plan`` wrote."""
    engines, steps, changes = told["engines"], told["steps"], told["changes"]
    return (
        isinstance(told["asked"], dict)
        and isinstance(engines, dict)
        and {"kamailio", "rtpengine"} <= engines.keys()
        and all(isinstance(told[key], list) for key in ("steps", "changes", "files", "needs"))
        and _have(steps, {"kind", "subject", "reason", "cost", "because"})
        and _have(changes, {"sign", "noun", "name", "file", "line", "details"})
    )


def _have(entries: object, keys: set[str]) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and keys <= entry.keys() for entry in entries
    )


def _unfit(path: str, why: str) -> errors.UsageError:
    return errors.UsageError(
        f"the plan {path} cannot be used: {why}", hint="make it again with sbcctl plan --out"
    )
