"""Numbers as trunks write them, and as E.164 with a plus; pure.

templates/kamailio/routes/numbers.cfg.j2 does the same with what :func:`orchestrator.render.trunks.
trunk_table` says of a trunk; a test compares the two number by number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.site import callers, model

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""A whole number; what is shorter is a service or an extension and nobody's to change."""

_ESCAPE = re.compile("%([2-6][0-9A-Fa-f]|7[0-9A-Ea-e])")
_WRITTEN = re.compile(f"(?:[^%]|{_ESCAPE.pattern})+")
_PLAIN = re.compile(r"\+?[0-9]+")
_SEPARATORS = str.maketrans("", "", "-.()")
"""What stands between digits for the eye only (RFC 3966 section 5.1.1)."""
_DIGITS = re.compile(r"[0-9]{4,32}")
_EXTENSION = re.compile(r"[0-9]{1,15}")
_WHOLE = 7
"""Digits without any prefix are a number only from here on; less are a service: 116117."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """The user part of a URI.

    Attributes:
        number: E.164 with a plus where that is known, else as it came.
        extension: ``;ext=20`` or nothing.
    """

    number: str
    extension: str = ""

    def __str__(self) -> str:
        return self.number + self.extension


def read(user: str, numbering: callers.Numbering | None) -> Dialled:
    """What a party means by the user part of a URI; parameters but ``ext`` are dropped.

    Args:
        user: The user part, for example ``030555;ext=20``.
        numbering: How the party writes numbers; None for one that writes E.164.
    """
    number, *params = user.split(";")
    number = _plain(number)
    given = [param.removeprefix("ext=") for param in params if param.startswith("ext=")]
    known = given and _EXTENSION.fullmatch(given[0])
    extension = f";ext={given[0]}" if known else ""
    return Dialled(to_e164(number, numbering) if numbering else number, extension)


def _plain(number: str) -> str:
    """A number without escapes (RFC 3261 section 19.1.2) and visual separators.

    What is none comes back as it is.
    """
    if not _WRITTEN.fullmatch(number):
        return number
    told = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), number)
    plain = told.translate(_SEPARATORS)
    return plain if _PLAIN.fullmatch(plain) else number


def to_e164(number: str, numbering: callers.Numbering) -> str:
    """A number of this trunk with a plus; what cannot be one comes back as it is."""
    if not _DIGITS.fullmatch(number):
        return number
    full = ""
    abroad, home = numbering.international_prefix, numbering.national_prefix
    if number.startswith(abroad):
        full = f"+{number[len(abroad) :]}"
    elif home and number.startswith(home):
        full = f"+{numbering.country}{number[len(home) :]}"
    elif len(number) >= _WHOLE and numbering.out is callers.Form.PLAIN:
        full = f"+{number}"
    elif len(number) >= _WHOLE and not home:
        full = f"+{numbering.country}{number}"
    return full if E164.fullmatch(full) else number


def write(dialled: Dialled, numbering: callers.Numbering | None) -> str:
    """The user part that a trunk gets."""
    if numbering is None:
        return str(dialled)
    keeps = numbering.extension is callers.Extension.KEEP
    return from_e164(dialled.number, numbering) + (dialled.extension if keeps else "")


def from_e164(number: str, numbering: callers.Numbering) -> str:
    """A number as this trunk wants it; what is no E.164 comes back as it is."""
    if not E164.fullmatch(number) or numbering.out is callers.Form.E164:
        return number
    digits = number[1:]
    if numbering.out is callers.Form.PLAIN:
        return digits
    if numbering.out is callers.Form.NATIONAL and digits.startswith(numbering.country):
        return numbering.national_prefix + digits.removeprefix(numbering.country)
    return numbering.international_prefix + digits


def of_party(site: model.Site, party: str) -> callers.Numbering | None:
    """How a party writes numbers; Teams and phones write E.164."""
    trunk = site.trunks.get(party)
    return trunk.numbering if trunk else None
