"""The one table of ng keys: our name, the name on the wire, the form, the meaning and its unit.

RTPEngine spells keys in three ways (``call-id``, ``address family``, ``ICE``); only this table
knows them. It takes hyphen and space for the same (ng_control_protocol.md; engines.md section
6), so every key is written with hyphens and read in either spelling. Lower and upper case are
different keys to the daemon.

Unknown keys and unknown words inside lists are *ignored* by the daemon with ``result: ok``
(engines.md section 0, point 4): what matters has to be read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from rtpengine_ng import bencode, errors

Version: TypeAlias = tuple[int, int]
"""The first two numbers of a RTPEngine version: (10, 5), (12, 5), (26, 0)."""

Tree: TypeAlias = "int | str | tuple[Tree, ...] | Mapping[str, Tree]"
"""What a message carries, with text instead of bytes."""


class Kind(StrEnum):
    """The form of a key's value."""

    TEXT = "text"
    """str; UTF-8, other bytes survive as surrogate escapes (PEP 383)."""
    NUMBER = "number"
    """int, signed 64-bit."""
    WORDS = "words"
    """A tuple of str."""
    BLOB = "blob"
    """bytes, as they are."""
    TREE = "tree"
    """A mapping of str to numbers, text, tuples and mappings."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the protocol.

    Attributes:
        wire: The name in the message.
        kind: The form of the value.
        meaning: What it says, with the unit of numbers.
        since: The first generation of those we know (10.5, 12.5, 26.0) that reads it; older
            ones ignore it in silence.
    """

    wire: str
    kind: Kind
    meaning: str
    since: Version = (10, 5)


_T, _N, _W, _B, _D = Kind.TEXT, Kind.NUMBER, Kind.WORDS, Kind.BLOB, Kind.TREE

KEYS: Mapping[str, Key] = MappingProxyType(
    {
        # who is meant
        "call_id": Key("call-id", _T, "the SIP Call-ID"),
        "from_tag": Key("from-tag", _T, "the SIP From tag, or the tag of the party meant"),
        "to_tag": Key("to-tag", _T, "the SIP To tag, or the tag of the other party"),
        "via_branch": Key("via-branch", _T, "the SIP Via branch, to tell forks apart"),
        "to_call_id": Key("to-call-id", _T, "the call of to-tag, when another one", (26, 0)),
        "from_tags": Key("from-tags", _W, "the parties to subscribe to"),
        "source_tag": Key("source-tag", _T, "the party whose media is injected", (26, 0)),
        "address": Key("address", _T, "a party by its media address in the SDP"),
        "label": Key("label", _T, "names a party (offer, answer), picks one (elsewhere)"),
        "set_label": Key("set-label", _T, "names a party where label picks one"),
        "to_label": Key("to-label", _T, "picks the other party by its label"),
        "all": Key("all", _T, "none, all, offer-answer, except-offer-answer or flows", (12, 5)),
        "flags": Key("flags", _W, "switches such as trust-address, strict-source, fatal"),
        "supports": Key("supports", _W, "what we understand: load limit"),
        "template": Key("template", _T, "signalling template of the daemon's config", (26, 0)),
        "metadata": Key("metadata", _T, "free text for recordings: key:value|key:value"),
        # the session description
        "sdp": Key("sdp", _T, "a session description, lines ended by CR LF"),
        "replace": Key("replace", _W, "parts to rewrite: origin, session-connection, ..."),
        "address_family": Key("address-family", _T, "IP4 or IP6 in the rewritten description"),
        "direction": Key("direction", _W, "two interface names: sender's, receiver's side"),
        "from_interface": Key("from-interface", _T, "first word of direction", (12, 5)),
        "to_interface": Key("to-interface", _T, "second word of direction", (12, 5)),
        "interface": Key("interface", _T, "the one interface of publish and subscribe"),
        "received_from": Key("received-from", _W, "IP4 or IP6, then the SIP source address"),
        "media_address": Key("media-address", _T, "overrides every address in the description"),
        "transport_protocol": Key("transport-protocol", _T, "RTP/AVP, RTP/SAVP, ... or accept"),
        "sdp_attr": Key("sdp-attr", _D, "{audio: {add: (...), remove: (...)}}", (12, 5)),
        # protection and connectivity
        "ice": Key("ICE", _T, "remove, force, default, optional or force-relay"),
        "ice_lite": Key("ICE-lite", _T, "forward, backward, both or off; offers only"),
        "dtls": Key("DTLS", _T, "off, passive or active"),
        "dtls_reverse": Key("DTLS-reverse", _T, "passive or active, towards the sender"),
        "dtls_fingerprint": Key("DTLS-fingerprint", _T, "SHA-1, SHA-256, ... of the digest"),
        "sdes": Key("SDES", _W, "off, no-SUITE, only-SUITE (12.5), lifetime, pad, static"),
        "osrtp": Key("OSRTP", _W, "offer, accept and their -RFC and -legacy forms"),
        "rtcp_mux": Key("rtcp-mux", _W, "offer, require, demux, accept, reject"),
        "endpoint_learning": Key("endpoint-learning", _T, "off, immediate, delayed, heuristic"),
        "generate_rtcp": Key("generate-RTCP", _T, "on or off"),
        # media
        "codec": Key("codec", _D, "{strip: (...), mask: (...), offer: (...), transcode: (...)}"),
        "ptime": Key("ptime", _N, "packet time towards the receiver, milliseconds"),
        "ptime_reverse": Key("ptime-reverse", _N, "packet time towards the sender, milliseconds"),
        "t38": Key("T.38", _W, "decode, force, stop, no-ECM, ..."),
        "tos": Key("TOS", _N, "type of service of RTP packets, 0 to 255; 184 is EF"),
        "delay_buffer": Key("delay-buffer", _N, "milliseconds; 0 ends it"),
        "drop_traffic": Key("drop-traffic", _T, "start or stop"),
        "media_echo": Key("media-echo", _T, "blackhole, forward, backwards or both"),
        "audio_player": Key("audio-player", _T, "default, transcoding, off or always"),
        "moh": Key("moh", _D, "{file|blob|db-id: ..., mode: ..., connection: zero}", (26, 0)),
        "record_call": Key("record-call", _T, "yes, no, on or off"),
        "output_destination": Key("output-destination", _T, "file of the recording"),
        "xmlrpc_callback": Key("xmlrpc-callback", _T, "address told about a timeout"),
        # DTMF
        "dtmf_security": Key("DTMF-security", _T, "drop, silence, tone, random, zero, DTMF, off"),
        "dtmf_security_trigger": Key("DTMF-security-trigger", _T, "mode after trigger"),
        "dtmf_security_trigger_end": Key("DTMF-security-trigger-end", _T, "mode after its end"),
        "dtmf_delay": Key("DTMF-delay", _N, "milliseconds"),
        "dtmf_log_dest": Key("DTMF-log-dest", _T, "address:port of the DTMF log", (12, 5)),
        "trigger": Key("trigger", _T, "digits that switch a DTMF blocking mode on"),
        "trigger_end": Key("trigger-end", _T, "digits that switch it off"),
        "trigger_end_time": Key("trigger-end-time", _N, "milliseconds it lasts at most"),
        "trigger_end_digits": Key("trigger-end-digits", _N, "digits it lasts at most"),
        "frequency": Key("frequency", _W, "tone frequencies in hertz, as text"),
        "code": Key("code", _T, "one of 0-9 * # A-D"),
        "volume": Key("volume", _N, "decibels below full scale"),
        "duration": Key("duration", _N, "milliseconds, 100 to 5000; 250 when absent"),
        "pause": Key("pause", _N, "milliseconds between events, 100 to 5000"),
        # playing
        "file": Key("file", _T, "path of a media file on the daemon's machine"),
        "blob": Key("blob", _B, "a media file itself; must fit into the datagram"),
        "db_id": Key("db-id", _N, "row of a media file in the daemon's database"),
        "repeat_times": Key("repeat-times", _N, "how often to play; 1 when absent"),
        "repeat_duration": Key("repeat-duration", _N, "milliseconds to repeat for", (26, 0)),
        "start_pos": Key("start-pos", _N, "frame to start from", (12, 5)),
        # asking
        "delete_delay": Key("delete-delay", _N, "seconds until ports are freed; 0 is at once"),
        "limit": Key("limit", _N, "Call-IDs to list at most; 32 when absent"),
    }
)

