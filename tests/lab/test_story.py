"""How a scenario ends: what it reports when it goes well, and what when it does not."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from test_endpoints import both
from test_teams import authorities, world  # noqa: F401 - a fixture

from orchestrator.lab import evidence, journal, scenarios, stage, story, trouble
from orchestrator.sip import ladder

CSEQ = "INVITE sip:a SIP/2.0\r\nCSeq: 1 {}\r\n\r\n"


@asynccontextmanager
async def lab_of(authorities):  # noqa: F811 - pytest passes fixtures by name
    async with world(authorities) as (microsoft, _), both() as (pbx, phone):
        others = dict.fromkeys(("branch", "secure", "carrier_a", "carrier_b", "registrar"), pbx)
        clouds = dict.fromkeys(("gcc_high", "dod"), microsoft)
        phones = dict.fromkeys(("desk", "home"), phone)
        quiet = trouble.Trouble(None)
        log = journal.Journal()
        yield stage.Lab(microsoft, pbx, phone, log, **others, **phones, **clouds, trouble=quiet)


def run(authorities, play, **more):  # noqa: F811
    async def told():
        async with lab_of(authorities) as lab:
            lab.teams.books.broken.add(evidence.Broken("OLD", "before the story began"))
            scenario = story.Scenario("x", "X", ("SIG-1",), play, **more)
            return await scenario.run(lab)

    return asyncio.run(told())


async def goes_well(told):
    told.lab.log.add(ladder.Trace(0.0, "a", "b", CSEQ.format("INVITE")))
    told.lab.log.add(ladder.Trace(0.0, "a", "b", CSEQ.format("OPTIONS")))
    return "all is well"


async def breaks_a_rule(told):
    for _ in range(2):
        told.lab.teams.books.broken.add(evidence.Broken("MED-2", "plain RTP", "m=audio"))
    return "all is well"


async def fails(_):
    raise story.Failed("nobody there")


async def waits(_):
    await asyncio.sleep(60)
    return "never"


def test_what_goes_well_is_ok(authorities):  # noqa: F811
    outcome = run(authorities, goes_well)
    assert (outcome.ok, outcome.sentence, outcome.broken) == (True, "all is well", ())
    assert [ladder.label_of(trace.text) for trace in outcome.trace] == ["INVITE"]
    assert "CSeq: 1 INVITE" in outcome.trace[0].text


def test_a_broken_rule_fails_the_story_and_is_named_once(authorities):  # noqa: F811
    outcome = run(authorities, breaks_a_rule)
    assert not outcome.ok
    assert [broken.id for broken in outcome.broken] == ["MED-2"]
    assert outcome.sentence == "broken MED-2: plain RTP  [m=audio]"


@pytest.mark.parametrize(
    ("play", "sentence"), [(fails, "nobody there"), (waits, "not done within 0.1 s")]
)
def test_what_goes_wrong_is_said(authorities, play, sentence):  # noqa: F811
    outcome = run(authorities, play, within=0.1)
    assert (outcome.ok, outcome.sentence) == (False, sentence)


def test_every_scenario_names_what_it_proves():
    """But for the routes of site.yaml, of which Microsoft says nothing."""
    own = scenarios.by_family()["routes"]
    names = [scenario.name for scenario in scenarios.SCENARIOS]
    assert len(set(names)) == len(names)
    for scenario in scenarios.SCENARIOS:
        assert scenario.proves or scenario.name in own
        assert len(set(scenario.proves)) == len(scenario.proves)
