"""What one end of the audio can do beside plain speech: wrap, RTCP, tones, silence, codecs."""

import asyncio

import loopback
import pytest
from test_media import KEY_A, KEY_B

from orchestrator.lab import ear, media, offers, packets, srtp, tones

HERE = "127.0.0.1"


def two(play, *, secured=False, first=None, voice=None, shared=True):
    """Both ends of a call; *play* lets them do something."""

    async def call():
        a, b = media.open_stream(loopback.sockets, HERE), media.open_stream(loopback.sockets, HERE)
        keys = (KEY_A, KEY_B) if secured else (None, None)
        if first is not None:
            a.begin_at(first)
            b.begin_at(first)
        step = 0 if shared else 1
        for one, other, pair in ((a, b, keys), (b, a, keys[::-1])):
            host, port = other.address
            one.start(other.address, voice, *pair, rtcp=(host, port + step))
        await play(a, b)
        a.pause()
        b.pause()
        await asyncio.sleep(media.INTERVAL)
        return a.close(), b.close()

    return asyncio.run(call())


async def a_while(_, b):
    await b.heard(60)


@pytest.mark.parametrize("secured", [False, True])
def test_sequence_numbers_wrap_both_ways(secured):
    """SRTP counts its rollover on both sides (MED-8), and a refresh with the same key keeps it."""

    async def play(a, b):
        assert await b.heard(40)
        for one, other, keys in ((a, b, (KEY_A, KEY_B)), (b, a, (KEY_B, KEY_A))):
            one.start(other.address, None, *(keys if secured else (None, None)))
        assert await b.heard(60)

    for report in two(play, secured=secured, first=65510):
        assert report.received > 50
        assert (report.lost, report.altered, report.forged, report.early) == (0, 0, 0, 0)


def test_a_new_key_begins_with_rollover_zero():
    async def play(a, b):
        assert await b.heard(40)
        a.start(b.address, None, KEY_B, KEY_B)
        b.start(a.address, None, KEY_B, KEY_B)
        assert await b.heard(60)

    _, report = two(play, secured=True, first=65510)
    fresh = srtp.Context(KEY_B)
    assert report.forged <= 1
    assert fresh.unprotect(srtp.Context(KEY_B).protect(packets.packet_of(5, 0)))


@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_rtcp_is_sent_and_counted(secured, shared):
    a, b = two(a_while, secured=secured, shared=shared)
    assert a.rtcp_sent >= 1
    assert (a.rtcp, b.rtcp) == (b.rtcp_sent, a.rtcp_sent)
    assert (a.altered, a.forged) == (0, 0)


def test_rtcp_goes_on_while_the_call_is_held():
    async def play(a, b):
        a.direct(send=False, hear=False)
        b.direct(send=False, hear=False)
        await asyncio.sleep(1.2)

    a, b = two(play)
    assert a.rtcp >= 1
    assert b.held_ms > 1000
    assert (a.sent, a.max_gap_ms) == (1, 0.0)


@pytest.mark.parametrize("secured", [False, True])
def test_all_sixteen_digits_arrive(secured):
    async def play(a, b):
        a.press(tones.DIGITS, seconds=0.06, pause=0.02)
        await b.heard(16 * 8, within=5)
        assert not a.pressing

    a, b = two(play, secured=secured)
    assert (b.digits, b.tone_faults) == (tones.DIGITS, ())
    assert (b.altered, b.lost, a.digits) == (0, 0, "")


def test_a_long_tone_says_how_long_it_was():
    async def play(a, b):
        a.press("5", seconds=0.7)
        await asyncio.sleep(0.9)
        assert b.ear.tones.longest_ms == 700

    _, b = two(play)
    assert b.digits == "5"


def event(number, bits, duration):
    return bytes([number, bits]) + duration.to_bytes(2, "big")


@pytest.mark.parametrize(
    ("heard", "fault"),
    [
        ([(event(5, 10, 160), 0, True), (event(6, 10, 160), 800, True)], "no end"),
        ([(event(5, 10, 160), 0, True), (event(6, 10, 320), 0, False)], "became 6"),
        ([(event(5, 10, 160), 0, True), (event(5, 10, 320), 0, True)], "marker"),
        ([(event(5, 138, 160), 0, True), (event(5, 138, 320), 0, False)], "after its end"),
        ([(event(16, 10, 160), 0, True)], "event 16"),
        ([(event(5, 74, 160), 0, True)], "bits 0x4a"),
        ([(b"\x05\x0a", 0, True)], "2 bytes"),
    ],
)
def test_a_broken_tone_is_named(heard, fault):
    listener = tones.Listener()
    for body, timestamp, mark in heard:
        listener.hear(body, timestamp, mark=mark)
    assert fault in " ".join(listener.faults)


