"""The addresses from which calls are placed and at which they are taken: UDP, and Microsoft's TLS.

Requests of ours are repeated over UDP as RFC 3261 17.1 says, answers of ours when the request
comes again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import sip

T1 = 0.5
T2 = 4.0
PATIENCE = 16.0
"""Seconds until a request counts as unanswered; RFC 3261 says 32, and nobody waits that long."""
RING_PATIENCE = 12.0
"""Seconds until a call that rings counts as unanswered; the callee lets it ring for far less."""
REMEMBERED = 40.0
DIALS = 200
DIAL_EVERY = 0.2

Send = Callable[[str], None]


class Agent(Protocol):
    """Whoever owns the ends."""

    def serve(self, end: End, method: str, text: str, send: Send) -> None:
        """A request came that was not seen before."""

    def progress(self, text: str) -> None:
        """A provisional answer came."""

    def acknowledge_again(self, call_id: str) -> None:
        """The 200 of an INVITE came again."""

    def tell(self, what: str) -> None:
        """Count something."""

    def disconnected(self) -> None:
        """The TLS connection that Teams dialled has ended."""


class Transaction:
    """A request of ours until its final answer."""

    def __init__(self, end: End, text: str, done: Send, patience: float) -> None:
        self.end = end
        self.text = text
        self.done = done
        self.is_invite = text.startswith("INVITE")
        self.is_repeating = end.transport == "UDP"
        self.is_heard = False
        self.wait = T1
        self.loop = asyncio.get_running_loop()
        self.again = self.loop.call_later(T1, self._again)
        self.giving_up = self.loop.call_later(patience, self.finish, "")
        end.send(text)

    def _again(self) -> None:
        if self.is_repeating:
            self.end.agent.tell("repeats")
            self.end.send(self.text)
            self.wait = self.wait * 2 if self.is_invite else min(self.wait * 2, T2)
            self.again = self.loop.call_later(self.wait, self._again)

    def provisional(self) -> None:
        self.is_heard = True
        if self.is_invite:
            self.is_repeating = False
            self.again.cancel()
            self.giving_up.cancel()
            self.giving_up = self.loop.call_later(RING_PATIENCE, self.finish, "")

    def finish(self, answer: str) -> None:
        """With the final answer; empty when none came."""
        self.is_repeating = False
        self.again.cancel()
        self.giving_up.cancel()
        self.end.pending.pop(sip.branch(self.text), None)
        self.done(answer)


class End:
    """One address: its transactions, and what it has answered."""

    transport = "UDP"

    def __init__(self, agent: Agent, address: str) -> None:
        self.agent = agent
        self.address = address
        self.pending: dict[str, Transaction] = {}
        self.answered: dict[str, str] = {}

    @property
    def via(self) -> str:
        return f"UDP {self.address}:5060"

    @property
    def contact(self) -> str:
        return f"sip:load@{self.address}:5060"

    @property
    def sbc(self) -> str:
        """Where the SBC is, as this end knows it."""
        return f"{sip.SBC}:5060"

    def send(self, text: str) -> None:
        raise NotImplementedError

    def sdp(self, port: int) -> str:
        return sip.sdp(self.address, port)

    def ask(self, text: str, done: Send, patience: float = PATIENCE) -> None:
        self.pending[sip.branch(text)] = Transaction(self, text, done, patience)

    def reply(self, request: str, text: str, send: Send) -> None:
        """Answer, and remember it for a repetition."""
        mark = f"{sip.branch(request)}/{request.partition(' ')[0]}"
        self.answered[mark] = text
        asyncio.get_running_loop().call_later(REMEMBERED, self.answered.pop, mark, None)
        send(text)

    def take(self, text: str, send: Send) -> None:
        """A message came; answers to it go out by *send*."""
        if text.startswith("SIP/2.0"):
            self._take_answer(text)
            return
        method = text.partition(" ")[0]
        known = self.answered.get(f"{sip.branch(text)}/{method}")
        if known is None:
            self.agent.serve(self, method, text, send)
        elif method != "ACK":
            send(known)

    def _take_answer(self, text: str) -> None:
        held = self.pending.get(sip.branch(text))
        code = sip.code(text)
        if held is None:
            # A 200 that came again: its ACK was lost.
            if 200 <= code < 300 and sip.header(text, "CSeq").endswith("INVITE"):
                self.agent.acknowledge_again(sip.header(text, "Call-ID"))
            return
        if code >= 300 and held.is_invite:
            self.send(sip.refusal_ack(held.text, text))
        if code < 200:
            held.provisional()
            self.agent.progress(text)
        else:
            held.finish(text)


class UdpEnd(End):
    """A gateway of a trunk."""

    def __init__(self, agent: Agent, address: str) -> None:
        super().__init__(agent, address)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.settimeout(0)
        self.socket.bind((address, 5060))
        asyncio.get_running_loop().add_reader(self.socket, self._read)

    def send(self, text: str) -> None:
        self.socket.sendto(text.encode(), (sip.SBC, 5060))

    def _read(self) -> None:
        for _ in range(64):
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            self.take(data.decode(), self.send)


class TeamsEnd(End):
    """Microsoft: listens, and dials a connection of its own, again whenever it ends."""

    transport = "TLS"
    key = "A" * 40
    """Of what it sends by SRTP, in base64."""

    def __init__(self, agent: Agent, address: str, folder: Path) -> None:
        super().__init__(agent, address)
        self.folder = folder
        self.writer: asyncio.StreamWriter | None = None
        self.unsent: list[str] = []

    @property
    def via(self) -> str:
        return f"TLS {self.address}:5061"

    @property
    def contact(self) -> str:
        return f"sip:load@{self.address}:5061;transport=tls"

    @property
    def sbc(self) -> str:
        return f"{sip.FQDN}:5061;transport=tls"

    def sdp(self, port: int) -> str:
        return sip.sdp(self.address, port, key=self.key)

    async def listen(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "peer.chain", self.folder / "peer.key")
        await asyncio.start_server(self._read, self.address, 5061, ssl=context)

    async def dial(self) -> None:
        """Keep a connection to the SBC for ever; requests wait while there is none."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / "peer.chain", self.folder / "peer.key")
        for _ in range(DIALS):
            try:
                reader, writer = await asyncio.open_connection(
                    *(sip.SBC_TEAMS, 5061),
                    ssl=context,
                    server_hostname=sip.FQDN,
                    local_addr=(self.address, 0),
                )
            except OSError:
                await asyncio.sleep(DIAL_EVERY)
                continue
            self.writer = writer
            while self.unsent:
                writer.write(self.unsent.pop(0).encode())
            await self._read(reader, writer)
            self.writer = None
            self.agent.disconnected()

    def send(self, text: str) -> None:
        if self.writer is None or self.writer.is_closing():
            self.unsent.append(text)
        else:
            self.writer.write(text.encode())

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(sip.header(head, "Content-Length") or 0)
                body = (await reader.readexactly(length)).decode()
                self.take(head + body, lambda text: writer.write(text.encode()))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()
