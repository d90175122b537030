"""RTP both ways of many calls, from one socket a side: every packet counted, every gap judged.

    python audio.py FILE GAP CALLER-ADDRESS CALLEE-ADDRESS TEAMS-ADDRESS

Orders come as JSON lines on stdin: ``{"phase": NAME}``, ``{"silence": true}``, and ``{"add":
[stream, side, host, port, key it is sent with, key it comes with]}``; an empty key is RTP in the
clear, others are SRTP. When stdin ends, FILE gets what was found in each phase. GAP is the silence
that counts, in ms.

A packet carries its number and the time it was sent; the kernel's time stamp says when it came.
So a gap is what passed between two packets of one stream at the receiver, whenever this program
read them. What the sender itself was late is known as well and told apart.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import os
import select
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from orchestrator.lab import srtp

SIDES = ("caller", "callee", "teams")
PORT = 40000
EVERY = 20_000_000
"""Nanoseconds between two packets of a stream."""
SO_TIMESTAMPNS = 35
HEAD = struct.Struct("!BBHIIQI")
"""RTP header; then the time it was sent, and the packet's whole number."""
PAYLOAD = 8
FILL = b"\xd5" * 148
TICK = 0.001
MOST_EVENTS = 40


@dataclass
class Found:
    """What was found in one phase; times in nanoseconds."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    gaps: int = 0
    """Where the sender was on time."""
    own_gaps: int = 0
    """That the sender made itself."""
    longest: int = 0
    own_longest: int = 0
    latest: int = 0
    """The most that a packet was sent too late."""
    forged: int = 0
    """Packets that came under another key than the one in the SDP."""
    late: int = 0
    """Packets sent more than 20 ms too late."""
    silent: int = 0
    """Streams of which nothing came in its last second."""
    events: list = field(default_factory=list)


class Stream:
    """One direction of one call."""

    def __init__(self, order: list, now: int) -> None:
        self.number, self.side, host, port, key, other = order
        self.where = (host, port)
        # Streams do not beat in step: each has a place of its own in the 20 ms.
        shift = self.number * 7919 % 200 * (EVERY // 200)
        self.due = now // EVERY * EVERY + EVERY + shift
        self.protect = srtp.Context(base64.b64decode(key)).protect if key else None
        self.unprotect = srtp.Context(base64.b64decode(other)).unprotect if other else None
        self.sent = 0
        self.expected = 0
        self.came = 0
        self.left = 0


class Audio:
    """All streams, both sockets, one loop."""

    def __init__(self, addresses: list[str], gap: int) -> None:
        self.gap = gap * 1_000_000
        self.streams: dict[int, Stream] = {}
        self.found: dict[str, Found] = {}
        self.now = Found()
        self.began = time.time_ns()
        self.sockets = [self._socket(address) for address in addresses]

    @staticmethod
    def _socket(address: str) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        for forced, plain in ((33, socket.SO_RCVBUF), (32, socket.SO_SNDBUF)):
            try:
                made.setsockopt(socket.SOL_SOCKET, forced, 8 << 20)
            except PermissionError:
                made.setsockopt(socket.SOL_SOCKET, plain, 8 << 20)
        made.settimeout(0)
        made.bind((address, PORT))
        return made

    def run(self) -> None:
        """Until stdin ends."""
        os.set_blocking(0, False)
        rest = b""
        while True:
            self._send()
            self._receive()
            if select.select([0], [], [], 0)[0]:
                read = os.read(0, 65536)
                if not read:
                    self._leave()
                    return
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
            time.sleep(TICK)

    def _obey(self, order: dict) -> None:
        if "add" in order:
            stream = Stream(order["add"], time.monotonic_ns())
            self.streams[stream.number] = stream
        elif "silence" in order:
            self.streams.clear()
        else:
            self._leave()
            self.now = self.found.setdefault(order["phase"], Found())

    def _leave(self) -> None:
        """The present phase ends."""
        latest = time.time_ns() - 1_000_000_000
        self.now.silent = sum(stream.came < latest for stream in self.streams.values())

    def _send(self) -> None:
        now = time.monotonic_ns()
        found = self.now
        for stream in self.streams.values():
            while stream.due <= now:
                late = now - stream.due
                found.latest = max(found.latest, late)
                found.late += late > EVERY
                count = stream.sent
                head = HEAD.pack(
                    *(0x80, PAYLOAD, count & 0xFFFF, count * 160 & 0xFFFFFFFF, stream.number),
                    *(time.monotonic_ns(), count),
                )
                packet = head + FILL
                if stream.protect:
                    packet = stream.protect(packet)
                with contextlib.suppress(BlockingIOError):
                    self.sockets[stream.side].sendto(packet, stream.where)
                stream.sent += 1
                stream.due += EVERY
                found.sent += 1

    def _receive(self) -> None:
        for side in self.sockets:
            while True:
                try:
                    data, told, _, _ = side.recvmsg(2048, 64)
                except BlockingIOError:
                    break
                seconds, nanoseconds = struct.unpack("qq", told[0][2])
                self._judge(data, seconds * 1_000_000_000 + nanoseconds)

    def _judge(self, data: bytes, came: int) -> None:
        stream = self.streams.get(int.from_bytes(data[8:12], "big"))
        if stream is None or data[1] & 0x7F != PAYLOAD:
            return
        found = self.now
        if stream.unprotect:
            try:
                data = stream.unprotect(data)
            except srtp.SrtpError:
                found.forged += 1
                return
        left, count = HEAD.unpack_from(data)[5:]
        found.received += 1
        if stream.came:
            found.lost += count - stream.expected
            gap = came - stream.came
            own = left - stream.left - EVERY * (count - stream.expected + 1)
            if gap > self.gap:
                self._note(stream, gap, own, came)
            elif gap > found.longest:
                found.longest = gap
        stream.came, stream.left, stream.expected = came, left, count + 1

    def _note(self, stream: Stream, gap: int, own: int, came: int) -> None:
        found = self.now
        if gap - own > self.gap:
            found.gaps += 1
            found.longest = max(found.longest, gap)
        else:
            found.own_gaps += 1
            found.own_longest = max(found.own_longest, gap)
        if len(found.events) < MOST_EVENTS:
            told = {"at": came / 1e9, "stream": stream.number, "ms": round(gap / 1e6)}
            found.events.append({**told, "sender_ms": round(own / 1e6)})


def main() -> None:
    _, file, gap, *addresses = sys.argv
    with contextlib.suppress(PermissionError):
        os.nice(-5)
    gc.disable()
    audio = Audio(addresses, int(gap))
    audio.run()
    Path(file).write_text(json.dumps({name: asdict(each) for name, each in audio.found.items()}))


if __name__ == "__main__":
    main()
