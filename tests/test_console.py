"""What humans and programs read: the printed form is a promise, so it is compared as text."""

from __future__ import annotations

import io
import json
import re
import tomllib
from pathlib import Path

import pytest

from orchestrator import console, errors


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def voices(*, terminal: bool = False, **options: object) -> tuple:
    out = io.StringIO()
    err = Terminal() if terminal else io.StringIO()
    environ = options.pop("environ", {"TERM": "xterm"})
    return console.Console(stdout=out, stderr=err, environ=environ, **options), out, err


PROBLEMS = (
    errors.Problem(
        "unknown-key",
        'unknown key "prot" under trunks.office',
        ("trunks", "office", "prot"),
        errors.Position("site.yaml", 11, 5),
        "did you mean port?",
        "    prot: 5060",
    ),
    errors.Problem(
        "bad-value",
        "esc \x1b[31m \u202e",
        (),
        errors.Position("s\x07.yaml", 2, 4),
        "",
        "ä\t語\x1bx",
    ),
    errors.Problem("port-clash", "two ports are the same", hint="choose another"),
)

SHOWN = """\
site.yaml:11:5: error[unknown-key]: unknown key "prot" under trunks.office
    11 |     prot: 5060
       |     ^  hint: did you mean port?
s\\x07.yaml:2:4: error[bad-value]: esc \\x1b[31m \\u202e
     2 | ä\\t語\\x1bx
       |      ^
error[port-clash]: two ports are the same
       hint: choose another
3 problems in site.yaml; nothing was changed
sbcctl explain unknown-key says more
"""


def test_problems_as_text():
    """file:line:col, id, sentence, line, caret, hint; nothing can drive the terminal."""
    voice, out, err = voices()
    voice.fail(errors.SiteError(PROBLEMS))
    assert err.getvalue() == SHOWN
    assert out.getvalue() == ""


def test_color_only_adds_codes():
    """With colour the same text is shown, with codes around a few words."""
    voice, _, err = voices(color=console.Color.ALWAYS)
    voice.fail(errors.SiteError(PROBLEMS))
    assert "\x1b[1;31merror[unknown-key]\x1b[0m" in err.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", err.getvalue()) == SHOWN


def test_at_most_twenty_problems():
    """Twenty are shown, the others are counted."""
    voice, _, err = voices()
    voice.fail(errors.SiteError(PROBLEMS[:1] * 25))
    assert err.getvalue().count("error[unknown-key]") == 20
    assert "... and 5 more; --output json shows all of them\n25 problems in" in err.getvalue()


def test_problems_as_json():
    """All of them, with numbers as numbers, on stdout."""
    voice, out, err = voices(output=console.Output.JSON)
    voice.fail(errors.SiteError(PROBLEMS * 10))
    found = json.loads(out.getvalue())
    problems = found.pop("problems")
    assert found == {
        "format_version": "1.0",
        "kind": "error",
        "sbcctl_version": console.VERSION,
        "ok": False,
        "exit_code": 3,
        "message": "site.yaml has 30 problems",
        "hint": "",
    }
    assert len(problems) == 30
    assert problems[0] == {
        "id": "unknown-key",
        "message": 'unknown key "prot" under trunks.office',
        "hint": "did you mean port?",
        "path": ["trunks", "office", "prot"],
        "file": "site.yaml",
        "line": 11,
        "column": 5,
    }
    assert err.getvalue() == ""


def test_problems_for_github():
    """One workflow command for each, with what GitHub wants escaped."""
    voice, out, _ = voices(output=console.Output.GITHUB)
    odd = errors.Problem("x", "50% of a,b", (), errors.Position("a,b:c.yaml", 1, 2), "two\nlines")
    voice.fail(errors.SiteError((odd,)))
    voice.fail(errors.HostError("no disk"))
    assert out.getvalue() == (
        "::error file=a%2Cb%3Ac.yaml,line=1,col=2,title=x::50%25 of a,b (hint: two\\nlines)\n"
        "::error title=sbcctl::no disk\n"
    )


