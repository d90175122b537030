"""Tell the lab's stories on both generations of engines and write docs/conformance.md.

    conformance.py                 tell all stories
    conformance.py new             tell those that have no result yet, or were changed since
    conformance.py none            tell none: write the document from what is on record
    conformance.py NAME...         tell these

What the lab found goes to docs/conformance.txt. A lab that breaks down leaves no result, and a
story that failed is on record as FAILED. Exit code 1 when anything was not ok.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.lab import conformance, conformance_page, requirements, scenarios

CHECKOUT = Path(__file__).resolve().parent.parent
RECORD = CHECKOUT / "docs" / "conformance.txt"
PAGE = CHECKOUT / "docs" / "conformance.md"
RELEASES = {"debian12": "bookworm", "debian13": "trixie"}


def main(words: list[str]) -> int:
    """Tell the stories *words* ask for and write both files; returns the exit code."""
    record = conformance.read_record(RECORD.read_text("utf-8") if RECORD.exists() else "")
    good = True
    for generation in conformance.GENERATIONS:
        names = wanted(words, generation, record)
        if names:
            record, went_well = tell(generation, names, record)
            good = good and went_well
            write(record)
    write(record)
    return 0 if good else 1


def wanted(words: list[str], generation: str, record: conformance.Record) -> list[str]:
    """The names of the stories to tell on a generation."""
    known = {scenario.name: scenario for scenario in scenarios.SCENARIOS}
    if words == ["none"]:
        return []
    if words == ["new"]:
        ok = conformance.Result.OK
        return [n for n, scenario in known.items() if record.result(generation, scenario) != ok]
    if unknown := [word for word in words if word not in known]:
        sys.exit(f"the lab has no scenario {', '.join(unknown)}; there are: {', '.join(known)}")
    return [name for name in known if not words or name in words]


def tell(
    generation: str, names: list[str], record: conformance.Record
) -> tuple[conformance.Record, bool]:
    """Tell stories on a generation; what they were on record for before is forgotten first."""
    digests = {known.name: conformance.digest_of(known) for known in scenarios.SCENARIOS}
    record = record.without(generation, names)
    said = run_lab(generation, names)
    calls = said.get("calls")
    if said.get("kind") != "lab-run" or not isinstance(calls, list):
        sys.stderr.write(f"{generation}: the lab broke down, so nothing is known of it\n")
        return record, False
    told = [
        conformance.Told(generation, call["name"], digests[call["name"]], call["ok"] is True)
        for call in calls
    ]
    good = {each.name for each in told if each.ok} == set(names)
    return record.with_run(generation, str(said["engines"]), told), good


def run_lab(generation: str, names: list[str]) -> dict[str, object]:
    """What ``sbcctl lab run`` says on a generation as JSON; empty when it said nothing."""
    root = engine_root(generation)
    argv = [sys.executable, "-m", "orchestrator.cli", "--output", "json"]
    argv += ["--engine-root", root] if root else []
    with tempfile.TemporaryDirectory() as folder:
        argv += ["lab", "run", "--report", f"{folder}/report.html"]
        argv += [word for name in names for word in ("--only", name)]
        ran = subprocess.run(argv, stdout=subprocess.PIPE, cwd=CHECKOUT, check=False)
    try:
        said = json.loads(ran.stdout)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def engine_root(generation: str) -> str:
    """The engine root of a generation, built where it is missing; empty for this machine's own."""
    if f"VERSION_CODENAME={RELEASES[generation]}\n" in Path("/etc/os-release").read_text():
        return ""
    script = CHECKOUT / "scripts" / "engines.sh"
    subprocess.run([script, generation], check=True)
    found = subprocess.run([script, "--path", generation], check=True, stdout=subprocess.PIPE)
    return found.stdout.decode().strip()


def write(record: conformance.Record) -> None:
    """Write the record and the document."""
    known = scenarios.SCENARIOS
    RECORD.write_text(conformance.write_record(record, known), "utf-8")
    rows = conformance.rows(requirements.table(), known, record)
    PAGE.write_text(conformance_page.write(rows, record), "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
