"""Draw recorded messages as a ladder: terminal text, or one inline SVG. Pure.

Shape of the text (facts/ux.md 2.3)::

            Teams               SBC                PBX
     0.000    |---- INVITE ------>|                  |   +4930... -> +4930...  tls
     0.002    |<--- 100 ----------|                  |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from orchestrator.sip import grammar, message, sdp, uri

_GAP = 20
_LEFT = 14
_COLUMN = 220
_MARGIN = 110
_ROW = 30
_TOP = 46
_NOTE = 330


@dataclass(frozen=True, slots=True)
class Trace:
    """One message as somebody sent it.

    Attributes:
        time: Seconds on the recorder's clock; only differences are shown.
        source: Name of the actor who sent it.
        destination: Name of the actor it went to.
        text: The message as on the wire, decoded for reading.
        transport: ``udp``, ``tcp`` or ``tls``, or an empty string.
    """

    time: float
    source: str
    destination: str
    text: str
    transport: str = ""


def actors_of(traces: Iterable[Trace], order: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Who takes part, in the given order first, then as they first appear."""
    seen = dict.fromkeys(name for trace in traces for name in (trace.source, trace.destination))
    return (*(name for name in order if name in seen), *(n for n in seen if n not in order))


def label_of(text: str) -> str:
    """The word on the arrow: the method, or the status code."""
    first = text.lstrip("\r\n").partition("\n")[0].split(" ")
    return first[1] if first[0] == "SIP/2.0" and len(first) > 1 else first[0][:16]


def note_of(trace: Trace) -> str:
    """What is worth saying beside the arrow: numbers and media, or the reason of a refusal."""
    try:
        parsed = message.parse(grammar.encode(trace.text))
        return "  ".join(part for part in (_numbers(parsed), _media(parsed)) if part)
    except grammar.SipError as error:
        return f"! {error.reason}"


def draw_text(traces: tuple[Trace, ...], order: tuple[str, ...] = ()) -> str:
    """The ladder for a terminal, one line per message, without a trailing line end."""
    if not traces:
        return ""
    names = actors_of(traces, order)
    start = min(trace.time for trace in traces)
    head = " " * _LEFT + "".join(name.center(_GAP) for name in names)
    lines = [head.rstrip()]
    lines.extend(_text_row(trace, names, start) for trace in traces)
    return "\n".join(lines)


def draw_svg(traces: tuple[Trace, ...], order: tuple[str, ...] = ()) -> str:
    """The ladder as one ``<svg>`` element; each arrow's title holds the raw message, escaped.

    Colours come from ``currentColor``, so that the page decides between light and dark.
    """
    names = actors_of(traces, order)
    start = min((trace.time for trace in traces), default=0.0)
    width = _MARGIN * 2 + _COLUMN * max(len(names) - 1, 0) + _NOTE
    height = _TOP + _ROW * len(traces) + 20
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="monospace" font-size="12" '
        f'fill="currentColor" stroke="none" role="img">'
    )
    actors = (_svg_actor(name, index, height) for index, name in enumerate(names))
    rows = (
        _svg_row(trace, names, start, _TOP + _ROW * index) for index, trace in enumerate(traces)
    )
    return "\n".join((opening, *actors, *rows, "</svg>"))


def _text_row(trace: Trace, names: tuple[str, ...], start: float) -> str:
    source, destination = names.index(trace.source), names.index(trace.destination)
    row = [" "] * (_LEFT + _GAP * len(names))
    for index in range(len(names)):
        row[_text_column(index)] = "|"
    low, high = sorted((source, destination))
    inner = _text_column(high) - _text_column(low) - 1
    if inner > 0:
        label = f" {label_of(trace.text)} "
        forward = source < destination
        arrow = f"----{label}".ljust(inner - 1, "-") + ">"
        if not forward:
            arrow = "<" + f"---{label}".ljust(inner - 1, "-")
        row[_text_column(low) + 1 : _text_column(high)] = arrow
    notes = "  ".join(part for part in (note_of(trace), trace.transport) if part)
    return f"{trace.time - start:7.3f}{''.join(row)[7:].rstrip()}   {notes}".rstrip()


def _text_column(index: int) -> int:
    return _LEFT + _GAP * index + _GAP // 2


def _svg_actor(name: str, index: int, height: int) -> str:
    x = _MARGIN + _COLUMN * index
    return (
        f'<text x="{x}" y="20" text-anchor="middle" font-weight="bold">{_xml(name)}</text>'
        f'<line x1="{x}" y1="28" x2="{x}" y2="{height - 8}" stroke="currentColor" '
        f'stroke-opacity="0.35"/>'
    )


def _svg_row(trace: Trace, names: tuple[str, ...], start: float, y: int) -> str:
    ends = [_MARGIN + _COLUMN * names.index(name) for name in (trace.source, trace.destination)]
    tail, head = ends
    back = -7 if head > tail else 7
    note_x = _MARGIN + _COLUMN * (len(names) - 1) + 16
    return (
        f'<g class="message"><title>{_xml(trace.text)}</title>'
        f'<text x="4" y="{y + 4}" opacity="0.6">{trace.time - start:.3f}</text>'
        f'<line x1="{tail}" y1="{y}" x2="{head}" y2="{y}" stroke="currentColor"/>'
        f'<path d="M{head} {y}l{back} -4v8z"/>'
        f'<text x="{(tail + head) // 2}" y="{y - 5}" text-anchor="middle">'
        f"{_xml(label_of(trace.text))}</text>"
        f'<text x="{note_x}" y="{y + 4}" opacity="0.75">{_xml(note_of(trace))}</text></g>'
    )


def _numbers(parsed: message.Request | message.Response) -> str:
    if isinstance(parsed, message.Response):
        return f"! {parsed.reason}" if parsed.status >= 400 else ""
    if parsed.method == "INVITE":
        return f"{_user(parsed.from_.uri)} -> {_user(parsed.target)}"
    return ""


def _media(parsed: message.Request | message.Response) -> str:
    if parsed.content_type != "application/sdp":
        return ""
    audio = sdp.parse(parsed.body).audio
    if audio is None:
        return ""
    names = [codec.name or codec.number for codec in audio.codecs[:3]]
    more = "..." if len(audio.formats) > 3 else ""
    return f"{audio.protocol} {','.join(names)}{more}"


def _user(text: str) -> str:
    address = uri.parse_uri(text)
    return address.user or address.host


def _xml(text: str) -> str:
    # XML 1.0 has no place for control characters and surrogates, not even escaped.
    shown = "".join(
        char
        if char in "\n\t"
        or (char >= " " and not 0xD800 <= ord(char) <= 0xDFFF and char < "\ufffe")
        else ("" if char == "\r" else "\ufffd")
        for char in text
    )
    return escape(shown)
