"""Two ends of a call over real sockets, and a relay between them that does what networks do."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from typing import cast

import pytest

from orchestrator.lab import ear, media, packets, srtp

KEY_A, KEY_B = bytes(range(30)), bytes(range(30, 60))
Judge = Callable[[int, bytes], Iterable[bytes]]


def bound() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(0)
    made.bind(("127.0.0.1", 0))
    return made


class Relay(asyncio.DatagramProtocol):
    """Passes datagrams between two ends; *judge* says what becomes of each one towards b."""

    def __init__(self, a: tuple[str, int], b: tuple[str, int], judge: Judge) -> None:
        self.a, self.b, self.judge, self.count = a, b, judge, 0
        self.moved = asyncio.Event()

    async def passed(self, packets: int) -> None:
        """Wait until so many packets of a were judged."""
        while self.count < packets:
            self.moved.clear()
            await self.moved.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr == self.b:
            self.transport.sendto(data, self.a)
            return
        for part in self.judge(self.count, data):
            self.transport.sendto(part, self.b)
        self.count += 1
        self.moved.set()


def pass_all(number: int, datagram: bytes) -> Iterable[bytes]:
    return (datagram,)


def talk(
    judge: Judge = pass_all,
    *,
    secured: bool = False,
    count: int = 30,
    extra: bytes = b"",
    far: packets.Codec = packets.PCMA,
) -> tuple[media.MediaReport, media.MediaReport]:
    """One short call from a to b and back, through a relay; the reports of a and b."""

    async def call() -> tuple[media.MediaReport, media.MediaReport]:
        a, b = media.MediaStream(bound()), media.MediaStream(bound())
        loop = asyncio.get_running_loop()
        transport, relay = await loop.create_datagram_endpoint(
            lambda: Relay(a.address, b.address, judge), local_addr=("127.0.0.1", 0)
        )
        there = transport.get_extra_info("sockname")
        keys = (KEY_A, KEY_B) if secured else (None, None)
        voice = packets.Voice(far, {far.number: far})
        a.start(there, None, keys[0], keys[1])
        b.start(there, voice, keys[1], keys[0])
        if extra:
            relay.transport.sendto(extra, b.address)
        await asyncio.wait_for(relay.passed(count), 10)
        a.pause()
        b.pause()
        await asyncio.sleep(media.INTERVAL)
        reports = a.close(), b.close()
        transport.close()
        return reports

    return asyncio.run(call())


@pytest.mark.parametrize("secured", [False, True])
def test_audio_goes_both_ways_unaltered(secured: bool) -> None:
    a, b = talk(secured=secured)
    assert a.heard
    assert b.heard
    assert (b.sent, a.sent) == (a.received, b.received)
    assert (b.lost, b.early, b.altered, b.forged, b.duplicated) == (0, 0, 0, 0, 0)
    assert b.first_ms is not None
    assert 15 <= b.max_gap_ms < 500


@pytest.mark.parametrize("secured", [False, True])
def test_each_loss_is_counted_once(secured: bool) -> None:
    _, b = talk(lambda n, d: () if n in (7, 8, 20) else (d,), secured=secured)
    assert (b.lost, b.early, b.altered) == (3, 0, 0)
    assert b.max_gap_ms >= 55


def test_first_packets_lost_to_latching_are_counted_apart() -> None:
    _, b = talk(lambda n, d: () if n < 4 else (d,))
    assert (b.early, b.lost) == (4, 0)
    assert b.heard


def test_latching_that_takes_too_long_is_not_tolerated() -> None:
    _, b = talk(lambda n, d: () if n < 27 else (d,), count=32)
    assert b.early == 27
    assert not b.heard


def test_one_altered_byte_is_noticed() -> None:
    def alter(number: int, datagram: bytes) -> Iterable[bytes]:
        return (datagram[:100] + bytes([datagram[100] ^ 1]) + datagram[101:],) * (number == 9) or (
            datagram,
        )

    _, b = talk(alter)
    assert (b.altered, b.lost) == (1, 1)
    assert not b.heard


def test_an_altered_secured_packet_is_a_forged_one() -> None:
    def alter(number: int, datagram: bytes) -> Iterable[bytes]:
        yield bytes([*datagram[:-1], datagram[-1] ^ 1]) if number == 9 else datagram

    _, b = talk(alter, secured=True)
    assert (b.forged, b.altered, b.lost) == (1, 0, 1)
    assert not b.heard


@pytest.mark.parametrize("secured", [False, True])
def test_a_packet_that_comes_twice_is_counted_as_duplicated(secured: bool) -> None:
    _, b = talk(lambda n, d: (d, d) if n % 10 == 5 else (d,), secured=secured)
    assert b.duplicated == 3
    assert b.lost == 0
    assert b.heard


def test_silence_is_not_heard() -> None:
    _, b = talk(lambda n, d: ())
    assert (b.received, b.lost, b.first_ms) == (0, 0, None)
    assert not b.heard


def test_packets_in_another_order_are_neither_lost_nor_altered() -> None:
    kept: list[bytes] = []

    def swap(number: int, datagram: bytes) -> Iterable[bytes]:
        if number % 6 == 2:
            kept.append(datagram)
            return ()
        return (datagram, kept.pop()) if kept else (datagram,)

    _, b = talk(swap, secured=True)
    assert (b.lost, b.altered, b.forged, b.duplicated) == (0, 0, 0, 0)


def test_clear_audio_where_secured_must_come_is_noticed() -> None:
    heard = ear.Ear(key=srtp.Context(KEY_A))
    for number in range(3):
        heard.hear(packets.packet_of(5, number), number * media.INTERVAL)
    assert heard.report(sent=0, began=0.0, now=0.0).forged == 3


def test_a_wrong_payload_type_is_noticed() -> None:
    a, b = talk(far=packets.PCMU)
    assert a.altered > 0
    assert b.altered > 0


def test_another_call_on_our_port_is_noticed() -> None:
    _, b = talk(extra=packets.packet_of(0xDEAD, 0))
    assert b.altered > 0


def test_rtcp_and_stun_on_the_same_port_are_tolerated() -> None:
    _, b = talk(extra=bytes([0x80, 200, 0, 1, 0, 0, 0, 1]))
    assert (b.rtcp, b.altered) == (1, 0)
    _, b = talk(extra=b"\x00\x01\x00\x00!\x12\xa4B" + os.urandom(12))
    assert b.altered == 0
    assert b.heard


def test_a_stream_goes_on_over_the_rollover_of_its_sequence_numbers() -> None:
    heard = ear.Ear()
    for number in range(0, 200_000, 7):
        heard.hear(packets.packet_of(0x7FFF, number), number * media.INTERVAL)
    report = heard.report(sent=0, began=0.0, now=0.0)
    assert report.altered == 0
    assert report.received == len(range(0, 200_000, 7))


def test_heard_waits_for_packets_and_gives_up() -> None:
    async def call() -> tuple[bool, bool]:
        a, b = media.MediaStream(bound()), media.MediaStream(bound())
        a.start(b.address)
        b.start(a.address)
        came = await b.heard(5)
        a.pause()
        more = await b.heard(1000, within=0.1)
        a.close()
        b.close()
        return came, more

    assert asyncio.run(call()) == (True, False)