_CHECKS: Mapping[Kind, Callable[[object], bool]] = MappingProxyType(
    {
        Kind.TEXT: lambda value: isinstance(value, str),
        Kind.NUMBER: lambda value: isinstance(value, int) and not isinstance(value, bool),
        Kind.WORDS: lambda value: (
            isinstance(value, tuple) and all(isinstance(word, str) for word in value)
        ),
        Kind.BLOB: lambda value: isinstance(value, bytes),
        Kind.TREE: lambda value: isinstance(value, Mapping),
    }
)


def write(key: Key, value: object) -> bencode.Encodable:
    """Turn the value of *key* into what bencode writes.

    Raises:
        LocalProtocolError: The value has not the key's form.
    """
    if not _CHECKS[key.kind](value):
        raise errors.LocalProtocolError(f"{key.wire} is {key.kind}, not {value!r:.80}")
    return _encodable(value, key.wire)


def read(key: Key, value: bencode.Value) -> object:
    """Turn what bencode read into the value of *key*; the reverse of `write`.

    Raises:
        RemoteProtocolError: The value has not the key's form.
    """
    read_value: object = value if key.kind is Kind.BLOB else text_tree(value)
    if not _CHECKS[key.kind](read_value):
        raise errors.RemoteProtocolError(f"{key.wire} is not {key.kind}: {value!r:.80}")
    return read_value


def text_tree(value: bencode.Value) -> Tree:
    """Turn every bytes of a value into text (UTF-8, other bytes as surrogate escapes)."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, int):
        return value
    if isinstance(value, tuple):
        return tuple(text_tree(element) for element in value)
    return {key.decode("utf-8", "surrogateescape"): text_tree(value[key]) for key in value}


def _encodable(value: object, wire: str) -> bencode.Encodable:
    if isinstance(value, (int, bytes)):
        return value
    if isinstance(value, str):
        return _bytes_of(value, wire)
    if isinstance(value, tuple):
        return tuple(_encodable(element, wire) for element in value)
    if isinstance(value, Mapping):
        return {_bytes_of(name, wire): _encodable(value[name], wire) for name in value}
    raise errors.LocalProtocolError(f"{wire} cannot carry {type(value).__name__}")


def _bytes_of(text: object, wire: str) -> bytes:
    if not isinstance(text, str):
        raise errors.LocalProtocolError(f"{wire} has a key of {type(text).__name__}")
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise errors.LocalProtocolError(f"{wire} has a character without UTF-8 form") from error
