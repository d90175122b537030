"""The table of requirements: what it holds, what proves it, and how far it has come."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from orchestrator.lab import conformance, conformance_page, requirements, scenarios, story

CHECKOUT = Path(__file__).resolve().parents[2]
TABLE = requirements.table()

MOST_NOT_PROVEN = 0
"""MUST rows of the dialect that may lack a proof; lowered as proofs land, never raised."""

MOST_NOT_BUILT = 0.10
"""Share of the MUST rows of the dialect that may be not built."""


async def _good(told: story.Story) -> str:
    return "told"


async def _other(told: story.Story) -> str:
    return "told otherwise"


def scenario(name: str = "one", proves=("MED-6",), play=_good) -> story.Scenario:
    return story.Scenario(name, f"the story {name}", proves, play)


def need(key: str = "MED-6", **fields) -> requirements.Requirement:
    return requirements.Requirement(key, requirements.Level.MUST, "It is so.", **fields)


def told(known: story.Scenario, *good: bool) -> conformance.Record:
    """A record in which *known* was told on each generation."""
    digest = conformance.digest_of(known)
    pairs = zip(conformance.GENERATIONS, good, strict=False)
    return conformance.Record(
        (), tuple(conformance.Told(generation, known.name, digest, ok) for generation, ok in pairs)
    )


def verdict(found: conformance.Record, *known: story.Scenario, **fields) -> str:
    (row,) = conformance.rows((need(**fields),), known, found)
    return row.verdict


# --- the table itself ------------------------------------------------------------------------


@functools.cache
def rows_of_today() -> tuple[conformance.Row, ...]:
    record = conformance.read_record((CHECKOUT / "docs/conformance.txt").read_text())
    return conformance.rows(TABLE, scenarios.SCENARIOS, record)


def test_every_id_a_scenario_names_is_a_requirement_and_no_reason_hides_a_proof() -> None:
    assert conformance.find_faults(TABLE, scenarios.SCENARIOS) == ()


def test_no_row_is_missing() -> None:
    """Ids count up; these numbers were never given, or are no MUST and no SHOULD."""
    never = {"SIG-18", "SIG-19", "MED-21"}
    for family in requirements.FAMILIES:
        known = [int(each.id.partition("-")[2]) for each in TABLE if each.family == family]
        wanted = [n for n in range(1, known[-1] + 1) if f"{family}-{n}" not in never]
        assert known == wanted, family


def test_every_row_is_one_sentence_that_a_table_can_hold() -> None:
    assert not [each.id for each in TABLE if not re.fullmatch(r"[^|\n]+\.", each.says)]
    assert len({each.says for each in TABLE}) == len(TABLE)


@pytest.mark.parametrize("node", sorted({node for each in TABLE for node in each.tests}))
def test_a_test_that_proves_something_exists(node: str) -> None:
    file, _, name = node.partition("::")
    parsed = ast.parse((CHECKOUT / file).read_text())

    found = [each for each in parsed.body if isinstance(each, ast.FunctionDef)]
    (function,) = [each for each in found if each.name == name]
    marks = ast.unparse(ast.Module(body=list(function.decorator_list), type_ignores=[]))
    assert "skip" not in marks
    assert "xfail" not in marks


@pytest.mark.parametrize("record", sorted({each.record for each in TABLE if each.record}))
def test_what_is_not_built_is_written_down(record: str) -> None:
    file, _, anchor = record.partition("#")
    titles = re.findall(r"^#+ (.+)$", (CHECKOUT / "docs" / file).read_text(), re.MULTILINE)

    assert not anchor or anchor in {title.lower().replace(" ", "-") for title in titles}


def test_no_row_on_record_has_failed() -> None:
    failed = conformance.Result.FAILED
    assert not [row.requirement.id for row in rows_of_today() if failed in row.results]


def test_at_most_a_tenth_is_not_built() -> None:
    known = conformance_page.count(rows_of_today(), requirements.Level.MUST)
    assert known["not built"] <= known.total() * MOST_NOT_BUILT


def test_what_is_not_proven_yet_becomes_less() -> None:
    """A story that was changed counts as not proven until `make conformance STORIES=new`."""
    known = conformance_page.count(rows_of_today(), requirements.Level.MUST)
    assert known["not proven yet"] <= MOST_NOT_PROVEN, (
        "tell what is new: make conformance STORIES=new"
    )


# --- how a verdict comes about -----------------------------------------------------------------


def test_proven_means_on_every_generation() -> None:
    one = scenario()
    assert verdict(told(one, True, True), one) == "proven"
    assert verdict(told(one, True), one) == "not proven yet"
    assert verdict(told(one, True, False), one) == "failed"
    assert verdict(conformance.Record(), one) == "not proven yet"


def test_every_scenario_that_names_a_requirement_must_go_well() -> None:
    one, two = scenario("one"), scenario("two")
    both = conformance.Record((), (*told(one, True, True).told, *told(two, True, False).told))
    assert verdict(both, one, two) == "failed"
    assert verdict(told(one, True, True), one, two) == "not proven yet"


def test_a_story_that_was_changed_is_not_proven() -> None:
    """Another play, other ids, another bound argument; a new title changes nothing."""
    record = told(scenario(), True, True)
    assert verdict(record, scenario(play=_other)) == "not proven yet"
    assert verdict(record, scenario(proves=("MED-6", "MED-7"))) == "not proven yet"
    renamed = story.Scenario("one", "another title", ("MED-6",), _good)
    assert verdict(record, renamed) == "proven"


def test_what_is_bound_to_a_story_is_part_of_it() -> None:
    def made(word: str) -> story.Scenario:
        async def play(told: story.Story) -> str:
            return word

        return scenario(play=play)

    assert conformance.digest_of(made("a")) == conformance.digest_of(made("a"))
    assert conformance.digest_of(made("a")) != conformance.digest_of(made("b"))
    first, second = (scenario(play=functools.partial(_good, word)) for word in "ab")
    assert conformance.digest_of(first) != conformance.digest_of(second)


def test_tests_and_reasons_stand_in_for_scenarios() -> None:
    nothing = conformance.Record()
    assert verdict(nothing, tests=("tests/a.py::test_b",)) == "proven"
    assert verdict(nothing, tenant="only Microsoft knows") == "needs a tenant"
    assert verdict(nothing, not_built="later", record="limits.md") == "not built"


def test_a_test_does_not_outweigh_a_story_that_failed() -> None:
    one = scenario()
    assert verdict(told(one, False, True), one, tests=("tests/a.py::test_b",)) == "failed"


@pytest.mark.parametrize(
    ("row", "named", "said"),
    [
        (need(), "MED-99", "names MED-99"),
        (need(tenant="why"), "MED-6", "a reason not to be proven, and a proof: one"),
        (need(not_built="why"), "MED-7", "belong together"),
        (need(tenant="a", not_built="b", record="c"), "MED-7", "one of the two"),
        (need("ABC-1"), "MED-7", "no known family"),
    ],
)
def test_what_cannot_be_true_is_said(row, named, said) -> None:
    faults = conformance.find_faults((row,), (scenario(proves=(named,)),))
    assert [fault for fault in faults if said in fault]


# --- the record ---------------------------------------------------------------------------------


def test_a_record_is_read_back_as_it_was_written() -> None:
    one, two = scenario("one"), scenario("two")
    record = conformance.Record((), (*told(one, True, False).told, *told(two, True).told))
    record = record.with_run("debian12", "Kamailio 5.6.3, RTPEngine 10.5.3", record.told[:1])
    text = conformance.write_record(record, (one, two))

    again = conformance.read_record(text)
    assert conformance.write_record(again, (one, two)) == text
    assert again.engines == (("debian12", "Kamailio 5.6.3, RTPEngine 10.5.3"),)
    assert again.result("debian13", one) == "FAILED"
    assert again.result("debian13", two) == "-"


def test_two_records_merged_line_by_line_are_one_and_the_failure_wins() -> None:
    one = scenario()
    lines = [conformance.write_record(told(one, good), (one,)) for good in (True, False)]
    merged = conformance.read_record("".join(lines))
    assert merged.result("debian12", one) == "FAILED"


def test_a_story_that_is_gone_falls_out_of_the_record() -> None:
    one, two = scenario("one"), scenario("two")
    assert "story one" not in conformance.write_record(told(one, True), (two,))
    assert "story one" not in conformance.write_record(told(one, True), (scenario(play=_other),))


@pytest.mark.parametrize("line", ["debian12 story one ok", "debian12 story one 0123456789ab OK"])
def test_a_line_nobody_wrote_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="a line nobody wrote"):
        conformance.read_record(line)


# --- the document -------------------------------------------------------------------------------


def test_a_row_that_loses_its_proof_shows_it() -> None:
    one = scenario()
    record = told(one, True, True)
    with_proof = conformance.rows((need(),), (one,), record)
    without = conformance.rows((need(),), (), record)

    assert "| It is so. | `one` | ok | ok |" in conformance_page.write(with_proof, record)
    assert "| It is so. | **not proven yet** | - | - |" in conformance_page.write(without, record)
