"""SRTP and SRTCP with AES_CM_128_HMAC_SHA1_80, the suite Teams speaks (MED-3; RFC 3711, 4568).

Values only: bytes in, bytes out, no socket and no clock. One :class:`Context` serves one
direction; it keeps the rollover counter of each stream (SSRC) in it.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_LENGTH = 30
"""Bytes in the ``inline`` key of this suite: 16 of key, 14 of salt (RFC 4568 section 6.2)."""

_TAG = 10
_HEADER = 12
_RTCP_HEADER = 8
_ENCRYPTED = 0x80000000
_INDEX = 0x7FFFFFFF
_WINDOW = 64
_COUNTERS = (b"", *(number.to_bytes(2, "big") for number in range(4096)))


class SrtpError(ValueError):
    """A packet that is malformed, or that the key does not vouch for."""


class ReplayedError(SrtpError):
    """A genuine packet that was seen before, or is too old to know."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The keys of one direction for one protocol (RFC 3711 section 4.3.2)."""

    cipher: bytes
    salt: bytes
    authentication: bytes


@dataclass(slots=True)
class _Stream:
    """What is remembered of one SSRC: the highest packet index, and which before it were seen.

    ``highest`` is ROC * 65536 + sequence number, or -1 before the first packet.
    """

    highest: int = -1
    seen: int = 0

    def index_of(self, sequence: int) -> int:
        """Guess the packet index of *sequence* (RFC 3711 section 3.3.1 and appendix A)."""
        if self.highest < 0:
            return sequence
        roc, last = divmod(self.highest, 0x10000)
        if last < 0x8000 and sequence - last > 0x8000:
            roc -= 1
        elif last >= 0x8000 and last - sequence > 0x8000:
            roc += 1
        # A packet from before the first rollover of a stream that never had one is nonsense;
        # with index 0 its authentication fails.
        return max(roc, 0) * 0x10000 + sequence

    def is_new(self, index: int) -> bool:
        """Whether *index* was not seen yet and is not older than the window."""
        behind = self.highest - index
        return behind < 0 or (behind < _WINDOW and not self.seen >> behind & 1)

    def remember(self, index: int) -> None:
        """Note that the packet *index* was genuine."""
        ahead = index - self.highest
        if self.highest < 0:
            self.highest, self.seen = index, 1
        elif ahead > 0:
            self.seen = (self.seen << ahead | 1) & ((1 << _WINDOW) - 1)
            self.highest = index
        else:
            self.seen |= 1 << -ahead


