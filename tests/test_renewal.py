"""When a certificate is renewed, and by whom: values only."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import renewal

NOW = dt.datetime(2026, 11, 26, 12, 0, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
FIRST, SECOND = "https://first.example/dir", "https://second.example/dir"
CAS = (FIRST, SECOND)


def life(days: float, left: float) -> renewal.Life:
    end = NOW + dt.timedelta(days=left)
    return renewal.Life(end - dt.timedelta(days=days), end, "abc")


def failed(*hours: float, ca: str = FIRST, retry: float | None = None) -> list[renewal.Attempt]:
    at = [NOW - dt.timedelta(hours=each) for each in hours]
    until = None if retry is None else NOW + dt.timedelta(hours=retry)
    return [renewal.Attempt(each, ca, until) for each in at]


def window(begin: float, end: float, identity: str = "abc") -> renewal.Window:
    begins, ends = NOW + dt.timedelta(days=begin), NOW + dt.timedelta(days=end)
    return renewal.Window(identity, begins, ends)


@pytest.mark.parametrize(
    ("days", "left", "do", "why"),
    [
        (90, 31, "nothing", "two thirds of its life"),
        (90, 29, "renew", "two thirds of its life"),
        (64, 22, "nothing", "two thirds of its life"),
        (45, 14, "renew", "two thirds of its life"),
        (6, 3.1, "nothing", "half of its life"),
        (6, 2.9, "renew", "half of its life"),
        (90, -1, "renew", "two thirds of its life"),
    ],
)
def test_without_a_window_the_life_decides(days, left, do, why):
    """Two thirds, and half of a life of days."""
    found = renewal.decide(life(days, left), None, (), CAS, NOW)
    assert (found.do, found.why) == (do, why)
    assert found.ca == (FIRST if do == "renew" else "")


@pytest.mark.parametrize(
    ("begin", "end", "do"), [(1, 2, "nothing"), (-2, -1, "renew"), (-5, -4, "renew")]
)
def test_the_window_of_the_ca_decides(begin, end, do):
    """Earlier than two thirds (a revocation is coming) or later."""
    found = renewal.decide(life(90, 60), window(begin, end), (), CAS, NOW)
    assert (found.do, found.why) == (do, "the CA's window (ARI)")


@pytest.mark.parametrize(
    "strange", [window(2, 1), window(59, 61), window(-2, -1, identity="another")]
)
def test_a_window_that_makes_no_sense_counts_for_nothing(strange):
    """It ends before it begins, or after the certificate, or is of another one."""
    assert renewal.decide(life(90, 60), strange, (), CAS, NOW).why == "two thirds of its life"


def test_the_point_in_the_window_is_the_certificates_own():
    """Always the same for one; spread over the window for many."""
    spread = []
    for number in range(200):
        held = renewal.Life(NOW - 30 * DAY, NOW + 60 * DAY, f"{number:x}")
        asked = renewal.Window(held.identity, NOW, NOW + 10 * DAY)
        at, _ = renewal.due(held, asked)
        assert renewal.due(held, asked)[0] == at
        spread.append((at - NOW) / DAY)
    assert min(spread) < 1
    assert max(spread) > 9
    assert 4 < sum(spread) / 200 < 6


def test_four_failures_in_an_hour_are_enough():
    """It says until when; --force changes nothing about it."""
    for force in (False, True):
        three = renewal.decide(None, None, failed(0.9, 0.5, 0.1), CAS, NOW, force=force)
        assert three.do == "renew"
        four = renewal.decide(None, None, failed(2, 0.9, 0.5, 0.3, 0.1), CAS, NOW, force=force)
        assert (four.do, four.at) == ("wait", NOW + 0.1 * HOUR)
        assert "4 attempts failed within an hour" in four.why


def test_a_clock_that_was_set_back_stops_nothing_for_long():
    """Attempts of next week were none; those of the next minutes may have been."""
    assert renewal.decide(None, None, failed(-200, -200, -200, -200), CAS, NOW).do == "renew"
    assert renewal.decide(None, None, failed(-0.5, -0.5, -0.5, -0.5), CAS, NOW).do == "wait"


def test_a_ca_that_names_a_time_is_not_asked_before():
    """The latest time counts."""
    found = renewal.decide(None, None, failed(3, retry=2), CAS, NOW)
    assert (found.do, found.at) == ("wait", NOW + 2 * HOUR)
    assert renewal.decide(None, None, failed(3, retry=-1), CAS, NOW).do == "renew"


def test_the_second_ca_takes_turns_after_a_day():
    """Not before, and at once when the first says that it will take longer than that."""
    assert renewal.decide(None, None, failed(23, 2), CAS, NOW).ca == FIRST
    assert renewal.decide(None, None, failed(25, 2), CAS, NOW).ca == SECOND
    turns = [*failed(40, 2), *failed(1.5, ca=SECOND)]
    assert renewal.decide(None, None, turns, CAS, NOW).ca == FIRST
    assert renewal.decide(None, None, failed(3, retry=100), CAS, NOW).ca == SECOND
    assert renewal.decide(None, None, failed(3, retry=100), CAS[:1], NOW).do == "wait"
    both = [*failed(30, retry=100), *failed(3, ca=SECOND, retry=9)]
    assert renewal.decide(None, None, both, CAS, NOW).at == NOW + 9 * HOUR


def test_what_cannot_serve_is_due_and_force_too():
    """The reason is said."""
    good = life(90, 80)
    assert renewal.decide(good, None, (), CAS, NOW, unfit="it is broken").why == "it is broken"
    assert renewal.decide(good, None, (), CAS, NOW, force=True).why == "it was asked for"
    assert renewal.decide(None, None, (), CAS, NOW).why == "there is none yet"


@pytest.mark.parametrize(
    ("seconds", "told"), [(None, 6 * HOUR), (0, HOUR / 60), (3600, HOUR), (1e30, DAY)]
)
def test_how_long_a_window_is_believed(seconds, told):
    """As the CA says, within reason."""
    assert renewal.believed_until(NOW, seconds) == NOW + told


moments = st.floats(-30, 60).map(lambda hours: NOW - dt.timedelta(hours=hours))
attempts = st.builds(
    renewal.Attempt, at=moments, ca=st.sampled_from(CAS), retry_at=st.none() | moments
)


@given(
    lived=st.none() | st.builds(life, st.floats(1, 400), st.floats(-5, 390)),
    asked=st.none() | st.builds(window, st.floats(-50, 50), st.floats(-50, 50)),
    past=st.lists(attempts, max_size=12),
    cas=st.sampled_from([CAS, CAS[:1]]),
    force=st.booleans(),
)
def test_whatever_is_asked_the_limits_hold(lived, asked, past, cas, force):
    """Waiting ends later, renewing is now, and what is said of later holds then."""
    found = renewal.decide(lived, asked, past, cas, NOW, force=force)
    near = [each for each in past if abs(NOW - each.at) < renewal.HOUR]
    assert found == renewal.decide(lived, asked, past[::-1], cas, NOW, force=force)
    if found.do == "renew":
        assert found.at == NOW
        assert len(near) < renewal.MOST_FAILURES
        assert found.ca in cas
        assert not any(
            each.retry_at and each.retry_at > NOW for each in past if each.ca == found.ca
        )
    else:
        assert found.at > NOW
        assert found.ca == ""
        if found.do == "nothing":
            then = renewal.decide(lived, asked, past, cas, found.at)
            assert then.do != "nothing"


# -- years of it ----------------------------------------------------------------------------


@dataclass
class World:
    """A CA that fails now and then, a machine whose cron runs twice a day, and crashes."""

    days: float
    chance: random.Random
    windows: bool
    held: renewal.Life
    asked: renewal.Window | None = None
    failed: list[renewal.Attempt] = field(default_factory=list)
    expired: int = 0
    renewed: int = 0
    all_failures: list[dt.datetime] = field(default_factory=list)
    down_until: dt.datetime = NOW
    up_until: dt.datetime = NOW

    def is_down(self, now: dt.datetime) -> bool:
        while self.up_until <= now:
            self.down_until = self.up_until + self.chance.uniform(0, 7) * DAY
            self.up_until = self.down_until + self.chance.uniform(1, 40) * DAY
        return now < self.down_until

    def turn(self, now: dt.datetime) -> None:
        """What `cert renew` does, and a restart loop that calls it again when it fails."""
        down = self.is_down(now)
        self.expired += now >= self.held.end
        for again in range(self.chance.choice((1, 1, 1, 30))):
            found = renewal.decide(self.held, self.asked, self.failed, (FIRST,), now)
            if found.do != "renew":
                return
            if not down and self.chance.random() > 0.1:
                self.renew(now)
                return
            patience = self.chance.choice((None, None, now + self.chance.uniform(0, 1) * DAY))
            self.failed.append(renewal.Attempt(now, found.ca, patience))
            self.all_failures.append(now)
            now += dt.timedelta(seconds=self.chance.uniform(1, 600)) if again else HOUR / 360

    def renew(self, now: dt.datetime) -> None:
        self.renewed += 1
        self.failed = []
        end = now + dt.timedelta(days=self.days)
        self.held = renewal.Life(now, end, f"{self.chance.getrandbits(64):x}")
        if self.windows:
            begin = now + (end - now) * self.chance.uniform(0.6, 0.7)
            self.asked = renewal.Window(self.held.identity, begin, begin + DAY)


@pytest.mark.parametrize("windows", [False, True], ids=["two thirds", "ARI"])
@pytest.mark.parametrize("days", [6, 45, 64, 90])
def test_ten_thousand_days_with_outages_of_up_to_a_week(days, windows):
    """None expires of 45 days and more; never more than four failures in an hour."""
    begin = renewal.Life(NOW, NOW + dt.timedelta(days=days), "first")
    world = World(days, random.Random(days), windows, begin)
    jitter = random.Random(7)
    for half in range(20_000):
        world.turn(NOW + (half * 12 + jitter.uniform(0, 1)) * HOUR)
    failures = sorted(world.all_failures)
    assert world.renewed > 10_000 / days
    assert len(failures) > 100
    assert all(
        later - earlier >= HOUR for earlier, later in zip(failures, failures[4:], strict=False)
    )
    if days >= 45:
        assert world.expired == 0
