"""What is different between two large texts that are alike: in proportion to what is different.

Pure. A million lines are compared in a few milliseconds, and nothing is made of those that are the
same. Lines stand once in a text, and those of both texts in one order; where they do not, more
lines are told than there need be, and the one text with these taken out and put in still has the
lines of the other.
"""

from __future__ import annotations

_PIECE = 1 << 16
"""Characters that are compared at once."""

_WINDOW = 16
"""Lines of either text in which one of both is looked for at first."""


def changed_lines(before: str, after: str, most: int) -> tuple[list[str], list[str]] | None:
    """The lines that went and those that came; None when that is more than *most* lines.

    Both texts end with the end of a line.
    """
    gone: list[str] = []
    came: list[str] = []
    ours = theirs = 0
    while True:
        same = _same(before, ours, after, theirs)
        # Back to the beginning of the line that is another one.
        same -= ours + same - (before.rfind("\n", 0, ours + same) + 1)
        ours, theirs = ours + same, theirs + same
        if ours >= len(before) and theirs >= len(after):
            return gone, came
        left = most - len(gone) - len(came)
        old, new = _until_alike(before, ours, after, theirs, left)
        if not 0 < len(old) + len(new) <= left:
            return None
        gone += old
        came += new
        ours += sum(len(line) + 1 for line in old)
        theirs += sum(len(line) + 1 for line in new)


def _same(before: str, ours: int, after: str, theirs: int) -> int:
    """How many characters are the same from these places on."""
    same, piece = 0, _PIECE
    while piece:
        end = same + piece
        if before[ours + same : ours + end] == after[theirs + same : theirs + end]:
            if ours + same >= len(before):
                break
            same = end
        else:
            piece //= 2
    return min(same, len(before) - ours, len(after) - theirs)


def _until_alike(
    before: str, ours: int, after: str, theirs: int, most: int
) -> tuple[list[str], list[str]]:
    """The lines of either text up to the next one of both; more than *most* when there is none."""
    window = _WINDOW
    while True:
        old, new = _lines(before, ours, window), _lines(after, theirs, window)
        places = {line: place for place, line in enumerate(new)}
        for place, line in enumerate(old):
            if line in places:
                return old[:place], new[: places[line]]
        whole = len(old) < window and len(new) < window
        if whole or window > most:
            return old, new
        window *= 4


def _lines(text: str, start: int, count: int) -> list[str]:
    """So many lines from a place on, or as many as there are."""
    end = start
    for _ in range(count):
        end = text.find("\n", end) + 1
        if not end:
            return text[start:].splitlines()
    return text[start:end].splitlines()
