"""sbcctl as it is, and what it asked of whom: ``counted.py FILE WORDS...``.

Python itself tells of every socket that is connected and every file that is opened (audit hooks),
so nothing of sbcctl is changed for it. FILE gets the counts, the processor time (seconds) and
the most memory it had (MiB) as JSON.
"""

from __future__ import annotations

import collections
import json
import resource
import sys
from pathlib import Path

COUNTS: collections.Counter[str] = collections.Counter()
NG_PORT = 2223


def hook(event: str, arguments: tuple) -> None:
    if event == "socket.connect":
        _, address = arguments
        if str(address).endswith("kamailio.sock"):
            COUNTS["rpc"] += 1
        elif isinstance(address, tuple) and address[1] == NG_PORT:
            COUNTS["ng"] += 1
    elif event == "open" and str(arguments[0]).endswith("kamailio.fifo"):
        COUNTS["rpc"] += 1


def spent() -> float:
    """Seconds of processor time, of programs that were run and waited for as well."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))


def peak() -> float:
    """MiB that it had in memory at most, the largest program it ran and waited for as well."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(used.ru_maxrss for used in map(resource.getrusage, who)) / 1024


def main() -> None:
    sys.addaudithook(hook)
    _, report, *words = sys.argv
    sys.argv = ["sbcctl", *words]
    from orchestrator import cli  # noqa: PLC0415 - its imports are a part of what is measured

    try:
        cli.main()
    finally:
        Path(report).write_text(json.dumps({**COUNTS, "cpu": spent(), "peak": peak()}))


if __name__ == "__main__":
    main()
