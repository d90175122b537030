"""What every part of a site is made of: the base of its classes, and how numbers are written."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_NUMBER = re.compile(r"\+?[0-9]{1,15}")


class Part(BaseModel):
    """The base of every part of a site: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def checked_number(text: str) -> str:
    """The number; ValueError when it is none."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("a number is up to 15 digits, with a plus in front when it is E.164")
    return text


Number = Annotated[str, AfterValidator(checked_number)]


class Secret(Part):
    """A reference to a secret; exactly one of its ways. The secret itself is never in here."""

    file: Annotated[str, Field(min_length=1)] | None = None
    """Path of a file whose first line is the secret; readable by its owner only."""
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Name of an environment variable."""
    credential: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    """Name of a systemd credential (a file below $CREDENTIALS_DIRECTORY)."""
    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """A program and its arguments; the first line it prints is the secret. No shell."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [way for way in ("file", "env", "credential", "command") if getattr(self, way)]
        if len(given) != 1:
            raise ValueError("a secret is one of file, env, credential or command")
        return self
