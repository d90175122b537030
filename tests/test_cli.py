"""The command line as scripts see it: real processes, exit codes, streams."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = str(ROOT / "examples/01-one-pbx/site.yaml")


def sbcctl(*arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess:
    """Run sbcctl as a process of its own, without a terminal and without colour variables."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *arguments],
        cwd=ROOT,
        input=stdin,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def bad(tmp_path):
    """A site with an unknown key in it."""
    file = tmp_path / "bad.yaml"
    file.write_text(Path(EXAMPLE).read_text().replace("trunk_address", "trunk_adress"))
    return str(file)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["-h"], 0),
        (["validate", "--help"], 0),
        (["version"], 0),
        (["validate", EXAMPLE], 0),
        (["validate", "BAD"], 3),
        (["validate", "/dev/null"], 3),
        (["validate", "/nonexistent/site.yaml"], 6),
        (["validate", "/"], 6),
        ([], 64),
        (["validate"], 6),
        (["validate", EXAMPLE, "more"], 64),
        (["--nonsense"], 64),
        (["validat"], 64),
        (["--output", "xml", "version"], 64),
        (["version", "--color", "mauve"], 64),
        (["--state-dir", EXAMPLE, "version"], 64),
    ],
)
@pytest.mark.parametrize("output", ["text", "json", "github"])
def test_exit_codes(arguments, code, output, bad):
    """The table of --help holds; nothing ever ends with 2, and nothing shows a traceback."""
    arguments = [bad if argument == "BAD" else argument for argument in arguments]
    ran = sbcctl(*arguments, SBCCTL_OUTPUT=output)
    assert ran.returncode == code, ran.stderr.decode()
    assert b"Traceback" not in ran.stderr + ran.stdout
    if output == "json" and not {"--help", "-h", "--output"} & {*arguments}:
        found = json.loads(ran.stdout)
        assert (found["ok"], found["exit_code"]) == (code == 0, code)
        assert found["format_version"] == "1.0"
        assert ran.stderr == b""
    elif code and output == "text":
        assert ran.stdout == b""
        assert b"error" in ran.stderr


def test_problems_as_printed(bad):
    """The form an editor jumps to."""
    ran = sbcctl("validate", bad)
    line = Path(bad).read_text().splitlines()[7]
    assert ran.stderr.decode() == (
        f'{bad}:8:3: error[unknown-key]: unknown key "trunk_adress" under node\n'
        f"     8 | {line}\n"
        f"       |   ^  hint: did you mean trunk_address?\n"
        "1 problem in site.yaml; nothing was changed\n"
        "sbcctl explain unknown-key says more\n"
    )


def test_success_says_what_was_not_checked():
    """One line on stdout, nothing on stderr; with -q nothing at all."""
    ran = sbcctl("validate", EXAMPLE)
    assert ran.stdout.decode() == (
        f"{EXAMPLE}: site fra1 is valid (1 trunk, 1 phone), not checked: what the engines would"
        " read, the engines' own check, files and secrets on this machine, addresses and ports,"
        " the certificate, whether Teams and trunks answer, DNS\n"
    )
    assert ran.stderr == b""
    assert sbcctl("-q", "validate", EXAMPLE).stdout == b""


def test_a_hint_is_no_failure(tmp_path):
    """A public address that is not public is told, and the site is valid."""
    file = tmp_path / "site.yaml"
    file.write_text(Path(EXAMPLE).read_text().replace("203.0.113.10", "10.1.2.3"))
    ran = sbcctl("validate", str(file))
    assert ran.returncode == 0
    assert f"{file}:7:19: hint[private-public-address]: ".encode() in ran.stderr
    found = json.loads(sbcctl("validate", str(file), "-o", "json").stdout)
    assert [hint["line"] for hint in found["hints"]] == [7]


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_hint_is_a_failure_when_asked_for(tmp_path, output):
    """With --strict CI stops at a hint; a site without one stays valid."""
    file = tmp_path / "site.yaml"
    file.write_text(Path(EXAMPLE).read_text().replace("203.0.113.10", "10.1.2.3"))
    ran = sbcctl("validate", "--strict", str(file), "-o", output)
    assert ran.returncode == 3
    assert b"private-public-address" in ran.stdout + ran.stderr
    assert b"is valid" not in ran.stdout
    assert sbcctl("validate", "--strict", EXAMPLE, "-o", output).returncode == 0


def test_a_site_from_standard_input():
    """- reads standard input, for sops and templates."""
    assert sbcctl("validate", "-", stdin=Path(EXAMPLE).read_bytes()).returncode == 0
    ran = sbcctl("validate", "-", stdin=b"version: 1\n\xff")
    assert ran.returncode == 3
    assert ran.stderr.startswith(b"<stdin>:2:1: error[not-utf8]: ")


