"""A plot as SVG, both axes logarithmic: a line for each kind of apply."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 360, 315
LEFT, RIGHT, TOP, BOTTOM = 50, 18, 34, 89
ABREAST = 3
COLOURS = ("#1b6ca8", "#c1440e", "#2f7d32", "#6a4c93", "#b8860b", "#555555")
Lines = Mapping[str, Sequence[tuple[float, float]]]


def draw(panels: Mapping[str, Lines], across: str = "trunks") -> str:
    """Panels, three abreast, each with its title; every line holds (how many, value above 0)."""
    places = [(WIDTH * (n % ABREAST), HEIGHT * (n // ABREAST)) for n in range(len(panels))]
    body = "".join(
        f'<g transform="translate({left} {top})">{_panel(title, lines, across)}</g>\n'
        for (left, top), (title, lines) in zip(places, panels.items(), strict=True)
    )
    wide, high = max(left for left, _ in places) + WIDTH, places[-1][1] + HEIGHT
    size = f'width="{wide}" height="{high}"'
    box = f'viewBox="0 0 {wide} {high}"'
    style = 'font-family="sans-serif" font-size="11" fill="#333"'
    ground = '<rect width="100%" height="100%" fill="#fff"/>\n'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} {style}>\n{ground}{body}</svg>\n'


def _panel(title: str, lines: Lines, what: str) -> str:
    points = [point for line in lines.values() for point in line]
    across = _scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = _scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>\n']
    for value in _decades([x for x, _ in points]):
        place = across(value)
        parts.append(_rule(place, TOP, place, HEIGHT - BOTTOM))
        parts.append(_label(place, HEIGHT - BOTTOM + 15, "middle", f"{value:,.0f}"))
    for value in _decades([y for _, y in points]):
        place = up(value)
        parts.append(_rule(LEFT, place, WIDTH - RIGHT, place))
        parts.append(_label(LEFT - 5, place + 4, "end", f"{value:,g}"))
    parts.append(_label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 30, "middle", what))
    for place, (name, line) in enumerate(lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>\n'
        )
        parts += [
            f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>\n'
            for x, y in line
        ]
        row, column = divmod(place, 2)
        left, low = LEFT + 150 * column, HEIGHT - 41 + 15 * row
        parts.append(f'<rect x="{left}" y="{low - 8}" width="9" height="9" fill="{colour}"/>\n')
        parts.append(_label(left + 14, low, "start", name))
    return "".join(parts)


def _decades(values: Sequence[float]) -> list[float]:
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def _scale(values: Sequence[float], start: float, end: float):
    marks = _decades(values)
    low, high = math.log10(marks[0]), math.log10(marks[-1])
    return lambda value: start + (end - start) * (math.log10(value) - low) / (high - low)


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="#ddd"/>\n'


def _label(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>\n'
