"""A short soak on real engines, and what a soak finds when calls leave something behind."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import lanes
import pytest

from orchestrator.engines import kamailio_load, rtpengine
from orchestrator.host import usage
from orchestrator.lab import remains, soak_calls

LAB = [pytest.mark.lab, pytest.mark.engine, pytest.mark.slow]
QUIET = remains.Remains(
    kamailio=kamailio_load.Load(
        transactions=0,
        unfreed=0,
        placed=100,
        connections=0,
        shared=10_000_000,
        private={"1 udp receiver": 1_000_000},
        rows={"trunk": 2},
    ),
    rtpengine=rtpengine.Load(sessions=0, ports=0, calls=100, cut_off=3),
    processes=(
        usage.Usage("kamailio", 7, files=10, resident=9_000_000, private=2_000_000),
        usage.Usage("rtpengine", 8, files=6, resident=9_000_000, private=2_000_000),
    ),
)


def soak_argv(lane: str, *words: str) -> list[str]:
    root = lanes.root(lane)
    argv = [sys.executable, "-m", "orchestrator.cli", "--output", "json"]
    return [*argv, *(("--engine-root", str(root)) if root else ()), "lab", "soak", *words]


def with_kamailio(**changes: object) -> remains.Remains:
    return replace(QUIET, kamailio=replace(QUIET.kamailio, **changes))


def with_rtpengine(**changes: object) -> remains.Remains:
    return replace(QUIET, rtpengine=replace(QUIET.rtpengine, **changes))


def with_processes(**changes: object) -> remains.Remains:
    return replace(QUIET, processes=tuple(replace(p, **changes) for p in QUIET.processes))


def test_calls_that_leave_nothing_are_said_to_leave_nothing():
    after = replace(with_kamailio(placed=900), rtpengine=replace(QUIET.rtpengine, calls=900))

    assert remains.left_over(QUIET, after) == ()


@pytest.mark.parametrize(
    ("after", "word"),
    [
        (with_kamailio(transactions=1), "still knows 1 transactions"),
        (with_kamailio(unfreed=2), "did not free 2"),
        (with_kamailio(connections=1), "still has 1 connections"),
        (with_kamailio(rows={"trunk": 3}), "table trunk has 3 rows, 2 before"),
        (with_kamailio(shared=19_000_000), "shared memory grew by 9000000"),
        (with_kamailio(private={"1 udp receiver": 1_100_000}), "udp receiver grew by 100000"),
        (with_rtpengine(sessions=1), "still carries 1 calls"),
        (with_rtpengine(ports=4), "still holds 4 ports"),
        (with_rtpengine(cut_off=4), "1 calls were never deleted"),
        (with_processes(files=90), "kamailio has 80 more files"),
        (with_processes(private=30_000_000), "the memory of rtpengine grew by 28000000"),
        (with_processes(pid=99), "lost a process"),
    ],
)
def test_whatever_calls_leave_behind_is_said(after, word):
    assert word in "; ".join(remains.left_over(QUIET, after))


def test_a_short_soak_judges_no_memory_and_no_rows_that_end_by_themselves():
    after = with_kamailio(shared=19_000_000, rows={"trunk": 2, "transfer": 4})

    assert len(remains.left_over(QUIET, after)) == 2
    assert remains.left_over(QUIET, after, whole=False) == ()


def test_of_a_hundred_calls_each_kind_gets_its_share():
    placed = Counter(kind.name for kind in itertools.islice(soak_calls.mix(soak_calls.KINDS), 100))

    assert placed == {kind.name: kind.share for kind in soak_calls.KINDS}
    assert placed.total() == 100


def test_kinds_are_spread_evenly():
    names = [kind.name for kind in itertools.islice(soak_calls.mix(soak_calls.KINDS), 200)]
    places = [number for number, name in enumerate(names) if name == "cancelled"]

    assert all(10 <= b - a <= 30 for a, b in itertools.pairwise(places))


def test_usage_is_what_the_kernel_says_of_this_process():
    name = Path("/proc/self/comm").read_text().strip()
    (own,) = [each for each in usage.of_programs(name) if each.pid == os.getpid()]
    handle = os.open("/dev/null", os.O_RDONLY)
    (more,) = [each for each in usage.of_programs(name) if each.pid == os.getpid()]
    os.close(handle)

    assert more.files == own.files + 1
    assert own.resident > own.private > 1_000_000


@pytest.mark.lab
@pytest.mark.engine
@pytest.mark.slow
def test_sixty_calls_of_every_kind_leave_nothing_behind(lane):
    """Gently: Debian 12's Kamailio does not survive many handshakes at once."""
    ran = subprocess.run(
        soak_argv(lane, "--calls", "60", "--rate", "5", "--warm-up", "0"),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    told = json.loads(ran.stdout)

    assert told["failures"] == []
    assert told["left"] == []
    assert told["broken"] == []
    assert ran.returncode == 0
    assert told["calls"] == 60
    assert all(kind["ok"] >= 2 for kind in told["kinds"])
    assert told["audio"]["altered"] == 0
    assert told["audio"]["packets"] >= 2 * soak_calls.WORDS * 45
    assert told["after"]["kamailio"]["placed"] > told["before"]["kamailio"]["placed"] + 100
    assert told["after"]["rtpengine"]["calls"] >= told["before"]["rtpengine"]["calls"] + 60


@pytest.mark.lab
@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.skipif(bool(lanes.missing("host")), reason=lanes.missing("host"))
def test_ctrl_c_ends_a_soak_and_tells_how_it_went():
    """It is about the soak, so the engines at hand will do."""
    argv = soak_argv("host", "--calls", "10000", "--rate", "5", "--warm-up", "0")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as soak:
        assert soak.stderr is not None
        for line in soak.stderr:
            if line.startswith(b"soak: "):
                break
        began = time.monotonic()
        soak.send_signal(signal.SIGINT)
        out, _ = soak.communicate(timeout=30)
    told = json.loads(out)

    assert soak.returncode == 130
    assert time.monotonic() - began < 15
    assert told["failures"] == []
    assert 10 <= told["calls"] < 200
    assert told["stopped"]
