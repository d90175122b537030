"""The SDP that Microsoft, a PBX and a phone send, and what two of them agree on; pure.

Microsoft's list of codecs and attributes is the one of MED-17; only G.711 A-law is really spoken
in the lab, so that packets can be compared byte by byte.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from orchestrator.sip import grammar, sdp

SUITE = "AES_CM_128_HMAC_SHA1_80"
PCMA = "8"

_TEAMS_CODECS = (
    ("104", "SILK/16000"), ("103", "SILK/8000"), ("9", "G722/8000"), ("18", "G729/8000"),
    ("0", "PCMU/8000"), (PCMA, "PCMA/8000"), ("97", "RED/8000"),
    ("101", "telephone-event/8000"), ("13", "CN/8000"), ("118", "CN/16000"),
)  # fmt: skip
_PLAIN_CODECS = ((PCMA, "PCMA/8000"), ("101", "telephone-event/8000"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where audio is heard: address and port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an offer and its answer settle, seen from one side.

    Attributes:
        remote: Where to send audio to.
        payload_type: What stands for PCMA.
        key_out: 30 bytes of our crypto line, or None for plain RTP.
        key_in: 30 bytes of theirs, or None.
    """

    remote: Place
    payload_type: int
    key_out: bytes | None
    key_in: bytes | None


def teams_offer(here: Place, *, session: int, keys: tuple[bytes, bytes]) -> bytes:
    """Microsoft's offer: two 80-bit crypto lines, the second with an MKI (MED-1).

    Args:
        here: Where Microsoft's media processor listens.
        session: The session number of ``o=``.
        keys: Two keys of 30 bytes.
    """
    first, second = (base64.b64encode(key).decode() for key in keys)
    lines = (
        sdp.attribute("x-ssrc-range", "1052010-1052010"),
        sdp.attribute("rtcp-fb", "* x-message app send:dsh recv:dsh"),
        sdp.attribute("rtcp", here.port + 1),
        sdp.attribute("crypto", sdp.Crypto(1, SUITE, first, "2^31")),
        sdp.attribute("crypto", sdp.Crypto(2, SUITE, second, "2^31", "1:1")),
        sdp.attribute("label", "main-audio"),
        sdp.attribute("mid", "1"),
        *_rtpmaps(_TEAMS_CODECS),
        sdp.attribute("fmtp", "101 0-16"),
        sdp.attribute("candidate", f"1 1 UDP 2130706431 {here.address} {here.port} typ host"),
        sdp.attribute("rtcp-mux"),
        sdp.attribute("ptime", 20),
        sdp.attribute("sendrecv"),
    )
    return _description(here, session, "RTP/SAVP", _numbers(_TEAMS_CODECS), lines)


def teams_answer(offer: bytes, here: Place, *, session: int, key: bytes) -> bytes:
    """Microsoft's answer: PCMA, one crypto line with the tag of the first 80-bit line offered.

    Raises:
        SipError: The offer has no such line or no PCMA; Microsoft answers 488 (531000).
    """
    audio = _audio(offer)
    line = next((line for line in audio.crypto if line.suite == SUITE), None)
    if line is None or audio.protocol != "RTP/SAVP":
        raise grammar.SipError("SrtpEncryptionRequired")
    answer = sdp.Crypto(line.tag, SUITE, base64.b64encode(key).decode(), "2^31")
    number = str(_payload_type(audio))
    codecs = ((number, "PCMA/8000"), *_events_of(audio))
    mux = (sdp.attribute("rtcp-mux"),) if audio.rtcp_mux else ()
    lines = (
        sdp.attribute("rtcp", here.port if mux else here.port + 1),
        *mux,
        sdp.attribute("x-ssrc-range", "2062010-2062010"),
        sdp.attribute("crypto", answer),
        *_rtpmaps(codecs),
        sdp.attribute("ptime", 20),
        sdp.attribute("sendrecv"),
    )
    return _description(here, session, "RTP/SAVP", _numbers(codecs), lines)


def plain_offer(here: Place, *, session: int) -> bytes:
    """The offer of a PBX or a phone: PCMA over plain RTP."""
    lines = (*_rtpmaps(_PLAIN_CODECS), sdp.attribute("ptime", 20), sdp.attribute("sendrecv"))
    return _description(here, session, "RTP/AVP", _numbers(_PLAIN_CODECS), lines)


def plain_answer(offer: bytes, here: Place, *, session: int) -> bytes:
    """The answer of a PBX or a phone; SipError when the offer has no PCMA over plain RTP."""
    audio = _audio(offer)
    if audio.protocol != "RTP/AVP":
        raise grammar.SipError(f"this endpoint speaks plain RTP, not {audio.protocol}")
    codecs = ((str(_payload_type(audio)), "PCMA/8000"), *_events_of(audio))
    lines = (*_rtpmaps(codecs), sdp.attribute("ptime", 20), sdp.attribute("sendrecv"))
    return _description(here, session, "RTP/AVP", _numbers(codecs), lines)


def agree(local: bytes, remote: bytes) -> Agreement:
    """What our SDP and theirs settle; it does not matter which one was the offer.

    Raises:
        SipError: No common codec, or crypto lines without a common tag.
    """
    ours, theirs = _audio(local), _audio(remote)
    description = sdp.parse(remote)
    key_out = key_in = None
    if ours.crypto or theirs.crypto:
        pairs = [(a, b) for a in ours.crypto for b in theirs.crypto if a.tag == b.tag]
        if not pairs:
            raise grammar.SipError("no crypto line in common")
        key_out, key_in = (base64.b64decode(line.key) for line in pairs[0])
    place = Place(description.address_of(theirs), theirs.port)
    return Agreement(place, _payload_type(theirs), key_out, key_in)


def _audio(raw: bytes) -> sdp.Media:
    audio = sdp.parse(raw).audio
    if audio is None or audio.port == 0:
        raise grammar.SipError("an SDP without an audio stream")
    return audio


def _payload_type(audio: sdp.Media) -> int:
    for codec in audio.codecs:
        if codec.name.upper() == "PCMA" or (codec.number == PCMA and not codec.name):
            return int(codec.number)
    raise grammar.SipError("no codec in common: PCMA is not there")


def _events_of(audio: sdp.Media) -> tuple[tuple[str, str], ...]:
    found = (codec for codec in audio.codecs if codec.name.lower() == "telephone-event")
    return tuple((codec.number, f"telephone-event/{codec.rate}") for codec in found)[:1]


def _rtpmaps(codecs: tuple[tuple[str, str], ...]) -> tuple[sdp.Line, ...]:
    return tuple(sdp.attribute("rtpmap", f"{number} {name}") for number, name in codecs)


def _numbers(codecs: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(number for number, _ in codecs)


def _description(
    here: Place, session: int, protocol: str, formats: tuple[str, ...], lines: tuple[sdp.Line, ...]
) -> bytes:
    head = (
        sdp.Line("v", "0"),
        sdp.Line("o", f"- {session} 0 IN IP4 {here.address}"),
        sdp.Line("s", "session"),
        sdp.Line("c", f"IN IP4 {here.address}"),
        sdp.Line("t", "0 0"),
    )
    media = sdp.Media(lines, "audio", here.port, protocol, formats)
    return sdp.Sdp(head, (media,)).serialise()
