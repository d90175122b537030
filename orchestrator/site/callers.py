"""How a trunk writes numbers, and under which name calls reach it; parts of ``model.Trunk``."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from orchestrator.site import part

_COUNTRY = re.compile(r"[1-9][0-9]{0,2}")
_PREFIX = re.compile(r"[0-9]{0,5}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class Form(StrEnum):
    """How a number that is E.164 is written to a trunk."""

    E164 = "e164"
    PLAIN = "plain"
    INTERNATIONAL = "international"
    NATIONAL = "national"


class Extension(StrEnum):
    """What a trunk gets of ``;ext=`` behind a number (SIG-21)."""

    KEEP = "keep"
    DROP = "drop"


class Policy(StrEnum):
    """Whose number a trunk sees as the caller (SIG-22, XF-12)."""

    PASS = "pass"  # noqa: S105 - not a password
    MAIN = "main"
    ALLOWED = "allowed"


class History(StrEnum):
    """What a trunk is told about who forwarded a call (SIG-24)."""

    PASS = "pass"  # noqa: S105 - not a password
    DIVERSION = "diversion"
    DROP = "drop"


def _checked_country(text: str) -> str:
    if not _COUNTRY.fullmatch(text):
        raise ValueError("a country code is 1 to 3 digits without a zero in front, such as 49")
    return text


def _checked_prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError("a dialling prefix is up to 5 digits")
    return text


def _checked_e164(text: str) -> str:
    if not _E164.fullmatch(text):
        raise ValueError("a plus and 7 to 15 digits are needed, such as +493055500")
    return text


Prefix = Annotated[str, AfterValidator(_checked_prefix)]
E164 = Annotated[str, AfterValidator(_checked_e164)]


class Numbering(part.Part):
    """How a trunk writes numbers; everywhere else they are E.164 with a plus."""

    country: Annotated[str, AfterValidator(_checked_country)]
    """The country code of national numbers, such as 49."""
    national_prefix: Prefix = "0"
    """What stands in front of a national number; empty where numbers have none."""
    international_prefix: Annotated[Prefix, Field(min_length=1)] = "00"
    """What stands in front of a foreign number."""
    out: Form = Form.E164
    """What it gets: e164 (+49...), plain (49...), international (0049...) or national (0...)."""
    extension: Extension = Extension.KEEP
    """What it gets of an extension that Teams dialled (;ext=): keep or drop."""


class CallerId(part.Part):
    """Which number a trunk sees as the caller."""

    policy: Policy = Policy.PASS
    """pass, main (always the main number) or allowed (main for who is not in the list)."""
    main: E164 | None = None
    """The main number, in E.164."""
    allowed: tuple[part.Number, ...] = ()
    """With policy allowed: what numbers begin with that may be shown."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.policy is Policy.PASS and (self.main or self.allowed):
            raise ValueError("main and allowed belong to the policies main and allowed")
        if self.policy is not Policy.PASS and not self.main:
            raise ValueError(f"policy {self.policy} needs the main number: main: +493055500")
        if bool(self.allowed) != (self.policy is Policy.ALLOWED):
            raise ValueError("allowed lists numbers for policy allowed, and that policy needs it")
        return self
