"""A warm sbcctl inside a machine of ground.py: a process for each command line, forked.

    warm.py FOLDER       a line of JSON in, {"words": [...], "strace": [...]}; one out, {"code": N}

With ``strace`` the process waits until strace has attached, so every call of the command line is
seen and nothing before it. strace follows nobody: the engines are not touched. What was said is
in FOLDER/said, what strace saw in FOLDER/trace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from orchestrator import cli


def _child(words: list[str], folder: Path, begin: int) -> None:
    """Run one command line and never return."""
    code = 70
    try:
        said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.read(begin, 1)
        code = cli.run(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(folder: Path, words: list[str], strace: list[str]) -> int:
    begin, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        _child(words, folder, begin)
    os.close(begin)
    watching = None
    if strace:
        options = [word.replace("{pid}", str(pid)) for word in strace]
        argv = ["strace", "-o", str(folder / "trace"), *options, "-p", str(pid)]
        watching = subprocess.Popen(argv, stderr=subprocess.PIPE)
        assert watching.stderr
        assert b"attached" in watching.stderr.readline()
    os.write(go, b"g")
    os.close(go)
    _, status = os.waitpid(pid, 0)
    if watching:
        watching.communicate()
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Answer until nobody asks."""
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        if asked.get("here"):
            # In this very process: whatever it imports is there for all that are forked.
            code = cli.run(asked["words"])
        else:
            code = _run(folder, asked["words"], asked.get("strace", []))
        sys.stdout.write(f"@{json.dumps({'code': code})}\n")
        sys.stdout.flush()


main()
