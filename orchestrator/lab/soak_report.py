"""What a soak found, for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from orchestrator.lab import remains, soak_result

_NAME = 40
_NUMBER = 14


def text(result: soak_result.Result) -> str:
    """Everything a person wants to know, the verdict last."""
    parts = (
        "\n".join(f"{each.title}: {each.sentence}" for each in result.hours),
        "\n".join(_calls(result)),
        "\n".join(_audio(result)),
        "\n".join(_held(result)),
        "\n".join(_complaints(result)),
        sentence(result),
    )
    return "\n\n".join(part for part in parts if part)


def sentence(result: soak_result.Result) -> str:
    """The verdict."""
    tally = result.tally
    told = (
        f"{tally.ended} calls in {result.seconds:.0f} s ({result.rate:.1f} in a second) on"
        f" {result.engines}: {len(tally.failures)} failed, {len(result.broken)} rules broken, "
    )
    told += "nothing left behind" if not result.left else f"{len(result.left)} things left behind"
    return f"{told}; ended early: {result.stopped}" if result.stopped else told


def as_json(result: soak_result.Result) -> dict[str, object]:
    """Everything, for programs."""
    tally, plan = result.tally, result.plan
    kinds = [
        {
            "name": kind.name,
            "title": kind.title,
            "ok": tally.calls[kind.name],
            "failed": sum(failure.kind == kind.name for failure in tally.failures),
        }
        for kind in plan.kinds
    ]
    return {
        "engines": result.engines,
        "calls": tally.ended,
        "planned": plan.calls,
        "warm_up": plan.warm_up,
        "rate": round(result.rate, 2),
        "seconds": round(result.seconds, 1),
        "late_ms": round(tally.late * 1000, 1),
        "kinds": kinds,
        "hours": [
            {
                "name": each.name,
                "ok": each.ok,
                "sentence": each.sentence,
                "audio": {heard.title: asdict(heard.report) for heard in each.media},
            }
            for each in result.hours
        ],
        "setup_ms": {"median": tally.setup_ms(0.5), "p99": tally.setup_ms(0.99)},
        "audio": {
            "packets": tally.packets,
            "lost": tally.lost,
            "altered": tally.altered,
            "worst_gap_ms": tally.worst_gap_ms,
        },
        "failures": [asdict(failure) for failure in tally.failures],
        "broken": [asdict(broken) for broken in result.broken],
        "before": result.before.as_json(),
        "after": result.after.as_json() if result.after else None,
        "left": list(result.left),
        "stopped": result.stopped,
    }


def _calls(result: soak_result.Result) -> Iterator[str]:
    failures = [failure.kind for failure in result.tally.failures]
    yield f"{'calls':<{_NAME}}{'as they must':>{_NUMBER}}{'failed':>{_NUMBER}}"
    for kind in result.plan.kinds:
        ok, failed = result.tally.calls[kind.name], failures.count(kind.name)
        yield f"  {kind.title:<{_NAME - 2}}{ok:>{_NUMBER}}{failed:>{_NUMBER}}"


def _audio(result: soak_result.Result) -> Iterator[str]:
    tally = result.tally
    yield (
        f"audio: {tally.packets} packets compared byte by byte, {tally.altered} altered,"
        f" {tally.lost} lost, longest gap {tally.worst_gap_ms:.0f} ms"
    )
    yield (
        f"connected after {tally.setup_ms(0.5):.0f} ms (half of them), {tally.setup_ms(0.99):.0f}"
        f" ms (99 of 100); the latest call began {tally.late * 1000:.0f} ms late"
    )


def _held(result: soak_result.Result) -> Iterator[str]:
    calls = max(result.tally.ended, 1)
    yield (
        f"{'the engines hold':<{_NAME}}{'before':>{_NUMBER}}{'after':>{_NUMBER}}"
        f"{'per call':>{_NUMBER}}"
    )
    rows = zip(_figures(result.before), _figures(result.after or result.before), strict=True)
    for (name, before), (_, after) in rows:
        grown = (after - before) / calls
        share = "" if before == after else f"{grown:+.2f}"
        yield f"  {name:<{_NAME - 2}}{before:>{_NUMBER}}{after:>{_NUMBER}}{share:>{_NUMBER}}"


def _figures(held: remains.Remains) -> Iterator[tuple[str, int]]:
    kamailio = held.kamailio
    yield "Kamailio: transactions", kamailio.transactions
    yield "Kamailio: transactions not freed", kamailio.unfreed
    yield "Kamailio: rows in tables", sum(kamailio.rows.values())
    yield "Kamailio: connections", kamailio.connections
    yield "Kamailio: shared memory (bytes)", kamailio.shared
    yield "Kamailio: private memory (bytes)", sum(kamailio.private.values())
    yield "Kamailio: memory of its own (bytes)", held.memory("kamailio")
    yield "Kamailio: open files", held.files("kamailio")
    yield "RTPEngine: calls", held.rtpengine.sessions
    yield "RTPEngine: ports", held.rtpengine.ports
    yield "RTPEngine: calls nobody deleted", held.rtpengine.cut_off
    yield "RTPEngine: memory of its own (bytes)", held.memory("rtpengine")
    yield "RTPEngine: open files", held.files("rtpengine")


def _complaints(result: soak_result.Result) -> Iterator[str]:
    for number, failure in enumerate(result.tally.failures, 1):
        yield f"failed call {number} ({failure.kind}): {failure.why}"
        if failure.ladder:
            yield failure.ladder
    yield from (f"broken rule {broken}" for broken in result.broken)
    yield from (f"left behind: {sentence}" for sentence in result.left)
