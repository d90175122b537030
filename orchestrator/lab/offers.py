"""The SDP that Microsoft, a PBX and a phone send, and what two of them agree on; pure.

Microsoft's lists of codecs and attributes are the ones of MED-17. What is spoken in the lab is
opaque, so that packets can be compared byte by byte; G.711 A-law where nothing else is asked for.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from orchestrator.lab import packets
from orchestrator.sip import grammar, sdp

SUITE = "AES_CM_128_HMAC_SHA1_80"
PCMA = "8"

Codecs = tuple[tuple[str, str], ...]
"""Payload numbers and what they stand for: ``("8", "PCMA/8000")``, in order of preference."""

TEAMS_CODECS: Codecs = (
    ("104", "SILK/16000"), ("103", "SILK/8000"), ("9", "G722/8000"), ("18", "G729/8000"),
    ("0", "PCMU/8000"), (PCMA, "PCMA/8000"), ("97", "RED/8000"),
    ("101", "telephone-event/8000"), ("13", "CN/8000"), ("118", "CN/16000"),
)  # fmt: skip
"""What Microsoft offers today (MED-17)."""
OLD_TEAMS_CODECS: Codecs = (
    ("111", "SIREN/16000"), ("103", "SILK/8000"), ("104", "SILK/16000"), ("9", "G722/8000"),
    ("112", "G7221/16000"), ("18", "G729/8000"), ("0", "PCMU/8000"), (PCMA, "PCMA/8000"),
    ("106", "RED/8000"), ("97", "RED/8000"), ("13", "CN/8000"), ("118", "CN/16000"),
    ("126", "telephone-event/8000"),
)  # fmt: skip
"""What older examples of Microsoft's show (MED-17)."""
PLAIN_CODECS: Codecs = ((PCMA, "PCMA/8000"), ("101", "telephone-event/8000"))
"""What a PBX, a carrier or a phone offers in the lab."""

