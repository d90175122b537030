"""What every part of a site is made of: the base of its classes, and how numbers are written."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

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
