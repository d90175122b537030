"""The presets of init: valid, marked alike, few values to fill in; placeholders are noticed."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest

from orchestrator.cli import init
from orchestrator.site import load, preset

EXAMPLES = Path(__file__).parents[2] / "examples"
DOCUMENTATION = [
    ipaddress.ip_network(each) for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
]
MARKED = {"single": 4, "hosting": 12, "lab": 0}


def placeholders(text: str, tmp_path: Path) -> list[str]:
    file = tmp_path / "site.yaml"
    file.write_text(text)
    _, places = load.read_site(str(file))
    return [".".join(map(str, each.path)) for each in preset.find_placeholders(places)]


def test_the_command_line_knows_every_preset():
    assert tuple(preset.PRESETS) == init.PRESETS


@pytest.mark.parametrize("name", preset.PRESETS)
def test_a_preset_is_a_site_and_every_mark_is_listed(name):
    text = preset.write(name)

    load.load_site(text.encode(), name)
    marked = [line for line in text.splitlines() if line.endswith(f"  {preset.MARK}")]
    assert text.splitlines()[0] == preset.MODELINE
    assert len(marked) == len(preset.to_fill_in(name)) == MARKED[name]


def test_one_company_fills_in_five_values_at_most():
    assert len(preset.to_fill_in("single")) <= 5


@pytest.mark.parametrize("name", preset.PRESETS)
def test_every_value_still_to_fill_in_is_found(name, tmp_path):
    found = placeholders(preset.write(name), tmp_path)

    assert [re.sub(r"\.0$", "", each) for each in found] == [
        each.path for each in preset.to_fill_in(name)
    ]


@pytest.mark.parametrize("name", preset.PRESETS)
def test_addresses_are_from_the_documentation_ranges(name):
    found = re.findall(r"(?<![0-9.])[0-9]+(?:\.[0-9]+){3}(?![0-9.])", preset.write(name))

    assert found
    for each in found:
        assert any(ipaddress.ip_address(each) in network for network in DOCUMENTATION)


def test_a_value_that_was_replaced_or_whose_mark_was_removed_is_no_placeholder(tmp_path):
    text = preset.write("single").replace("203.0.113.10", "8.8.4.4")
    assert "node.public_address" not in placeholders(text, tmp_path)

    text = preset.write("single").replace(f"sbc.example.com  {preset.MARK}", "sbc.example.com")
    assert "teams.fqdn" not in placeholders(text, tmp_path)


def test_the_lab_preset_is_the_site_of_the_first_example():
    first = EXAMPLES / "01-one-pbx" / "site.yaml"

    assert load.load_site(preset.write("lab").encode(), "lab") == load.load_site(
        first.read_bytes(), "example"
    )


def test_no_comment_is_wider_than_a_screen_and_no_command_is_cut():
    for name in preset.PRESETS:
        lines = preset.write(name).splitlines()
        assert max(map(len, lines)) <= 99
        assert not [line for line in lines if re.search(r"sbcctl( explain)?$", line)]
