"""The sockets of one actor: UDP, TCP and TLS, one flow per peer.

Sockets come from a factory, so that the lab can make them inside a network namespace and a test
on loopback. Nothing in here knows what a transaction is (RFC 3261 section 18).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, cast

from orchestrator.lab import evidence, tls
from orchestrator.sip import grammar, message, stream

Address = tuple[str, int]
AF_INET = socket.AF_INET
SOCK_DGRAM = socket.SOCK_DGRAM
Sockets = Callable[[socket.AddressFamily, socket.SocketKind, Address], socket.socket]
"""Makes a non-blocking socket: (family, type, address to bind) -> socket."""


class Flow(Protocol):
    """One way to one peer: a UDP address pair or a connection."""

    transport: str
    remote: Address
    local: Address

    @property
    def facts(self) -> evidence.TlsFacts | None:
        """What the TLS handshake showed of the peer, or None."""

    @property
    def usable(self) -> bool:
        """False when the connection is closed or being closed."""

    def send(self, raw: bytes) -> None:
        """Put bytes on the wire; lost silently when the flow is closed."""

    def leave(self) -> None:
        """Close the connection, if there is one, as soon as the peer has closed it too."""


class Receiver(Protocol):
    """Who takes what comes from the wire."""

    def received(self, parsed: message.Request | message.Response, flow: Flow) -> None:
        """Take one whole message."""

    def garbage(self, reason: str, flow: Flow) -> None:
        """Learn that a peer sent something that is no SIP."""

    def refused(self, refusal: evidence.TlsRefusal) -> None:
        """Learn that a TLS handshake failed."""


@dataclass(frozen=True, slots=True)
class Hop:
    """Where a message goes next.

    Attributes:
        transport: ``udp``, ``tcp`` or ``tls``.
        remote: Address and port.
        name: The name that led there; the server name to ask for on TLS.
    """

    transport: str
    remote: Address
    name: str = ""


class UdpFlow:
    """A peer on a UDP socket."""

    def __init__(self, port: UdpPort, remote: Address) -> None:
        self.transport = "udp"
        self.remote = remote
        self.local = port.local
        self._port = port

    @property
    def facts(self) -> None:
        """Nothing: UDP has no handshake."""

    @property
    def usable(self) -> bool:
        """True: there is no connection to lose."""
        return True

    def send(self, raw: bytes) -> None:
        """Send one datagram."""
        self._port.send(raw, self.remote)

    def leave(self) -> None:
        """Nothing to do: there is no connection."""


class UdpPort(asyncio.DatagramProtocol):
    """One bound UDP socket."""

    def __init__(self, receiver: Receiver) -> None:
        self.local: Address = ("", 0)
        self.closed = asyncio.Event()
        self._receiver = receiver
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where we are bound."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """Hand one datagram on; a keep-alive of a few line ends is dropped."""
        if not data.strip(b"\r\n\0"):
            return
        flow = UdpFlow(self, (str(addr[0]), int(addr[1])))
        try:
            parsed = message.parse(data)
        except grammar.SipError as error:
            self._receiver.garbage(error.reason, flow)
            return
        self._receiver.received(parsed, flow)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: somebody else may bind there."""
        del exc
        self.closed.set()

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP errors: a timer above notices that nobody answers."""

    def send(self, raw: bytes, remote: Address) -> None:
        """Send one datagram."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(raw, remote)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()


class Connection(asyncio.Protocol):
    """One TCP connection, dialled or accepted; with TLS when it has a session."""

    def __init__(self, receiver: Receiver, session: tls.Session | None) -> None:
        self.transport = "tcp" if session is None else "tls"
        self.remote: Address = ("", 0)
        self.local: Address = ("", 0)
        self.name = ""
        self.closed = asyncio.Event()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._receiver = receiver
        self._session = session
        self._parser = stream.StreamParser()
        self._wire: asyncio.Transport | None = None
        self._leaving = False

    @property
    def facts(self) -> evidence.TlsFacts | None:
        """What the handshake showed, or None."""
        return self._session.facts if self._session else None

    @property
    def begun(self) -> bool:
        """True when there is, or was, a socket under it."""
        return self._wire is not None

    @property
    def usable(self) -> bool:
        """True when the connection stands and its handshake is done."""
        return self.ready.done() and not self.closed.is_set() and not self._leaving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake when we dialled."""
        self._wire = cast("asyncio.Transport", transport)
        self.remote = transport.get_extra_info("peername")[:2]
        self.local = transport.get_extra_info("sockname")[:2]
        if self._session is None:
            self.ready.set_result(None)
        else:
            self._wire.write(self._session.start())

    def data_received(self, data: bytes) -> None:
        """Decrypt, cut into messages, hand on."""
        assert self._wire is not None
        try:
            clear = self._clear(data)
            events = self._parser.feed(clear) if clear else ()
        except tls.HandshakeFailed as failure:
            self._receiver.refused(failure.refusal)
            self._end()
            return
        except grammar.SipError as error:
            self._receiver.garbage(error.reason, self)
            self._end()
            return
        for event in events:
            if event is stream.KeepAlive.PING:
                self.send(b"\r\n")
            elif not isinstance(event, stream.KeepAlive):
                self._receiver.received(event, self)
        if self._session is not None and self._session.closed:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits for this connection."""
        self.closed.set()
        if not self.ready.done():
            reason = f"connection to {self.remote[0]}:{self.remote[1]} lost in the handshake"
            self.ready.set_exception(exc or ConnectionResetError(reason))
            self.ready.exception()

    def send(self, raw: bytes) -> None:
        """Send bytes when the connection still stands."""
        if self._wire is None or not self.usable or self._wire.is_closing():
            return
        self._wire.write(self._session.send(raw) if self._session else raw)

    def close(self) -> None:
        """Say good-bye and close."""
        if self._wire is not None and not self._wire.is_closing():
            if self._session is not None:
                self._put(self._session.close())
            self._wire.close()

    def leave(self) -> None:
        """Say good-bye and let the peer close: then it knows, and sends nothing into the void."""
        if self._wire is not None and not self._wire.is_closing():
            if self._session is not None:
                self._put(self._session.close())
            if not self._leaving:
                self._leaving = True
                self._wire.write_eof()

    def _clear(self, data: bytes) -> bytes:
        if self._session is None:
            return data
        assert self._wire is not None
        try:
            clear = self._session.receive(data)
        finally:
            self._put(self._session.outgoing())
        if self._session.facts is not None and not self.ready.done():
            self.ready.set_result(None)
        return clear

    def _put(self, raw: bytes) -> None:
        # After write_eof() the transport takes not even an empty line.
        if self._wire is not None and raw and not self._leaving:
            self._wire.write(raw)

    def _end(self) -> None:
        self.closed.set()
        if self._wire is not None:
            self._wire.close()


