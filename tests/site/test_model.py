"""The model's own words: what a value may be, and that everything is frozen and described."""

from __future__ import annotations

import pydantic
import pytest

from orchestrator.site import model, part, sentences


def gateway(text: object) -> model.Gateway:
    return pydantic.TypeAdapter(model.GatewayText).validate_python(text)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:192.0.2.1", "sip:192.0.2.1:5060;transport=udp"),
        ("sip:PBX.example.com:5070", "sip:pbx.example.com:5070;transport=udp"),
        ("sip:192.0.2.1;transport=tcp", "sip:192.0.2.1:5060;transport=tcp"),
        ("sip:[2001:DB8::1]:5062", "sip:[2001:db8::1]:5062;transport=udp"),
        ({"host": "pbx.example.com"}, "sip:pbx.example.com:5060;transport=udp"),
    ],
)
def test_gateways(text, uri):
    """A gateway is written as a URI; what is left out has a default."""
    assert gateway(text).uri == uri


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1",
        "sips:192.0.2.1",
        "sip:user@192.0.2.1",
        "sip:192.0.2.1:0",
        "sip:192.0.2.1:65536",
        "sip:192.0.2.1;transport=sctp",
        "sip:192.0.2.1;transport=udp;x=y",
        "sip:300.0.0.1",
        "sip:1.2.3",
        "sip:-a.example.com",
        "sip:[::1",
        "sip:[fe80::1%eth0]",
        'sip:a"b',
        "sip:192.0.2.1\n",
        {"host": 'a";evil'},
        {"host": "[x]"},
        {"host": "a", "port": "5060;x"},
    ],
)
def test_bad_gateways(text):
    """What could mean something else in the engines' files never becomes a gateway."""
    with pytest.raises(pydantic.ValidationError):
        gateway(text)


@pytest.mark.parametrize("text", ["5_060", "5060.0", " 5060", "+5060", "٥٠٦٠", "0x10", "1e3"])
def test_a_number_is_digits(text):
    """What int() would take as well is refused: an operator means what is written."""
    with pytest.raises(pydantic.ValidationError):
        model.Node(public_address="203.0.113.1", sip_port=text)


@pytest.mark.parametrize(
    "name",
    [
        "sbc",
        "a." + "b" * 60 + ".example.com",
        "x.onmicrosoft.com",
        "sbc.example.1",
        "a..b",
        "ä.de",
    ],
)
def test_bad_names_of_the_sbc(name):
    """Teams takes names of at most 63 characters in a domain of one's own (CERT-4)."""
    with pytest.raises(pydantic.ValidationError):
        model.Teams(fqdn=name)


PARTS = {*model.Part.__subclasses__(), *part.Part.__subclasses__()} - {model.Part}
"""Everything a site is made of, wherever it is described."""


def _fields(kind: type[part.Part], seen: set[type[part.Part]]) -> list[tuple[str, object]]:
    """Every field of *kind* and of the parts below, once for each part."""
    if kind in seen:
        return []
    seen.add(kind)
    found: list[tuple[str, object]] = []
    for name, field in kind.model_fields.items():
        found.append((f"{kind.__name__}.{name}", field))
        found += [
            pair
            for below in PARTS
            if below.__name__ in str(field.annotation)
            for pair in _fields(below, seen)
        ]
    return found


def test_everything_is_described():
    """Each field an operator writes has its sentence; a range speaks for itself."""
    silent = [
        name
        for name, field in _fields(model.Site, set())
        if not field.description and not name.startswith(("PortRange.", "NumberRange."))
    ]
    assert silent == []


def test_everything_is_frozen_and_closed():
    """No part of a site changes, and none takes a key it does not know."""
    for each in PARTS:
        assert each.model_config["frozen"] is True
        assert each.model_config["extra"] == "forbid"


def test_fields_with_a_pattern_have_words():
    """Nobody is shown a regular expression: each such field has a phrase in sentences."""
    schema = str(model.Site.model_json_schema())
    with_pattern = {
        name
        for each in PARTS
        for name, field in each.model_json_schema().get("properties", {}).items()
        if "'pattern'" in str(field)
    }
    assert "pattern" in schema
    assert with_pattern == set(sentences._FORMS)
