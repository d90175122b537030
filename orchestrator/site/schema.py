"""The model as JSON Schema, draft 7: what an editor completes, explains and underlines.

pydantic writes most of it. What is added here is how a site is written: the loader reads every
scalar as text and the model types it, while an editor types it first. So a number may be in
quotes, text may look like a number, and what has a short form may stand in it. An editor is told
about keys, types and choices; ``validate`` knows the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from orchestrator.site import model, tenants

DRAFT = "http://json-schema.org/draft-07/schema#"
"""What yaml-language-server and check-jsonschema both read."""

_TRUE = ("true", "yes", "on", "y", "t", "1")
_FALSE = ("false", "no", "off", "n", "f", "0")
_NUMBER_IN_QUOTES = "^[0-9]{1,9}$"

_NEEDLESS_ESCAPE = re.compile(r"\\([\"'])")
"""JavaScript, which checks the patterns of a schema, refuses to escape a quote."""

_SHORT_FORMS: Mapping[str, str] = MappingProxyType(
    {
        "Gateway": "^sip:",
        "NumberRange": "^\\+?[0-9]+ *- *\\+?[0-9]+$",
        "PortRange": "^[0-9]+ *- *[0-9]+$",
        "Target": "^[a-z][a-z0-9_-]{0,31}$",
    }
)
"""Parts that may be written as one text, and what it looks like."""


class _AsWritten(GenerateJsonSchema):
    """Types as an editor sees them: it does not know that a site is text."""

    def str_schema(self, schema: core_schema.StringSchema) -> dict[str, Any]:
        """Text; without quotes it may look like a number."""
        return {**super().str_schema(schema), "type": ["string", "number"]}

    def int_schema(self, schema: core_schema.IntSchema) -> dict[str, Any]:
        """A whole number, in quotes as well."""
        return {
            "anyOf": [super().int_schema(schema), {"type": "string", "pattern": _NUMBER_IN_QUOTES}]
        }

    def bool_schema(self, schema: core_schema.BoolSchema) -> dict[str, Any]:
        """Whether it is so, in every spelling the model takes."""
        words = [form(word) for word in (*_TRUE, *_FALSE) for form in _SPELLINGS]
        return {"anyOf": [super().bool_schema(schema), {"enum": [*dict.fromkeys(words), 0, 1]}]}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> dict[str, Any]:
        """Words that are repeated; ``version: 1`` is a number to an editor."""
        numbers = [int(each) for each in schema["expected"] if str(each).isdigit()]
        return {"enum": [*numbers, *schema["expected"]]}


_DRAFT_7 = MappingProxyType({"ge": "minimum", "le": "maximum"})
"""Limits that pydantic leaves in its own words where a number has two forms."""

_SPELLINGS: tuple[Callable[[str], str], ...] = (str.lower, str.capitalize, str.upper)


def schema() -> dict[str, object]:
    """The schema of a site.yaml."""
    made = model.Site.model_json_schema(schema_generator=_AsWritten)
    parts = {name: _with_short_form(name, part) for name, part in made.pop("$defs").items()}
    made["properties"]["tenants"]["properties"] = {tenants.INCLUDE: _globs()}
    whole = {"$schema": DRAFT, "title": "site.yaml of sbcctl", **_without(made, "title")}
    return {key: _plain(value) for key, value in {**whole, "definitions": parts}.items()}


def _globs() -> dict[str, Any]:
    """What names files of tenants; it stands beside the names, and is no tenant."""
    glob = {"type": "string", "minLength": 1}
    globs = {"type": "array", "items": glob, "minItems": 1}
    return {"description": tenants.MEANING_OF_INCLUDE, "anyOf": [glob, globs]}


def _with_short_form(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """A part, or the text it may be written as."""
    pattern = _SHORT_FORMS.get(name)
    if pattern is None:
        return part
    text = {"type": "string", "pattern": pattern}
    forms = [text, *([_gateway_with_uri(part)] if name == "Gateway" else []), part]
    described = {"description": part["description"]} if "description" in part else {}
    return {**described, "anyOf": [_without(form, "description") for form in forms]}


def _gateway_with_uri(part: dict[str, Any]) -> dict[str, Any]:
    """A gateway whose address is one text under ``uri``, beside priority and weight."""
    own = {key: part["properties"][key] for key in ("priority", "weight")}
    uri = {
        "type": "string",
        "pattern": _SHORT_FORMS["Gateway"],
        "description": "sip:HOST, sip:HOST:PORT or sip:HOST:PORT;transport=udp",
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"uri": uri, **own},
        "required": ["uri"],
    }


def _plain(value: Any) -> Any:
    """What draft 7 understands: definitions, and nothing beside a $ref; no titles of keys."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return " ".join(value.split()) if isinstance(value, str) else value
    if "$ref" in value:
        target = {"$ref": value["$ref"].replace("#/$defs/", "#/definitions/")}
        beside = _plain(_without(value, "$ref"))
        return {"allOf": [target], **beside} if beside else target
    if isinstance(value.get("pattern"), str):
        value = {**value, "pattern": _NEEDLESS_ESCAPE.sub(r"\1", value["pattern"])}
    if value.get("format") in ("ipvanyaddress", "ipvanynetwork"):
        value = _without(value, "format")
    # `title` is pydantic's name for a key or class, unless a key is called so; a default of null
    # would be proposed as a value.
    return {
        _DRAFT_7.get(key, key): _plain(each)
        for key, each in value.items()
        if not (key == "title" and isinstance(each, str))
        and not (key == "default" and each is None)
    }


def _without(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name != key}
