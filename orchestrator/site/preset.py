"""A site.yaml to begin with, written from the model: its sentences are the comments.

Pure: the name of a preset in, text out. What its reader has to fill in stands there as a value
from the documentation ranges (RFC 5737, RFC 2606) and is marked; ``validate`` asks
:func:`find_placeholders` whether one is still there.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator import errors
from orchestrator.site import fields, model, sentences, tree

MARK = "# <- yours"
"""What stands behind every value to fill in."""

MODELINE = "# yaml-language-server: $schema=./site.schema.json"
"""Tells an editor where the schema is (``sbcctl schema --out site.schema.json``)."""

_WIDTH = 96
_GLUE = "\N{NO-BREAK SPACE}"
"""A blank at which no line ends."""
_PLACEHOLDER = re.compile(
    r"(?<![0-9.])(?:192\.0\.2|198\.51\.100|203\.0\.113)\.[0-9]|(?:^|[.@])example\.(?:com|net|org)$"
    r"|^\+4930555"
)


@dataclass(frozen=True, slots=True)
class _Yours:
    """A value that its reader replaces by one of his own."""

    text: str


_Value = str | _Yours | Mapping[str, "_Value"]
_OFFICE = '["sip:192.0.2.20:5060;transport=udp"]'


@dataclass(frozen=True, slots=True)
class Preset:
    """One site to begin with: what it is for, and what stands in it."""

    about: str
    content: Mapping[str, _Value]


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A value to fill in: its path as an operator reads it, and what stands there now."""

    path: str
    value: str


def _site(**more: _Value) -> Mapping[str, _Value]:
    """What every site of our own has in common, and *more*."""
    return {
        "version": "1",
        "site": "sbc1",
        "node": {"public_address": _Yours("203.0.113.10")},
        "teams": {"fqdn": _Yours("sbc.example.com")},
        "certificate": {"acme": {"email": _Yours("ops@example.com")}},
        **more,
    }


def _tenant(name: str, numbers: str, **more: _Value) -> _Value:
    return {
        "fqdn": _Yours(f"{name}.sbc.example.com"),
        "numbers": _Yours(f'["{numbers}"]'),
        **more,
    }


def _wildcard() -> _Value:
    """A certificate that covers every tenant; no CA gives one without a record in DNS."""
    update: _Value = {
        "server": _Yours("192.0.2.53"),
        "key_name": _Yours("sbc.example.com"),
        "secret": "{file: /etc/sbcctl/tsig.secret}",
    }
    return {
        "acme": {
            "email": _Yours("ops@example.com"),
            "names": _Yours('["*.sbc.example.com"]'),
            "dns": {"rfc2136": update},
        }
    }


def _lab() -> Mapping[str, _Value]:
    """The world of ``sbcctl lab``: the site of examples/01-one-pbx (a test compares them)."""
    return {
        "version": "1",
        "site": "fra1",
        "node": {"public_address": "203.0.113.10", "trunk_address": "192.0.2.10"},
        "teams": {
            "fqdn": "sbc.example.com",
            "networks": "[198.51.100.0/24]",
            "trusted_roots": "/run/sbcctl-lab/microsoft.pem",
        },
        "certificate": {
            "acme": {"email": "ops@example.com", "directory": "https://acme.example.net/dir"}
        },
        "trunks": {"office": {"kind": "pbx", "gateways": _OFFICE}},
        "phones": {
            "realm": "sbc.example.com",
            "users": {
                "reception": {"number": '"+493055500"', "password": "{env: RECEPTION_PASSWORD}"}
            },
        },
        "engines": {"accept_risk": model.OLD_KAMAILIO_RISK},
    }


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "single": Preset(
            "One company: a Teams tenant, and one PBX or carrier.",
            _site(trunks={"office": {"kind": "pbx", "gateways": _Yours(_OFFICE)}}),
        ),
        "hosting": Preset(
            "Many customers behind one SBC. Each is a tenant with its own name one label under "
            "teams.fqdn, which one wildcard of the certificate covers, and with its numbers; "
            "its calls go over a trunk of its own, or over those that are nobody's own. A file "
            'for each is read where tenants says "include: tenants.d/*.yaml".',
            _site(
                certificate=_wildcard(),
                trunks={
                    "customer-b": {
                        "kind": "pbx",
                        "gateways": _Yours('["sip:192.0.2.21:5060;transport=udp"]'),
                    },
                    "carrier": {
                        "kind": "carrier",
                        "gateways": _Yours('["sip:192.0.2.41:5060;transport=udp"]'),
                    },
                },
                routes={"help": {"emergency": '["112", "110"]', "to": "[carrier]"}},
                tenants={
                    "customer-a": _tenant("customer-a", "+4930555000-+4930555099"),
                    "customer-b": _tenant(
                        "customer-b", "+4930555100-+4930555199", trunks="[customer-b]"
                    ),
                },
            ),
        ),
        "lab": Preset(
            "The world of `sbcctl lab`: its addresses, its Microsoft, its CA; nothing to fill in.",
            _lab(),
        ),
    }
)
"""What ``init --preset`` knows."""


