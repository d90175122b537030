"""One SIP user agent: transports, transactions and calls of one actor of the lab.

An actor gives it hooks and asks it for calls; each message in and out is written to the log as a
``Trace``, so that a ladder can be drawn of what really was on the wire.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from orchestrator.lab import call, evidence, journal, tls, transaction, transport
from orchestrator.sip import build, grammar, ladder, message, uri

Trace = ladder.Trace
Log = journal.Journal[ladder.Trace]
"""All messages of all actors, in the order they passed."""


class Hooks(Protocol):
    """What an actor is told by its agent."""

    def seen(self, parsed: message.Request | message.Response, flow: transport.Flow) -> None:
        """See every message that came, resends included, before anything is done with it."""

    def asked(self, server: transaction.ServerTransaction) -> None:
        """Answer a request outside a dialog that is not an INVITE."""

    def trouble(self, broken: evidence.Broken) -> None:
        """Learn of bytes that are no SIP and of requests that cannot be understood."""

    def refused(self, refusal: evidence.TlsRefusal) -> None:
        """Learn of a TLS handshake that failed."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Who an agent is.

    Attributes:
        name: Its name in the ladder.
        transport: ``udp``, ``tcp`` or ``tls``: how it sends requests.
        address: The address it speaks from by default.
        port: The port it says it listens on, in Via.
        resolve: From a host name to an address.
        peer: The name in the ladder of whom it talks to.
        identity: Certificate, key and roots, for TLS.
        ciphers: The TLS 1.2 suites it takes, or empty for any.
        headers: Headers that each of its messages carries, such as User-Agent.
        demanding: False to let peers in that show no certificate on TLS.
    """

    name: str
    transport: str
    address: str
    port: int
    resolve: Callable[[str], str]
    peer: str = "SBC"
    identity: tls.Identity | None = None
    ciphers: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=())
    demanding: bool = True


Guard = Callable[[transaction.ServerTransaction], bool]
"""Whether to let a request outside a dialog in; when not, the guard has answered it."""


class Agent:
    """A user agent; one event loop, closed by ``close``.

    Attributes:
        profile: Who it is.
        calls: The calls that came.
        guard: Who decides about requests outside dialogs; None lets all of them in.
        suspicious: True when the guard decides about requests in dialogs as well.
        hurried: True to close each connection after each transaction, as Microsoft may (TLS-8).
        mute: Our own addresses that hear and write down everything, and say nothing to it.
    """

    def __init__(
        self, profile: Profile, sockets: transport.Sockets, *, hooks: Hooks, log: Log
    ) -> None:
        self.profile = profile
        self.calls: journal.Journal[call.IncomingCall] = journal.Journal()
        self.guard: Guard | None = None
        self.suspicious = False
        self.hurried = False
        self.mute: frozenset[str] = frozenset()
        self._hooks = hooks
        self._log = log
        self._wire = transport.Wire(sockets, self)
        self._clients: dict[tuple[str, str], transaction.ClientTransaction] = {}
        self._servers: dict[tuple[str, str, str], transaction.ServerTransaction] = {}
        # By Call-ID: a lab under load has many calls at once.
        self._invites: dict[str, list[transaction.ServerTransaction]] = {}
        self._dialogs: dict[str, list[call.Call]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, address: str, port: int) -> transport.Address:
        """Listen on one address by the agent's transport; returns where it is bound."""
        if self.profile.transport == "udp":
            return await self._wire.listen_udp((address, port))
        session = partial(self._session, "") if self.profile.transport == "tls" else None
        return await self._wire.listen_tcp((address, port), session)

    async def close(self) -> None:
        """Stop all timers and close all sockets."""
        for client in self._clients.values():
            client.stop()
        for server in self._servers.values():
            server.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._wire.close()

    async def stop_listening(self) -> None:
        """Close all ports until ``listen`` is called again; connections stay."""
        await self._wire.stop_listening()

    async def drop_connections(self) -> None:
        """Close all connections, so that whatever comes next needs new ones (TLS-8)."""
        await self._wire.drop_connections()

    async def send_request(
        self,
        request: message.Request,
        next_hop: str,
        *,
        source: str = "",
        fresh: bool = False,
        answered: Callable[[message.Response], None] | None = None,
    ) -> transaction.ClientTransaction:
        """Put a Via on a request, send it to a URI and follow it up.

        Args:
            request: Without a Via of ours.
            next_hop: The URI that decides where it goes.
            source: The address to speak from, by default the profile's.
            fresh: Use a new connection.
            answered: Told of each response.

        Raises:
            OSError: The next hop cannot be reached.
            SipError: *next_hop* is no SIP URI.
        """
        flow = await self._flow_to(next_hop, source=source, fresh=fresh)
        whole = self._with_headers(build.with_via(request, self._via(flow)))
        client = transaction.ClientTransaction(whole, flow, self._send, answered)
        self._clients[client.key] = client
        self._forget_later(partial(self._clients.pop, client.key, None))
        return client

    async def send_ack(self, request: message.Request, next_hop: str, *, source: str = "") -> None:
        """Send the ACK of a 2xx; nothing answers it."""
        flow = await self._flow_to(next_hop, source=source, fresh=False)
        self._send(self._with_headers(build.with_via(request, self._via(flow))), flow)

    def send_cancel(self, client: transaction.ClientTransaction) -> transaction.ClientTransaction:
        """Cancel an INVITE, on the flow and with the branch it went out by."""
        request = build.cancel_of(client.request)
        cancel = transaction.ClientTransaction(request, client.flow, self._send)
        self._clients[cancel.key] = cancel
        return cancel

    def adopt(self, known: call.Call) -> None:
        """Deliver requests inside this call's dialogs to it."""
        here = self._dialogs.setdefault(known.invite.call_id, [])
        if known not in here:
            here.append(known)

    async def next_call(self, call_id: str, *, within: float, what: str) -> call.IncomingCall:
        """Take the first call in hand that nobody has; of this Call-ID, unless it is empty.

        Raises:
            Silence: None came in time; *what* says what was waited for.
        """
        incoming = await self.calls.first(
            lambda known: not known.taken and call_id in ("", known.invite.call_id),
            within=within,
            what=what,
        )
        incoming.taken = True
        return incoming

    def ends_refusal(self, parsed: message.Request | message.Response) -> bool:
        """True for the ACK of an INVITE that we refused: it goes where the INVITE went.

        It belongs to no dialog (RFC 3261 section 17.1.1.3), also when another INVITE of the same
        call, which the SBC sent to another address of ours, has been answered.
        """
        if not isinstance(parsed, message.Request) or parsed.method != "ACK":
            return False
        via = parsed.top_via
        server = self._servers.get((via.branch, via.sent_by.lower(), "INVITE"))
        return server is not None and server.last is not None and server.last.status >= 300

    @property
    def waiting_calls(self) -> int:
        """Calls that came and that nobody took yet."""
        return sum(not known.taken for known in self.calls.entries)

    def skip_calls(self) -> None:
        """Pass over calls that came and that nobody took."""
        for known in self.calls.entries:
            known.taken = True

    def forget(self, call_id: str) -> None:
        """Forget a call that is over: what comes for it now belongs to nobody."""
        self._dialogs.pop(call_id, None)
        self._invites.pop(call_id, None)
        kept = (known for known in self.calls.entries if known.invite.call_id != call_id)
        self.calls.entries[:] = kept

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside; a peer that cannot be reached becomes trouble."""
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step never looks at its work.
        task.add_done_callback(lambda _: work.close())

    def received(self, parsed: message.Request | message.Response, flow: transport.Flow) -> None:
        """Take one message from the wire (transport.Receiver)."""
        self._record(parsed, flow, came=True)
        if flow.local[0] in self.mute:
            return
        try:
            self._hooks.seen(parsed, flow)
            if isinstance(parsed, message.Response):
                self._take_response(parsed, flow)
            else:
                self._take_request(build.with_received(parsed, flow.remote), flow)
        except grammar.SipError as error:
            self.garbage(error.reason, flow)

    def garbage(self, reason: str, flow: transport.Flow) -> None:
        """Take note of bytes that are no SIP (transport.Receiver)."""
        where = f"{flow.remote[0]}:{flow.remote[1]}"
        self._hooks.trouble(evidence.Broken("SIP", f"a malformed message from {where}", reason))

    def refused(self, refusal: evidence.TlsRefusal) -> None:
        """Take note of a TLS handshake that failed (transport.Receiver)."""
        self._hooks.refused(refusal)

    def _take_response(self, response: message.Response, flow: transport.Flow) -> None:
        client = self._clients.get((response.top_via.branch, response.cseq.method))
        if client is not None:
            client.receive(response)
            if self.hurried and response.status >= 200:
                flow.leave()

    def _take_request(self, request: message.Request, flow: transport.Flow) -> None:
        if request.method == "ACK":
            self._take_ack(request)
            return
        server = transaction.ServerTransaction(request, flow, self._send)
        known = self._servers.get(server.key)
        if known is not None:
            known.repeat()
            return
        self._servers[server.key] = server
        self._forget_later(partial(self._servers.pop, server.key, None))
        if request.method == "INVITE":
            self._invites.setdefault(request.call_id, []).append(server)
        if request.method == "CANCEL":
            self._take_cancel(server)
        elif request.to.tag is not None:
            if not self.suspicious or self.guard is None or self.guard(server):
                self._take_in_dialog(server)
        elif self.guard is not None and not self.guard(server):
            return
        elif request.method == "INVITE":
            server.respond(build.response(request, 100))
            self.calls.add(call.IncomingCall(self, server, tag=secrets.token_hex(5)))
        else:
            self._hooks.asked(server)

    def _take_ack(self, request: message.Request) -> None:
        for server in self._invites.get(request.call_id, ()):
            if server.request.cseq.number == request.cseq.number:
                server.acknowledge()
        for known in self._dialogs.get(request.call_id, ()):
            if known.holds(request):
                known.requests.add(request)

    def _take_cancel(self, server: transaction.ServerTransaction) -> None:
        branch, sent_by, _ = server.key
        invite = self._servers.get((branch, sent_by, "INVITE"))
        server.respond(build.response(server.request, 200 if invite else 481))
        for known in self.calls.entries:
            if invite is not None and known.server is invite:
                known.take_cancel(server.request)

    def _take_in_dialog(self, server: transaction.ServerTransaction) -> None:
        for known in self._dialogs.get(server.request.call_id, ()):
            if known.holds(server.request):
                known.take_request(server)
                return
        server.respond(build.response(server.request, 481))

    async def _flow_to(self, next_hop: str, *, source: str, fresh: bool) -> transport.Flow:
        target = uri.parse_uri(next_hop)
        default = 5061 if self.profile.transport == "tls" else 5060
        address = self.profile.resolve(target.host)
        hop = transport.Hop(self.profile.transport, (address, target.port or default), target.host)
        session = partial(self._session, target.host) if hop.transport == "tls" else None
        where = source or self.profile.address
        return await self._wire.flow_to(hop, source=where, session=session, fresh=fresh)

    def _session(self, server_name: str) -> tls.Session:
        assert self.profile.identity is not None
        return tls.Session(
            self.profile.identity,
            server_name=server_name,
            ciphers=self.profile.ciphers,
            demanding=self.profile.demanding,
        )

    def _via(self, flow: transport.Flow) -> str:
        rport = ";rport" if flow.transport == "udp" else ""
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        where = f"{flow.local[0]}:{self.profile.port}"
        return f"SIP/2.0/{flow.transport.upper()} {where};branch={branch}{rport}"

    def _with_headers(self, request: message.Request) -> message.Request:
        for name, value in self.profile.headers:
            request = request.with_header(name, value)
        return request

    def _send(self, parsed: message.Request | message.Response, flow: transport.Flow) -> None:
        if isinstance(parsed, message.Response) and not flow.usable:
            self.spawn(self._answer_elsewhere(parsed))
            return
        flow.send(parsed.serialise())
        self._record(parsed, flow, came=False)
        if self.hurried and isinstance(parsed, message.Response) and parsed.status >= 200:
            flow.leave()

    async def _answer_elsewhere(self, response: message.Response) -> None:
        # The connection the request came by is gone: dial its Via (RFC 3261 section 18.2.2).
        via = response.top_via
        host = via.param("received") or via.host
        default = 5061 if via.transport == "TLS" else 5060
        flow = await self._flow_to(f"sip:{host}:{via.port or default}", source="", fresh=True)
        flow.send(response.serialise())
        self._record(response, flow, came=False)

    def _record(
        self, parsed: message.Request | message.Response, flow: transport.Flow, *, came: bool
    ) -> None:
        ends = (self.profile.peer, self.profile.name)
        source, destination = ends if came else reversed(ends)
        now = asyncio.get_running_loop().time()
        self._log.add(Trace(now, source, destination, parsed.text(), flow.transport))

    def _forget_later(self, forget: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(transaction.LIFE * 2, forget)

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except OSError as error:
            self._hooks.trouble(evidence.Broken("SIP", "the SBC cannot be reached", str(error)))
        except (grammar.SipError, journal.Silence) as error:
            self._hooks.trouble(evidence.Broken("SIP", "a call could not go on", str(error)))
