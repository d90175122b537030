"""SRTP against the vectors of RFC 3711, and against what a network does to packets."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab import srtp

MASTER = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139" + "0EC675AD498AFEEBB6960B3AABE6")


def rtp(sequence: int, payload: bytes = b"hello", ssrc: int = 0xCAFEBABE) -> bytes:
    return struct.pack("!BBHII", 0x80, 8, sequence, 160 * sequence, ssrc) + payload


def test_keystream_is_the_one_of_rfc_3711_b2() -> None:
    key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    iv = bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000")
    stream = srtp.keystream(key, iv, 0xFF02 * 16)
    assert stream[:48].hex().upper() == (
        "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB"
        "41E95B3BB0A2E8DD477901E4FCA894C0"
    )
    assert stream[-48:].hex().upper() == (
        "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE"
        "6A2CC3787889374FBEB4C81B17BA6C44"
    )


def test_session_keys_are_the_ones_of_rfc_3711_b3() -> None:
    keys = srtp.derive(MASTER[:16], MASTER[16:], first_label=0)
    assert keys.cipher.hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert keys.salt.hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert keys.authentication.hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"


def test_a_whole_packet_comes_out_as_other_implementations_make_it() -> None:
    """The reference packet that SRTP implementations check themselves with."""
    plain = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
    secret = bytes.fromhex(
        "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"
    )
    assert srtp.Context(MASTER).protect(plain) == secret
    assert srtp.Context(MASTER).unprotect(secret) == plain


def test_the_rollover_counter_follows_the_sequence_number() -> None:
    sender, receiver = srtp.Context(MASTER), srtp.Context(MASTER)
    for number in range(65500, 65536 + 70000):
        # Most packets get lost on the way; the receiver must still know the rollovers.
        secret = sender.protect(rtp(number & 0xFFFF))
        if number % 1009 == 0 or number < 65600:
            assert receiver.unprotect(secret) == rtp(number & 0xFFFF)


def test_packets_around_a_rollover_may_come_in_any_order() -> None:
    sender, receiver = srtp.Context(MASTER), srtp.Context(MASTER)
    secrets = [sender.protect(rtp(number & 0xFFFF)) for number in range(65530, 65546)]
    for secret in (secrets[0], secrets[8], secrets[5], secrets[9], secrets[1]):
        receiver.unprotect(secret)


def test_a_repeated_packet_is_told_apart_from_a_forged_one() -> None:
    sender, receiver = srtp.Context(MASTER), srtp.Context(MASTER)
    secret = sender.protect(rtp(7))
    receiver.unprotect(secret)
    with pytest.raises(srtp.ReplayedError):
        receiver.unprotect(secret)


@given(st.integers(0, 26), st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_noticed(byte: int, bit: int) -> None:
    secret = bytearray(srtp.Context(MASTER).protect(rtp(7)))
    secret[byte] ^= 1 << bit
    with pytest.raises(srtp.SrtpError):
        srtp.Context(MASTER).unprotect(bytes(secret))


def test_another_key_is_noticed() -> None:
    secret = srtp.Context(MASTER).protect(rtp(7))
    with pytest.raises(srtp.SrtpError):
        srtp.Context(bytes(30)).unprotect(secret)


@given(st.binary(max_size=120))
def test_any_bytes_are_refused_and_nothing_else_happens(noise: bytes) -> None:
    for door in (srtp.Context(MASTER).unprotect, srtp.Context(MASTER).unprotect_rtcp):
        with pytest.raises(srtp.SrtpError):
            door(noise)


def test_only_the_payload_is_hidden_behind_csrcs_and_extension() -> None:
    head = bytes([0x92]) + rtp(7, b"")[1:] + bytes(8) + struct.pack("!HHI", 0xBEDE, 1, 9)
    secret = srtp.Context(MASTER).protect(head + b"voice")
    assert secret[: len(head)] == head
    assert b"voice" not in secret
    assert srtp.Context(MASTER).unprotect(secret) == head + b"voice"


def test_rtcp_goes_there_and_back_and_only_once() -> None:
    report = struct.pack("!BBHIIIIII", 0x80, 200, 6, 0xCAFEBABE, 1, 2, 3, 4, 5)
    sender, receiver = srtp.Context(MASTER), srtp.Context(MASTER)
    secrets = [sender.protect_rtcp(report) for _ in range(3)]
    assert len(set(secrets)) == 3
    assert [receiver.unprotect_rtcp(secret) for secret in secrets] == [report] * 3
    with pytest.raises(srtp.ReplayedError):
        receiver.unprotect_rtcp(secrets[0])


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="30 bytes, not 16"):
        srtp.Context(bytes(16))
