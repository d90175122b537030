"""Tenants as lines of JSON: read quickly, and what is wrong in one is told by its number."""

from __future__ import annotations

import pytest
from tenant_files import LINES, line, problems_of, told, write

from orchestrator import errors
from orchestrator.site import include, load, model, parse


def test_lines_of_json_are_tenants(tmp_path):
    path = write(tmp_path, LINES)
    own = {"trunks": ["carrier"]}
    text = line("acme", "+4930", "+4931-+4932", **own) + "\n" + line("beta", "+4933", **own)
    text += '{"name": "gamma", "fqdn": "gamma.sbc.example.com", "prefixes": ["+4934"], '
    text += '"trunks": ["carrier"]}'
    (tmp_path / "some.jsonl").write_text(text)
    site, places = load.read_site(path)

    assert site.tenants["acme"] == model.Tenant(
        fqdn="acme.sbc.example.com", numbers=("+4930", "+4931-+4932"), trunks=("carrier",)
    )
    assert site.tenants["gamma"].prefixes == ("+4934",)
    where = errors.Position(f"{tmp_path}/some.jsonl", 3, 1)
    assert places.key_position(("tenants", "beta")) == where


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("{", "json", "2:2"),
        ('{"name": "b",}', "json", "2:14"),
        ("[1]", "wrong-type", "2:1"),
        ("acme", "json", "2:1"),
        ('{"fqdn": "b.sbc.example.com", "numbers": ["+4930"]}', "missing-key", "2:1"),
        ('{"name": 1, "name": 2}', "duplicate-key", "2:1"),
        ('{"name": "b", "fqdn": "b.sbc.example.com", "fqdn": "x"}', "duplicate-key", "2:1"),
        # A number is the text that was written, as in YAML.
        (line("b", 4931), "private-number", "2:1"),
        (line("b", "+4931", limit=3), "unknown-key", "2:1"),
        (line("b", "+49 31"), "bad-value", "2:1"),
        (line("b", "+4931\n"), "bad-character", "2:1"),
        (line("b", "+4931", **{"\ud800": 1}), "bad-character", "2:1"),
        (line("b", "+4930"), "tenants-overlap", "2:1"),
        (line("b"), "bad-value", "2:1"),
        (line("B", "+4931"), "bad-value", "2:1"),
        (line("include", "+4931"), "include-within", "2:1"),
        ('{"name": "b", "numbers": ["+4931"]}', "missing-key", "2:1"),
        ('{"name": "b", "fqdn": {"a": 1}, "numbers": ["+4931"]}', "wrong-type", "2:1"),
        ('{"name": "b", "fqdn": null, "numbers": ["+4931"]}', "empty", "2:1"),
        ("[" * 100_000, "too-deep", "2:1"),
        ("\x00", "bad-character", "2:1"),
    ],
)
def test_a_line_that_is_no_tenant_is_told_by_its_number(tmp_path, text, kind, place):
    path = write(tmp_path, LINES)
    (tmp_path / "a.jsonl").write_text(line("a", "+4930") + text)
    problem = problems_of(path)[0]

    assert told(path)[0] == (kind, f"a.jsonl:{place}")
    assert problem.source == text.rstrip("\n") or kind == "bad-character"


def test_a_line_may_repeat_no_tenant(tmp_path):
    path = write(tmp_path, LINES)
    (tmp_path / "a.jsonl").write_text(line("a", "+4930") + line("b", "+4931") + line("a", "+4932"))
    (tmp_path / "b.jsonl").write_text(line("b", "+4933"))

    assert told(path) == [("tenant-twice", "a.jsonl:3:1"), ("tenant-twice", "b.jsonl:1:1")]
    assert problems_of(path)[0].hint == "it was given in line 1; keep one of the two"


def test_lines_have_limits_before_they_are_read(tmp_path, monkeypatch):
    path = write(tmp_path, LINES)
    (tmp_path / "a.jsonl").write_text(line("a", *(f"+49{number}" for number in range(100))))
    load.read_site(path)
    monkeypatch.setattr(include, "MOST_VALUES", 100)

    assert ("too-many-values", "a.jsonl:1:1") in told(path)


def test_reading_ends_after_many_wrong_lines(tmp_path):
    path = write(tmp_path, LINES)
    (tmp_path / "a.jsonl").write_text("[]\n" * 400_000)
    problems = problems_of(path)

    assert len(problems) == parse.MOST_PROBLEMS + 1
    assert problems[-1].id == "more-problems"


def test_a_thousand_problems_of_one_long_line_do_not_hold_it_a_thousand_times(tmp_path):
    path = write(tmp_path, LINES)
    (tmp_path / "a.jsonl").write_text(line("a", *(f"+49x{number}" for number in range(100_000))))
    problems = problems_of(path)

    assert len(problems) == parse.MOST_PROBLEMS + 1
    assert sum(len(problem.source) for problem in problems) == 0


def test_very_many_numbers_in_lines(tmp_path):
    """A hundred thousand; bench/hosting.py measures a million."""
    path = write(tmp_path, LINES + "engines: {private_memory: 128}\n")
    with (tmp_path / "all.jsonl").open("w") as file:
        for number in range(1_000):
            file.write(line(f"t{number}", *(f"+49{number:04}{last:04}" for last in range(100))))
    site, _ = load.read_site(path)

    assert sum(len(each.numbers) for each in site.tenants.values()) == 100_000
