"""The requirements this SBC is measured by: requirements.toml as values.

Which scenarios prove a requirement is not in the table; each scenario names the ids it proves.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

COUNTED = ("EP", "TLS", "CERT", "EKU", "OPT", "SIG", "MT", "XF", "MED", "EM")
"""Families that are the dialect itself; the others belong to other capabilities."""

FAMILIES = {
    "EP": "Endpoints",
    "TLS": "TLS",
    "CERT": "Names in the certificate",
    "EKU": "What the certificate is for",
    "OPT": "OPTIONS",
    "SIG": "Calls",
    "MT": "Tenants",
    "XF": "Transfers and forwarding",
    "MED": "Media",
    "EM": "Emergency calls",
    "REN": "Renewal",
    "PS": "Commands for the tenant",
    "BYP": "Media bypass",
}
"""Each family of ids with its title, in the order they are shown."""


class Level(StrEnum):
    """How strongly something is required."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the table.

    Attributes:
        id: For example ``MED-6``.
        level: MUST or SHOULD.
        says: The requirement in one sentence.
        tests: Node ids of tests in this checkout that prove it, without parameters.
        tenant: Why only a real tenant can prove it, or an empty string.
        not_built: Why this SBC does not do it, or an empty string.
        record: Where that stands, below docs/, with the heading: ``limits.md#one-company``.
    """

    id: str
    level: Level
    says: str
    tests: tuple[str, ...] = ()
    tenant: str = ""
    not_built: str = ""
    record: str = ""

    @property
    def family(self) -> str:
        """The letters of the id."""
        return self.id.partition("-")[0]

    @property
    def counted(self) -> bool:
        """True for the dialect itself, False for what belongs to another capability."""
        return self.family in COUNTED


@functools.cache
def table() -> tuple[Requirement, ...]:
    """Every requirement, in the order of the file.

    Raises:
        TypeError: A row has a key that no row has.
        ValueError: The file is no TOML, or a level is neither MUST nor SHOULD.
    """
    text = resources.files("orchestrator.lab").joinpath("requirements.toml").read_text("utf-8")
    return tuple(_row(key, fields) for key, fields in tomllib.loads(text).items())


def _row(key: str, fields: dict[str, object]) -> Requirement:
    tests = fields.pop("tests", ())
    assert isinstance(tests, (list, tuple))
    level = Level(str(fields.pop("level")))
    words = {name: str(value) for name, value in fields.items()}
    return Requirement(id=key, level=level, tests=tuple(map(str, tests)), **words)
