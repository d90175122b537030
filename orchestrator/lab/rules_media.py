"""Rules of the SDP the SBC sends to Microsoft; pure (facts/teams.md 6)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from orchestrator.lab import bodies, evidence
from orchestrator.sip import build, grammar, message, sdp

SUITE = "AES_CM_128_HMAC_SHA1_80"
_KEY_BYTES = 30
_CODECS = {"SILK", "PCMA", "PCMU", "G722", "G729"}
_STATIC = {"0": "PCMU", "8": "PCMA", "9": "G722", "18": "G729"}
_DTLS = ("fingerprint", "setup", "tls-id")

Either = message.Request | message.Response


def sdp_of(parsed: Either) -> sdp.Sdp | None:
    """The SDP in a message, or None when it has none or one that cannot be read."""
    return _readable(bodies.sdp_of(parsed))


def audio_of(parsed: Either) -> sdp.Media | None:
    """The audio stream in a message, or None."""
    description = sdp_of(parsed)
    return description.audio if description else None


def malformed(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """SDP: the body can be read, crypto lines included, and holds an audio stream."""
    if parsed.content_type != build.SDP_TYPE or not parsed.body:
        return
    try:
        audio = sdp.parse(parsed.body).audio
        if audio is None:
            yield "an SDP without an audio stream", ""
        else:
            assert audio.crypto is not None
    except grammar.SipError as error:
        yield "an SDP that cannot be read (531000)", error.reason


def secure_profile(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-2: audio is RTP/SAVP."""
    audio = audio_of(parsed)
    if audio is not None and audio.protocol != "RTP/SAVP":
        yield "audio must be RTP/SAVP (488, SrtpEncryptionRequired)", f"m=audio {audio.protocol}"


def crypto_line(parsed: Either, context: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-1: exactly one line with the 80-bit suite, a key of 30 bytes, a tag that was offered."""
    lines = [line for line in _crypto_of(parsed) if line.suite == SUITE]
    if audio_of(parsed) is None:
        return
    if len(lines) != 1:
        yield f"{len(lines)} crypto lines with {SUITE}, one is needed", ""
    for line in lines:
        if _key_size(line.key) != _KEY_BYTES:
            yield "the SRTP key has not 30 bytes", f"a=crypto:{line}"
        offered = _offered_tags(context.offer)
        if offered and line.tag not in offered:
            yield "the answer's crypto tag was not offered", f"a=crypto:{line}"


def other_suites(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-3: no suite but the one, no NULL cipher, no DTLS beside it."""
    for line in _crypto_of(parsed):
        if line.suite != SUITE:
            yield "a suite that Microsoft does not take is offered", f"a=crypto:{line}"
    audio, description = audio_of(parsed), sdp_of(parsed)
    if audio is None or description is None:
        return
    for name in _DTLS:
        for value in (*audio.attributes(name), *description.attributes(name)):
            yield "DTLS is offered beside SDES", f"a={name}:{value}"[:120]


def key_lifetime(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-4: the key has its documented lifetime."""
    for line in _crypto_of(parsed):
        if line.suite == SUITE and line.lifetime != "2^31":
            yield "the crypto line has no lifetime 2^31", f"a=crypto:{line}"


def moved_port(parsed: Either, context: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-6: address and port towards Teams never move within a dialog."""
    now, before = sdp_of(parsed), _readable(context.earlier)
    if now is None or before is None or now.audio is None or before.audio is None:
        return
    here = f"{now.address_of(now.audio)}:{now.audio.port}"
    there = f"{before.address_of(before.audio)}:{before.audio.port}"
    if here != there:
        yield "the media address moved within the dialog", f"{there} -> {here}"


def changed_key(parsed: Either, context: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-7: the SRTP key stays within a dialog."""
    before = _readable(context.earlier)
    now, then = _crypto_of(parsed), before.audio.crypto if before and before.audio else ()
    if now and then and {line.key for line in now}.isdisjoint(line.key for line in then):
        yield "the SRTP key changed within the dialog", f"a=crypto:{now[0]}"


def one_way_direction(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-10: hold towards Teams is inactive, never sendonly or recvonly."""
    audio, description = audio_of(parsed), sdp_of(parsed)
    if audio is None or description is None:
        return
    direction = description.direction_of(audio)
    if direction in {"sendonly", "recvonly"}:
        yield "Teams does not understand this direction", f"a={direction}"


def zero_address(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """SIG-32: hold is not made by the address 0.0.0.0 (531052)."""
    description = sdp_of(parsed)
    if description is None or description.audio is None:
        return
    if description.address_of(description.audio) in {"0.0.0.0", "::"}:  # noqa: S104
        yield "hold by a zero address", "c=IN IP4 0.0.0.0"


def rtcp(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-12: the SDP says where RTCP goes."""
    audio = audio_of(parsed)
    if audio is not None and audio.port and not (audio.rtcp_mux or audio.rtcp):
        yield "neither a=rtcp-mux nor a=rtcp", f"m=audio {audio.port}"


def codecs(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-15: at least one codec that Microsoft has."""
    audio = audio_of(parsed)
    if audio is None:
        return
    names = {_STATIC.get(codec.number, codec.name.upper()) for codec in audio.codecs}
    names |= {codec.name.upper() for codec in audio.codecs}
    if not names & _CODECS:
        yield "no codec that Microsoft has", f"m=audio ... {' '.join(audio.formats)}"


def repeated_number(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """MED-16: payload numbers are unique."""
    audio = audio_of(parsed)
    if audio is None:
        return
    mapped = [value.partition(" ")[0] for value in audio.attributes("rtpmap")]
    for numbers in (audio.formats, tuple(mapped)):
        repeated = {number for number in numbers if numbers.count(number) > 1}
        for number in sorted(repeated):
            yield "a payload number stands for two things (488)", f"payload {number}"


def _crypto_of(parsed: Either) -> tuple[sdp.Crypto, ...]:
    audio = audio_of(parsed)
    try:
        return audio.crypto if audio else ()
    except grammar.SipError:
        return ()


def _offered_tags(offer: bytes) -> set[int]:
    description = _readable(offer)
    if description is None or description.audio is None:
        return set()
    return {line.tag for line in description.audio.crypto if line.suite == SUITE}


def _key_size(key: str) -> int:
    try:
        return len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        return 0


def _readable(body: bytes) -> sdp.Sdp | None:
    try:
        return sdp.parse(body) if body else None
    except grammar.SipError:
        return None
