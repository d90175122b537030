"""Labs side by side: a lab mostly waits, so a few of them take hardly longer than one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterable
from concurrent import futures
from pathlib import Path
from typing import Generic, TypeVar

import lanes

K = TypeVar("K", bound=Hashable)

AT_ONCE = 6


class SideBySide(Generic[K]):
    """What several labs tell. All begin at once, and the first who asks waits for all of them, so
    that no lab runs beside the tests of another file.
    """

    def __init__(self, keys: Iterable[K], work: Callable[[K], dict]) -> None:
        self._pool = futures.ThreadPoolExecutor(AT_ONCE)
        self._told = {key: self._pool.submit(work, key) for key in dict.fromkeys(keys)}

    def told(self, key: K) -> dict:
        """What the lab of *key* said; raises what its work raised."""
        futures.wait(self._told.values())
        return self._told[key].result()

    def close(self) -> None:
        """Begin no further lab and wait for those that run."""
        self._pool.shutdown(cancel_futures=True)


def run(place: Path, stories: Iterable[str], lane: str, *, report: Path, timeout: float) -> dict:
    """Run stories in the lab of the project at *place* and return what it said as JSON."""
    root = lanes.root(lane)
    words = ["--output", "json", *(("--engine-root", str(root)) if root else ())]
    words += ["lab", "run", "--report", str(report)]
    for story in stories:
        words += ["--only", story]
    ran = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    told: dict = json.loads(ran.stdout)
    assert told.get("kind") == "lab-run", f"{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
    return told
