"""What was found around new certificates, for a human, and what must not have happened."""

from __future__ import annotations

import re
import statistics
from collections import Counter

import report

MEGABYTE = 1e6
COUNTS = (
    ("set-ups tried", "dialled"),
    ("  from Teams", "teams_dialled"),
    ("  to Teams", "office_dialled"),
    ("set-ups failed", "failed"),
    ("requests in dialogs", "in_dialog"),
    ("dialogs lost", "lost"),
    ("OPTIONS of Microsoft's", "options_asked"),
    ("  answered", "options_answered"),
    ("connections dialled by Microsoft that ended", "connections_ended"),
    ("written as it closed, and again on another", "written_again"),
    ("answers on another connection", "answers_moved"),
    ("handshakes of Microsoft's that failed", "dials_failed"),
)


def complaints(log: str) -> dict[str, int]:
    """What Kamailio said about TLS that failed, without what differs from line to line."""
    lines = (line for line in log.splitlines() if "ERROR: tls" in line)
    words = (re.sub(r"^.*?(?=\w+\(\): )|\d+", "", line)[:110] for line in lines)
    return dict(Counter(words).most_common(12))


def old_for(found: dict) -> list[float]:
    """For every connection that outlived its certificate: how many seconds, the shortest first."""
    replaced = {
        serial: each["began"] + each["seconds"]
        for serial, each in zip(found["serials"], found["applies"], strict=False)
    }
    over = found["phases"]["after"]["began"]
    late = [
        min(each["ended"] or over, over) - replaced[each["serial"]]
        for each in found["connections"]
        if each["serial"] in replaced
    ]
    return sorted(seconds for seconds in late if seconds > 0)


def left(found: dict) -> int:
    """Connections that showed an old certificate when all was over."""
    newest, over = found["serials"][-1], found["phases"]["after"]["began"]
    return sum(
        each["serial"] != newest and (each["ended"] or over) >= over
        for each in found["connections"]
    )


def table(found: dict) -> str:
    """Both phases side by side, then certificates and memory."""
    lines = [f"  {'':<46}{'control':>12}{'rotations':>12}"]
    phases = [found["phases"][name] for name in report.PHASES]
    rows = {
        "seconds": [f"{phase['seconds']:.0f}" for phase in phases],
        **{words: [str(each["counts"].get(key, 0)) for each in phases] for words, key in COUNTS},
    }
    lines += [f"  {words:<46}" + "".join(f"{v:>12}" for v in row) for words, row in rows.items()]
    seconds = [each["seconds"] for each in found["applies"]]
    lines += ["", f"  {len(seconds)} rotations, median {statistics.median(seconds):.1f} s"]
    roles = Counter(each["role"] for each in found["connections"])
    lines.append(
        f"  connections: {roles['dialled']} dialled by the SBC, {roles['taken']} by Microsoft"
    )
    if late := old_for(found):
        interval = found["plan"]["proxies"]["interval"]
        lines.append(
            f"  {len(late)} outlived their certificate, by {statistics.median(late):.1f} s in the"
            f" middle, {late[-1]:.1f} s at most (OPTIONS every {interval} s)"
        )
    before, after = found["memory"]
    for words, key in (("shared, as Kamailio counts", "used"), ("of its processes' own", "own")):
        grown = (after[key] - before[key]) / max(1, len(seconds))
        lines.append(
            f"  memory {words}: {before[key] / MEGABYTE:.1f} MB before,"
            f" {after[key] / MEGABYTE:.1f} MB after, {grown / MEGABYTE:.2f} MB a rotation"
        )
    lines += [f"  log {count:>6}  {words}" for words, count in found["complaints"].items()]
    return "\n".join(lines)


def faults(found: dict) -> list[str]:
    """What must not have happened; nothing when all is well."""
    wrong = [
        f"{name}: {phase['counts'][key]} {words}"
        for name, phase in found["phases"].items()
        for key, words in (
            ("failed", "set-ups failed"),
            ("lost", "dialogs were lost"),
            ("dials_failed", "handshakes of Microsoft's failed"),
        )
        if phase["counts"].get(key) and (name, key) != ("fill", "dials_failed")
    ]
    wrong += [
        f"Kamailio said {count} times: {what}" for what, count in found["complaints"].items()
    ]
    over, calls = found["standing"].get("over", 0), sum(found["plan"]["standing"].values())
    if over != calls:
        wrong.append(f"{over} of {calls} standing calls ended as they should")
    if found["short_left"]:
        wrong.append(f"{found['short_left']} calls never ended")
    allowed = found["plan"]["proxies"]["interval"] + found["plan"]["late"]
    if late := [seconds for seconds in old_for(found) if seconds > allowed]:
        wrong.append(f"{len(late)} connections kept an old certificate, up to {late[-1]:.1f} s")
    if count := left(found):
        wrong.append(f"{count} connections show an old certificate in the end")
    for turn, each in enumerate(found["applies"], 1):
        steps = report.steps_of(each)
        if each["code"] or "reload-tls" not in steps or any("restart" in step for step in steps):
            wrong.append(f"rotation {turn}: exit code {each['code']}, {steps or each['said']}")
    return [*wrong, *events(found)]


def events(found: dict) -> list[str]:
    """When the first of the calls failed, and during which rotation."""
    return [
        f"  {name}: {event['call']}: {event['what']}{report.during(found, event['at'])}"
        for name, phase in found["phases"].items()
        for event in phase["events"][: report.MOST_SHOWN]
    ]
