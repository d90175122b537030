"""The peers of a tortured SBC, and who tortures it; lives inside a test's machine.

    python rig.py FOLDER NG-PORT

Sinks stand where Teams, two trunks and an innocent stand; each takes note of what reaches it and
answers a call with 486, or with 200 where the number ends in 7777. On the socket FOLDER/rig a
line of JSON asks for something, and a line answers: ``batch`` sends every bad input of one
sender, ``call`` places an ordinary call, ``media`` asks RTPEngine for its sessions.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import ssl
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bad_all
import bad_input
import raw_sip

from rtpengine_ng import client
from rtpengine_ng.messages import requests

SBC_LAN = ("192.0.2.10", 5060)
SBC_TEAMS = ("203.0.113.10", 5061)
TEAMS = ("198.51.100.11", "198.51.100.12", "198.51.100.13")
PBX, CARRIER = "192.0.2.20", "192.0.2.21"
GOOD = "7777"
QUIET = 0.3
PACE = 0.002
LANES = 48
HELD = 10
"""Connections that send half a message and then nothing."""

Senders = {
    "trunk/udp": bad_input.Who("trunk", "udp", PBX, "192.0.2.10:5060", "+493055510"),
    "trunk/tcp": bad_input.Who("trunk", "tcp", PBX, "192.0.2.10:5060", "+493055510"),
    "stranger/udp": bad_input.Who(
        "stranger", "udp", "192.0.2.66", "192.0.2.10:5060", "+493055510"
    ),
    "stranger/tcp": bad_input.Who(
        "stranger", "tcp", "192.0.2.66", "192.0.2.10:5060", "+493055510"
    ),
    "teams/tls": bad_input.Who(
        "teams", "tls", TEAMS[1], "sbc.example.com:5061", "+493055520", secure=True
    ),
    "stranger/tls": bad_input.Who(
        "stranger", "tls", "203.0.113.66", "sbc.example.com:5061", "+493055520", secure=True
    ),
}
"""Who sends, by name."""


@dataclass
class Seen:
    """What the sinks saw and what the senders were told, since the last batch began."""

    sender: str = ""
    reached: list[tuple[str, bytes]] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    def take(self, sink: str, raw: bytes) -> bytes:
        """Note what came in at a sink; return what it answers."""
        if (
            raw.startswith(b"SIP/2.0 ")
            and sink == self.sender
            and not raw_sip.call_id(raw).startswith("answer-")
        ):
            self.answers.append(raw)
            return raw_sip.ack_of(raw)
        method = raw.split(b" ", 1)[0]
        if method == b"OPTIONS":
            if b"torture" in raw_sip.call_id(raw).encode() or sink == "elsewhere":
                self.reached.append((sink, raw))
            return raw_sip.answer_to(raw, "200 OK")
        self.reached.append((sink, raw))
        if method == b"ACK" or raw.startswith(b"SIP/") or sink == "elsewhere":
            return b""
        if method != b"INVITE":
            return raw_sip.answer_to(raw, "200 OK")
        if GOOD.encode() not in raw.split(b"\r\n", 1)[0]:
            return raw_sip.answer_to(raw, "486 Busy Here")
        address = TEAMS[0] if sink == "teams" else PBX
        media = bad_input.SECRET if sink == "teams" else bad_input.PLAIN
        who = bad_input.Who(sink, "", address, "", "")
        port = ":5061;transport=tls" if sink == "teams" else ":5060"
        return raw_sip.answer_to(raw, "200 OK", bad_input.sdp(who, media), f"{address}{port}")


SEEN = Seen()


class Datagrams(asyncio.DatagramProtocol):
    """A UDP sink that also sends for its address."""

    def __init__(self, sink: str) -> None:
        self.sink = sink

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        if reply := SEEN.take(self.sink, data):
            self.transport.sendto(reply, addr)


def on_stream(sink: str):
    """A TCP or TLS sink."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = raw_sip.Stream()
        if sink == "elsewhere":
            SEEN.reached.append((sink, b"a connection"))
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                for raw in cut.feed(data):
                    if reply := SEEN.take(sink, raw):
                        writer.write(reply)
                        await writer.drain()
        writer.close()

    return serve


