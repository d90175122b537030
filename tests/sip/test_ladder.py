"""Ladders: what a person sees of a call."""

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sip import ladder

INVITE = (
    "INVITE sip:+493055520@sbc.example.com;user=phone SIP/2.0\r\n"
    "From: <sip:+493055510@sip.pstnhub.microsoft.com>;tag=1\r\n"
    "Content-Type: application/sdp\r\n"
    "\r\n"
    "v=0\r\nm=audio 1 RTP/SAVP 104 8\r\na=rtpmap:104 SILK/16000\r\na=rtpmap:8 PCMA/8000\r\n"
)
CALL = (
    ladder.Trace(10.0, "Teams", "SBC", INVITE, "tls"),
    ladder.Trace(10.004, "SBC", "PBX", INVITE, "udp"),
    ladder.Trace(10.061, "PBX", "SBC", "SIP/2.0 488 Not <here>\r\n\r\n", "udp"),
)
PICTURE = """\
                     Teams                SBC                 PBX
  0.000                 |---- INVITE ------>|                   |\
   +493055510 -> +493055520  RTP/SAVP SILK,PCMA  tls
  0.004                 |                   |---- INVITE ------>|\
   +493055510 -> +493055520  RTP/SAVP SILK,PCMA  udp
  0.061                 |                   |<--- 488 ----------|   ! Not <here>  udp"""


def test_the_terminal_ladder_is_drawn():
    assert ladder.draw_text(CALL, ("Teams", "SBC")) == PICTURE


def test_the_svg_holds_each_raw_message_escaped():
    root = ET.fromstring(ladder.draw_svg(CALL))
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == [trace.text.replace("\r", "") for trace in CALL]


def test_nothing_happened_is_an_empty_ladder():
    assert ladder.draw_text(()) == ""
    assert ET.fromstring(ladder.draw_svg(())).tag.endswith("svg")


@given(st.text(max_size=50), st.sampled_from(["a", "b", "<&"]), st.text(max_size=4))
def test_any_text_can_be_drawn(text, source, destination):
    traces = (ladder.Trace(0.0, source, destination, text),)
    assert ladder.draw_text(traces)
    ET.fromstring(ladder.draw_svg(traces))
