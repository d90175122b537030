"""Which requirement is proven, by what, on which engines: the table behind docs/conformance.md.

Three things are put together, and none of them is written down twice: the requirements
(requirements.toml), the scenarios with the ids they name, and the record of what the lab found
when it told them (docs/conformance.txt). Everything here is pure, apart from reading the source
of a story.

1. A requirement is proven on a generation when every scenario that names it went as told there.
2. A story that was changed since it was told is not proven: its digest in the record is another.
3. A reason (tenant, not built) and a proof exclude each other.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import FunctionType

from orchestrator.lab import requirements, story

GENERATIONS = {"debian12": "Debian 12", "debian13": "Debian 13"}
"""The engine generations we promise, with their titles."""

_HEAD = "# What the lab found; written by `make conformance`: generation, story, digest, result.\n"


class Result(StrEnum):
    """What is known of a requirement or a story on one generation."""

    OK = "ok"
    FAILED = "FAILED"
    UNKNOWN = "-"
    TEST = "test"


class Verdict(StrEnum):
    """Where a requirement stands."""

    PROVEN = "proven"
    TENANT = "needs a tenant"
    NOT_BUILT = "not built"
    OPEN = "not proven yet"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Told:
    """What one run of a scenario found.

    Attributes:
        generation: For example ``debian13``.
        name: The scenario.
        digest: The story as it was when it was told.
        ok: True when it went as told.
    """

    generation: str
    name: str
    digest: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What the lab found so far.

    Attributes:
        engines: Generation and versions, each pair once, sorted.
        told: One entry for each story and generation; more only after a merge of two records.
    """

    engines: tuple[tuple[str, str], ...] = ()
    told: tuple[Told, ...] = ()

    def result(self, generation: str, known: story.Scenario) -> Result:
        """How this very story ended on a generation; a failure outweighs a success."""
        digest = digest_of(known)
        found = {
            told.ok
            for told in self.told
            if (told.generation, told.name, told.digest) == (generation, known.name, digest)
        }
        if not found:
            return Result.UNKNOWN
        return Result.OK if found == {True} else Result.FAILED

    def without(self, generation: str, names: Iterable[str]) -> Record:
        """This record without what it says of these stories on a generation."""
        gone = {(generation, name) for name in names}
        kept = tuple(told for told in self.told if (told.generation, told.name) not in gone)
        return Record(self.engines, kept)

    def with_run(self, generation: str, engines: str, told: Iterable[Told]) -> Record:
        """This record after another run on a generation."""
        new = tuple(told)
        rest = self.without(generation, (each.name for each in new))
        others = tuple(pair for pair in self.engines if pair[0] != generation)
        return Record((*others, (generation, engines)), (*rest.told, *new))


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement with what is known of it.

    Attributes:
        requirement: The requirement.
        scenarios: Names of the scenarios that name it, sorted.
        results: One result for each generation, in the order of GENERATIONS.
    """

    requirement: requirements.Requirement
    scenarios: tuple[str, ...]
    results: tuple[Result, ...]

    @property
    def verdict(self) -> Verdict:
        """Where it stands."""
        if self.requirement.tenant:
            return Verdict.TENANT
        if self.requirement.not_built:
            return Verdict.NOT_BUILT
        if Result.FAILED in self.results:
            return Verdict.FAILED
        return Verdict.OPEN if Result.UNKNOWN in self.results else Verdict.PROVEN


def digest_of(known: story.Scenario) -> str:
    """Twelve hex digits that change when the story or the ids it names change.

    Layout and the title do not count. What a story stands on (its helpers, the
    simulator, the SBC) is not in the digest: `make test` tells all stories with it every time.
    """
    parts = [
        f"{field.name}={_words(getattr(known, field.name))}"
        for field in dataclasses.fields(known)
        if field.name != "title"
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def rows(
    table: Sequence[requirements.Requirement],
    scenarios: Sequence[story.Scenario],
    record: Record,
) -> tuple[Row, ...]:
    """Every requirement with its proofs and results, in the order of the table."""
    results = {
        (generation, known.name): record.result(generation, known)
        for generation in GENERATIONS
        for known in scenarios
    }
    found = []
    for each in table:
        names = tuple(sorted(known.name for known in scenarios if each.id in known.proves))
        per_generation = tuple(
            _weakest([results[generation, name] for name in names], tested=bool(each.tests))
            for generation in GENERATIONS
        )
        found.append(Row(each, names, per_generation))
    return tuple(found)


def find_faults(
    table: Sequence[requirements.Requirement], scenarios: Sequence[story.Scenario]
) -> tuple[str, ...]:
    """What cannot be true of table and scenarios together; nothing is best."""
    return tuple(_faults(table, scenarios))


def read_record(text: str) -> Record:
    """The record as written by :func:`write_record`; lines may be double after a merge.

    Raises:
        ValueError: A line is neither a story nor the engines of a generation.
    """
    engines, told = set(), set()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if match := re.fullmatch(r"(\S+) engines (.+)", line):
            engines.add((match[1], match[2]))
        elif match := re.fullmatch(r"(\S+) story (\S+) ([0-9a-f]{12}) (ok|FAILED)", line):
            told.add(Told(match[1], match[2], match[3], match[4] == "ok"))
        else:
            raise ValueError(f"docs/conformance.txt holds a line nobody wrote: {line!r}")
    return Record(tuple(sorted(engines)), tuple(sorted(told, key=_key)))


def write_record(record: Record, scenarios: Sequence[story.Scenario]) -> str:
    """The record as text, one line for each story; stories that are gone or changed fall out."""
    digests = {known.name: digest_of(known) for known in scenarios}
    current = {told for told in record.told if digests.get(told.name) == told.digest}
    lines = [f"{generation} engines {words}" for generation, words in sorted(set(record.engines))]
    lines += [
        f"{told.generation} story {told.name} {told.digest} "
        f"{Result.OK if told.ok else Result.FAILED}"
        for told in sorted(current, key=_key)
    ]
    return _HEAD + "".join(f"{line}\n" for line in lines)


def _key(told: Told) -> tuple[str, str, str, bool]:
    return told.generation, told.name, told.digest, told.ok


def _weakest(found: list[Result], *, tested: bool) -> Result:
    """The result of a requirement on a generation: of all its stories, or else of its tests."""
    if not found:
        return Result.TEST if tested else Result.UNKNOWN
    return next((r for r in (Result.FAILED, Result.UNKNOWN) if r in found), Result.OK)


def _faults(
    table: Sequence[requirements.Requirement], scenarios: Sequence[story.Scenario]
) -> Iterator[str]:
    known = {each.id for each in table}
    for scenario in scenarios:
        for key in scenario.proves:
            if key not in known:
                yield f"scenario {scenario.name} names {key}, which is no requirement"
    for each in table:
        names = [scenario.name for scenario in scenarios if each.id in scenario.proves]
        reasons = [reason for reason in (each.tenant, each.not_built) if reason]
        if each.family not in requirements.FAMILIES:
            yield f"{each.id} is of no known family"
        if len(reasons) > 1:
            yield f"{each.id} needs a tenant and is not built: one of the two"
        if reasons and (names or each.tests):
            proofs = ", ".join((*names, *each.tests))
            yield f"{each.id} has a reason not to be proven, and a proof: {proofs}"
        if bool(each.not_built) != bool(each.record):
            yield f"{each.id}: not_built and record belong together"


@functools.singledispatch
def _words(value: object) -> str:
    """A value as text that is the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@_words.register
def _(value: FunctionType) -> str:
    # Text and not syntax: how Python writes a syntax tree differs between its versions.
    source = "".join(inspect.getsource(value).split())
    cells = [_words(cell.cell_contents) for cell in value.__closure__ or ()]
    return "\n".join((source, *cells, _words(value.__defaults__ or ())))


@_words.register
def _(value: functools.partial) -> str:  # type: ignore[type-arg] # dispatch needs the bare class
    named = [f"{name}={_words(word)}" for name, word in sorted(value.keywords.items())]
    return "\n".join((_words(value.func), *map(_words, value.args), *named))


@_words.register
def _(value: tuple) -> str:  # type: ignore[type-arg] # dispatch needs the bare class
    return f"({', '.join(map(_words, value))})"
