"""A trunk that is translated: the flags of its rows in a real RTPEngine, audio decoded there."""

from __future__ import annotations

import math
import re
import select
import socket
import struct
import time

import daemons
import lanes
import pytest
import yaml

import rtpengine_ng as ng
from orchestrator.render import trunks
from orchestrator.site import model

pytestmark = pytest.mark.engine

TEXT = """
version: 1
site: test
node: {public_address: 203.0.113.10}
teams: {fqdn: sbc.example.com}
certificate: {acme: {email: ops@example.com}}
trunks:
  office: {kind: pbx, gateways: ["sip:192.0.2.20"], codecs: [CODEC], transcode: true}
"""
NAMES = {"0": "PCMU/8000", "8": "PCMA/8000", "96": "telephone-event/8000", "111": "opus/48000/2"}
PACKETS = 50
LEAST_LIKENESS = 0.98


def flags(codec: str, key: str) -> tuple[str, ...]:
    """What RTPEngine is told of codecs for a trunk that wants this one."""
    tree = yaml.load(TEXT.replace("CODEC", codec), Loader=yaml.BaseLoader)
    rows = {
        row.key: row.value
        for row in trunks.media_table(model.Site.model_validate(tree), (12, 5)).rows
    }
    return tuple(rows[key].split())


def sdp(port: int, *formats: str) -> str:
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {' '.join(formats)}"]
    lines += [f"a=rtpmap:{number} {NAMES[number]}" for number in formats]
    return "".join(f"{line}\r\n" for line in (*lines, "a=sendrecv"))


def formats_of(description: str) -> list[str]:
    found = re.search(r"^m=audio \d+ \S+ (.*?)\r?$", description, re.MULTILINE)
    assert found is not None, description
    return found[1].split()


def ulaw(sample: int) -> int:
    """One sample of G.711 µ-law."""
    sign, level = (0x80, -sample) if sample < 0 else (0, sample)
    level = min(level, 32_635) + 132
    exponent = level.bit_length() - 8
    return ~(sign | exponent << 4 | level >> (exponent + 3) & 0x0F) & 0xFF


def from_alaw(byte: int) -> int:
    """One sample out of G.711 A-law."""
    byte ^= 0x55
    level = (byte & 0x0F) << 4 | 8
    if exponent := byte >> 4 & 7:
        level = (level | 0x100) << (exponent - 1)
    return level if byte & 0x80 else -level


def tone(number: int) -> list[int]:
    """The samples of one packet of a tone."""
    begin = number * 160
    return [round(8000 * math.sin((begin + n) * 2 * math.pi * 440 / 8000)) for n in range(160)]


def spoken(one: socket.socket, other: socket.socket) -> list[bytes]:
    """Packets at *other* while *one* speaks a tone in µ-law."""
    heard: list[bytes] = []
    for number in range(PACKETS):
        head = struct.pack("!BBHII", 0x80, 0, number + 1, number * 160, 77)
        one.send(head + bytes(map(ulaw, tone(number))))
        time.sleep(0.02)
        while select.select([other], [], [], 0)[0]:
            heard.append(other.recv(2048))
    return heard


def likeness(samples: list[int], wanted: list[int]) -> float:
    """How alike two signals are: 1.0 is the same shape."""
    product = sum(a * b for a, b in zip(samples, wanted, strict=True))
    power = math.sqrt(sum(a * a for a in samples) * sum(b * b for b in wanted))
    return product / power if power else 0.0


@pytest.fixture(scope="module", params=lanes.names())
def daemon(request, tmp_path_factory):
    if why := lanes.missing(request.param):
        pytest.skip(why)
    started = daemons.start(request.param, tmp_path_factory.mktemp(request.param))
    yield started
    started.stop()


@pytest.fixture
def parties():
    made = (daemons.media_socket(), daemons.media_socket())
    yield made
    for party in made:
        party.close()


def test_ulaw_of_teams_is_alaw_at_the_trunk(daemon, parties):
    """Teams offers PCMU only, the trunk gets PCMA, and the tone is the same tone."""
    teams, trunk = parties
    names = {"call_id": "translated", "from_tag": "ft"}
    wanted = flags("PCMA", "office/codecs")
    offer = ng.Offer(**names, sdp=sdp(teams.getsockname()[1], "0", "96"), flags=wanted)
    offered = daemon.client.ask(offer)
    assert formats_of(offered.sdp) == ["8", "96"]
    answer = ng.Answer(**names, to_tag="tt", sdp=sdp(trunk.getsockname()[1], "8", "96"))
    answered = daemon.client.ask(answer)
    assert formats_of(answered.sdp) == ["0", "96"]
    teams.connect(("127.0.0.1", daemons.port_of(answered.sdp)))
    trunk.connect(("127.0.0.1", daemons.port_of(offered.sdp)))

    heard = spoken(teams, trunk)

    assert len(heard) >= PACKETS - 5
    assert {packet[1] & 0x7F for packet in heard} == {8}
    best = max(
        likeness([from_alaw(byte) for byte in heard[20][12:]], tone(number))
        for number in range(PACKETS)
    )
    assert best > LEAST_LIKENESS
    daemon.client.ask(ng.Delete(call_id="translated", delete_delay=0))


def test_numbers_stay_unique_and_opus_stays_away_from_teams(daemon, parties):
    """MED-16: opus comes beside DTMF at 96 and takes another number; Teams is offered G.711."""
    teams, trunk = parties
    wanted = flags("opus", "office/codecs")
    sent = sdp(teams.getsockname()[1], "0", "96")
    offered = daemon.client.ask(ng.Offer(call_id="opus", from_tag="ft", sdp=sent, flags=wanted))
    numbers = formats_of(offered.sdp)
    assert len(set(numbers)) == len(numbers)
    assert f"a=rtpmap:{numbers[0]} opus/48000/2" in offered.sdp
    daemon.client.ask(ng.Delete(call_id="opus", delete_delay=0))
    sent = sdp(trunk.getsockname()[1], "111", "96")
    wanted = flags("opus", "office/codecs-of")
    offered = daemon.client.ask(ng.Offer(call_id="back", from_tag="ft", sdp=sent, flags=wanted))
    assert formats_of(offered.sdp)[:2] == ["8", "0"]
    assert "opus" not in offered.sdp
    daemon.client.ask(ng.Delete(call_id="back", delete_delay=0))
