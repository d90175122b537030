"""The SDP of a PBX that encrypts its audio by keys in the SDP (RFC 4568): plain SDP with a key."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace

from orchestrator.lab import offers
from orchestrator.sip import grammar, sdp

_PROTOCOL = "RTP/SAVP"
_PLAIN = "RTP/AVP"


def encrypted(body: bytes, *, tag: int = 1) -> bytes:
    """A plain SDP as its sender would write it with encryption: SAVP and one fresh key.

    Args:
        body: An SDP with one plain audio stream.
        tag: The tag of the crypto line; in an answer that of the line that was chosen.
    """
    parsed = sdp.parse(body)
    key = base64.b64encode(secrets.token_bytes(30)).decode()
    line = sdp.attribute("crypto", sdp.Crypto(tag, offers.SUITE, key))
    streams = tuple(
        replace(known, protocol=_PROTOCOL, lines=(line, *known.lines)) for known in parsed.media
    )
    return replace(parsed, media=streams).serialise()


def answer(offer: bytes, here: offers.Place, *, session: int) -> bytes:
    """The answer to an encrypted offer: the first line of our suite, PCMA.

    Raises:
        SipError: The offer is not encrypted, has no line of our suite, or no PCMA.
    """
    parsed = sdp.parse(offer)
    audio = parsed.audio
    lines = audio.crypto if audio is not None and audio.protocol == _PROTOCOL else ()
    line = next((line for line in lines if line.suite == offers.SUITE), None)
    if line is None:
        raise grammar.SipError("this endpoint speaks SRTP with a key of 80-bit tags only")
    streams = tuple(replace(known, protocol=_PLAIN) for known in parsed.media)
    plain = replace(parsed, media=streams).serialise()
    return encrypted(offers.plain_answer(plain, here, session=session), tag=line.tag)