def test_a_tone_whose_first_two_packets_changed_places_is_whole():
    """RTPEngine reads one socket with several threads."""
    listener = tones.Listener()
    for duration in (320, 160, 480):
        listener.hear(event(5, 10, duration), 0, mark=duration == 160)
    listener.hear(event(5, 138, 640), 0, mark=False)
    assert (listener.digits, listener.faults) == (["5"], [])


@pytest.mark.parametrize(("digit", "seconds"), [("x", 0.1), ("1", 9.0), ("1", 0.0)])
def test_a_tone_that_is_none_is_refused(digit, seconds):
    with pytest.raises(ValueError):
        tuple(tones.bodies(digit, seconds=seconds))


def test_silence_that_is_announced_is_no_gap():
    async def play(a, b):
        await b.heard(5)
        a.hush()
        await asyncio.sleep(0.5)
        a.speak()
        await b.heard_more(10)

    _, b = two(play)
    assert b.noise >= 2
    assert b.max_gap_ms < 400
    assert (b.altered, b.lost) == (0, 0)


@pytest.mark.parametrize("codec", packets.CODECS.values(), ids=packets.CODECS)
def test_each_codec_is_opaque_and_whole(codec):
    other = packets.numbered(codec, 98)
    a, b = two(a_while, voice=packets.Voice(other, {98: other}))
    for report in (a, b):
        assert report.received > 50
        assert not report.altered


def test_music_of_the_sbc_is_told_from_an_intruder():
    for allowed, field in ((True, "music"), (False, "altered")):
        heard = ear.Ear(music=allowed)
        heard.hear(packets.packet_of(5, 0), 0.0)
        heard.hear(packets.framed(6, 0, 0, 8, bytes(160)), 0.02)
        assert getattr(heard.report(sent=0, began=0.0, now=1.0), field) == 1


def test_who_speaks_changes_and_the_last_words_of_before_are_no_intruder():
    heard = ear.Ear()
    for number in range(3):
        heard.hear(packets.packet_of(5, number), number * 0.02)
    heard.turn_to_another()
    heard.hear(packets.packet_of(5, 3), 0.06)
    heard.hear(packets.packet_of(6, 0), 0.08)
    heard.hear(packets.packet_of(5, 4), 0.10)
    heard.hear(packets.packet_of(7, 0), 0.12)
    report = heard.report(sent=0, began=0.0, now=1.0)
    assert (report.received, report.altered, report.lost) == (4, 1, 0)


def test_audio_in_a_hold_is_unexpected():
    heard = ear.Ear()
    heard.expect(audio=False, now=0.0)
    heard.hear(packets.packet_of(5, 0), 0.1)
    heard.hear(packets.packet_of(5, 1), 0.5)
    assert heard.report(sent=0, began=0.0, now=1.0).unexpected == 1


@pytest.mark.parametrize("codecs", [offers.TEAMS_CODECS, offers.OLD_TEAMS_CODECS])
@pytest.mark.parametrize("speaks", ["PCMA", "PCMU", "G722", "G729"])
def test_both_sides_agree_on_numbers(codecs, speaks):
    here, there = offers.Place(HERE, 4000), offers.Place(HERE, 5000)
    offer = offers.teams_offer(here, session=1, keys=(KEY_A, KEY_B), codecs=codecs)
    answer = offers.teams_answer(offer, there, session=2, key=KEY_B, speaks=(speaks,))
    ours, theirs = offers.agree(offer, answer), offers.agree(answer, offer)
    assert ours.voice.sends == theirs.voice.sends == packets.CODECS[speaks]
    assert ours.voice.events_out == theirs.voice.events_in
    assert (ours.key_out, ours.key_in) == (theirs.key_in, theirs.key_out)
    assert ours.rtcp == ours.remote == there


def test_without_mux_rtcp_has_its_own_port():
    here, there = offers.Place(HERE, 4000), offers.Place(HERE, 5000)
    offer = offers.teams_offer(here, session=1, keys=(KEY_A, KEY_B), mux=False)
    answer = offers.teams_answer(offer, there, session=2, key=KEY_B)
    assert offers.agree(offer, answer).rtcp.port == 5001
    assert offers.agree(answer, offer).rtcp.port == 4001
