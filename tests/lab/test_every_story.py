"""Every story of the lab goes as told, on the engines of both generations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import labs
import lanes
import pytest

from orchestrator.lab import addresses, preflight, scenarios, story

CHECKOUT = Path(__file__).resolve().parents[2]
SECRETS = (addresses.PHONE_PASSWORD, addresses.REGISTRAR_PASSWORD)
PARTS = 3
"""Labs that share the stories of a lane."""

pytestmark = [
    pytest.mark.lab,
    pytest.mark.engine,
    pytest.mark.slow(90),
    pytest.mark.skipif(
        bool(preflight.find_missing(None)), reason="the lab's programs are not installed"
    ),
]


def stories_of(part: int) -> tuple[str, ...]:
    """One part of the stories: the seconds they may take are shared evenly, longest first."""
    shares: list[list[story.Scenario]] = [[] for _ in range(PARTS)]
    for known in sorted(scenarios.SCENARIOS, key=lambda each: -each.within):
        min(shares, key=lambda share: sum(each.within for each in share)).append(known)
    return tuple(known.name for known in shares[part])


# Of the session, because pytest tells the tests of one lane before those of the next.
@pytest.fixture(scope="session")
def side_by_side(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[labs.SideBySide[tuple[str, int]]]:
    """A lab for each lane and part that is tested."""
    folder = tmp_path_factory.mktemp("reports")
    wanted = [
        item.callspec.params
        for item in request.session.items
        if item.path == Path(__file__) and hasattr(item, "callspec")
    ]
    keys = [(each["lane"], each["part"]) for each in wanted if not lanes.missing(each["lane"])]

    def work(key: tuple[str, int]) -> dict:
        lane, part = key
        report = folder / f"{lane}-{part}.html"
        told = labs.run(CHECKOUT, stories_of(part), lane, report=report, timeout=900)
        text = report.read_text()
        return {**told, "shown": [secret for secret in SECRETS if secret in text]}

    running = labs.SideBySide(keys, work)
    yield running
    running.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_story_goes_as_told(
    lane: str, part: int, side_by_side: labs.SideBySide[tuple[str, int]]
) -> None:
    """What docs/conformance.md says is so with this checkout; a story that fails, fails here."""
    told = side_by_side.told((lane, part))

    bad = {call["name"]: call["sentence"] for call in told["calls"] if not call["ok"]}
    assert bad == {}
    assert told["shown"] == [], "a password stands in the report"
    assert {call["name"] for call in told["calls"]} == set(stories_of(part))


def test_each_story_is_in_one_part() -> None:
    """Nothing is left out by sharing."""
    parts = [name for part in range(PARTS) for name in stories_of(part)]

    assert sorted(parts) == sorted(known.name for known in scenarios.SCENARIOS)
