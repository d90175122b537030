"""Which stories are told on which site, and what happens when a site cannot be applied."""

import asyncio
import itertools
from pathlib import Path

import pytest
from inside import Quiet

from orchestrator import errors
from orchestrator.lab import run, scenarios, story, world

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_stories_of_one_site_are_told_together_and_the_first_example_first():
    told = [scenario.site for scenario in run.find_scenarios(())]
    assert told[0] == story.FIRST_SITE
    assert len(told) == len(scenarios.SCENARIOS)
    changes = sum(before != after for before, after in itertools.pairwise(told))
    assert changes == len(set(told)) - 1


def test_an_own_site_gets_the_stories_of_the_first_example_only():
    told = run.find_scenarios((), own_site=True)
    assert {scenario.site for scenario in told} == {story.FIRST_SITE}
    assert run.find_scenarios(("busy", "options"), own_site=True) == run.find_scenarios(
        ("options", "busy")
    )


def test_every_story_names_an_example_that_is_there():
    settings = run.Settings(EXAMPLES)
    for scenario in scenarios.SCENARIOS:
        assert settings.file_of(scenario.site).is_file()


def test_an_own_site_stands_for_every_example(tmp_path):
    own = tmp_path / "site.yaml"
    assert run.Settings(EXAMPLES, own).file_of("02-company") == own


@pytest.mark.parametrize("names", [("busy",), ("busy", "cancel")])
def test_stories_whose_site_cannot_be_applied_fail_and_say_why(names):
    """The world is not up: there is no machine the SBC could be applied on."""
    made = world.World(progress=Quiet())
    lab = run.Lab(run.Settings(EXAMPLES), "engines", made, None, Quiet())
    outcomes = asyncio.run(lab.tell_all(run.find_scenarios(names)))
    assert [outcome.name for outcome in outcomes] == list(names)
    for outcome in outcomes:
        assert not outcome.ok
        assert outcome.sentence.startswith("01-one-pbx could not be applied: ")
        assert len(outcome.sentence) > len("01-one-pbx could not be applied: ")


def test_a_family_stands_for_its_stories():
    told = [scenario.name for scenario in run.find_scenarios(("hold", "busy"))]

    assert told == ["busy", *scenarios.by_family()["hold"]]


def test_a_story_nobody_knows_is_refused():
    with pytest.raises(errors.UsageError, match="no scenario nothing"):
        run.find_scenarios(("nothing",))
