"""What the papers say is true: targets, verbs, options, codes and links exist as written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator import cli, errors
from orchestrator.lab import conformance, conformance_page, requirements, scenarios
from orchestrator.site import load

CHECKOUT = Path(__file__).parent.parent
PAPERS = sorted(
    [CHECKOUT / "README.md", CHECKOUT / "CHANGELOG.md", *CHECKOUT.glob("docs/**/*.md")]
)
GUIDE = CHECKOUT / "docs" / "guide"
WITHOUT_ENGINES = ("init", "schema", "explain", "completion")
OF_THE_VERBS = ("validate", "render", "route")
"""Of these the page of all verbs has a site of its own."""


def name_of(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def makefile_targets() -> dict[str, str]:
    text = (CHECKOUT / "Makefile").read_text()
    return dict(re.findall(r"^([a-z-]+):.*?## (.+)$", text, re.MULTILINE))


def spoken(path: Path, program: str) -> set[str]:
    """Every `program ...` in code of a paper, in a block or within a sentence."""
    text = path.read_text()
    code = [*blocks(path, "sh"), *re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)]
    return set(re.findall(rf"\b{program} [a-z][^#|&;\n]*", "\n".join(code)))


def sbcctl_help(*verb: str) -> str:
    ran = CliRunner().invoke(cli.program, [*verb, "--help"], prog_name="sbcctl")
    assert ran.exit_code == 0, ran.output
    return ran.output


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_every_link_inside_the_checkout_leads_somewhere(paper: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", paper.read_text())
    inside = [link for link in links if "://" not in link]

    assert not [link for link in inside if not (paper.parent / link).exists()]


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_every_make_target_a_paper_names_exists(paper: Path) -> None:
    named = {command.split()[1] for command in spoken(paper, "make")}

    assert named <= set(makefile_targets())


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_every_verb_and_option_a_paper_names_exists(paper: Path) -> None:
    for command in spoken(paper, "sbcctl"):
        verb, *words = command.split()[1:]
        assert verb in cli.VERBS
        sub_verbs = [
            word
            for word in words[:1]
            if verb in ("lab", "route", "cert") and re.fullmatch("[a-z]+", word)
        ]
        known = sbcctl_help() + sbcctl_help(verb, *sub_verbs)
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert not {option for option in options if option not in known}, command


def test_the_readme_begins_with_the_two_commands() -> None:
    first = blocks(CHECKOUT / "README.md", "sh")[0].splitlines()

    assert [line.split("#")[0].strip() for line in first] == ["make demo", "make test"]


def test_make_alone_lists_every_target_with_its_sentence() -> None:
    ran = subprocess.run(["make"], cwd=CHECKOUT, capture_output=True, text=True, check=True)

    listed = dict(re.findall(r"^  make ([a-z-]+) +(.+)$", ran.stdout, re.MULTILINE))
    assert makefile_targets() == listed


def test_the_table_of_exit_codes_is_the_one_of_the_program() -> None:
    rows = re.findall(
        r"^\| (\d+) \| ([a-z-]+) \| ([^|]+?) \|",
        (GUIDE / "exit-codes.md").read_text(),
        re.MULTILINE,
    )
    shown = re.findall(r"^ +(\d+) +(\S.*)$", cli.EXIT_CODES, re.MULTILINE)
    without_ticks = [(number, meaning.replace("`", "")) for number, _, meaning in rows]

    assert [(int(number), name) for number, name, _ in rows] == [
        (code.value, code.name.lower().replace("_", "-")) for code in errors.ExitCode
    ]
    assert shown == without_ticks


def test_every_site_in_the_guide_is_valid() -> None:
    sites = [text for path in GUIDE.glob("*.md") for text in blocks(path, "yaml")]

    assert sites
    for text in sites:
        load.load_site(text.encode(), "guide")


def test_every_decision_has_its_four_parts_and_stands_in_the_index() -> None:
    folder = CHECKOUT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    records = sorted(folder.glob("0*.md"))

    assert records
    for record in records:
        titles = re.findall(r"^## ([A-Z][A-Za-z ]+)", record.read_text(), re.MULTILINE)
        assert {"Context", "What would change our mind"} <= set(titles), record.name
        assert any(title.startswith("Outcome") for title in titles), record.name
        assert any(title.startswith("Options") for title in titles), record.name
        assert record.name in index


def test_no_paper_and_no_script_names_a_machine_of_ours() -> None:
    """Mirrors, indexes and proxies are the user's, and so are home folders."""
    ours = re.compile(r"deb\.debian\.org|pypi\.org|/home/|index-url")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    files = [CHECKOUT / name for name in tracked if name and name != name_of(Path(__file__))]

    assert not [
        name_of(path) for path in files if path.is_file() and ours.search(path.read_text())
    ]


def test_the_verbs_of_the_readme_are_the_verbs_of_the_program() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "--help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    works = re.search(r"^\| works \| ([^;]+);", (CHECKOUT / "README.md").read_text(), re.MULTILINE)

    assert works
    assert re.findall(r"`([a-z]+)`", works.group(1)) == list(cli.VERBS)
    assert all(f"\n  {verb} " in ran.stdout for verb in cli.VERBS)


def test_every_verb_has_its_section_in_the_guide() -> None:
    """With something to run, or a page that has it."""
    text = (GUIDE / "verbs.md").read_text()
    sections = dict(re.findall(r"^## ([a-z]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))

    assert list(sections) == list(cli.VERBS)
    assert not [
        verb
        for verb, said in sections.items()
        if f"sbcctl {verb}" not in said and ".md)" not in said
    ]


def test_the_conformance_table_is_the_one_of_today() -> None:
    """A row that lost its proof, a scenario renamed or changed: the paper must say so."""
    table, known = requirements.table(), scenarios.SCENARIOS
    docs = CHECKOUT / "docs"
    record = conformance.read_record((docs / "conformance.txt").read_text())
    rows = conformance.rows(table, known, record)
    again = "write them anew: make conformance STORIES=none (or STORIES=new, to tell what is new)"

    assert conformance.find_faults(table, known) == ()
    assert (docs / "conformance.md").read_text() == conformance_page.write(rows, record), again
    assert (docs / "conformance.txt").read_text() == conformance.write_record(record, known), again


def console_sessions() -> list[tuple[str, list[str], str]]:
    """Every `$ sbcctl ...` of the guide with what it prints: paper, arguments, output."""
    found = []
    for path in sorted(GUIDE.glob("*.md")):
        for block in blocks(path, "console"):
            for command, output in re.findall(
                r"^\$ sbcctl (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE
            ):
                found.append((path.name, command.split(), output))
    return found


def is_of_the_verbs(paper: str, arguments: list[str]) -> bool:
    return paper == "verbs.md" and arguments[0] in OF_THE_VERBS and "--level" not in arguments


def test_what_the_guide_shows_of_verbs_without_engines_is_what_they_print(tmp_path: Path) -> None:
    """In order, in one directory that is empty at first."""
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT)}
    sessions = [
        each
        for each in console_sessions()
        if each[1][0] in WITHOUT_ENGINES or is_of_the_verbs(*each[:2])
    ]

    assert sessions
    for paper, arguments, output in sessions:
        ran = subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *arguments],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ran.stdout == output, f"{paper}: sbcctl {' '.join(arguments)}"
