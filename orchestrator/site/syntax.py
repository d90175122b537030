"""What the YAML parser complains about, in the words of somebody who edits a site.

The parser names the token it did not expect; an operator needs to know which line to look at
and what is usually wrong there. The table holds libyaml's and PyYAML's own texts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """One complaint.

    Attributes:
        message: What is wrong.
        hint: What is usually the reason.
        at_beginning: The place to look at is where the construct begins, not where the parser
            gave up (a quote that is never closed is noticed at the end of the file).
    """

    message: str
    hint: str
    at_beginning: bool = False


_QUOTES = "put the text into quotes"
_LEVEL = "keys of one level begin in one column; text after a closing quote is not allowed"

# (words of the parser, what we say); the first that occurs in the complaint is taken.
_TABLE = (
    (
        "found unexpected end of stream",
        Words("this quote is never closed", "close it where the text ends", at_beginning=True),
    ),
    (
        "mapping values are not allowed",
        Words(
            "a colon is not expected here",
            "indent the line like the one above, or put the text into quotes",
        ),
    ),
    ("tab character", Words("a tab indents this line", "indent with spaces")),
    ("did not find expected key", Words("no key is found where one is expected", _LEVEL)),
    (
        "expected '-' indicator",
        Words("the list above does not go on here", "begin the line with - or indent it less"),
    ),
    (
        "expected ',' or ']'",
        Words("this list is not closed", "a comma or ] is missing", at_beginning=True),
    ),
    (
        "expected ',' or '}'",
        Words("this mapping is not closed", "a comma or } is missing", at_beginning=True),
    ),
    (
        "expected alphabetic or numeric character",
        Words("a name is expected after * or &", f"{_QUOTES} when it is no alias"),
    ),
    (
        "block sequence entries are not allowed",
        Words("a list cannot begin here", "begin it on a line of its own"),
    ),
    (
        "mapping keys are not allowed",
        Words("a question mark cannot begin here", _QUOTES),
    ),
    (
        "expected node content",
        Words("a value is expected here", f"{_QUOTES} when it is meant as text"),
    ),
    ("unknown escape character", Words("this escape is not known", "write \\\\ for a backslash")),
    # libyaml and PyYAML spell the word before "decimal" differently.
    ("decimal number", Words("this escape is not complete", "write \\\\ for a backslash")),
    (
        "invalid Unicode character",
        Words("this escape is no character", "write the character itself"),
    ),
    ("undefined tag handle", Words("YAML tags are not used in a site", _QUOTES)),
    ("scanning a tag", Words("YAML tags are not used in a site", _QUOTES)),
    (
        "expected <document start>",
        Words("the document has ended, and here is more", "a site is one YAML document"),
    ),
    ("incompatible YAML document", Words("only YAML 1.1 and 1.2 are read", "remove the line")),
    ("scanning a directive", Words("a line that begins with % is not used", "remove the line")),
    (
        "expected comment or line break",
        Words("nothing may follow | or > on its line", _QUOTES),
    ),
    (
        "could not find expected ':'",
        Words("a colon is missing after the key", "write KEY: VALUE", at_beginning=True),
    ),
)


def explain(problem: str, context: str, character: str) -> Words:
    """Say what the parser's *problem* within *context* means.

    Args:
        problem: The parser's complaint.
        context: What it was doing: ``while scanning a quoted scalar``.
        character: The character at the place it complains about, or an empty string.
    """
    complaint = f"{context} {problem}"
    if "cannot start any token" in complaint:
        if character == "\t":
            return Words("a tab indents this line", "indent with spaces")
        return Words(f"a value cannot begin with {character or 'this'}", _QUOTES)
    for text, words in _TABLE:
        if text in complaint:
            return words
    return Words(f"this is not YAML: {problem or context or 'the parser gave up'}", "")
