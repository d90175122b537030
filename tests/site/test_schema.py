"""The JSON Schema: what validate takes it takes, and a wrong key, type or word it does not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestrator import errors
from orchestrator.site import load, preset, schema

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/*/site.yaml"))
SCHEMA = schema.schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
MINIMAL = preset.write("single")


def complaints(text: str) -> list[str]:
    """What an editor underlines: it types scalars by their spelling, as PyYAML does."""
    read = yaml.safe_load(text)
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(read)]


def is_valid(text: str) -> bool:
    try:
        load.load_site(text.encode(), "x")
    except errors.SiteError:
        return False
    return True


def test_it_is_draft_7_and_stands_on_its_own():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)

    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "$defs" not in text
    assert "ipvany" not in text
    assert '"ge"' not in text


def test_its_patterns_are_those_of_javascript():
    """In unicode mode it takes a backslash before what means something only."""
    text = json.dumps(SCHEMA)
    patterns = [
        json.loads(f'"{each}"') for each in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', text)
    ]

    assert len(patterns) > 5
    for pattern in patterns:
        assert not re.search(r"\\[^dDwWsSbB.*+?()\[\]{}|^$/\\-]", pattern), pattern
        assert "(?P" not in pattern


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_passes(path):
    assert complaints(path.read_text()) == []


@pytest.mark.parametrize("name", preset.PRESETS)
def test_every_preset_passes(name):
    assert complaints(preset.write(name)) == []


def with_(extra: str) -> str:
    return MINIMAL + extra


def trunk_with(extra: str) -> str:
    return MINIMAL.replace("    kind: pbx\n", f"    kind: pbx\n    {extra}\n")


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL.replace("version: 1", 'version: "1"'),
        with_('media: {ports: "30000-30999"}\n'),
        with_("media: {ports: {first: 30000, last: '30999'}}\n"),
        with_("engines: {workers: '8', shared_memory: 512}\n"),
        trunk_with("srtp: no"),
        trunk_with('srtp: "off"'),
        trunk_with("numbers: ['+4930', 4940]"),
        trunk_with("numbering: {country: 49}"),
        trunk_with("tls:"),
        with_("tenants: {a: {fqdn: a.sbc.example.com, prefixes: [+4931], trunks: [office]}}\n"),
        with_("routes: {a: {number: 4930, to: [office, {party: teams, ring_within: 5}]}}\n"),
        MINIMAL.replace(
            '["sip:192.0.2.20:5060;transport=udp"]',
            "[{uri: 'sip:192.0.2.20', weight: 10}, {host: 192.0.2.21, port: 5060, weight: '5'}]",
        ),
    ],
)
def test_what_validate_takes_the_schema_takes(text):
    assert is_valid(text)
    assert complaints(text) == []


@pytest.mark.parametrize(
    "text",
    [
        with_("colour: red\n"),
        MINIMAL.replace("public_address", "public_adress"),
        MINIMAL.replace("kind: pbx", "kind: pbz"),
        MINIMAL.replace("kind: pbx", "kid: pbx"),
        MINIMAL.replace("version: 1", "version: 2"),
        MINIMAL.replace('["sip:', '["tel:'),
        with_("engines: {workers: 65}\n"),
        with_("engines: {workers: many}\n"),
        with_("media: {ports: 30000}\n"),
        with_("media: {ports: [30000, 39999]}\n"),
        trunk_with("srtp: perhaps"),
        trunk_with("codecs: []"),
        trunk_with("tls: {host: x.example.com}"),
        with_("tenants: {include: {fqdn: a.sbc.example.com, numbers: ['+4930']}}\n"),
        with_("tenants: {include: []}\n"),
        with_("tenants: {a: {numbers: ['+4930']}}\n"),
        with_("tenants: {a: {fqdn: a.sbc.example.com, number: '+4930'}}\n"),
        with_("routes: {a: {to: [{partty: office}]}}\n"),
    ],
)
def test_a_wrong_key_type_or_word_is_refused_by_both(text):
    assert not is_valid(text)
    assert complaints(text) != []


@pytest.mark.parametrize("globs", ["tenants.d/*.yaml", "[tenants.d/*.yaml, '*.jsonl']"])
def test_it_knows_files_of_tenants(globs):
    """Beside tenants of the site itself; only a file of its own can show what validate says."""
    own = "own: {fqdn: own.sbc.example.com, prefixes: [+49305]}"

    assert complaints(with_(f"tenants: {{include: {globs}, {own}}}\n")) == []


def test_every_key_has_a_description_or_a_part_that_has_one():
    silent = []
    for name, part in [("site", SCHEMA), *SCHEMA["definitions"].items()]:
        for form in part.get("anyOf", [part]):
            for key, field in form.get("properties", {}).items():
                target = field.get("$ref", "").rpartition("/")[2]
                told = field.get("description") or SCHEMA["definitions"].get(target, {}).get(
                    "description"
                )
                silent += [] if told else [f"{name}.{key}"]

    assert set(silent) <= {"NumberRange.first", "NumberRange.last"} | {
        "PortRange.first",
        "PortRange.last",
    }