def write(name: str) -> str:
    """The text of the preset *name*."""
    preset = PRESETS[name]
    lines = [MODELINE, *_comment(preset.about, "")]
    if any(True for _ in _yours(preset.content, ())):
        lines += _comment(f'Fill in what is marked "{MARK}", then: sbcctl validate', "")
    told: set[tuple[object, str]] = set()
    lines += _lines(preset.content, (), told)
    return "\n".join(lines) + "\n"


def to_fill_in(name: str) -> tuple[Placeholder, ...]:
    """What the reader of the preset *name* replaces, in the order of the file."""
    return tuple(_yours(PRESETS[name].content, ()))


def find_placeholders(places: tree.SourceMap) -> tuple[errors.Problem, ...]:
    """Hints for the values of a preset that are still there: on a marked line, and not changed.

    A file without a mark costs one look.
    """
    if MARK not in places.source.text:
        return ()
    return tuple(
        errors.Problem(
            "placeholder",
            f"{sentences.dotted(path)} is still {sentences.shown(node.value)}, "
            f"which init put there for you to replace",
            path,
            hint=f'put in your own and remove the mark "{MARK}"',
        )
        for path, node in _leaves(places.root)
        if isinstance(node.value, str)
        and MARK in places.source_of(path).line(node.line + 1)
        and _PLACEHOLDER.search(node.value)
    )


def _leaves(root: tree.Node) -> Iterator[tuple[tree.Path, tree.Node]]:
    """Every value that has none below it, in the order of the file."""
    waiting: list[tuple[tree.Path, tree.Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if not node.children:
            yield path, node
        below = [((*path, key), child) for key, child in node.children.items()]
        waiting += reversed(below)


def _yours(content: Mapping[str, _Value], path: fields.Path) -> Iterator[Placeholder]:
    for key, value in content.items():
        here = (*path, key)
        if isinstance(value, _Yours):
            yield Placeholder(sentences.dotted(here), value.text)
        elif isinstance(value, Mapping):
            yield from _yours(value, here)


def _lines(
    content: Mapping[str, _Value], path: fields.Path, told: set[tuple[object, str]]
) -> Iterator[str]:
    """The lines of one mapping; what was *told* of a field once is not repeated."""
    indent = "  " * len(path)
    kind = fields.type_at(path)
    for key, value in content.items():
        here = (*path, key)
        if not path:
            yield ""
        if (kind, key) not in told and fields.meaning(here):
            yield from _comment(f"{fields.meaning(here)}.", indent)
            told.add((kind, key))
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, here, told)
        else:
            text = value.text if isinstance(value, _Yours) else value
            mark = f"  {MARK}" if isinstance(value, _Yours) else ""
            yield f"{indent}{key}: {text}{mark}"
    yield from _others(content, path, told)


def _others(
    content: Mapping[str, _Value], path: fields.Path, told: set[tuple[object, str]]
) -> Iterator[str]:
    """One comment about the keys that are possible here and left out."""
    kind = fields.type_at(path)
    left = [key for key in fields.fields_at(path) if key not in content]
    if not left or (kind, "") in told or kind is model.Certificate:
        return
    told.add((kind, ""))
    if not path:
        yield ""
    more = f"sbcctl explain {sentences.dotted(path)}".rstrip().replace(" ", _GLUE)
    yield from _comment(f"also possible: {', '.join(left)} ({more})", "  " * len(path))


def _comment(text: str, indent: str) -> list[str]:
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )
    return [line.replace(_GLUE, " ") for line in lines]
