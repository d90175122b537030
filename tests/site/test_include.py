"""Tenants in files of their own: values keep their places, a broken file costs itself only."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
import time

import pytest
from tenant_files import SITE, YAML, line, problems_of, tenant, told, write

from orchestrator import errors
from orchestrator.site import include, load, parse, source

# -- what is read -----------------------------------------------------------------------------


def test_a_file_for_each_customer_is_as_one_file(tmp_path):
    apart = write(tmp_path, YAML, acme=tenant("acme", "+4930"), beta=tenant("beta", "+4931"))
    within = "".join(f"  {each}\n" for each in tenant("acme", "+4930").splitlines())
    within += "".join(f"  {each}\n" for each in tenant("beta", "+4931").splitlines())
    site, places = load.read_site(apart)

    assert site == load.load_site(f"{SITE}tenants:\n{within}".encode(), "one.yaml")
    where = places.position(("tenants", "beta", "numbers", 0))
    assert where == errors.Position(f"{tmp_path}/tenants.d/beta.yaml", 3, 13)
    assert places.key_position(("tenants", "beta")) == dataclasses.replace(where, line=1, column=1)
    assert places.position(("node",)).file == apart


def test_tenants_of_the_site_itself_stand_beside_them(tmp_path):
    tail = f"{YAML}  own:\n    fqdn: own.sbc.example.com\n    prefixes: ['+4932']\n"
    site, places = load.read_site(write(tmp_path, tail, acme=tenant("acme", "+4930")))

    assert list(site.tenants) == ["own", "acme"]
    assert places.position(("tenants", "own", "fqdn")).file.endswith("/site.yaml")


def test_globs_are_relative_to_the_site_and_read_once(tmp_path, monkeypatch):
    """Hidden files, as editors leave them, are not read; the order is that of globs and names."""
    write(tmp_path, "", b=tenant("b", "+493"), a=tenant("a", "+492"), c=tenant("c", "+494"))
    (tmp_path / "tenants.d/.b.yaml").write_text("a: [")
    (tmp_path / "more.jsonl").write_text(line("d", "+495"))
    tail = f"tenants: {{include: [tenants.d/c.yaml, tenants.d/*.yaml, {tmp_path}/more.jsonl]}}\n"
    (tmp_path / "site.yaml").write_text(SITE + tail)

    assert list(load.read_site(f"{tmp_path}/site.yaml")[0].tenants) == ["c", "a", "b", "d"]
    monkeypatch.chdir(tmp_path)
    site, places = load.read_site("site.yaml")
    assert list(site.tenants) == ["c", "a", "b", "d"]
    assert places.position(("tenants", "a")).file == "tenants.d/a.yaml"


DEEP = (
    *("a", "east/b", "east/far/c", "east/far/farther/d", "[1]/e"),
    *(".hidden", ".git/f", "east/.old/g"),
)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("tenants.d/*.yaml", "a"),
        ("tenants.d/*/*.yaml", "abe"),
        ("tenants.d/**/*.yaml", "abcde"),
        ("tenants.d/**", "abcde"),
        ("tenants.d/**/*", "abcde"),
        ("tenants.d/**/**/**/*.yaml", "abcde"),
        ("**/far/*.yaml", "c"),
        ("**/far/**/*.yaml", "cd"),
        ("tenants.d/e*/**/*.yaml", "bcd"),
    ],
)
def test_two_stars_are_all_folders_below(tmp_path, monkeypatch, pattern, names):
    """But not what is hidden, nor a link, which may lead to where it stands."""
    (tmp_path / "site[1]").mkdir()
    path = write(tmp_path / "site[1]", f"tenants: {{include: '{pattern}'}}\n")
    top = tmp_path / "site[1]/tenants.d"
    for number, place in enumerate(DEEP):
        file, name = top / f"{place}.yaml", place.rpartition("/")[2].strip(".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(tenant(name, f"+493{number}"))
    for folder in (top, top / "east", top / "east/far"):
        (folder / "again").symlink_to(top)

    assert "".join(sorted(load.read_site(path)[0].tenants)) == names
    monkeypatch.chdir(tmp_path / "site[1]")
    assert "".join(sorted(load.read_site("site.yaml")[0].tenants)) == names


def test_two_stars_look_into_so_many_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(include, "MOST_FILES", 20)
    path = write(tmp_path, "tenants: {include: tenants.d/**/*.yaml}\n", a=tenant("a", "+4930"))
    for number in range(19):
        (tmp_path / f"tenants.d/{number}").mkdir()
    load.read_site(path)
    (tmp_path / "tenants.d/1/one").mkdir()

    (problem,) = problems_of(path)
    assert problem.id == "too-many-files"
    assert problem.message == "tenants.include looks into more than 20 folders"


def test_an_alias_may_stand_for_all_tenants(tmp_path):
    """Its value is another part's as well, and must not change under it."""
    tail = "tenants: &t {include: 'tenants.d/*.yaml'}\nmedia: *t\n"
    path = write(tmp_path, tail, acme=tenant("acme", "+4930"))

    assert told(path) == [("unknown-key", "site.yaml:14:8")]
    assert 'unknown key "include" under media' in problems_of(path)[0].message