ZERO = ("0.0.0.0", "::")  # noqa: S104 - the address of an old hold, never bound
_USUAL = (sdp.attribute("ptime", 20), sdp.attribute("sendrecv"))
_STATIC = {"0": "PCMU", "8": "PCMA", "9": "G722", "13": "CN", "18": "G729"}


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
        rtcp: Where to send RTCP to.
        voice: Which payloads are sent and may come.
        key_out: 30 bytes of our crypto line, or None for plain RTP.
        key_in: 30 bytes of theirs, or None.
        sends: Whether we send audio: nobody holds it up (RFC 3264 section 8.4).
        hears: Whether audio comes.
    """

    remote: Place
    rtcp: Place
    voice: packets.Voice
    key_out: bytes | None
    key_in: bytes | None
    sends: bool
    hears: bool


def teams_offer(
    here: Place,
    *,
    session: int,
    keys: tuple[bytes, bytes],
    codecs: Codecs = TEAMS_CODECS,
    mux: bool = True,
) -> bytes:
    """Microsoft's offer: two 80-bit crypto lines, the second with an MKI (MED-1).

    Args:
        here: Where Microsoft's media processor listens.
        session: The session number of ``o=``.
        keys: Two keys of 30 bytes.
        codecs: The payloads, in order.
        mux: Whether RTCP may share the port.
    """
    events = next((number for number, name in codecs if name.startswith("telephone-event")), "")
    first, second = (base64.b64encode(key).decode() for key in keys)
    lines = (
        sdp.attribute("x-ssrc-range", "1052010-1052010"),
        sdp.attribute("rtcp-fb", "* x-message app send:dsh recv:dsh"),
        sdp.attribute("rtcp", here.port + 1),
        sdp.attribute("crypto", sdp.Crypto(1, SUITE, first, "2^31")),
        sdp.attribute("crypto", sdp.Crypto(2, SUITE, second, "2^31", "1:1")),
        sdp.attribute("label", "main-audio"),
        sdp.attribute("mid", "1"),
        *_rtpmaps(codecs),
        *((sdp.attribute("fmtp", f"{events} 0-16"),) if events else ()),
        sdp.attribute("candidate", f"1 1 UDP 2130706431 {here.address} {here.port} typ host"),
        *((sdp.attribute("rtcp-mux"),) if mux else ()),
        sdp.attribute("ptime", 20),
        sdp.attribute("sendrecv"),
    )
    return _description(here, session, "RTP/SAVP", _numbers(codecs), lines)


def teams_answer(
    offer: bytes, here: Place, *, session: int, key: bytes, speaks: tuple[str, ...] = ("PCMA",)
) -> bytes:
    """Microsoft's answer: one codec, one crypto line with the tag of the first 80-bit one offered.

    Args:
        offer: What is answered.
        here: Where Microsoft's media processor listens.
        session: The session number of ``o=``.
        key: 30 bytes.
        speaks: Names of codecs; the first one that was offered is taken.

    Raises:
        SipError: The offer has no such line or codec; Microsoft answers 488 (531000).
    """
    audio = _audio(offer)
    line = next((line for line in audio.crypto if line.suite == SUITE), None)
    if line is None or audio.protocol != "RTP/SAVP":
        raise grammar.SipError("SrtpEncryptionRequired")
    answer = sdp.Crypto(line.tag, SUITE, base64.b64encode(key).decode(), "2^31")
    codecs = _chosen(audio, speaks)
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


def plain_offer(here: Place, *, session: int, codecs: Codecs = PLAIN_CODECS) -> bytes:
    """The offer of a PBX or a phone over plain RTP."""
    lines = (*_rtpmaps(codecs), *_USUAL)
    return _description(here, session, "RTP/AVP", _numbers(codecs), lines)


def plain_answer(
    offer: bytes, here: Place, *, session: int, speaks: tuple[str, ...] = ("PCMA",)
) -> bytes:
    """The answer of a PBX or a phone over plain RTP: the first of its codecs that was offered.

    Raises:
        SipError: The offer has no such codec, or another protocol.
    """
    audio = _audio(offer)
    if audio.protocol != "RTP/AVP":
        raise grammar.SipError(f"this endpoint speaks plain RTP, not {audio.protocol}")
    codecs = _chosen(audio, speaks)
    lines = (*_rtpmaps(codecs), *_USUAL)
    return _description(here, session, "RTP/AVP", _numbers(codecs), lines)


def agree(local: bytes, remote: bytes) -> Agreement:
    """What our SDP and theirs settle; it does not matter which one was the offer.

    Raises:
        SipError: No common codec, or crypto lines without a common tag.
    """
    ours, theirs = _audio(local), _audio(remote)
    here, there = sdp.parse(local), sdp.parse(remote)
    key_out = key_in = None
    if ours.crypto or theirs.crypto:
        pairs = [(a, b) for a in ours.crypto for b in theirs.crypto if a.tag == b.tag]
        if not pairs:
            raise grammar.SipError("no crypto line in common")
        key_out, key_in = (base64.b64decode(line.key) for line in pairs[0])
    place = Place(there.address_of(theirs), theirs.port)
    reached = place.address not in ZERO
    return Agreement(
        remote=place,
        rtcp=_rtcp_place(ours, theirs, place),
        voice=_voice(ours, theirs),
        key_out=key_out,
        key_in=key_in,
        sends=reached and _may_send(here.direction_of(ours), there.direction_of(theirs)),
        hears=here.address_of(ours) not in ZERO
        and _may_send(there.direction_of(theirs), here.direction_of(ours)),
    )


def _may_send(own: str, other: str) -> bool:
    return own in {"sendrecv", "sendonly"} and other in {"sendrecv", "recvonly"}


def _rtcp_place(ours: sdp.Media, theirs: sdp.Media, audio: Place) -> Place:
    if ours.rtcp_mux and theirs.rtcp_mux:
        return audio
    port, _, rest = theirs.rtcp.partition(" ")
    address = rest.split()[-1] if rest else audio.address
    return Place(address, int(port) if port.isdigit() else audio.port + 1)


def _voice(ours: sdp.Media, theirs: sdp.Media) -> packets.Voice:
    here, there = _named(ours), _named(theirs)
    # An answer has seldom more codecs than its offer, and its first one is what is spoken.
    order = here if len(here) < len(there) else there
    names = [name for name in order if name in here and name in there and name in packets.CODECS]
    if not names:
        raise grammar.SipError(f"no codec in common: {', '.join(there)}")
    return packets.Voice(
        sends=packets.numbered(packets.CODECS[names[0]], there[names[0]]),
        hears={
            number: packets.numbered(packets.CODECS[name], number)
            for name, number in here.items()
            if name in packets.CODECS
        },
        events_out=there.get("TELEPHONE-EVENT"),
        events_in=here.get("TELEPHONE-EVENT"),
        noise_out=there.get("CN"),
        noise_in=here.get("CN"),
    )


def _named(audio: sdp.Media) -> dict[str, int]:
    """The numbers by the names of what counts in 8000 a second, in order."""
    found: dict[str, int] = {}
    for codec in audio.codecs:
        name = codec.name.upper() or _STATIC.get(codec.number, "")
        if name and codec.rate in (0, 8000):
            found.setdefault(name, int(codec.number))
    return found


def _audio(raw: bytes) -> sdp.Media:
    audio = sdp.parse(raw).audio
    if audio is None or audio.port == 0:
        raise grammar.SipError("an SDP without an audio stream")
    return audio


def _chosen(audio: sdp.Media, speaks: tuple[str, ...]) -> Codecs:
    there = _named(audio)
    name = next((name for name in speaks if name in there), "")
    if not name:
        raise grammar.SipError(f"no codec in common: {' or '.join(speaks)} is not there")
    events = (codec for codec in audio.codecs if codec.name.lower() == "telephone-event")
    noise = (codec for codec in audio.codecs if codec.name.upper() == "CN" and codec.rate == 8000)
    return (
        (str(there[name]), f"{name}/8000"),
        *tuple((codec.number, f"telephone-event/{codec.rate}") for codec in events)[:1],
        *tuple((codec.number, "CN/8000") for codec in noise)[:1],
    )


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
