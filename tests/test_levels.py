"""How far `validate` goes, what each level leaves open, and where in site.yaml a refusal leads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import ground
import lanes
import pytest

from orchestrator import errors
from orchestrator.cli import placing
from orchestrator.engines import kamailio, words
from orchestrator.host import process
from orchestrator.render import accounts, generation, views
from orchestrator.site import blame, load

EXAMPLE = Path(__file__).parents[1] / "examples/03-trunks/site.yaml"
SBCCTL = (sys.executable, "-m", "orchestrator.cli")
LEVELS = ("schema", "render", "engine", "live")


@pytest.fixture
def machine(lane: str, tmp_path_factory):
    """A machine that serves nothing yet."""
    if reason := lanes.missing(lane):
        pytest.skip(reason)
    with ground.Ground(tmp_path_factory.mktemp("x"), lanes.root(lane)) as made:
        yield made


def validate(machine: ground.Ground, level: str, *, code: int) -> dict:
    """What it says, as JSON."""
    site = str(machine.folder / "site.yaml")
    ran = machine.run(
        *machine.words("--output", "json", "validate", "--level", level, site), code=None
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


def test_each_level_leaves_less_open():
    """What a level does not ask is said, and the next one asks it."""
    left = {
        level: json.loads(
            subprocess.run(
                [*SBCCTL, "-o", "json", "validate", "--level", level, str(EXAMPLE)],
                capture_output=True,
                check=True,
            ).stdout
        )["not_checked"]
        for level in LEVELS[:2]
    }
    assert left["schema"][0] == "what the engines would read"
    assert left["render"] == left["schema"][1:]


@pytest.mark.engine
@pytest.mark.slow(15)
def test_levels_ask_the_engines_and_then_the_machine(machine):
    """The engines' check touches nothing; live asks who is there, and says who is silent."""
    told = validate(machine, "engine", code=0)
    assert told["not_checked"][0] == "addresses and ports"
    assert not machine.state.exists()

    told = validate(machine, "live", code=0)
    assert told["not_checked"] == [
        "whether Teams and trunks answer (Kamailio does not run)",
        "DNS",
    ]

    machine.apply()
    assert validate(machine, "live", code=0)["not_checked"] == ["DNS"]
    before = sorted(path.name for path in (machine.state / "generations").iterdir())
    machine.write_site(("192.0.2.20:5060", "192.0.2.20:5999"))
    told = validate(machine, "live", code=1)
    assert told["wrong"] == [
        "sip:192.0.2.20:5999;transport=udp did not answer OPTIONS",
    ]
    assert sorted(path.name for path in (machine.state / "generations").iterdir()) == before

    machine.write_site(("trunk_address: 192.0.2.10", "trunk_address: 192.0.2.99"))
    told = validate(machine, "live", code=6)
    assert f"most likely from {machine.folder}/site.yaml:4:" in told["hint"]
    assert "(node.trunk_address)" in told["hint"]


