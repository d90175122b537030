"""What a run of the lab looks like: a table, ladders, one HTML file, one JSON value. Pure.

The HTML file stands alone: no request leaves it (its own policy forbids any), no script runs in
it, and it follows the reader's choice of light or dark. Whatever was on the wire is escaped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from html import escape

from orchestrator.lab import run, story
from orchestrator.sip import ladder

ORDER = (
    "Teams", "SBC", "PBX", "branch", "secure", "carrier-a", "carrier-b", "registrar", "phone",
    "desk", "home",
)  # fmt: skip
"""The actors from left to right."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --good: #1a7f37; --bad: #cf222e; --faint: #8888; }
@media (prefers-color-scheme: dark) { :root { --good: #57c96f; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; }
body { padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--faint); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.ok { color: var(--good); } .failed { color: var(--bad); font-weight: 600; }
section { margin-top: 2.5rem; }
figure { margin: 0; overflow-x: auto; }
pre { overflow-x: auto; font-size: 12px; }
pre { border-left: 3px solid var(--faint); padding-left: .8rem; }
code { font-size: 13px; }
a { color: inherit; }
""".strip()

_HEADINGS = ("CALL", "AUDIO EACH WAY", "LOST", "ALTERED", "TIME", "")


def table(outcomes: Iterable[story.Outcome]) -> str:
    """The short table: what was called, audio each way, packet loss, time, and how it ended.

    Under a call that failed stand the reason and the rules that were broken.
    """
    known = tuple(outcomes)
    rows = [_HEADINGS, *(_cells(outcome) for outcome in known)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = []
    for row, outcome in zip(rows, (None, *known), strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
        lines += [f"    {complaint}" for complaint in _complaints(outcome)]
    return "\n".join(lines)


def ladders(outcomes: Iterable[story.Outcome]) -> str:
    """The ladder of each call, one after the other."""
    parts = (
        f"{outcome.title}\n{ladder.draw_text(outcome.trace, ORDER)}"
        for outcome in outcomes
        if outcome.trace
    )
    return "\n\n".join(parts)


def sentence(result: run.Result) -> str:
    """How it went, in one sentence."""
    good = sum(outcome.ok for outcome in result.outcomes)
    total = len(result.outcomes)
    verdict = (
        f"all {total} stories went as told" if result.ok else f"{good} of {total} went as told"
    )
    return f"{verdict} on {result.engines}"


def as_json(result: run.Result) -> dict[str, object]:
    """The result for programs; JSON values only."""
    return {
        "engines": result.engines,
        "seconds": round(result.seconds, 3),
        "calls": [outcome_as_json(outcome) for outcome in result.outcomes],
    }


def outcome_as_json(outcome: story.Outcome) -> dict[str, object]:
    """One story for programs, with its ladder; JSON values only."""
    return {
        "name": outcome.name,
        "title": outcome.title,
        "ok": outcome.ok,
        "sentence": outcome.sentence,
        "proves": list(outcome.proves),
        "seconds": round(outcome.seconds, 3),
        "broken": [dataclasses.asdict(broken) for broken in outcome.broken],
        "audio": [
            {"title": heard.title, **dataclasses.asdict(heard.report)} for heard in outcome.media
        ],
        "trace": [dataclasses.asdict(trace) for trace in outcome.trace],
    }


def page(result: run.Result, *, when: str) -> str:
    """The whole report as one HTML document.

    Args:
        result: What the lab found.
        when: When that was, as text.
    """
    verdict = "ok" if result.ok else "failed"
    rows = "\n".join(_html_row(outcome) for outcome in result.outcomes)
    heads = "".join(f"<th>{escape(text.capitalize())}</th>" for text in _HEADINGS)
    sections = "\n".join(_html_section(outcome) for outcome in result.outcomes)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width">
<title>sbcctl lab report</title>
<style>
{_STYLE}
</style>
</head>
<body>
<h1>sbcctl lab</h1>
<p class="{verdict}">{_text(sentence(result))}</p>
<p>{_text(when)}, {result.seconds:.1f} s of calls</p>
<table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
{sections}
</body>
</html>
"""


def _cells(outcome: story.Outcome) -> tuple[str, str, str, str, str, str]:
    """One row of the table as text."""
    reports = [
        heard.report for heard in outcome.media if heard.report.sent or heard.report.received
    ]
    audio, lost, altered = "-", "-", "-"
    if reports:
        audio = " / ".join(str(report.received) for report in reports) + " packets"
        lost = f"{max(report.loss for report in reports):.1%}"
        early = sum(report.early for report in reports)
        if early:
            lost += f" (+{early} early)"
        altered = str(sum(report.altered + report.forged for report in reports))
    verdict = "ok" if outcome.ok else "FAILED"
    return (outcome.title, audio, lost, altered, f"{outcome.seconds:.1f} s", verdict)


def _complaints(outcome: story.Outcome | None) -> tuple[str, ...]:
    if outcome is None or outcome.ok:
        return ()
    if not outcome.broken:
        return (outcome.sentence,)
    words = tuple(str(broken) for broken in outcome.broken)
    told = outcome.sentence.partition("broken ")[0].rstrip("; ")
    return (told, *words) if told else words


def _html_row(outcome: story.Outcome) -> str:
    title, *numbers, verdict = _cells(outcome)
    cells = "".join(f'<td class="number">{_text(number)}</td>' for number in numbers)
    kind = "ok" if outcome.ok else "failed"
    link = f'<a href="#{_text(outcome.name)}">{_text(title)}</a>'
    return f'<tr><td>{link}</td>{cells}<td class="{kind}">{_text(verdict)}</td></tr>'


def _html_section(outcome: story.Outcome) -> str:
    complaints = "".join(f"<li>{_text(words)}</li>" for words in _complaints(outcome))
    audio = "".join(
        f"<li>{_text(heard.title)}: {heard.report.received} of {heard.report.sent} sent by itself,"
        f" {heard.report.lost} lost, {heard.report.early} before latching,"
        f" {heard.report.altered + heard.report.forged} altered,"
        f" longest gap {heard.report.max_gap_ms:.1f} ms</li>"
        for heard in outcome.media
        if heard.report.received
    )
    messages = "".join(
        f"<p><code>{trace.time - outcome.trace[0].time:.3f}</code> {_text(trace.source)} to"
        f" {_text(trace.destination)} {_text(trace.transport)}</p>\n"
        f"<pre>{_text(trace.text)}</pre>\n"
        for trace in outcome.trace
    )
    kind = "ok" if outcome.ok else "failed"
    proves = ", ".join(outcome.proves)
    return f"""<section id="{_text(outcome.name)}">
<h2>{_text(outcome.title)}</h2>
<p class="{kind}">{_text(outcome.sentence)}</p>
<ul>{complaints}{audio}</ul>
<p>Proves {_text(proves)}</p>
<figure>{_printable(ladder.draw_svg(outcome.trace, ORDER))}</figure>
<details><summary>{len(outcome.trace)} messages</summary>
{messages}</details>
</section>"""


def _text(text: str) -> str:
    """Text for HTML: escaped and printable."""
    return escape(_printable(text))


def _printable(text: str) -> str:
    """Text without what has no place in a document."""
    shown = (c if c in "\n\t" or not _is_odd(c) else "\ufffd" for c in text.replace("\r", ""))
    return "".join(shown)


def _is_odd(character: str) -> bool:
    """Controls, surrogates, and marks that change the direction of what follows."""
    code = ord(character)
    return (
        code < 0x20
        or 0x7F <= code <= 0x9F
        or 0xD800 <= code <= 0xDFFF
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
        or code in (0xFFFE, 0xFFFF)
    )
