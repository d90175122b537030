"""Hold, resume, a moved port: one SDP made out of another (RFC 3264 sections 8 and 6.1); pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orchestrator.lab import offers
from orchestrator.sip import grammar, sdp

WAYS = ("inactive", "sendonly", "recvonly", "zero", "zero-media")
"""How a hold is written: a direction, or the address 0.0.0.0 for the session or the media."""

_MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly"}


def held(body: bytes, way: str = "inactive") -> bytes:
    """The next version of our SDP, which holds the call in one of the ``WAYS``.

    Raises:
        ValueError: There is no such way.
    """
    if way not in WAYS:
        raise ValueError(f"a hold is written as one of {', '.join(WAYS)}, not {way}")
    if not way.startswith("zero"):
        return directed(body, way)
    parsed = sdp.parse(next_version(body))
    zero = sdp.Line("c", f"IN IP4 {offers.ZERO[0]}")
    if way == "zero":
        lines = tuple(zero if line.kind == "c" else line for line in parsed.lines)
        return replace(parsed, lines=lines).serialise()
    return _with_audio(parsed, lambda audio: replace(audio, lines=(zero, *_but_c(audio))))


def resumed(body: bytes, address: str) -> bytes:
    """The next version of our SDP with audio both ways, heard at *address* again."""
    own = sdp.Line("c", f"IN IP4 {address}")
    parsed = sdp.parse(next_version(body))
    lines = tuple(own if line.kind == "c" else line for line in parsed.lines)
    whole = replace(parsed, lines=lines)
    return _with_audio(
        whole, lambda audio: sdp.with_direction(replace(audio, lines=_but_c(audio)), "sendrecv")
    )


def directed(body: bytes, direction: str) -> bytes:
    """The next version of our SDP with this direction."""
    parsed = sdp.parse(next_version(body))
    return _with_audio(parsed, lambda audio: sdp.with_direction(audio, direction))


def moved(body: bytes, here: offers.Place) -> bytes:
    """The next version of our SDP with the audio heard elsewhere."""
    parsed = sdp.parse(resumed(body, here.address))
    return _with_audio(
        parsed,
        lambda audio: replace(
            audio,
            port=here.port,
            lines=tuple(
                sdp.attribute("rtcp", here.port + 1) if line.value.startswith("rtcp:") else line
                for line in audio.lines
            ),
        ),
    )


def without_audio(body: bytes) -> bytes:
    """The next version of our SDP with its stream given up: port 0 (RFC 3264 section 8.2)."""
    return _with_audio(sdp.parse(next_version(body)), lambda audio: replace(audio, port=0))


def with_codecs(body: bytes, codecs: offers.Codecs) -> bytes:
    """The next version of our SDP with another list of payloads."""
    parsed = sdp.parse(next_version(body))
    maps = tuple(sdp.attribute("rtpmap", f"{number} {name}") for number, name in codecs)
    return _with_audio(
        parsed,
        lambda audio: replace(
            audio,
            formats=tuple(number for number, _ in codecs),
            lines=(*_but(audio, "rtpmap:", "fmtp:"), *maps),
        ),
    )


def next_version(body: bytes) -> bytes:
    """The same SDP with the version of its ``o=`` line counted on (RFC 3264 section 8)."""
    parsed = sdp.parse(body)
    user, session, version, *rest = parsed.origin.split()
    origin = sdp.Line("o", " ".join((user, session, str(int(version) + 1), *rest)))
    lines = tuple(origin if line.kind == "o" else line for line in parsed.lines)
    return replace(parsed, lines=lines).serialise()


def continued(fresh: bytes, standing: bytes) -> bytes:
    """A fresh answer as the next version of the SDP we stand by: its session, its key.

    An identical answer stays as it is, version included.
    """
    new, old = sdp.parse(fresh), sdp.parse(next_version(standing))
    origin = sdp.Line("o", old.origin)
    lines = tuple(origin if line.kind == "o" else line for line in new.lines)
    keys = old.audio.crypto if old.audio else ()

    def keep_key(audio: sdp.Media) -> sdp.Media:
        return replace(audio, lines=tuple(_kept(line, keys) for line in audio.lines))

    whole = _with_audio(replace(new, lines=lines), keep_key)
    same = sdp.parse(whole).media == sdp.parse(standing).media
    return standing if same else whole


def direction_of(body: bytes) -> str:
    """What an SDP says of the direction; ``zero`` for a hold by address."""
    parsed = sdp.parse(body)
    audio = parsed.audio
    if audio is None:
        raise grammar.SipError("an SDP without an audio stream")
    if parsed.address_of(audio) in offers.ZERO:
        return "zero"
    return parsed.direction_of(audio)


def answer_to(direction: str) -> str:
    """The direction that answers an offered one, as widely as it allows (RFC 3264 section 6.1).

    The zero address means that they hear nothing, and may still send.
    """
    return _MIRROR.get(direction, "recvonly" if direction == "zero" else "inactive")


def teams_answer_to(direction: str) -> str:
    """Microsoft knows two directions: all that is not sendrecv is inactive (SIG-31, SIG-32).

    Raises:
        SipError: A hold by address, which it refuses by 488 (531052).
    """
    if direction == "zero":
        raise grammar.SipError("InvalidSdpConnectionAddress (531052)")
    return "sendrecv" if direction == "sendrecv" else "inactive"


def narrowed(answer: str, own: str) -> str:
    """The direction that is both: what they allow and what we want, who hold perhaps as well."""
    sends = all(each in {"sendrecv", "sendonly"} for each in (answer, own))
    hears = all(each in {"sendrecv", "recvonly"} for each in (answer, own))
    if sends and hears:
        return "sendrecv"
    return "sendonly" if sends else "recvonly" if hears else "inactive"


def _kept(line: sdp.Line, keys: tuple[sdp.Crypto, ...]) -> sdp.Line:
    if line.kind != "a" or not line.value.startswith("crypto:") or not keys:
        return line
    fresh = sdp.parse_crypto(line.value.partition(":")[2])
    standing = next((key for key in keys if key.tag == fresh.tag), keys[0])
    return sdp.attribute("crypto", replace(fresh, key=standing.key))


def _with_audio(parsed: sdp.Sdp, change: Callable[[sdp.Media], sdp.Media]) -> bytes:
    media = tuple(change(media) if media is parsed.audio else media for media in parsed.media)
    return replace(parsed, media=media).serialise()


def _but_c(audio: sdp.Media) -> tuple[sdp.Line, ...]:
    return tuple(line for line in audio.lines if line.kind != "c")


def _but(audio: sdp.Media, *starts: str) -> tuple[sdp.Line, ...]:
    return tuple(line for line in audio.lines if not line.value.startswith(starts))
