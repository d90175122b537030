"""`sbcctl status`: the verdict from values, and what it sees on a real machine."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator

import ground
import lanes
import pytest

from orchestrator import plan, status
from orchestrator.host import journal

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
PAIR = plan.Pair(
    serial=7,
    names=("sbc.example.com",),
    not_before=NOW - dt.timedelta(days=30),
    not_after=NOW + dt.timedelta(days=60),
)
WELL = status.Seen(
    name="abc",
    good=True,
    observed=plan.Observed(
        committed="abc",
        drifted=(),
        units=None,
        certificate=plan.CertificateSeen(source="files", installed=PAIR),
        kamailio=plan.KamailioSeen(version=(6, 0, 1), running=True, answering=True, served=7),
        rtpengine=plan.RtpengineSeen(running=True, answering=True),
    ),
    reached=(
        status.Reached("teams", "sip:a", "active"),
        status.Reached("teams", "sip:b", "inactive"),
        status.Reached("office", "sip:c", "active"),
    ),
)
DEAD = journal.Before(
    command="apply fra1",
    pid=1,
    began="2026-03-01T00:00:00Z",
    candidate="b",
    staged=True,
    current="a",
    good="a",
    certificate="c",
    kamailio=True,
    rtpengine=True,
)


def seen(**changes) -> status.Seen:
    """WELL with parts of what was observed changed."""
    assert WELL.observed
    return dataclasses.replace(WELL, observed=dataclasses.replace(WELL.observed, **changes))


def test_all_is_well_while_one_address_of_each_party_is_reached():
    assert status.judge(WELL, NOW) == status.Verdict(status.Health.HEALTHY)


@pytest.mark.parametrize(
    ("found", "health", "reason"),
    [
        (status.Seen(""), "down", "nothing is installed"),
        (seen(kamailio=plan.KamailioSeen((6, 0, 1))), "down", "Kamailio does not run"),
        (seen(rtpengine=plan.RtpengineSeen(running=True)), "down", "RTPEngine does not answer"),
        (
            dataclasses.replace(WELL, reached=(status.Reached("office", "sip:c", "inactive"),)),
            "degraded",
            "office does not answer OPTIONS",
        ),
        (
            dataclasses.replace(WELL, drift=(plan.Step(plan.Kind.COMMIT, "changed: a.cfg"),)),
            "degraded",
            "drift: commit: changed: a.cfg",
        ),
        (dataclasses.replace(WELL, unfinished=DEAD), "degraded", "apply fra1 of 2026-03-01"),
        (
            seen(kamailio=plan.KamailioSeen((6, 0, 1), running=True, answering=True, served=8)),
            "degraded",
            "another certificate is served (serial 8)",
        ),
        (
            dataclasses.replace(WELL, memory=plan.Memory(total=100, used=60)),
            "degraded",
            "Kamailio counts 60 % of its shared memory as used: restart it in a quiet hour",
        ),
    ],
)
def test_what_is_wrong_is_said(found, health, reason):
    verdict = status.judge(found, NOW)
    assert verdict.health == health
    assert any(said.startswith(reason) for said in verdict.reasons)


@pytest.mark.parametrize(("days", "said"), [(31, ""), (29, "ends in"), (-1, "ended on")])
def test_the_last_third_of_a_certificate(days, said):
    pair = dataclasses.replace(PAIR, not_after=NOW + dt.timedelta(days=days))
    pair = dataclasses.replace(pair, not_before=pair.not_after - dt.timedelta(days=90))
    verdict = status.judge(
        seen(certificate=plan.CertificateSeen(source="files", installed=pair)), NOW
    )
    assert said in "".join(verdict.reasons)
    assert bool(said) == bool(verdict.reasons)


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    with ground.Ground(tmp_path_factory.mktemp("z"), lanes.root(lane)) as made:
        yield made


def told(machine: ground.Ground, code: int) -> dict:
    return json.loads(machine.run(*machine.words("status", "--output", "json"), code=code).stdout)


@pytest.mark.engine
def test_a_real_machine_and_what_drifts_on_it(machine):
    """Nothing yet; well; a file edited; an engine that died; a row that somebody removed."""
    assert told(machine, 1)["health"] == "down"
    machine.apply()
    well = told(machine, 0)
    assert (well["health"], well["reasons"]) == ("healthy", [])
    assert well["certificate"]["served"]
    text = machine.run(*machine.words("status")).stdout
    assert text.startswith("sbc.example.com  HEALTHY  generation ")
    assert "office                active     sip:192.0.2.20:5060;transport=udp" in text

    edited = machine.state / "current/kamailio/tls.cfg"
    kept = edited.read_text()
    edited.write_text(f"{kept}# by hand\n")
    (drift,) = told(machine, 1)["drift"]
    assert "kamailio/tls.cfg" in drift["reason"]
    edited.write_text(kept)
    assert told(machine, 0)["drift"] == []

    pid = int((machine.run_dir / "kamailio.pid").read_text())
    machine.run("sh", "-c", f"kill -9 {pid}")
    found = told(machine, 1)
    assert found["health"] == "down"
    assert [step["kind"] for step in found["drift"]] == ["start-kamailio"]
    machine.apply()
    assert told(machine, 0)["health"] == "healthy"