class Wire:
    """All sockets of one actor."""

    def __init__(self, sockets: Sockets, receiver: Receiver) -> None:
        self._sockets = sockets
        self._receiver = receiver
        self._ports: list[UdpPort] = []
        self._servers: list[asyncio.Server] = []
        self._connections: list[Connection] = []

    async def listen_udp(self, bind: Address) -> Address:
        """Open a UDP port and return where it is bound."""
        made = self._sockets(AF_INET, SOCK_DGRAM, bind)
        loop = asyncio.get_running_loop()
        _, port = await loop.create_datagram_endpoint(lambda: UdpPort(self._receiver), sock=made)
        self._ports.append(port)
        return port.local

    async def listen_tcp(
        self, bind: Address, session: Callable[[], tls.Session] | None
    ) -> Address:
        """Accept connections, each with a session of its own when one is given."""
        made = self._sockets(AF_INET, socket.SOCK_STREAM, bind)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: self._connection(session), sock=made)
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return str(bound[0]), int(bound[1])

    async def flow_to(
        self, hop: Hop, *, source: str, session: Callable[[], tls.Session] | None, fresh: bool
    ) -> Flow:
        """A flow to the next hop: the one that stands, or a new one.

        Args:
            hop: Where to.
            source: Our own address to speak from.
            session: Makes the TLS session of a new connection.
            fresh: Never reuse a connection (EP-5, TLS-8).

        Raises:
            OSError: Nobody listens there, or the handshake failed.
        """
        if hop.transport == "udp":
            return UdpFlow(self._port_of(source), hop.remote)
        standing = (c for c in self._connections if not fresh and _fits(c, hop, source))
        found = next(standing, None)
        return found or await self._dial(hop, source, session)

    async def stop_listening(self) -> None:
        """Close all ports, so that the kernel refuses whatever comes; connections stay."""
        for server in self._servers:
            server.close()
        for port in self._ports:
            port.close()
            await port.closed.wait()
        self._servers.clear()
        self._ports.clear()

    async def drop_connections(self) -> None:
        """Close every connection and wait until the peers closed theirs; ports stay open."""
        for connection in self._connections:
            connection.leave()
        await self._all_closed(within=2.0)

    async def close(self) -> None:
        """Close everything."""
        for server in self._servers:
            server.close()
        for port in self._ports:
            port.close()
        for connection in self._connections:
            connection.close()
        await self._all_closed(within=2.0)

    async def _all_closed(self, *, within: float) -> None:
        standing = [connection for connection in self._connections if connection.begun]
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.gather(*(connection.closed.wait() for connection in standing))
        for connection in standing:
            connection.close()
        # One that is only just beginning has nothing to close yet, and is not lost from sight.
        self._connections = [known for known in self._connections if not known.begun]

    def _connection(self, session: Callable[[], tls.Session] | None) -> Connection:
        connection = Connection(self._receiver, session() if session else None)
        self._connections = [known for known in self._connections if not known.closed.is_set()]
        self._connections.append(connection)
        return connection

    def _port_of(self, source: str) -> UdpPort:
        for port in self._ports:
            if port.local[0] == source:
                return port
        raise OSError(f"no UDP port is open on {source}")

    async def _dial(
        self, hop: Hop, source: str, session: Callable[[], tls.Session] | None
    ) -> Connection:
        made = self._sockets(AF_INET, socket.SOCK_STREAM, (source, 0))
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(made, hop.remote)
        except (OSError, asyncio.CancelledError):
            made.close()
            raise
        _, connection = await loop.create_connection(lambda: self._connection(session), sock=made)
        connection.name = hop.name
        await connection.ready
        return connection


def _fits(connection: Connection, hop: Hop, source: str) -> bool:
    return (
        connection.usable
        and connection.transport == hop.transport
        and connection.name == hop.name
        and connection.remote == hop.remote
        and connection.local[0] == source
    )
