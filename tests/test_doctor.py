"""`sbcctl doctor` on a whole machine: a real Kamailio, DNS and CA are asked."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import certs
import ground
import lanes
import pytest
from click.testing import CliRunner

from orchestrator import cli, errors, observe
from orchestrator.doctor import judge, look
from orchestrator.render import views
from orchestrator.site import load

pytestmark = [pytest.mark.engine]

GUIDE = Path(__file__).parents[1] / "docs/guide/doctor.md"
FLAGS = re.MULTILINE
FILES = "files: {{chain: {0}/sbc.chain, key: {0}/sbc.key}}"
ACME = "acme: {{email: ops@example.com, directory: 'https://acme.example.net/dir'}}"


@pytest.fixture(scope="module")
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine whose SBC serves."""
    with ground.Ground(tmp_path_factory.mktemp("w"), lanes.root(lane)) as made:
        made.apply()
        yield made


def findings(machine: ground.Ground, *arguments: str, code: int | None = None) -> dict:
    """What doctor says as JSON, its findings by check."""
    words = machine.words("doctor", str(machine.folder / "site.yaml"), "--output", "json")
    told = json.loads(machine.run(*words, *arguments, code=code).stdout)
    assert "findings" in told, told
    by_check = {each["check"]: each for each in told["findings"]}
    return {**told, "by": by_check}


def levels(told: dict) -> dict[str, str]:
    return {check: each["level"] for check, each in told["by"].items()}


def test_what_is_served_is_what_is_installed(machine):
    told = findings(machine)

    assert told["by"]["installed"]["level"] == "ok"
    assert (
        "203.0.113.10:5061 shows a certificate for sbc.example.com"
        in (told["by"]["served"]["seen"])
    )
    assert told["by"]["microsoft"]["level"] == "ok"
    assert told["by"]["dns"]["seen"] == "sbc.example.com leads to 203.0.113.10"


def test_a_certificate_that_kamailio_has_not_read_is_found(machine):
    chain = machine.state / "certificates" / "current" / "chain.pem"
    before = chain.read_bytes()
    chain.write_bytes(machine.ca.leaf("sbc.example.com") + machine.ca.pem)
    try:
        told = findings(machine, code=1)
    finally:
        chain.write_bytes(before)

    assert told["by"]["installed"]["level"] == "problem"
    assert findings(machine)["by"]["installed"]["level"] == "ok"


def test_the_output_of_the_guide_is_what_is_printed(machine):
    """But for the clock and the dates, which are this machine's and today's."""
    machine.set_names({**ground.NAMES, "sbc.example.com": "203.0.113.99"})
    try:
        ran = machine.run(
            "sh", "-c", f'cd {machine.folder} && PYTHONPATH={Path.cwd()} exec "$@"', "sh",
            *machine.words("doctor", "site.yaml"), code=1,
        )  # fmt: skip
    finally:
        machine.set_names(ground.NAMES)
    shown = re.search(r"^\$ sbcctl doctor site.yaml\n((?:.*\n)*?)```$", GUIDE.read_text(), FLAGS)

    assert shown
    assert "PROBLEM" in ran.stdout
    assert steady(ran.stdout.replace(str(machine.folder), "/etc/sbcctl")) == steady(shown[1])


def steady(text: str) -> list[str]:
    """The output without what depends on the day and the machine's clock."""
    blocks = re.split(r"^(?=  [A-Z]|[a-z0-9])", text, flags=re.MULTILINE)
    kept = [block for block in blocks if not re.match(r"  [A-Z]+ +(clock|dates) ", block)]
    return [re.sub(r"\d+ findings: [^.]*\.", "N findings.", block) for block in kept]


def test_acme_is_asked_and_who_takes_its_port_is_named(machine):
    """DNS, CAA, a real ACME CA and the port of the proof."""
    machine.start_acme()
    machine.write_site((FILES.format(machine.folder), ACME.format()))
    taker = machine.start("python3", "-m", "http.server", "80", "--bind", "203.0.113.10")
    try:
        machine.wait_until(lambda: ":80" in machine.run("ss", "-ltn").stdout)
        told = findings(machine)
        assert levels(told)["acme"] == "ok"
        assert levels(told)["caa"] == "ok"
        assert levels(told)["port-80"] == "warning"
        assert "python3 (process" in told["by"]["port-80"]["seen"]
        assert told["by"]["port-80"]["path"] == ["certificate", "acme", "http_port"]
        assert told["by"]["port-80"]["line"]
        offline = findings(machine, "--offline")
        assert not {"acme", "caa", "dns"} & levels(offline).keys()
        assert "DNS" in offline["not_checked"]
    finally:
        taker.kill()
        machine.write_site()


SITE = """
version: 1
site: fra1
node: {public_address: 203.0.113.10}
teams: {fqdn: sbc.example.com}
certificate: {acme: {email: a@example.com, directory: "https://127.0.0.1:9/d"}}
trunks: {office: {kind: pbx, gateways: ["sip:192.0.2.20"]}}
"""


def machine_of(folder: Path) -> observe.Machine:
    paths = views.Paths(state=str(folder / "state"), run=str(folder / "run"))
    return observe.Machine(paths=paths, engine_root=None, env={})


def test_every_check_runs_although_nobody_answers(tmp_path):
    """Silence costs a few seconds once, and is a finding."""
    site = load.load_site(SITE.encode(), "site.yaml")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        question = look.Question(resolver=silent.getsockname())
        seen = look.look(machine_of(tmp_path), site, question)

    told = {each.check: str(each.level) for each in judge.judge(site, seen, certs.NOW)}
    assert told["dns"] == told["microsoft"] == told["caa"] == told["acme"] == "problem"
    assert {"name", "roots", "port-80", "clock", "dates"} <= told.keys()


def test_a_warning_counts_with_strict_only(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taker:
        port = taker.getsockname()[1]
        text = SITE.replace("email:", f"http_port: {port}, email:")
        (tmp_path / "site.yaml").write_text(text)
        words = ["--state-dir", str(tmp_path), "doctor", str(tmp_path / "site.yaml"), "--offline"]
        codes = [CliRunner().invoke(cli.program, [*words, *more]) for more in ([], ["--strict"])]

    assert [ran.exit_code for ran in codes] == [0, 1]
    assert all(f"listens on port {port}" in ran.output for ran in codes)


@pytest.mark.parametrize("server", ["ns.example.com", "192.0.2.300", "192.0.2.1:0", "192.0.2.1:x"])
def test_a_resolver_is_an_address(server):
    assert cli.run(["doctor", "--resolver", server]) == errors.ExitCode.USAGE
    assert cli.run(["doctor", "--offline", "--resolver", "192.0.2.1"]) == errors.ExitCode.USAGE
