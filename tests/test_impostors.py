"""Who is not Microsoft gets nothing through, whichever side dials: real engines, real TLS.

The public proof of concept for toll fraud at SBCs of Direct Routing sends what looks like a call
of Microsoft's; an SBC that goes by names in headers or certificates takes it.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator

import certs
import ground
import lanes
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow(12)]

STRANGER = "192.0.2.21"
"""No gateway of the site and in no network of Microsoft's."""
FORGED, NAMELESS, GENUINE = ground.TEAMS
"""What stands at Microsoft's names: only the last one is what it says."""


@pytest.fixture(scope="module")
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine whose SBC serves, and which finds two impostors where Microsoft should be."""
    made = ground.Ground(tmp_path_factory.mktemp("w"), lanes.root(lane))
    names = tuple(ground.NAMES)[:3]
    write(made, FORGED, certs.Ca("Test CA").leaf(*names))
    write(made, NAMELESS, made.ca.leaf("sip.example.org"))
    write(made, "genuine", made.ca.leaf(*names))
    write(made, "forged", certs.Ca("Test CA").leaf(*names))
    with made:
        # Asked again every five seconds: what one attempt does not log, the next does.
        made.write_site(("fqdn: sbc.example.com", "fqdn: sbc.example.com\n  options_interval: 5"))
        (made.folder / "said").write_text(made.apply().stderr)
        yield made


def write(machine: ground.Ground, name: str, leaf: bytes) -> None:
    (machine.folder / f"{name}.chain").write_bytes(leaf)
    (machine.folder / f"{name}.key").write_bytes(certs.pem_key(certs.rsa_key()))


def caller(machine: ground.Ground, transport: str, source: str, pair: str = "") -> dict[str, str]:
    files = {kind: f"{machine.folder}/{pair}.{kind}" if pair else "" for kind in ("chain", "key")}
    return {"transport": transport, "source": source, **files}


def call(machine: ground.Ground, *callers: dict[str, str]) -> list[int]:
    """What each of these callers is answered; they call at once."""
    ran = machine.run(sys.executable, "tests/fakes/impostor.py", json.dumps(callers))
    return json.loads(ran.stdout)


def invites(machine: ground.Ground) -> int:
    """How many calls the trunk got so far."""
    heard = machine.folder / "heard"
    return heard.read_text().count("INVITE ") if heard.exists() else 0


def errors(machine: ground.Ground) -> str:
    """What Kamailio logged as one."""
    log = (machine.state / "log" / "kamailio.log").read_text()
    return "\n".join(line for line in log.splitlines() if "ERROR" in line)


def test_a_call_that_poses_as_microsofts_gets_no_answer_and_reaches_nobody(machine):
    """EKU-2: names in From, Contact, Via and certificates say nothing, nor an address over UDP.

    From outside by TLS: without a certificate, with a forged one, with a stolen one. Over UDP and
    TCP from outside, and from Microsoft's own address, which anybody can write on a datagram.
    """
    before = invites(machine)
    plain = [
        caller(machine, transport, source)
        for transport, source in itertools.product(("udp", "tcp"), (STRANGER, GENUINE))
    ]
    secure = [caller(machine, "tls", STRANGER, pair) for pair in ("", "forged", "genuine")]

    assert call(machine, *plain, *secure) == [0] * 7
    # Inside the networks a forged certificate with another name does not help.
    assert call(machine, caller(machine, "tls", GENUINE, NAMELESS)) == [403]
    assert invites(machine) == before

    # The same message from Microsoft's network, by TLS: the test can tell.
    assert call(machine, caller(machine, "tls", GENUINE, "genuine")) == [100]
    machine.wait_until(lambda: invites(machine) > before)


def test_who_answers_for_microsoft_must_prove_chain_and_name(machine):
    """TLS-6: of three addresses at Microsoft's names the genuine one alone is heard."""
    said = (machine.folder / "said").read_text()
    silent = [name for name in ground.NAMES if f"{name}:5061;transport=tls did not answer" in said]
    assert silent == ["sip.pstnhub.microsoft.com", "sip2.pstnhub.microsoft.com"]
    machine.wait_until(lambda: "certificate verify failed" in errors(machine), 30)
    words = machine.words("doctor", str(machine.folder / "site.yaml"), "--output", "json")
    findings = json.loads(machine.run(*words, code=1).stdout)["findings"]
    dialled = [(each["level"], each["seen"]) for each in findings if each["check"] == "dialled"]
    assert [level for level, _ in dialled] == ["problem", "problem", "ok"]
    assert "CN=Test CA is none of the trusted roots" in dialled[0][1]
    assert "it is for sip.example.org" in dialled[1][1]
    reason = f"refused: {NAMELESS} answers for Teams with a certificate for sip.example.org"
    assert reason in errors(machine)
