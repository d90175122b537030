"""docs/conformance.md out of the rows of the table; pure, the same text for the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from orchestrator.lab import conformance, requirements

_SHOWN = 4
"""Scenarios named in a row; more are counted."""

_HEAD = """\
# Conformance

Written by `make conformance`; change the table (`orchestrator/lab/requirements.toml`), the
scenarios or the tests instead.

Every MUST and SHOULD that Microsoft's documents, measurements and other implementations ask of an
SBC for Teams Direct Routing, in our own words, with what proves it here:

- **A scenario of the lab**, by its name (`sbcctl lab run --only NAME`): real calls through the
  engines of both Debian generations. `ok` means that every scenario naming the requirement went
  as told there in the last `make conformance`, and no rule was broken; `-` means that it was not
  told there, or was changed since. `make test` tells all scenarios again on both generations.
- **A test**, by its name: `make test` runs it, on both generations where engines take part.
- Or one of two reasons. **Needs a tenant**: only Microsoft's own side can show it. **Not built**:
  with the place where that is written down.
"""


def write(rows: Sequence[conformance.Row], record: conformance.Record) -> str:
    """The whole document."""
    parts = [_HEAD, *_engines(record), "", *_summary(rows)]
    for family, title in requirements.FAMILIES.items():
        known = [row for row in rows if row.requirement.family == family]
        note = "" if family in requirements.COUNTED else " (another capability, not counted)"
        parts += ["", f"## {family}: {title}{note}", "", *_table(known)]
    return "\n".join(parts) + "\n"


def count(rows: Sequence[conformance.Row], level: requirements.Level) -> Counter[str]:
    """How many rows of the counted families stand where, by verdict."""
    return Counter(
        str(row.verdict)
        for row in rows
        if row.requirement.counted and row.requirement.level is level
    )


def _engines(record: conformance.Record) -> Iterator[str]:
    yield "| Generation | Engines |"
    yield "|---|---|"
    for generation, title in conformance.GENERATIONS.items():
        words = [text for name, text in record.engines if name == generation]
        yield f"| {title} | {'; '.join(words) or '-'} |"


def _summary(rows: Sequence[conformance.Row]) -> Iterator[str]:
    yield f"Of the families {', '.join(requirements.COUNTED)}:"
    yield ""
    verdicts = list(conformance.Verdict)
    yield f"| | {' | '.join(verdicts)} | all |"
    yield "|---|" + "---|" * (len(verdicts) + 1)
    for level in requirements.Level:
        known = count(rows, level)
        numbers = " | ".join(str(known[verdict]) for verdict in verdicts)
        yield f"| {level} | {numbers} | {known.total()} |"


def _table(rows: Sequence[conformance.Row]) -> Iterator[str]:
    titles = conformance.GENERATIONS.values()
    yield f"| Id | Level | Requirement | Proof | {' | '.join(titles)} |"
    yield "|---|---|---|---|" + "---|" * len(titles)
    for row in rows:
        need = row.requirement
        results = " | ".join(row.results)
        yield f"| {need.id} | {need.level} | {need.says} | {_proof(row)} | {results} |"


def _proof(row: conformance.Row) -> str:
    need = row.requirement
    if need.tenant:
        return f"**needs a tenant**: {need.tenant}"
    if need.not_built:
        return f"**not built**: {need.not_built} ([record]({need.record}))"
    names = [f"`{name}`" for name in row.scenarios]
    if len(names) > _SHOWN:
        names[_SHOWN:] = [f"and {len(names) - _SHOWN} more"]
    tests = [f"[{node.rpartition('::')[2]}](../{node.partition('::')[0]})" for node in need.tests]
    return ", ".join((*names, *tests)) or "**not proven yet**"
