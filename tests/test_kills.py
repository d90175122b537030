"""Killed at any call, an apply or a rollback leaves what is whole, and the next run succeeds."""

from __future__ import annotations

import sys

import pytest
import ways

pytestmark = [pytest.mark.engine, pytest.mark.slow(150)]


warm = ways.warm


@pytest.mark.parametrize("lane", ways.LANES)
@pytest.mark.parametrize("verb", ["apply", "rollback"])
def test_whatever_a_kill_leaves_is_whole_and_the_next_run_succeeds(warm, verb):
    """Old or new, never between, at every call."""
    killed = ways.Killed(ways.Way(warm, verb))
    told = killed.run()
    sys.stdout.write(f"\n{told}\n")
    assert not killed.wrong, "\n".join([*killed.wrong, told])


@pytest.mark.parametrize("lane", ways.LANES)
def test_after_the_mark_the_way_back_leads_to_what_was_marked(warm):
    """Killed with everything done but the journal: the next failure restores that, not older."""
    words = warm.words("apply")
    warm.machine.write_site(ways.OTHER)
    assert warm.run(words)[0] == 0
    warm.machine.write_site(ways.ONE)
    first = warm.current()
    warm.keep_only_current()
    # By its path: how many calls come before it depends on how often an engine was asked.
    journal = str(warm.machine.state / "journal.json")
    kill = ("-P", journal, "-e", "trace=unlink,unlinkat")
    code, said, _ = warm.run(words, *kill, "-e", "inject=unlink,unlinkat:signal=KILL")
    assert code == -9, said
    assert (warm.machine.state / "journal.json").exists()
    second = warm.current()
    assert second != first
    warm.machine.write_site(("192.0.2.20:5060", "192.0.2.20:5999"))
    code, said, _ = warm.run(words)
    assert code == 1, said
    assert warm.current() == second
