"""What was found, for a human: both phases side by side, and what must not have happened."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import lanes

Formatter = argparse.RawDescriptionHelpFormatter
PHASES = ("control", "applies")
MOST_SHOWN = 20


def table(found: dict) -> str:
    """Both phases side by side, then the applies."""
    lines = [f"  {'':<34}{'control':>12}{'applies':>12}"]
    phases = [found["phases"][name] for name in PHASES]
    audio = [found["audio"][name] for name in PHASES]
    rows = {
        "seconds": [f"{phase['seconds']:.0f}" for phase in phases],
        **{
            words: [str(phase["counts"].get(key, 0)) for phase in phases]
            for words, key in (
                ("set-ups tried", "dialled"),
                ("  of these from Teams", "teams_dialled"),
                ("set-ups failed", "failed"),
                ("requests in dialogs", "in_dialog"),
                ("dialogs lost", "lost"),
                ("messages sent again", "repeats"),
                ("TLS connections that ended", "connections_ended"),
            )
        },
        **{
            f"set-up delay {source}, {key}": [
                f"{phase['delay_ms'][source][key]:.1f} ms" for phase in phases
            ]
            for source in ("carrier", "teams")
            for key in ("median", "p99", "max")
        },
        **{
            words: [str(each[key]) for each in audio]
            for words, key in (
                ("RTP packets sent", "sent"),
                ("RTP packets lost", "lost"),
                ("SRTP packets under a wrong key", "forged"),
                (f"gaps over {found['plan']['gap']} ms", "gaps"),
                ("  made by the sender itself", "own_gaps"),
            )
        },
        "longest gap": [f"{each['longest'] / 1e6:.0f} ms" for each in audio],
        "generator late, RTP": [f"{each['latest'] / 1e6:.0f} ms" for each in audio],
        "generator late, calls": [f"{phase['latest_ms']:.0f} ms" for phase in phases],
    }
    lines += [f"  {words:<34}" + "".join(f"{v:>12}" for v in row) for words, row in rows.items()]
    return "\n".join([*lines, "", *_ratios(phases), "", *_applies(found)])


def _ratios(phases: list[dict]) -> list[str]:
    lines = []
    for key in ("median", "p99"):
        without, under = (phase["delay_ms"]["carrier"][key] for phase in phases)
        if without:
            lines.append(f"  set-up delay, {key}: {under / without:.2f} times that of control")
    return lines


def _applies(found: dict) -> list[str]:
    applies = found["applies"]
    if not applies:
        return []
    seconds = [each["seconds"] for each in applies]
    middle, longest = statistics.median(seconds), max(seconds)
    lines = [f"  {len(applies)} applies, median {middle:.1f} s, longest {longest:.1f} s"]
    for changed, count in Counter(each["changed"] for each in applies).items():
        of_kind = [each for each in applies if each["changed"] == changed]
        steps = Counter(step for each in of_kind for step in steps_of(each))
        median = statistics.median(each["seconds"] for each in of_kind)
        told = ", ".join(f"{step} {times}" for step, times in steps.items())
        lines.append(f"    {count:>3} {changed:<20} {median:4.1f} s  {told}")
    return lines


def steps_of(each: dict) -> list[str]:
    """The steps of one apply, with what they were about."""
    return [f"{step['kind']} {step['subject']}".strip() for step in each["said"].get("steps", [])]


def faults(found: dict) -> list[str]:
    """What must not have happened; nothing when all is well."""
    wrong = [
        f"{name}: {phase['counts'][key]} {words}"
        for name, phase in found["phases"].items()
        for key, words in (("failed", "set-ups failed"), ("lost", "dialogs were lost"))
        if phase["counts"].get(key)
    ]
    over, calls = found["standing"].get("over", 0), sum(found["plan"]["standing"].values())
    if over != calls:
        wrong.append(f"{over} of {calls} standing calls ended as they should")
    if found["short_left"]:
        wrong.append(f"{found['short_left']} calls never ended")
    return [*wrong, *_faults_of_audio(found), *_faults_of_applies(found), *_events(found)]


def _faults_of_audio(found: dict) -> list[str]:
    wrong = []
    for name in PHASES:
        each = found["audio"][name]
        if each["gaps"]:
            wrong.append(f"{name}: {each['gaps']} gaps of more than {found['plan']['gap']} ms")
        if each["forged"]:
            wrong.append(f"{name}: {each['forged']} SRTP packets came under a wrong key")
        # Two directions of each call, 50 packets a second; the sender may have been late.
        talking = sum(found["plan"]["talking"].values())
        least = talking * 100 * found["phases"][name]["seconds"] * 0.9
        if each["received"] < least:
            wrong.append(f"{name}: only {each['received']} packets came, not {least:.0f}")
        if not found["phases"][name]["counts"].get("connected"):
            wrong.append(f"{name}: no call was connected")
    return wrong


def _faults_of_applies(found: dict) -> list[str]:
    wrong = []
    for turn, each in enumerate(found["applies"], 1):
        steps = steps_of(each)
        if each["code"] or not steps or any("restart" in step for step in steps):
            did = ", ".join(steps) or each["said"]
            wrong.append(f"apply {turn} ({each['changed']}): exit code {each['code']}, {did}")
    return wrong


def _events(found: dict) -> list[str]:
    """When the first of them happened, and during which apply."""
    lines = [
        f"  {name}: {event['call']}: {event['what']}{during(found, event['at'])}"
        for name, phase in found["phases"].items()
        for event in phase["events"][:MOST_SHOWN]
    ]
    lines += [
        f"  {name}: stream {event['stream']}: {event['ms']} ms of silence"
        f"{during(found, event['at'])}"
        for name, each in found["audio"].items()
        for event in each["events"][:MOST_SHOWN]
        if event["ms"] - event["sender_ms"] > found["plan"]["gap"]
    ]
    return lines


def during(found: dict, at: float) -> str:
    """Which apply ran at a time."""
    for turn, each in enumerate(found["applies"], 1):
        since = at - each["began"]
        if 0 <= since <= each["seconds"]:
            return f", {since:.2f} s into apply {turn} ({each['changed']})"
    return ""


def tell(
    given: argparse.Namespace,
    run: Callable[[argparse.Namespace, Path], dict],
    shown: Callable[[dict], str],
    faults: Callable[[dict], list[str]],
) -> None:
    """Run a bench in a folder that vanishes, print what was found, end with 1 where it is bad."""
    if reason := lanes.missing(given.root):
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as folder:
        found = run(given, Path(folder))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    print(shown(found))
    if wrong := faults(found):
        raise SystemExit("\n".join(wrong))
