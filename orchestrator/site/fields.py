"""The model, asked by path: what may stand at a place of site.yaml, and what it means there."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping

from pydantic.fields import FieldInfo

from orchestrator.site import model, part

Path = tuple[str | int, ...]


def bare(annotation: object) -> object:
    """The type itself, without Annotated and without ``| None``."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in (typing.Union, types.UnionType):
            annotation = next(
                part for part in typing.get_args(annotation) if part is not type(None)
            )
        else:
            return annotation


def type_at(path: Path) -> object:
    """The type of what stands at *path*, or None when the model has no such place."""
    here: object = model.Site
    for key in path:
        here = type_at_key(here, key)
        if here is None:
            return None
    return here


def type_at_key(here: object, key: str | int) -> object:
    """The type of what stands under *key* of the type *here*, or None."""
    if isinstance(here, type) and issubclass(here, part.Part):
        field = model.fields_of(here).get(str(key))
        return None if field is None else bare(field.annotation)
    arguments = typing.get_args(here)
    if not arguments:
        return None
    return bare(arguments[1] if typing.get_origin(here) is dict else arguments[0])


def fields_at(path: Path) -> Mapping[str, FieldInfo]:
    """The fields of the Part at *path*, empty when there is none."""
    here = type_at(path)
    if isinstance(here, type) and issubclass(here, part.Part):
        return model.fields_of(here)
    return {}


def is_in_secret(path: Path) -> bool:
    """Whether *path* leads to a reference to a secret, or into one."""
    return any(type_at(path[:length]) is model.Secret for length in range(len(path) + 1))


def meaning(path: Path) -> str:
    """The sentence the model says about the field at *path*, without its full stop."""
    field = fields_at(path[:-1]).get(str(path[-1])) if path else None
    text = (field.description or "") if field else ""
    return " ".join(text.split()).rstrip(".")