@pytest.mark.engine
@pytest.mark.parametrize("lane", lanes.names())
def test_a_rendered_line_that_kamailio_refuses_leads_to_site_yaml(
    lane: str, tmp_path: Path, monkeypatch
):
    """Broken is a line of the rendered file, as a hole in the model would break it."""
    if reason := lanes.missing(lane):
        pytest.skip(reason)
    site, places = load.read_site(str(EXAMPLE))
    rendered = generation.render_site(
        site,
        facts=views.DEBIAN_12 if lane == "host" else views.DEBIAN_13,
        paths=views.Paths(state=str(tmp_path), run=str(tmp_path / "run")),
        secrets=views.Secrets(contact_key=accounts.UNRESOLVED, phones={}),
    )
    for file in rendered.files:
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    (tmp_path / "run/kamailio").mkdir(parents=True)
    config = tmp_path / "kamailio/kamailio.cfg"
    whole = config.read_text()
    name = site.teams.fqdn
    line = next(line for line in config.read_text().splitlines() if name in line)
    config.write_text(config.read_text().replace(line, f"{line} )("))
    top = lanes.root(lane)
    root = process.EngineRoot(str(top), write=(str(tmp_path),)) if top else None

    with pytest.raises(errors.EngineRefused) as refused, placing.placed(places):
        kamailio.check_config(config, root)

    assert refused.value.quoted == (f"{line} )(",)
    assert "(teams.fqdn); this is a fault" in refused.value.hint
    where = blame.find_cause(name, places)
    assert where
    assert str(where[0]) in refused.value.hint

    # What it lacks comes from no line of site.yaml.
    config.write_text(whole.replace("textops.so", "textop.so"))
    with pytest.raises(errors.EngineRefused) as refused, placing.placed(places):
        kamailio.check_config(config, root)
    assert refused.value.hint.startswith("its module textop is missing; apt-get install kamailio")
    config.write_text(whole)
    for mebibytes in (1, 4):
        monkeypatch.setattr(kamailio, "_CHECK_MEBIBYTES", mebibytes)
        with pytest.raises(errors.EngineRefused) as refused, placing.placed(places):
            kamailio.check_config(config, root)
        wanted = f"{mebibytes} MiB of its own memory do not suffice; this is a fault of sbcctl"
        assert refused.value.hint.startswith(wanted)


SITE = b"""\
version: 1
site: fra1
node: {public_address: 203.0.113.10}
teams: {fqdn: sbc.example.com}
certificate: {acme: {email: ops@example.com}}
trunks:
  office: {kind: pbx, gateways: ["sip:192.0.2.20:5060;transport=udp"]}
  other: {kind: pbx, gateways: ["sip:192.0.2.2"], numbers: ["+4930"]}
media: {ports: 30000-39998}
engines: {accept_risk: kamailio before 6.0 can be crashed by concurrent TLS handshakes}
"""


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("cannot bind udp:203.0.113.10:5060", ("node", "public_address")),
        ("bad uri sip:192.0.2.20:5060;transport=udp", ("trunks", "office", "gateways", 0)),
        ("nobody at 192.0.2.2", ("trunks", "other", "gateways", 0)),
        ("port-min = 30000 is taken", ("media", "ports")),
        ("loading module tls.so failed", None),
        ("apply fra1 is at work", None),
        ("kamailio crashed before its handshakes", None),
        ("192.0.2.200 is none of ours", None),
    ],
)
def test_the_longest_word_of_site_yaml_that_was_said_is_the_cause(said, path):
    """Whole words only, and nothing that is too short to mean anything."""
    _, places = load.read_text(SITE, "site.yaml")

    found = blame.find_cause(said, places)

    assert (found[1] if found else None) == path


def test_a_name_that_does_not_resolve_is_no_lack_of_memory():
    """Kamailio 5.6 says the same of both; the name stops no check."""
    unresolved = (
        "ERROR: new_sock_info(): could not allocate private memory from pkg pool\n"
        "ERROR: new_sock2list(): new_sock_info failed\n"
    )
    assert not words.find_lack(unresolved)
    lacking = "CRITICAL: addstr(): could not allocate private memory from pkg pool\n"
    assert "engines.private_memory" in words.find_lack(unresolved + lacking)
    assert "engines.shared_memory" in words.find_lack("could not allocate shared memory from it")


def test_lines_that_a_complaint_names_are_found_once():
    """As Kamailio of both generations spells them."""
    said = (
        "0(1) CRITICAL: <core> [core/cfg.y:3661]: yyerror_at(): parse error in config file"
        " /s/kamailio.cfg, line 24, column 3-4: syntax error\n"
        "parse error in config file /s/kamailio.cfg, line 24, column 3: again\n"
        "parse error in config file /s/routes/a.cfg, from line 7, column 1 to line 8, column 2\n"
    )

    assert words.named_lines(said) == (("/s/kamailio.cfg", 24), ("/s/routes/a.cfg", 7))
