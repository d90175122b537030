"""What was found around restarts, for a human: what calls noticed beside what was said."""

from __future__ import annotations

import report

COUNTS = (
    ("set-ups tried", "dialled"),
    ("  refused by the drain", "refused"),
    ("set-ups failed", "failed"),
    ("  of these it rang", "new_ringing_failed"),
    ("  of these it did not ring yet", "new_dialling_failed"),
    ("calls that rang then", "ringing_then"),
    ("calls that did not ring yet then", "dialling_then"),
    ("TLS connections that ended", "connections_ended"),
    ("requests in dialogs", "in_dialog"),
    ("dialogs lost", "lost"),
    ("messages sent again", "repeats"),
)


def table(found: dict) -> str:
    """Every phase side by side, then what was said."""
    names = ["control", *found["applies"]]
    phases = [found["phases"][name] for name in names]
    audio = [found["audio"][name] for name in names]
    rows = {
        "": names,
        **{words: [str(each["counts"].get(key, 0)) for each in phases] for words, key in COUNTS},
        "longest set-up, carrier": [longest(each, "carrier") for each in phases],
        "longest set-up, Teams": [longest(each, "teams") for each in phases],
        "gaps over 60 ms": [str(each["gaps"]) for each in audio],
        "longest gap": [f"{each['longest'] / 1e6:.0f} ms" for each in audio],
        "streams silent at its end": [str(each["silent"]) for each in audio],
    }
    lines = [f"  {words:<34}" + "".join(f"{v:>18}" for v in row) for words, row in rows.items()]
    for name, each in found["applies"].items():
        lines += ["", f"  {name}: {', '.join(report.steps_of(each))} in {each['seconds']:.1f} s"]
        lines += [f"    it said: {words}" for words in costs(each)]
    return "\n".join(lines)


def longest(phase: dict, source: str) -> str:
    return f"{phase['delay_ms'][source]['max']:.0f} ms"


def costs(each: dict) -> list[str]:
    """What an apply said its steps cost."""
    return [step["cost"] for step in each["said"].get("steps", []) if step["cost"]]


def faults(found: dict) -> list[str]:
    """Where calls noticed more than a restart costs; nothing when all is well."""
    wrong = [
        f"{name}: apply ended with exit code {each['code']}: {each['said']}"
        for name, each in found["applies"].items()
        if each["code"]
    ]
    wrong += _faults_of_kamailio(found)
    wrong += _faults_of_rtpengine(found)
    wrong += [
        f"{name}: the drain refused no call"
        for name in ("kamailio-drained", "rtpengine-drained")
        if not found["phases"][name]["counts"].get("refused")
    ]
    quiet = ("control", "after-kamailio", "kamailio-drained", "after-kamailio-drained")
    for name in (*quiet, "rtpengine-drained", "after-rtpengine-drained"):
        counts = found["phases"][name]["counts"]
        wrong += [f"{name}: {counts[key]} {key}" for key in ("failed", "lost") if counts.get(key)]
    return wrong


def _faults_of_kamailio(found: dict) -> list[str]:
    """Calls that ring and TLS connections end; calls that talk go on."""
    counts, audio = found["phases"]["kamailio"]["counts"], found["audio"]["kamailio"]
    rang = counts.get("ringing_then", 0) + counts.get("dialling_then", 0)
    wrong = []
    if counts.get("failed", 0) > rang:
        wrong.append(f"kamailio: {counts['failed']} set-ups failed, and only {rang} rang then")
    if counts.get("lost"):
        wrong.append(f"kamailio: {counts['lost']} dialogs were lost")
    if audio["gaps"] or audio["silent"]:
        wrong.append("kamailio: audio was touched")
    if not counts.get("connections_ended"):
        wrong.append("kamailio: no TLS connection ended, so it was not restarted")
    return wrong


def _faults_of_rtpengine(found: dict) -> list[str]:
    """Every call loses its audio; once it is back, new calls are served again."""
    after = found["phases"]["after-rtpengine"]["counts"]
    wrong = []
    if after.get("failed"):
        wrong.append(
            f"after-rtpengine: {after['failed']} of {after['dialled']} set-ups failed,"
            " seconds after the apply was done"
        )
    streams = 2 * sum(found["plan"]["talking"].values())
    audio = found["audio"]["rtpengine"]
    # One that a re-INVITE brought back in time has a gap instead.
    if audio["silent"] + audio["gaps"] != streams:
        wrong.append("rtpengine: not every stream fell silent, so it was not restarted")
    return wrong