# -- what is wrong with files -----------------------------------------------------------------


def test_every_problem_of_every_file_is_told_at_its_place(tmp_path):
    path = write(
        tmp_path,
        YAML,
        a='a:\n  fqdn: a.sbc.example.com\n  numbers: ["+4930", "+49x"]\n',
        b="b:\n  fqdn: [\n",
        c="c:\n  phones: ['+4932']\n  fqdn: c.sbc.example.com\n",
        d=tenant("d", "+4933"),
        e=tenant("e", "+4933"),
        f=b"f:\n  fqdn: f\xe4.example.com\n  numbers: ['+4934']\n",
    )
    assert told(path) == [
        ("bad-value", "tenants.d/a.yaml:3:22"),
        ("yaml", "tenants.d/b.yaml:3:1"),
        ("unknown-key", "tenants.d/c.yaml:2:3"),
        ("not-utf8", "tenants.d/f.yaml:2:10"),
    ]
    sources = [problem.source for problem in problems_of(path)]
    assert sources[0] == '  numbers: ["+4930", "+49x"]'
    assert sources[2] == "  phones: ['+4932']"

    for name in "abcf":
        (tmp_path / f"tenants.d/{name}.yaml").unlink()
    assert told(path) == [("tenants-overlap", "tenants.d/e.yaml:3:13")]
    assert problems_of(path)[0].source == '  numbers: ["+4933"]'


def test_a_broken_file_among_ten_thousand_is_named(tmp_path):
    some = {f"t{number:05}": tenant(f"t{number}", f"+49{number:05}") for number in range(10_000)}
    some["t07777"] = 't7777:\n  fqdn: t7777.sbc.example.com\n  numbers: ["+4907777"\n'
    path = write(tmp_path, YAML, **some)
    began = time.process_time()

    assert told(path) == [("yaml", "tenants.d/t07777.yaml:3:12")]
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("", "empty", "1:1"),
        ("# nobody any more\n", "empty", "1:1"),
        ("{}", "empty", "1:1"),
        ("- a\n", "wrong-type", "1:1"),
        ("acme", "wrong-type", "1:1"),
        ("acme:\n", "empty", "1:6"),
        ("A b: {}\n", "missing-key", "1:6"),
        ("include: tenants.d/x.yaml\n", "include-within", "1:1"),
        ("a: 1\na: 2\n", "duplicate-key", "2:1"),
        (tenant("a", "+4930") + "---\n" + tenant("b", "+4931"), "several-documents", "4:1"),
        (b"\xff\xfea\x00", "not-utf8", "1:1"),
        (b"#" * (source.MOST_BYTES + 1), "file-too-large", "1:1"),
        ("- 1\n" * (parse.MOST_VALUES + 1), "too-many-values", "1:1"),
    ],
)
def test_a_file_that_has_no_tenants_is_refused(tmp_path, text, kind, place):
    path = write(tmp_path, YAML, a=text)

    assert (kind, f"tenants.d/a.yaml:{place}") in told(path)


def test_a_name_over_several_files_is_told_with_both_places(tmp_path):
    tail = f"{YAML}  own:\n    fqdn: own.sbc.example.com\n    prefixes: ['+4939']\n"
    path = write(
        tmp_path,
        tail,
        a=tenant("acme", "+4930"),
        b=tenant("beta", "+4931") + tenant("acme", "+4932"),
        c=tenant("own", "+4933"),
    )
    assert told(path) == [
        ("tenant-twice", "tenants.d/b.yaml:4:1"),
        ("tenant-twice", "tenants.d/c.yaml:1:1"),
    ]
    first, second = problems_of(path)
    assert first.message == 'the tenant "acme" is given a second time'
    assert first.hint == f"it was given in {tmp_path}/tenants.d/a.yaml:1:1; keep one of the two"
    assert second.hint == f"it was given in {path}:15:3; keep one of the two"


# -- what is wrong with the include itself ----------------------------------------------------


def test_a_glob_that_matches_nothing_is_a_problem(tmp_path):
    tail = (
        "tenants:\n  include:\n    - tenants.d/*.yaml\n    - customers/*.yaml\n    - '*.jsonl'\n"
    )
    path = write(tmp_path, tail, a=tenant("acme", "+4930"))

    assert told(path) == [
        ("include-nothing", "site.yaml:16:7"),
        ("include-nothing", "site.yaml:17:7"),
    ]
    first = problems_of(path)[0]
    assert first.message == 'no file matches "customers/*.yaml"'
    assert first.hint == f"globs begin at the folder of site.yaml, {tmp_path}"
    assert first.source == "    - customers/*.yaml"


