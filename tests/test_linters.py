"""What pyproject.toml promises and no linter checks. `make check` runs the linters themselves."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())

# Where the import is not called as the package is.
IMPORTED_AS = {
    "dnspython": "dns",
    "jsonrpclib-pelix": "jsonrpclib",
    "pyopenssl": "OpenSSL",
    "pyyaml": "yaml",
}
# Run as a program or by one, never imported.
PROGRAMS = {"certbot", "certbot-dns-rfc2136"}


def imported_packages() -> set[str]:
    found: set[str] = set()
    for path in (CHECKOUT / "orchestrator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


def dependencies() -> set[str]:
    texts = PROJECT["project"]["dependencies"]
    return {re.split(r"[^A-Za-z0-9-]", text)[0].lower() for text in texts}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    """A package that only comes with another one is gone when that one stops asking for it."""
    ours = {"orchestrator", "rtpengine_ng"}
    # pydantic_core is the other half of pydantic; each release pins the other.
    foreign = imported_packages() - sys.stdlib_module_names - ours - {"pydantic_core"}

    assert foreign == {IMPORTED_AS.get(name, name) for name in dependencies() - PROGRAMS}


def test_every_runtime_dependency_has_its_line_in_the_decision_record() -> None:
    record = (CHECKOUT / "docs/decisions/0002-dependencies.md").read_text().lower()

    assert not [name for name in dependencies() if f"\n| {name} " not in record]


def test_every_lint_exception_has_a_reason_beside_it() -> None:
    text = (CHECKOUT / "pyproject.toml").read_text()
    exceptions = re.findall(r'^  "[A-Z]+[0-9]*",.*$', text, re.MULTILINE)

    assert exceptions
    assert not [line for line in exceptions if "  # " not in line]


def test_nothing_generated_is_tracked() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert tracked.stdout == ""