class Connection:
    """One stream to the SBC: a message and a probe behind it, until both are answered."""

    def __init__(
        self, who: bad_input.Who, contexts: dict[str, ssl.SSLContext], number: int = 0
    ) -> None:
        self.who, self.number = who, number
        self.context = contexts[who.name] if who.transport == "tls" else None
        self.writer: asyncio.StreamWriter | None = None
        self.closed = asyncio.Event()
        self.count = 0
        self.told: dict[str, asyncio.Event] = {}
        self.opened = 0

    async def open(self) -> None:
        self.closed.clear()
        place = SBC_TEAMS if self.context else SBC_LAN
        reader, self.writer = await asyncio.open_connection(
            *place,
            local_addr=(self.who.address, 0),
            ssl=self.context,
            server_hostname="sbc.example.com" if self.context else None,
        )
        self.opened += 1
        self.reading = asyncio.create_task(self.read(reader))

    async def read(self, reader: asyncio.StreamReader) -> None:
        cut = raw_sip.Stream()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                for raw in cut.feed(data):
                    self.heard(raw)
        self.closed.set()

    def heard(self, raw: bytes) -> None:
        """An answer, or a request on a connection of ours."""
        reply = SEEN.take(self.who.name, raw)
        if reply and self.writer:
            self.writer.write(reply)
        status = raw.split(b" ", 2)[1]
        if raw.startswith(b"SIP/") and not status.startswith(b"1"):
            self.told.setdefault(raw_sip.call_id(raw), asyncio.Event()).set()

    async def send(self, case: bad_input.Case) -> None:
        """Send, and wait until the SBC answered what came behind, or hung up."""
        if self.writer is None or self.closed.is_set():
            self.close()
            await self.open()
        assert self.writer
        self.count += 1
        probe = f"probe-{self.number}-{self.count}"
        make = bad_input.Maker(self.who)
        raw = make.request(probe, method="OPTIONS")
        with contextlib.suppress(OSError):
            self.writer.write(case.raw + raw)
            await self.writer.drain()
        event = self.told.setdefault(make.lines(probe)["Call-ID"], asyncio.Event())
        if not await self.until(event, 0.25):
            self.close()
            return
        if case.may_reach:
            await self.until(
                self.told.setdefault(raw_sip.call_id(case.raw), asyncio.Event()), 0.25
            )

    async def until(self, event: asyncio.Event, patience: float) -> bool:
        """Wait for an answer; False when the connection is lost or silent."""
        waits = {asyncio.create_task(event.wait()), asyncio.create_task(self.closed.wait())}
        _, pending = await asyncio.wait(
            waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED
        )
        for each in pending:
            each.cancel()
        return event.is_set()

    def close(self) -> None:
        if self.writer:
            self.reading.cancel()
            self.writer.transport.abort()
            self.writer = None


