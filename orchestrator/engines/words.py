"""What an engine says in its log or on stderr, boiled down to the lines that matter."""

from __future__ import annotations

import re

from orchestrator import errors
from orchestrator.host import process

_COMPLAINT = re.compile(
    r"CRITICAL|ERROR|\bERR\b|parse error|not found|fail|could not|cannot|no such|fatal|in use",
    re.IGNORECASE,
)
_CLUTTER = re.compile(
    r"^\s*\d+\(\d+\)\s+|^\[[\d.:\s-]+\]\s*|<core> |\[[\w/.]+:\d+\]: (\w+\(\): )?|^(ERR|CRIT): "
)
_PASSING = re.compile(r"\berror reading\b|tcp_read_req: |jsonrpcs method callback not found")
"""What a running Kamailio says of one connection that a peer cut, or of one question it was asked;
it is never why a start failed, and stands in the journal right before one."""
_TAKEN = re.compile(
    r"(?P<address>\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]+\])(?::| port )(?P<port>\d{1,5})\b[^\n]*"
    r"Address already in use",
    re.IGNORECASE,
)


_NO_MEMORY = re.compile(
    r"could not allocate (?P<kind>private|shared) memory[^\n]*(?!\n.*new_sock_info failed)\n?$",
    re.IGNORECASE | re.MULTILINE,
)
"""Kamailio says so as well of an advertised name that does not resolve, which ends nothing."""
_NO_MODULE = re.compile(r"could not find module <(?P<name>\w+)>")
_MEMORY = "its {0} memory is too small: see engines.{0}_memory in site.yaml"
_MODULE = "its module {0} is missing; apt-get install {1}"
_NAMED = re.compile(r"file (?P<file>/[^\s,]+),? (?:from |at )?line (?P<line>\d+)")


def named_lines(text: str) -> tuple[tuple[str, int], ...]:
    """Files and lines that a complaint is about, each once, as it names them."""
    found = ((match["file"], int(match["line"])) for match in _NAMED.finditer(text))
    return tuple(dict.fromkeys(found))


def complaints(text: str, limit: int = 6) -> str:
    """The lines that say what is wrong, without clutter; the last lines when none does."""
    lines = [_CLUTTER.sub("", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    wrong = [line for line in lines if _COMPLAINT.search(line) and not _PASSING.search(line)]
    wrong = list(dict.fromkeys(wrong))
    return "\n".join(wrong[:limit] or lines[-limit:])


def find_lack(said: str, memory: str = _MEMORY) -> str:
    """What an engine lacks that said this, and what to do; empty when it is something else."""
    if found := _NO_MEMORY.search(said):
        return memory.format(found["kind"].lower())
    if found := _NO_MODULE.search(said):
        return _MODULE.format(found["name"], process.PACKAGES["kamailio"])
    return ""


def refusal(
    message: str, said: str, *, hint: str, quoted: tuple[str, ...] = (), memory: str = _MEMORY
) -> errors.EngineRefused:
    """The error for an engine that said this and gave up; the hint tells first what it lacks.

    Args:
        message: What happened.
        said: All it said, or the complaints in it.
        hint: What to do when it lacks nothing.
        quoted: The rendered lines it complains about.
        memory: What to do when its memory did not suffice.
    """
    lack = find_lack(said, memory)
    # Without a complaint these are the last lines, whatever they are about.
    is_wordless = not any(_COMPLAINT.search(line) for line in said.splitlines())
    return errors.EngineRefused(
        message,
        words=complaints(said),
        hint=lack or hint,
        quoted=() if lack else quoted,
        lacks=bool(lack) or is_wordless,
    )


def taken_port(text: str) -> tuple[str, int] | None:
    """Address and port of which the log says that somebody else has it; None when none."""
    match = _TAKEN.search(text)
    return (match["address"].strip("[]"), int(match["port"])) if match else None