def test_global_options_stand_on_both_sides():
    """An operator may write -o json before or behind the verb; the last one counts."""
    before = sbcctl("-o", "json", "version")
    behind = sbcctl("version", "-o", "json")
    assert before.stdout == behind.stdout
    assert json.loads(before.stdout)["kind"] == "version"
    assert sbcctl("-o", "json", "version", "-o", "text").stdout.startswith(b"sbcctl ")


def test_the_version_needs_no_engines(tmp_path):
    """On a bare machine `version` says which engines are not there, and is no failure."""
    ran = sbcctl("version", "-o", "json", "--engine-root", str(tmp_path))
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["engines"] == {"kamailio": None, "rtpengine": None}


def test_a_typo_gets_the_right_verb():
    """A verb that is almost right is corrected."""
    assert b"did you mean validate?" in sbcctl("validat").stderr


def test_color_needs_a_reason(bad):
    """No codes into a pipe, unless asked for; NO_COLOR wins over FORCE_COLOR."""
    assert b"\x1b" not in sbcctl("validate", bad).stderr
    assert b"\x1b" in sbcctl("validate", bad, FORCE_COLOR="1").stderr
    assert b"\x1b" not in sbcctl("validate", bad, FORCE_COLOR="1", NO_COLOR="1").stderr
    assert b"\x1b" in sbcctl("validate", bad, "--color", "always", NO_COLOR="1").stderr


def test_color_on_a_terminal(bad):
    """A terminal gets colour, and none with NO_COLOR."""
    for environ, expected in (
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ):
        master, slave = pty.openpty()
        ran = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", "validate", bad],
            cwd=ROOT, env={"PATH": os.environ["PATH"], **environ}, stderr=slave,
        )  # fmt: skip
        os.close(slave)
        assert ran.wait(timeout=30) == 3
        shown = os.read(master, 65536)
        os.close(master)
        assert (b"\x1b[1;31merror" in shown) is expected


def test_an_ascii_locale_shows_everything(tmp_path):
    """Where the terminal knows no umlauts they are escaped, and nothing fails."""
    file = tmp_path / "bad.yaml"
    file.write_text("sité: 1\n", encoding="utf-8")
    ran = sbcctl("validate", str(file), LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ran.returncode == 3
    assert b"sit\\xe9" in ran.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["validate", "/dev/null"]])
def test_a_reader_that_left_is_no_drama(arguments):
    """`sbcctl ... | head -0` ends quietly."""
    ran = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli", "-o", "json", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert ran.stdout is not None
    ran.stdout.close()
    _, complaints = ran.communicate(timeout=30)
    assert ran.returncode != 2
    assert complaints == b""


def test_a_full_disk_is_told():
    """Output that cannot be written is a failure of the machine."""
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", "version"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=30, check=False,
        )  # fmt: skip
    assert ran.returncode == 6
    assert ran.stderr == b"error: No space left on device\n  hint: make space and run it again\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_is_130(number):
    """Ctrl-C, a stopped unit and a closed terminal end with 130 and one word."""
    ran = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli", "validate", "-"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    # It waits for standard input: asleep in a read of a pipe.
    syscall = Path(f"/proc/{ran.pid}/wchan")
    deadline = time.monotonic() + 20
    while "pipe_read" not in syscall.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    ran.send_signal(number)
    out, complaints = ran.communicate(timeout=20)
    assert (ran.returncode, out, complaints) == (130, b"", b"error: interrupted\n")


def test_help_is_instant():
    """--help imports none of the large packages; time is only printed (DESIGN section 7)."""
    ran = sbcctl("--help", PYTHONPROFILEIMPORTTIME="1")
    assert ran.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in ran.stderr.decode().splitlines()}
    slow = {"pydantic", "yaml", "rich", "pyroute2", "jinja2", "httpx", "cryptography", "asyncio"}
    assert not slow & loaded
    assert b"130  interrupted" in ran.stdout


def test_an_error_of_ours_is_one_sentence():
    """What nobody expected is one sentence and code 1; --debug shows where it happened."""
    script = (
        "import sys; from orchestrator import cli; from orchestrator.site import model;"
        "model.Site.model_validate = lambda tree: 1 // 0; cli.main()"
    )
    for arguments, shows in (([], False), (["--debug"], True)):
        ran = subprocess.run(
            [sys.executable, "-c", script, *arguments, "validate", EXAMPLE],
            cwd=ROOT, capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        assert ran.returncode == 1
        assert b"sbcctl made a mistake of its own: ZeroDivisionError" in ran.stderr
        assert (b"Traceback" in ran.stderr) is shows


@pytest.mark.parametrize("option", ["--state-dir", "--run-dir"])
def test_a_path_the_engines_cannot_take_is_refused_first(option, tmp_path):
    """A space would end as a fault of the templates; it is the command line that is wrong."""
    place = tmp_path / "a b"
    ran = sbcctl(option, str(place), "apply", str(tmp_path / "none.yaml"))
    assert ran.returncode == 64
    said = ran.stderr.decode()
    assert f"'{option}'" in said
    assert f"{str(place)!r} is not possible" in said
    assert not place.exists()