class Rig:
    """All sinks and senders of one machine."""

    def __init__(self, folder: Path, ng_port: int) -> None:
        self.folder, self.ng_port = folder, ng_port
        self.held: list[Connection] = []
        self.contexts = {
            "teams": self.context("peer"),
            "stranger": self.context("forged"),
        }

    def context(self, name: str) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.load_verify_locations(self.folder / "ca.pem")
        made.load_cert_chain(self.folder / f"{name}.chain", self.folder / f"{name}.key")
        return made

    async def open(self) -> None:
        """Bind every socket."""
        loop = asyncio.get_running_loop()
        self.udp: dict[str, asyncio.DatagramTransport] = {}
        for sink, address in (
            ("trunk", PBX),
            ("stranger", "192.0.2.66"),
            ("elsewhere", bad_input.ELSEWHERE),
        ):
            transport, _ = await loop.create_datagram_endpoint(
                lambda sink=sink: Datagrams(sink), (address, 5060)
            )
            self.udp[sink] = transport
        for sink, address, port in (
            ("trunk", PBX, 5060),
            ("trunk", CARRIER, 5060),
            ("elsewhere", bad_input.ELSEWHERE, 5060),
            ("elsewhere", bad_input.ELSEWHERE, 5061),
        ):
            await asyncio.start_server(on_stream(sink), address, port)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(self.folder / "peer.chain", self.folder / "peer.key")
        for address in TEAMS:
            await asyncio.start_server(on_stream("teams"), address, 5061, ssl=server)
        await asyncio.start_unix_server(self.control, self.folder / "rig", limit=2**26)

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        done = await getattr(self, asked.pop("do"))(**asked)
        writer.write(json.dumps(done).encode() + b"\n")
        await writer.drain()
        writer.close()

    async def batch(self, sender: str) -> dict[str, object]:
        """Send everything one sender has, and say what came of it."""
        global SEEN  # noqa: PLW0603 - one batch at a time
        who = Senders[sender]
        SEEN = Seen(who.name)
        cases = bad_all.cases(who)
        opened = 0
        if who.transport == "udp":
            for case in cases:
                if len(case.raw) < 65500:
                    self.udp[who.name].sendto(case.raw, SBC_LAN)
                    await asyncio.sleep(PACE * (1 + len(case.raw) // 2000))
        else:
            waiting, lanes = iter(cases), 1 if who.transport == "tls" else LANES
            opened = sum(
                await asyncio.gather(
                    *(self.drive(who, waiting, number) for number in range(lanes))
                )
            )
        await self.silence()
        return {
            "connections": opened,
            "answers": [base64.b64encode(raw).decode() for raw in SEEN.answers],
            "reached": [(sink, base64.b64encode(raw).decode()) for sink, raw in SEEN.reached],
        }

    async def drive(
        self, who: bad_input.Who, waiting: Iterator[bad_input.Case], number: int
    ) -> int:
        """Send what is waiting over one connection after the other; how many it took."""
        connection = Connection(who, self.contexts, number)
        for case in waiting:
            await connection.send(case)
        connection.close()
        return connection.opened

    async def hold(self, sender: str) -> int:
        """Send half a message on a few connections, and leave them so."""
        who = Senders[sender]
        half = bad_input.Maker(who).request("held")[:200]
        for number in range(HELD):
            connection = Connection(who, self.contexts, number)
            await connection.open()
            assert connection.writer
            connection.writer.write(half)
            await connection.writer.drain()
            self.held.append(connection)
        return len(self.held)

    async def release(self) -> int:
        """Hang up on what was held; how many there were."""
        count = len(self.held)
        while self.held:
            self.held.pop().close()
        return count

    async def silence(self) -> None:
        """Wait until nothing new arrives; a refused call is repeated until its timer ends."""
        known: tuple[int, int] = (-1, -1)
        while known != (now := (len(set(SEEN.answers)), len(set(SEEN.reached)))):
            known = now
            await asyncio.sleep(QUIET)

    async def call(
        self, sender: str, mark: str, astray: Sequence[dict[str, str]] = ()
    ) -> list[str]:
        """A call from a trunk (UDP) or Teams: INVITE, ACK, BYE; the answers to INVITE and BYE.

        *astray*: what else the caller sends inside it, and what is not as it should be there.
        """
        global SEEN  # noqa: PLW0603 - one batch at a time
        who = Senders[sender]
        SEEN = Seen(who.name)
        make, name = bad_input.Maker(who), f"good-{mark}"
        number, mine = who.number + GOOD, make.lines(name)["Call-ID"]
        connection = Connection(who, self.contexts)
        if who.transport != "udp":
            await connection.open()

        def send(raw: bytes) -> None:
            if connection.writer:
                connection.writer.write(raw)
            else:
                self.udp[who.name].sendto(raw, SBC_LAN)

        async def final(method: bytes) -> bytes:
            for _ in range(150):
                for raw in SEEN.answers:
                    over = raw_sip.header(raw, b"cseq")[0].endswith(method) and raw[8:9] != b"1"
                    if over and raw_sip.call_id(raw) == mine:
                        return raw
                await asyncio.sleep(0.02)
            return b"SIP/2.0 000 Nothing\r\n\r\n"

        send(make.request(name, uri=f"sip:{number}@{who.target}"))
        told = await final(b"INVITE")
        if told.startswith(b"SIP/2.0 200"):
            routes = [each.decode() for each in raw_sip.header(told, b"record-route")][::-1]
            extra = "".join(f"Route: {route}\r\n" for route in routes)
            uri = re.sub(rb"^.*<|>.*$", b"", raw_sip.header(told, b"contact")[0]).decode()
            to = raw_sip.header(told, b"to")[0].decode()
            usual = {"uri": uri, "extra": extra, "To": to}
            asked = ({"method": "ACK"}, *astray, {"method": "BYE"})
            for number, changed in enumerate(asked, 1):
                cseq, branch = f"{number} {changed['method']}", f"z9hG4bK{name}{number}"
                via = f"SIP/2.0/{who.transport.upper()} {who.address}:5060;branch={branch}"
                said = {**usual, "CSeq": cseq, "Via": via, **changed}
                said["extra"] = extra + changed.get("extra", "")
                send(make.request(name, **said))
        bye = await final(b"BYE") if told.startswith(b"SIP/2.0 200") else told
        connection.close()
        return [raw.split(b"\r\n", 1)[0].decode() for raw in (told, bye)]

    async def told(self) -> dict[str, list[str]]:
        """Of the last call: what reached whom, and how its requests were answered."""
        reached = {f"{sink} {raw.split(b' ', 1)[0].decode()}" for sink, raw in SEEN.reached}
        answers = {raw[8:12] + raw_sip.header(raw, b"cseq")[0] for raw in SEEN.answers}
        return {"reached": list(reached), "answers": [answer.decode() for answer in answers]}

    async def media(self) -> list[str]:
        """The Call-IDs RTPEngine has sessions for."""
        with client.Client("127.0.0.1", self.ng_port) as asking:
            asking.ask(requests.Ping())
            return list(asking.ask(requests.List(limit=1000)).calls)


async def main() -> None:
    rig = Rig(Path(sys.argv[1]), int(sys.argv[2]))
    await rig.open()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