@pytest.mark.parametrize("value", ["{fqdn: a.sbc.example.com}", "[]", "", "[[a]]", "[a, {}]"])
def test_an_include_is_globs(tmp_path, value):
    path = write(tmp_path, f"tenants:\n  include: {value}\n")

    assert [kind for kind, _ in told(path)] == ["wrong-type"]
    assert "must be a glob or a list of globs" in problems_of(path)[0].message


def test_what_cannot_be_read_is_told_where_it_is_included(tmp_path):
    """A pipe would be waited on for ever."""
    path = write(tmp_path, YAML, a=tenant("acme", "+4930"))
    (tmp_path / "tenants.d/b.yaml").mkdir()
    os.mkfifo(tmp_path / "tenants.d/c.yaml")
    (tmp_path / "tenants.d/d.yaml").symlink_to("nowhere")

    assert told(path) == [("include-unreadable", "site.yaml:14:12")] * 3
    messages = [problem.message for problem in problems_of(path)]
    assert messages == [
        f"{tmp_path}/tenants.d/{name}.yaml cannot be read: {why}"
        for name, why in (
            ("b", "it is not a file"),
            ("c", "it is not a file"),
            ("d", "No such file or directory"),
        )
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = write(tmp_path, YAML, a=tenant("acme", "+4930"))
    (tmp_path / "tenants.d/a.yaml").chmod(0)

    assert "Permission denied" in problems_of(path)[0].message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path):
    path = write(tmp_path, "tenants: {include: '**/*.yaml'}\n", a=tenant("acme", "+4930"))
    (tmp_path / "tenants.d").chmod(0)

    assert "tenants.d cannot be read: Permission denied" in problems_of(path)[0].message


def from_stdin(text: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        load.read_site("-")


@pytest.mark.parametrize(
    "read",
    [from_stdin, lambda text: load.load_site(text, "x"), lambda text: load.read_text(text, "x")],
)
def test_a_site_in_no_file_includes_nothing(read):
    with pytest.raises(errors.SiteError) as caught:
        read((SITE + YAML).encode())
    (problem,) = caught.value.problems
    assert (problem.id, problem.position.line) == ("include-from-nowhere", 14)


def test_what_was_written_down_may_be_as_large_as_all_files():
    """A saved plan has the whole site in it: more than one file of an operator may have."""
    numbers = ", ".join(f'"+49{number:012}"' for number in range(parse.MOST_VALUES + 1))
    memory = "engines: {private_memory: 1024, shared_memory: 1024}"
    tenants = f"tenants: {{a: {{fqdn: a.sbc.example.com, numbers: [{numbers}]}}}}"
    text = f"{SITE}{memory}\n{tenants}\n".encode()
    assert len(text) > source.MOST_BYTES
    with pytest.raises(errors.SiteError):
        load.load_site(text, "x")

    site, _ = load.read_text(text, "plan.json")
    assert len(site.tenants["a"].numbers) == parse.MOST_VALUES + 1


def test_all_files_together_have_limits(tmp_path, monkeypatch):
    path = write(tmp_path, YAML, a=tenant("a", "+4930"), b=tenant("b", "+4931"))
    load.read_site(path)
    for name, most, kind in (
        ("MOST_FILES", 1, "too-many-files"),
        ("MOST_BYTES", 70, "file-too-large"),
        ("MOST_VALUES", 10, "too-many-values"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(include, name, most)
            assert told(path) == [(kind, "site.yaml:14:12")]


def test_reading_ends_after_many_problems(tmp_path):
    some = {f"t{number}": "a: [" for number in range(parse.MOST_PROBLEMS + 200)}
    problems = problems_of(write(tmp_path, YAML, **some))

    assert len(problems) == parse.MOST_PROBLEMS + 1
    assert problems[-1].id == "more-problems"


# -- as an operator sees it -------------------------------------------------------------------


def validate(path: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "validate", path],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_validate_shows_the_line_of_the_included_file(tmp_path):
    path = write(tmp_path, YAML, a="acme:\n  fqdn: acme.example.org\n  numbers: ['+4930']\n")
    ran = validate(path)

    assert ran.returncode == errors.ExitCode.SITE_INVALID
    assert f"{tmp_path}/tenants.d/a.yaml:2:9: error[fqdn-outside]" in ran.stderr
    assert "     2 |   fqdn: acme.example.org" in ran.stderr


def test_validate_counts_tenants_and_their_numbers(tmp_path):
    text = 'a:\n  fqdn: a.sbc.example.com\n  numbers: ["+4930", "+49310-+49319"]\n'
    path = write(tmp_path, YAML, a=text, b=tenant("b", "+4932"))

    assert "(1 trunk, 0 phones, 2 tenants with 12 numbers)" in validate(path).stdout
