"""Every refusal of the model is told in a sentence of ours, never in pydantic's."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pydantic
import pytest
import yaml

from orchestrator import errors
from orchestrator.site import load, model, sentences

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.yaml"))

_BAD = (
    None, "", " ", "!?", "-1", "1.5", "1e400", "9" * 5000, "x" * 5000, "é\0", "NaN", "yes",
    "1/2", "sip:", "::/0", [], [None], ["!?"], ["x"] * 6000, {}, {"": None}, {"!?": "!?"},
    {"x": {}}, [[]], [{}],
)  # fmt: skip
"""What an operator, a template or an attacker may write anywhere: the types a loader gives."""


def _paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    pairs = value.items() if isinstance(value, dict) else ()
    pairs = enumerate(value) if isinstance(value, list) else pairs
    for key, below in pairs:
        yield from _paths(below, (*path, key))


def _with(site: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    changed = copy.copy(site)
    changed[path[0]] = _with(site[path[0]], path[1:], value)  # type: ignore[index]
    return changed


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_no_refusal_is_told_in_foreign_words(example):
    """Every value of every example, replaced by every bad one: each kind has its sentence."""
    site = yaml.load(example.read_text(), Loader=yaml.BaseLoader)
    model.Site.model_validate(site)
    kinds = set()
    for path in _paths(site):
        for bad in _BAD:
            try:
                model.Site.model_validate(_with(site, path, bad))
            except pydantic.ValidationError as error:
                kinds |= {detail["type"] for detail in error.errors(include_url=False)}
    assert len(kinds) > 5
    assert kinds <= set(sentences._SENTENCES)


def test_a_switch_says_what_it_takes():
    """Where yes or no belongs, the message says yes or no."""
    text = next(path for path in EXAMPLES if path.parent.name == "03-trunks").read_bytes()
    site = yaml.load(text, Loader=yaml.BaseLoader)
    found = [path for path in _paths(site) if path and sentences.asked.type_at(path) is bool]
    assert found
    for path in found:
        broken = yaml.safe_dump(_with(site, path, "perhaps")).encode()
        with pytest.raises(errors.SiteError) as caught:
            load.load_site(broken, "x")
        told = caught.value.problems[0]
        assert (told.id, told.path) == ("wrong-type", path)
        assert told.message.endswith('must be yes or no, not "perhaps"')
