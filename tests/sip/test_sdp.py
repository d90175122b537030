"""Session descriptions: read, written, refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sip import grammar, sdp

OFFER = b"".join(
    line + b"\r\n"
    for line in (
        b"v=0", b"o=- 1 2 IN IP4 198.51.100.11", b"s=session", b"c=IN IP4 198.51.100.11", b"t=0 0",
        b"a=recvonly",
        b"m=audio 50002 RTP/SAVP 104 0 101",
        b"a=x-ssrc-range:1-1",
        b"a=rtcp:50003", b"a=rtcp-mux",
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY==|2^31",
        b"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:KEY2==|2^31|1:1",
        b"a=rtpmap:104 SILK/16000", b"a=fmtp:104 useinbandfec=1", b"a=rtpmap:0 PCMU/8000",
        b"a=candidate:1 1 UDP 1 198.51.100.11 50002 typ host", b"a=ptime:20", b"a=sendrecv",
        b"m=video 0 RTP/SAVP 122", b"c=IN IP4 198.51.100.12/127",
    )
)  # fmt: skip


def test_an_offer_is_read_part_by_part():
    parsed = sdp.parse(OFFER)
    audio = parsed.audio
    assert audio is not None
    assert (audio.port, audio.protocol, audio.formats) == (50002, "RTP/SAVP", ("104", "0", "101"))
    assert audio.crypto == (
        sdp.Crypto(1, "AES_CM_128_HMAC_SHA1_80", "KEY==", "2^31"),
        sdp.Crypto(2, "AES_CM_128_HMAC_SHA1_80", "KEY2==", "2^31", "1:1"),
    )
    assert audio.codecs == (
        sdp.Codec("104", "SILK", 16000, "useinbandfec=1"),
        sdp.Codec("0", "PCMU", 8000),
        sdp.Codec("101"),
    )
    assert (audio.rtcp, audio.rtcp_mux, audio.ptime) == ("50003", True, "20")
    assert audio.candidates == ("1 1 UDP 1 198.51.100.11 50002 typ host",)
    assert (parsed.direction_of(audio), parsed.direction_of(parsed.media[1])) == (
        "sendrecv",
        "recvonly",
    )
    assert parsed.address_of(audio) == "198.51.100.11"
    assert parsed.address_of(parsed.media[1]) == "198.51.100.12"
    assert parsed.origin == "- 1 2 IN IP4 198.51.100.11"


def test_it_comes_back_byte_for_byte():
    assert sdp.parse(OFFER).serialise() == OFFER


def test_a_crypto_line_is_written_as_it_was_read():
    text = "2 AES_CM_128_HMAC_SHA1_80 inline:KEY2==|2^31|1:1"
    assert str(sdp.parse_crypto(text)) == text


def test_a_direction_is_replaced():
    audio = sdp.parse(OFFER).audio
    assert audio is not None
    assert sdp.with_direction(audio, "inactive").direction == "inactive"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "an SDP that does not begin with v=0"),
        (b"v=1\n", "an SDP that does not begin with v=0"),
        (b"v=0\nhello\n", "an SDP line that is none: 'hello'"),
        (b"v=0\nm=audio x RTP/AVP 0\n", "a malformed m= line: 'audio x RTP/AVP 0'"),
        (b"v=0\nm=audio 70000 RTP/AVP 0\n", "a malformed m= line: 'audio 70000 RTP/AVP 0'"),
        (b"v=0\n" * 2001, "an SDP of 2001 lines"),
    ],
)
def test_what_is_no_sdp_says_why(raw, reason):
    with pytest.raises(grammar.SipError) as caught:
        sdp.parse(raw)
    assert caught.value.reason == reason


@pytest.mark.parametrize("text", ["", "1 AES", "x AES inline:k", "1 AES key:k"])
def test_what_is_no_crypto_line_is_refused(text):
    with pytest.raises(grammar.SipError):
        sdp.parse_crypto(text)


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b"v=0\n", b"m=audio 1 RTP/AVP 0\n", b"a=crypto:\n", b"a=rtpmap:0\n",
                         b"a=rtpmap:0 X/\xb2\n", b"c=IN\n", b"\r\n", b"a=", b"\xff\n"]),
        max_size=20,
    ).map(b"".join)
)  # fmt: skip
def test_any_bytes_are_an_sdp_or_the_one_error(raw):
    try:
        parsed = sdp.parse(raw)
    except grammar.SipError:
        return
    assert sdp.parse(parsed.serialise()).serialise() == parsed.serialise()
    for media in parsed.media:
        assert len(media.codecs) == len(media.formats)
        try:
            assert len(media.crypto) == len(media.attributes("crypto"))
        except grammar.SipError:
            continue