def test_an_error_keeps_the_engines_words():
    """Message, the engine's own words, hint."""
    voice, _, err = voices()
    voice.fail(errors.EngineRefused("kamailio says no", words="line 3\n\x1b[2Jx", hint="report"))
    assert err.getvalue() == (
        "error: kamailio says no\n  | line 3\n  | \\x1b[2Jx\n  hint: report\n"
    )


def test_a_long_line_is_shown_around_its_place():
    """A site written as one line of a megabyte still shows where the problem is."""
    source = "a" * 5000 + "HERE" + "b" * 1_000_000
    voice, _, err = voices()
    place = errors.Position("x", 1, 5001)
    voice.fail(errors.SiteError((errors.Problem("x", "y", position=place, source=source),)))
    line, caret = err.getvalue().splitlines()[1:3]
    assert len(line) < 120
    assert line[caret.index("^") :].startswith("HERE")


def test_a_result_is_json_or_text():
    """A human reads the text, a program the envelope and the fields."""
    voice, out, _ = voices()
    voice.result("version", "sbcctl 1", {"python": "3"})
    assert out.getvalue() == "sbcctl 1\n"
    voice, out, _ = voices(output=console.Output.JSON)
    voice.result("plan", "", {"steps": [1]}, exit_code=errors.ExitCode.CHANGES_PENDING)
    found = json.loads(out.getvalue())
    assert (found["kind"], found["ok"], found["exit_code"], found["steps"]) == (
        "plan",
        True,
        2,
        [1],
    )


def test_steps_in_a_log():
    """Without a terminal there is one line for each finished step, with the time in front."""
    voice, out, err = voices()
    with voice.step("stage", "3 files") as step:
        step.note("working")
        step.note("done")
    with pytest.raises(errors.HostError), voice.step("verify", "trunk colt"):
        raise errors.HostError("no answer")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  "
    first, second = err.getvalue().splitlines()
    assert re.fullmatch(stamp + r"stage        3 files +0\.0s  ok   done", first)
    assert re.fullmatch(stamp + r"verify       trunk colt +0\.0s  FAIL", second)
    assert out.getvalue() == ""


def test_steps_on_a_terminal():
    """A running step is drawn at once and redrawn; other lines and inner steps keep it whole."""
    voice, _, err = voices(terminal=True, environ={"NO_COLOR": "1"})
    with voice.step("outer", "first") as step:
        assert err.getvalue() == f"\r\x1b[K  outer        {'first':<52} ..."
        step.note("halfway")
        voice.say("a line")
        with voice.step("inner", "second"):
            pass
    screen = [line.rpartition("\r\x1b[K")[2] for line in err.getvalue().split("\n")]
    assert screen[0] == "a line"
    assert screen[1].startswith("  inner        second")
    assert screen[2].startswith("  outer        first")
    assert screen[2].endswith("0.0s  ok   halfway")
    assert screen[3:] == [""]


def test_quiet_says_nothing_but_results_and_failures():
    """-q silences steps and progress, not what went wrong."""
    voice, out, err = voices(quiet=True, terminal=True, environ={"NO_COLOR": "1"})
    with voice.step("stage", "3 files"):
        voice.say("hello")
    voice.hints(PROBLEMS)
    assert err.getvalue() == ""
    voice.fail(errors.HostError("no disk"))
    voice.result("x", "done")
    assert (out.getvalue(), err.getvalue()) == ("done\n", "error: no disk\n")


@pytest.mark.parametrize(
    ("option", "environ", "terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_one_decision_about_color(option, environ, terminal, expected):
    """--color, then NO_COLOR, then FORCE_COLOR, then the terminal."""
    decided = console.wants_color(console.Color(option), environ, terminal=terminal)
    assert decided is expected


def test_the_version_is_one():
    """The version of the package and of the program are the same."""
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
    assert project["project"]["version"] == console.VERSION
