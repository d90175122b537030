"""The report says what happened, and nothing that was on the wire can act in it."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab import evidence, media, report, run, story
from orchestrator.sip import ladder

HOSTILE = "</pre><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[2J\u202e&amp;"
INVITE = f"INVITE sip:{HOSTILE} SIP/2.0\r\nVia: {HOSTILE}\r\n\r\n{HOSTILE}"
ALLOWED = {
    "a", "body", "code", "details", "figure", "g", "h1", "h2", "head", "html", "li", "line",
    "meta", "p", "path", "pre", "section", "style", "summary", "svg", "table", "tbody", "td",
    "text", "th", "thead", "title", "tr", "ul",
}  # fmt: skip


def outcome(text: str = "fine", *, ok: bool = True, heard: int = 100) -> story.Outcome:
    audio = media.MediaReport(sent=101, received=heard, lost=100 - heard, max_gap_ms=21.5)
    return story.Outcome(
        name="teams-to-pbx",
        title=text,
        proves=("SIG-4", text),
        ok=ok,
        sentence=text,
        broken=() if ok else (evidence.Broken("SIG-12", text, text),),
        media=(story.Heard(text, audio), story.Heard(text, audio)),
        trace=(
            ladder.Trace(1.0, "Teams", "SBC", INVITE, "tls"),
            ladder.Trace(1.5, "SBC", text, text, "udp"),
        ),
        seconds=2.04,
    )


def result(*outcomes: story.Outcome) -> run.Result:
    return run.Result("Kamailio 6.0.1, RTPEngine 12.5", outcomes, 2.04)


class Tags(HTMLParser):
    """Collects every tag and attribute of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.references: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.references |= {str(value) for name, value in attrs if name in ("href", "src")}


def read(document: str) -> Tags:
    tags = Tags()
    tags.feed(document)
    tags.close()
    return tags


def test_nothing_from_the_wire_becomes_markup() -> None:
    tags = read(report.page(result(outcome(HOSTILE, ok=False)), when=HOSTILE))
    assert tags.tags <= ALLOWED
    assert not any(name.startswith("on") for name in tags.attributes)


@given(st.text(max_size=60))
def test_no_text_becomes_markup(text: str) -> None:
    document = report.page(result(outcome(text, ok=False)), when=text)
    tags = read(document)
    assert tags.tags <= ALLOWED
    assert not any(name.startswith("on") for name in tags.attributes)
    document.encode()
    assert not set(document) & set("\x00\x1b\x7f\x9b\u202e")


def test_the_page_asks_for_nothing_from_outside() -> None:
    document = report.page(result(outcome()), when="now")
    assert read(document).references == {"#teams-to-pbx"}
    assert "default-src 'none'" in document
    assert "url(" not in document
    assert "@import" not in document
    assert "prefers-color-scheme: dark" in document


def test_the_table_says_what_was_called_and_what_was_heard() -> None:
    assert report.table((outcome("Teams calls the PBX"),)).splitlines() == [
        "CALL                 AUDIO EACH WAY     LOST  ALTERED  TIME",
        "Teams calls the PBX  100 / 100 packets  0.0%  0        2.0 s  ok",
    ]


def test_a_failed_call_names_the_broken_rule() -> None:
    lines = report.table((outcome("oh", ok=False, heard=90),)).splitlines()
    assert lines[1].split() == [
        "oh",
        "90",
        "/",
        "90",
        "packets",
        "10.0%",
        "0",
        "2.0",
        "s",
        "FAILED",
    ]
    assert "    SIG-12: oh  [oh]" in lines


def test_a_call_without_audio_has_no_figures() -> None:
    silent = story.Outcome("busy", "busy", (), True, "fine", (), (), (), 0.01)
    assert report.table((silent,)).splitlines()[1].split() == [
        "busy",
        "-",
        "-",
        "-",
        "0.0",
        "s",
        "ok",
    ]


def test_each_call_has_its_ladder() -> None:
    text = report.ladders((outcome("first"), outcome("second")))
    assert text.count("---- INVITE") == 2
    assert text.startswith("first\n")


def test_the_json_holds_everything_and_is_json() -> None:
    value = json.loads(json.dumps(report.as_json(result(outcome(HOSTILE, ok=False)))))
    call = value["calls"][0]
    assert call["broken"][0]["id"] == "SIG-12"
    assert call["audio"][0]["received"] == 100
    assert call["trace"][0]["text"] == INVITE


def test_one_failure_makes_the_run_a_failure() -> None:
    assert report.sentence(result(outcome(), outcome())).startswith("all 2 stories")
    failed = result(outcome(), outcome(ok=False))
    assert not failed.ok
    assert report.sentence(failed).startswith("1 of 2 went as told")
    assert not result().ok
