"""What no single field of a trunk can know: names, numbers and policies that contradict.

Pure, like ``rules``, which asks each function here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator import errors
from orchestrator.site import model, routes

RESERVED_NAMES = frozenset({"teams", "phone", "phones", "gone"})
"""The parties of a call that are no trunks."""


def _find_reserved_names(site: model.Site) -> Iterator[errors.Problem]:
    """Routes and tables know these parties by these names."""
    for name in site.trunks:
        if name in RESERVED_NAMES:
            yield errors.Problem(
                "reserved-name",
                f"a trunk cannot be called {name}, which is not a trunk",
                ("trunks", name),
                hint="choose another name",
            )


def _find_idle_transcoding(site: model.Site) -> Iterator[errors.Problem]:
    for name, trunk in site.trunks.items():
        if trunk.transcode and trunk.codecs is None:
            yield errors.Problem(
                "transcode-to-what",
                f"trunk {name} asks to transcode and names no codecs",
                ("trunks", name, "transcode"),
                hint="name the codecs it wants, for example codecs: [PCMA]",
            )


_HIDDEN = (("home",), ("root",), ("tmp",), ("var", "tmp"), ("run", "user"))
"""Folders that the unit of RTPEngine shows it empty."""


def _find_hidden_music(site: model.Site) -> Iterator[errors.Problem]:
    """The unit of RTPEngine shows it none of these (ProtectHome, PrivateTmp)."""
    for name, trunk in site.trunks.items():
        folders = tuple(part for part in (trunk.hold_music or "").split("/") if part)
        if any(folders[: len(hidden)] == hidden for hidden in _HIDDEN):
            yield errors.Problem(
                "music-out-of-sight",
                f"RTPEngine cannot see {trunk.hold_music} from its sandbox",
                ("trunks", name, "hold_music"),
                hint="put it elsewhere, for example into /usr/local/share/sbcctl",
            )


def _find_carriers_that_transfer(site: model.Site) -> Iterator[errors.Problem]:
    """XF-2: who gets a REFER must call Teams for it, and a carrier would call its target."""
    for name, trunk in site.trunks.items():
        if trunk.transfer is model.Transfer.REFER and trunk.kind is not model.TrunkKind.PBX:
            yield errors.Problem(
                "transfer-by-carrier",
                f"trunk {name} is a {trunk.kind}, and only a PBX carries out transfers",
                ("trunks", name, "transfer"),
                hint="leave it out: then Teams transfers by itself",
            )


def _find_several_defaults(site: model.Site) -> Iterator[errors.Problem]:
    owned = routes.own_trunks(site)
    without = [
        name for name, it in site.trunks.items() if it.numbers is None and name not in owned
    ]
    for name in without[1:]:
        yield errors.Problem(
            "two-default-trunks",
            f"trunk {name} has no numbers, and neither has trunk {without[0]}",
            ("trunks", name),
            hint="one trunk may take what no other serves; give numbers to the others, or"
            " numbers: [] to those that only routes lead to",
        )


def _find_repeated_prefixes(site: model.Site) -> Iterator[errors.Problem]:
    trunk_of: dict[str, str] = {}
    for name, trunk in site.trunks.items():
        numbers = trunk.numbers or ()
        for place, prefix in enumerate(numbers):
            first = trunk_of.setdefault(prefix, name)
            if first != name or prefix in numbers[:place]:
                yield errors.Problem(
                    "number-twice",
                    f"the prefix {prefix} of trunk {name} is served by trunk {first} already"
                    if first != name
                    else f"trunk {name} names the prefix {prefix} twice",
                    ("trunks", name, "numbers", place),
                    hint="a longer prefix wins over a shorter one, equal ones cannot",
                )


RULES: tuple[Callable[[model.Site], Iterator[errors.Problem]], ...] = (
    _find_reserved_names,
    _find_idle_transcoding,
    _find_hidden_music,
    _find_carriers_that_transfer,
    _find_several_defaults,
    _find_repeated_prefixes,
)
"""Each yields the problems of one kind."""
