"""Microsoft as several proxies that keep connections, and which certificate was shown on each.

Every name of Microsoft's listens, and so many connections are dialled from its addresses in turn.
Each asks OPTIONS now and then, as Microsoft does. A request goes out on any of them, an answer on
the connection its request came by, or on another one when that has ended (RFC 3261 18.2.2). What
was written in the instant in which the SBC closed, so that nobody read it, goes out once more on
another one (RFC 3261 8.1.3.1: an error of the transport is an answer, and the next way is tried).
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import ssl
import time
from pathlib import Path

import ends
import sip

KEPT = "keep"
"""How the branches of OPTIONS begin that keep a connection."""


class TeamsEnd(ends.TeamsEnd):
    """Microsoft.

    Args:
        agent: Whoever owns it.
        address: The one that calls come from.
        folder: Where its certificate is.
        plan: ``names`` (addresses that listen and dial), ``connections`` (how many are dialled),
            ``interval`` (seconds between two OPTIONS on one).

    Attributes:
        connections: Role of the SBC, serial it showed, begin and end of every connection.
    """

    def __init__(self, agent: ends.Agent, address: str, folder: Path, plan: dict) -> None:
        super().__init__(agent, address, folder)
        self.plan = plan
        self.connections: list[dict] = []
        self.dialled: list[asyncio.StreamWriter] = []
        self.written: dict[str, asyncio.StreamWriter] = {}
        self.turns = itertools.count()
        self.tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "peer.chain", self.folder / "peer.key")
        context.load_verify_locations(self.folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        taken = functools.partial(self._watch, "dialled")
        for address in self.plan["names"]:
            await asyncio.start_server(taken, address, 5061, ssl=context)

    async def dial(self) -> None:
        """Keep so many connections to the SBC for ever."""
        await asyncio.gather(*(self._keep(n) for n in range(self.plan["connections"])))

    async def _keep(self, number: int) -> None:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / "peer.chain", self.folder / "peer.key")
        names = self.plan["names"]
        while True:
            try:
                reader, writer = await asyncio.open_connection(
                    *(sip.SBC_TEAMS, 5061),
                    ssl=context,
                    server_hostname=sip.FQDN,
                    local_addr=(names[number % len(names)], 0),
                )
            except OSError:
                self.agent.tell("dials_failed")
                await asyncio.sleep(ends.DIAL_EVERY)
                continue
            self.dialled.append(writer)
            while self.unsent:
                writer.write(self.unsent.pop(0).encode())
            asking = asyncio.create_task(self._ask(writer, number))
            await self._watch("taken", reader, writer)
            asking.cancel()
            self.dialled.remove(writer)
            self.agent.disconnected()
            self._write_again(writer)

    async def _watch(
        self, role: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Read a connection to its end, and write down which certificate the SBC showed on it."""
        serial = writer.get_extra_info("peercert")["serialNumber"]
        told = {"role": role, "serial": int(serial, 16), "began": time.time(), "ended": None}
        self.connections.append(told)
        await self._read(reader, writer)
        told["ended"] = time.time()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(sip.header(head, "Content-Length") or 0)
                body = (await reader.readexactly(length)).decode()
                self.take(head + body, functools.partial(self._answer, writer))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, text: str) -> None:
        if writer.is_closing():
            self.agent.tell("answers_moved")
            self.send(text)
        else:
            writer.write(text.encode())

    def send(self, text: str) -> None:
        alive = [writer for writer in self.dialled if not writer.is_closing()]
        if alive:
            writer = alive[next(self.turns) % len(alive)]
            self.written[sip.branch(text)] = writer
            writer.write(text.encode())
        else:
            self.unsent.append(text)

    def _write_again(self, ended: asyncio.StreamWriter) -> None:
        """By another connection, what went into this one and was answered by nobody."""
        self.written = {each: by for each, by in self.written.items() if each in self.pending}
        for branch, by in list(self.written.items()):
            if by is ended and not self.pending[branch].is_heard:
                self.agent.tell("written_again")
                self.send(self.pending[branch].text)

    def shows_only(self, serial: int) -> bool:
        """Whether every connection that stands was made with this certificate."""
        alive = (each for each in self.connections if each["ended"] is None)
        return all(each["serial"] == serial for each in alive)

    async def _ask(self, writer: asyncio.StreamWriter, number: int) -> None:
        """OPTIONS on a connection of ours; that they are answered is counted."""
        for turn in itertools.count():
            mark = f"{KEPT}{number}n{turn}n{next(self.turns)}"
            side = sip.Side(
                via=self.via,
                contact=self.contact,
                local=f"<sip:{self.address}>;tag={mark}",
                remote=f"<sip:{sip.FQDN}>",
                target=f"sip:{sip.FQDN}:5061;transport=tls",
                routes=[],
            )
            self.agent.tell("options_asked")
            writer.write(side.request("OPTIONS", f"{mark}@load", mark).encode())
            await asyncio.sleep(self.plan["interval"])

    def take(self, text: str, send: ends.Send) -> None:
        if KEPT in sip.branch(text):
            self.agent.tell("options_answered")
        else:
            super().take(text, send)
