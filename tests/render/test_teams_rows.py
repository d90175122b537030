"""What Microsoft's documents ask of the configuration itself, row by row (docs/conformance.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import test_generation

from orchestrator.render import generation, trunks, views
from orchestrator.site import model

CHECKOUT = Path(__file__).resolve().parents[2]
FOUR = [
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES128-SHA256",
]
ENGINES = (views.DEBIAN_12, views.DEBIAN_13)
both = pytest.mark.parametrize("facts", ENGINES, ids=("debian12", "debian13"))


def rendered(facts: views.EngineFacts, teams: str = "") -> generation.Generation:
    text = test_generation.TEXT.replace("sbc.example.com}", f"sbc.example.com{teams}}}", 1)
    return test_generation.render(test_generation.site(text), facts)


def names_of(result: generation.Generation) -> list[str]:
    lines = result.file("kamailio/dispatcher.list").text.splitlines()
    return [line.split()[1] for line in lines if line.startswith(f"{trunks.TEAMS_SET} ")]


def networks_of(result: generation.Generation) -> list[str]:
    lines = result.file("kamailio/addresses.list").text.splitlines()
    return [line for line in lines if line.startswith(f"{trunks.TEAMS_GROUP} ")]


@both
@pytest.mark.parametrize(
    ("cloud", "name", "network"),
    [
        ("gcc-high", "sip.pstnhub.gov.teams.microsoft.us", "52.127.88.0 21"),
        ("dod", "sip.pstnhub.dod.teams.microsoft.us", "52.127.64.0 21"),
    ],
)
def test_a_government_cloud_has_one_name_and_its_own_networks(facts, cloud, name, network):
    """EP-2, EP-4: no second name, and nobody else's networks."""
    result = rendered(facts, f", cloud: {cloud}")

    assert names_of(result) == [f"sip:{name}:5061;transport=tls"]
    assert networks_of(result) == [f"1 {network} 0 teams"]


@both
@pytest.mark.parametrize("cloud", list(model.Cloud))
def test_the_withdrawn_name_is_used_nowhere(facts, cloud):
    """EP-3: support for sip-all ended in June 2022."""
    texts = [file.text for file in rendered(facts, f", cloud: {cloud}").files]
    texts += [path.read_text() for path in (CHECKOUT / "templates").rglob("*.j2")]

    assert not [text for text in texts if "sip-all" in text.lower()]


@both
def test_no_source_port_is_asked_for(facts):
    """EP-6: port 0 in Kamailio's list of addresses is any port; a phone's own leads back to it."""
    result = rendered(facts)

    assert [line.split()[3] for line in networks_of(result)] == ["0", "0"]
    script = "\n".join(f.text for f in result.files if f.path.endswith(".cfg"))
    script = script.replace('";alias=" + $si + "~" + $sp', "")
    assert not re.search(r"\$sp\b|\bsrc_port\b", script)


@both
def test_tls_is_1_2_or_better_in_both_roles(facts):
    """TLS-1: both profiles, and no sips: anywhere."""
    result = rendered(facts)

    text = result.file("kamailio/tls.cfg").text
    profiles = re.findall(r"^\[(\w+):default\]\nmethod = (\S+)$", text, re.MULTILINE)
    assert profiles == [("server", "TLSv1.2+"), ("client", "TLSv1.2+")]
    assert not [file.path for file in result.files if "sips:" in file.text]


@both
def test_the_four_suites_are_offered_and_accepted(facts):
    """TLS-2: in both profiles; TLS 1.3 beside them is no harm."""
    text = rendered(facts).file("kamailio/tls.cfg").text
    lists = [line.split(":") for line in re.findall(r"^cipher_list = (\S+)$", text, re.MULTILINE)]

    assert len(lists) == 2
    for suites in lists:
        ecdhe = [suite for suite in suites if not suite.startswith("TLS13-")]
        assert ecdhe == FOUR


@both
def test_each_name_is_asked_once_a_minute(facts):
    """OPT-1: all three, by Kamailio, whether they answered before or not."""
    result = rendered(facts)
    config = result.file("kamailio/kamailio.cfg").text

    assert 'modparam("dispatcher", "ds_ping_method", "OPTIONS")' in config
    assert 'modparam("dispatcher", "ds_ping_interval", 60)' in config
    assert 'modparam("dispatcher", "ds_probing_mode", 1)' in config
    assert len(names_of(result)) == 3


@both
@pytest.mark.parametrize("port", [5061, 5067])
def test_the_port_microsoft_dials_is_the_one_we_name_and_listen_on(facts, port):
    """OPT-4: one value of site.yaml in each Contact, in Record-Route and in the listener."""
    result = rendered(facts, f", port: {port}")
    texts = [file.text for file in result.files if file.path.endswith(".cfg")]

    named = {n for text in texts for n in re.findall(r"sbc\.example\.com:(\d+)", text)}
    assert named == {str(port)}
    assert f"listen=tls:203.0.113.10:{port}" in result.file("kamailio/kamailio.cfg").text