class Context:
    """One direction of a call: protects what is sent, or unprotects what is received.

    Args:
        master: The 30 bytes behind ``inline:``, decoded.

    Raises:
        ValueError: The key has another length.
    """

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_LENGTH:
            raise ValueError(f"the key of this suite has {KEY_LENGTH} bytes, not {len(master)}")
        key, salt = master[:16], master[16:]
        self._rtp = derive(key, salt, first_label=0)
        # One cipher for all packets: to set up another for each would cost more than to use it.
        self._blocks = Cipher(algorithms.AES(self._rtp.cipher), modes.ECB()).encryptor()  # noqa: S305 - the block function of counter mode
        self._rtcp = derive(key, salt, first_label=3)
        self._streams: dict[int, _Stream] = {}
        self._rtcp_streams: dict[int, _Stream] = {}

    def protect(self, packet: bytes) -> bytes:
        """Encrypt and sign one RTP packet; packets of a stream come in the order of sending.

        Raises:
            SrtpError: This is no RTP packet.
        """
        begin = _payload_offset(packet)
        sequence, ssrc = struct.unpack_from("!2xH4xI", packet)
        stream = self._streams.setdefault(ssrc, _Stream())
        index = stream.index_of(sequence)
        stream.remember(index)
        body = packet[:begin] + self._mix(ssrc, index, packet[begin:])
        return body + self._tag(body, index)

    def unprotect(self, packet: bytes) -> bytes:
        """Check and decrypt one SRTP packet.

        Raises:
            ReplayedError: The packet is genuine and was seen before, or is older than 64 packets.
            SrtpError: It is malformed, or not signed with this key.
        """
        body, tag = packet[:-_TAG], packet[-_TAG:]
        begin = _payload_offset(body)
        sequence, ssrc = struct.unpack_from("!2xH4xI", body)
        stream = self._streams.get(ssrc, _Stream())
        index = stream.index_of(sequence)
        if not hmac.compare_digest(tag, self._tag(body, index)):
            raise SrtpError(f"packet {sequence} is not signed with our key")
        if not stream.is_new(index):
            raise ReplayedError(f"packet {sequence} came twice")
        stream.remember(index)
        self._streams[ssrc] = stream
        return body[:begin] + self._mix(ssrc, index, body[begin:])

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt and sign one compound RTCP packet (RFC 3711 section 3.4).

        Raises:
            SrtpError: This is no RTCP packet.
        """
        ssrc = _rtcp_ssrc(packet)
        stream = self._rtcp_streams.setdefault(ssrc, _Stream())
        index = (stream.highest + 1) & _INDEX
        stream.remember(index)
        secret = _crypt(
            self._rtcp.cipher, _iv(self._rtcp.salt, ssrc, index), packet[_RTCP_HEADER:]
        )
        body = packet[:_RTCP_HEADER] + secret + struct.pack("!I", _ENCRYPTED | index)
        return body + _sign(self._rtcp.authentication, body)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Check and decrypt one SRTCP packet.

        Raises:
            ReplayedError: The packet is genuine and was seen before.
            SrtpError: It is malformed, or not signed with this key.
        """
        body, tag = packet[:-_TAG], packet[-_TAG:]
        ssrc = _rtcp_ssrc(body[:-4])
        if not hmac.compare_digest(tag, _sign(self._rtcp.authentication, body)):
            raise SrtpError("an RTCP packet is not signed with our key")
        (word,) = struct.unpack("!I", body[-4:])
        index = word & _INDEX
        stream = self._rtcp_streams.setdefault(ssrc, _Stream())
        if not stream.is_new(index):
            raise ReplayedError(f"RTCP packet {index} came twice")
        stream.remember(index)
        plain = body[_RTCP_HEADER:-4]
        if word & _ENCRYPTED:
            plain = _crypt(self._rtcp.cipher, _iv(self._rtcp.salt, ssrc, index), plain)
        return body[:_RTCP_HEADER] + plain

    def _mix(self, ssrc: int, index: int, text: bytes) -> bytes:
        """Encrypt or decrypt an RTP payload: counter mode (RFC 3711 section 4.1.1)."""
        # The last two bytes of the IV count the blocks; the others are the same for all of them.
        front = _iv(self._rtp.salt, ssrc, index)[:14]
        length = len(text)
        counters = front.join(_COUNTERS[: (length + 15) // 16 + 1])
        stream = self._blocks.update(counters)[:length]
        mixed = int.from_bytes(stream, "big") ^ int.from_bytes(text, "big")
        return mixed.to_bytes(length, "big")

    def _tag(self, body: bytes, index: int) -> bytes:
        """The authentication tag over packet and rollover counter (RFC 3711 section 4.2)."""
        return _sign(self._rtp.authentication, body + struct.pack("!I", index >> 16))


def derive(key: bytes, salt: bytes, *, first_label: int) -> SessionKeys:
    """Derive session keys from a master key and salt (RFC 3711 section 4.3.1).

    Args:
        key: 16 bytes.
        salt: 14 bytes.
        first_label: 0 for SRTP, 3 for SRTCP; cipher, authentication and salt follow each other.
    """

    def stream(label: int, length: int) -> bytes:
        # The key derivation rate is 0, so the index is 0; the label stands above its 48 bits.
        x = int.from_bytes(salt, "big") ^ (label << 48)
        return keystream(key, (x << 16).to_bytes(16, "big"), length)

    return SessionKeys(
        cipher=stream(first_label, 16),
        authentication=stream(first_label + 1, 20),
        salt=stream(first_label + 2, 14),
    )


def keystream(key: bytes, iv: bytes, length: int) -> bytes:
    """AES in counter mode: *length* bytes from the 16-byte *iv* on (RFC 3711 section 4.1.1)."""
    return _crypt(key, iv, bytes(length))


def _crypt(key: bytes, iv: bytes, text: bytes) -> bytes:
    mixer = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return mixer.update(text) + mixer.finalize()


def _iv(salt: bytes, ssrc: int, index: int) -> bytes:
    """IV = (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16)."""
    mixed = int.from_bytes(salt, "big") << 16 ^ ssrc << 64 ^ index << 16
    return mixed.to_bytes(16, "big")


def _sign(key: bytes, text: bytes) -> bytes:
    # SHA-1 is what the suite is made of; HMAC does not need collision resistance.
    return hmac.digest(key, text, "sha1")[:_TAG]


def _payload_offset(packet: bytes) -> int:
    """Where the payload of an RTP packet begins: after CSRCs and extension (RFC 3550 5.1)."""
    if len(packet) < _HEADER or packet[0] >> 6 != 2:
        raise SrtpError("this is no RTP packet")
    begin = _HEADER + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if len(packet) < begin + 4:
            raise SrtpError("an RTP packet ends within its header extension")
        (words,) = struct.unpack_from("!2xH", packet, begin)
        begin += 4 + 4 * int(words)
    if begin > len(packet):
        raise SrtpError("an RTP packet ends within its header")
    return begin


def _rtcp_ssrc(packet: bytes) -> int:
    if len(packet) < _RTCP_HEADER or packet[0] >> 6 != 2:
        raise SrtpError("this is no RTCP packet")
    (ssrc,) = struct.unpack_from("!4xI", packet)
    return int(ssrc)
