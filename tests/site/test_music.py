"""Music on hold: what is refused before it is played to nobody."""

from __future__ import annotations

import pytest
import yaml

from orchestrator.site import model, trunk_rules

TEXT = """
version: 1
site: test
node: {{public_address: 203.0.113.10}}
teams: {{fqdn: sbc.example.com}}
certificate: {{acme: {{email: ops@example.com}}}}
trunks:
  office: {{kind: pbx, gateways: ["sip:192.0.2.20"], hold_music: "{path}"}}
"""


def problems(path: str) -> list[tuple[str, tuple[str | int, ...]]]:
    site = model.Site.model_validate(yaml.load(TEXT.format(path=path), Loader=yaml.BaseLoader))
    return [(each.id, each.path) for rule in trunk_rules.RULES for each in rule(site)]


def test_music_where_the_sandbox_hides_it():
    """The unit shows RTPEngine no home and another /tmp; that is said before anything runs."""
    where = ("trunks", "office", "hold_music")
    for folder in ("home", "root", "tmp", "var/tmp"):
        assert problems(f"/{folder}/music.wav") == [("music-out-of-sight", where)]
    assert problems("/usr/local/share/sbcctl/music.wav") == []


@pytest.mark.parametrize("path", ["music.wav", "/a b.wav", "/a;b.wav", "/a=b.wav", "/a'.wav"])
def test_paths_that_could_be_read_as_something_else(path):
    """What stands in a parameter of a table and in RTPEngine's flags is a plain path."""
    with pytest.raises(ValueError, match="absolute path"):
        problems(path)
