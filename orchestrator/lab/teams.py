"""The strict Microsoft: a SIP proxy behind mutual TLS that checks every rule it meets.

What it does is restated from facts/teams.md: it answers OPTIONS only to an SBC that names itself
by its FQDN, and then sends OPTIONS of its own to the FQDN it found in Contact (section 3); its
certificate is good for server authentication only, in both roles (EKU-1); requests come from
three addresses, each on a connection of its own when asked to (EP-5, TLS-8).
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from orchestrator.lab import (
    agent,
    bodies,
    call,
    endpoint,
    evidence,
    hold,
    leg,
    media,
    memory,
    moods,
    offers,
    refer,
    regions,
    rules,
    tenancy,
    tls,
    transaction,
    transport,
)
from orchestrator.sip import build, grammar, message, uri

PRODUCT = "Microsoft.PSTNHub.SIPProxy v.2026.11.1.1 i.EUWE.3"
ALLOW = "INVITE,ACK,OPTIONS,CANCEL,BYE,NOTIFY"
ACK_WITHIN = 4.0
"""Seconds after which Microsoft hangs up a call whose 200 got no ACK (SIG-9)."""
MISSING = "Record-Route and Contact headers are missing"

_ADDRESS = re.compile(r"[0-9.]+|\[.*\]")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where Microsoft is and what it knows of the SBC.

    Attributes:
        hosts: Its names and their addresses, in the order they are tried.
        port: Where it listens for SIP over TLS.
        media: Address of its media processor.
        names: Every name it may have to resolve, with its address.
        identity: Its certificate and the roots it trusts.
        context: The SBC as the tenant configured it.
        regions: Its datacentres, in the order of its names.
        spare: One more address it listens at, which none of its names leads to; or nothing.
        tenants: The derived trunks of a carrier, and whose numbers are behind each.
    """

    hosts: Mapping[str, str]
    port: int
    media: str
    names: Mapping[str, str]
    identity: tls.Identity
    context: evidence.Context
    regions: tuple[regions.Region, ...] = regions.ALL
    spare: str = ""
    tenants: tenancy.Tenants = field(default_factory=dict)


class Teams(moods.Fillable):
    """Microsoft's side of a trunk; make it inside a running event loop."""

    def __init__(self, settings: Settings, sockets: transport.Sockets, log: agent.Log) -> None:
        self.books = memory.Books()
        self._settings = settings
        self._sockets = sockets
        self._known: dict[str, memory.Known] = {}
        self._transfers: tuple[tuple[str, str], ...] = ()
        self._moved: dict[str, str] = {}
        self._agent = agent.Agent(_profile(settings), sockets, hooks=self, log=log)

    async def open(self) -> None:
        """Listen at all three names, and at the spare address."""
        for address in self.places():
            await self._agent.listen(address, self._settings.port)

    def places(self) -> tuple[str, ...]:
        """The addresses it listens at."""
        spare = (self._settings.spare,) if self._settings.spare else ()
        return (*self._settings.hosts.values(), *spare)

    async def close(self) -> None:
        """Close everything."""
        await self._agent.close()

    async def dial(
        self,
        number: str,
        *,
        caller: str,
        wishes: leg.Wishes = leg.USUAL,
        source: str = "",
        fqdn: str = "",
    ) -> leg.OutgoingLeg:
        """Call a number behind the SBC as Teams does (SIG-20, MED-17).

        Args:
            number: Who is called.
            caller: The number of the Teams user, or a user and a host of its own.
            wishes: What is not as usual about it.
            source: The address of ours to call from; it stands for its region (EP-5).
            fqdn: The trunk that the tenant's voice route names; by default the carrier's own.
        """
        stream = self._stream(wishes.media_port)
        if wishes.first_sequence is not None:
            stream.begin_at(wishes.first_sequence)
        offer = (wishes.offer or _offer)(offers.Place(*stream.address))
        named = caller if "@" in caller else f"{caller}@{next(iter(self._settings.hosts))}:5061"
        context = self._settings.context
        at = f"{fqdn or context.fqdn}:{context.port}"
        region = self._region_at(source or self._agent.profile.address)
        own, route = region.contact(), region.route
        usual = (*_invite_headers(), ("Record-Route", f"<{route}>"), ("Contact", f"<{own}>"))
        headers, body = wishes.dress(offer, usual)
        invite = build.request(
            "INVITE",
            f"sip:{number}@{at};user=phone;transport=tls",
            from_=call.tagged(f"sip:{named};user=phone"),
            to=uri.NameAddr(f"sip:{number}@{at};user=phone"),
            call_id=secrets.token_hex(16),
            number=1,
            extra=headers,
            body=body,
        )
        outgoing = call.OutgoingCall(self._agent, invite, f"sip:{at}", None)
        outgoing.allow, outgoing.source = ALLOW, source
        self._known[invite.call_id] = memory.Known(outgoing, own, (route,), offer=offer, fqdn=fqdn)
        try:
            await outgoing.start()
        except OSError:
            stream.close()
            raise
        return leg.OutgoingLeg(outgoing, stream, answerer=_answer, mirror=hold.teams_answer_to)

    async def next_leg(self, *, within: float = call.WITHIN, call_id: str = "") -> leg.IncomingLeg:
        """The next call from the SBC, or the next with this Call-ID; Silence when none comes."""
        incoming = await self._agent.next_call(call_id, within=within, what="a call at Teams")
        incoming.source = incoming.server.flow.local[0]
        region = self._region_at(incoming.source)
        own, route = region.contact(), region.route
        incoming.front = (("Record-Route", f"<{route}>"),)
        incoming.allow = ALLOW
        offer = bodies.sdp_of(incoming.invite)
        self._known[incoming.invite.call_id] = memory.Known(
            incoming,
            own,
            (route,),
            earlier=offer,
            fqdn=self._trunk_of(incoming.invite),
        )
        self._agent.spawn(self._watch_ack(incoming))
        return leg.IncomingLeg(
            incoming,
            self._stream(),
            contact=f"<{own}>",
            answerer=_answer,
            mirror=hold.teams_answer_to,
            extra=(("Allow", ALLOW), ("Server", PRODUCT)),
        )

    async def transfer(
        self, known: refer.Leg, target: refer.Target, *, source: str = ""
    ) -> refer.Transfer:
        """Transfer a call of ours, from another address on a new connection (XF-9).

        What the SBC sends afterwards is held against XF-2 to XF-5.

        Args:
            known: The leg whose other party is to be moved.
            target: For example ``refer.opaque_target()``.
            source: One of Microsoft's addresses; by default that of its second name.
        """
        asked = (target.refer_to, target.referred_by)
        self._transfers += (asked,)
        told = self._known[known.call.invite.call_id]
        told.transfers += (asked,)
        self._moved[target.refer_to] = told.fqdn
        addresses = tuple(self._settings.hosts.values())
        return await refer.transfer(
            known, target, source=source or addresses[1 % len(addresses)], fresh=True
        )

    @property
    def waiting_calls(self) -> int:
        """Calls that came and that nobody took yet."""
        return self._agent.waiting_calls

    def skip_calls(self) -> None:
        """Pass over calls that came and that nobody took."""
        self._agent.skip_calls()

    def forget(self, call_id: str) -> None:
        """Forget a call that is over, so that a lab under load does not grow."""
        known = self._known.pop(call_id, None)
        if known is not None and known.transfers:
            gone = set(known.transfers)
            self._transfers = tuple(each for each in self._transfers if each not in gone)
        self._agent.forget(call_id)

    def seen(self, parsed: message.Request | message.Response, flow: transport.Flow) -> None:
        """Check a message and its connection against every rule (agent.Hooks)."""
        known = self._known.get(parsed.call_id)
        context = replace(self._settings.context, tls=flow.facts, transfers=self._transfers)
        if flow.facts is not None:
            for broken in rules.check_connection(flow.facts, context):
                self.books.broken.add(broken)
        if known is not None:
            standing = known.call.dialog is not None and not self._agent.ends_refusal(parsed)
            context = replace(
                context,
                dialog_contact=known.contact if standing else "",
                dialog_routes=known.routes,
                names=call.names_of(known.call) if standing else None,
                offer=known.offer if isinstance(parsed, message.Response) else b"",
                # An INVITE that begins a dialog is compared with none: another datacentre than the
                # one that refused it is offered media anew.
                earlier=b"" if _begins_dialog(parsed) else known.earlier,
                tag=known.tag,
                number=known.number,
                transferring=bool(known.transfers),
            )
        name = known.fqdn if known else self._trunk_of(parsed)
        context = replace(context, fqdn=name or context.fqdn)
        for broken in rules.check(parsed, context):
            self.books.broken.add(broken)
        if known is not None:
            known.learn(parsed)

    def asked(self, server: transaction.ServerTransaction) -> None:
        """Answer OPTIONS by the FQDN rule; refuse everything else (agent.Hooks)."""
        if server.request.method != "OPTIONS":
            server.respond(build.response(server.request, 405, extra=(("Allow", ALLOW),)))
            return
        refusal = self._refusal_of(server.request)
        host = self._host_of(server.flow.local[0])
        headers: build.Extra = (("Allow", ALLOW), ("Server", PRODUCT))
        status = 200
        if server.flow.local[0] in self.full:
            status, headers = 503, (*headers, *self.full[server.flow.local[0]])
        elif refusal is not None:
            status, reason = refusal
            headers = (("Reason", reason), ("Server", PRODUCT))
        tag = secrets.token_hex(4)
        server.respond(build.response(server.request, status, tag=tag, extra=headers))
        self.books.came.add(memory.Ping(host, status))
        if status == 200 and server.request.contacts:
            contact = uri.parse_uri(server.request.contacts[0].uri)
            self._agent.spawn(self._ping(host, contact))

    def trouble(self, broken: evidence.Broken) -> None:
        """Write down what could not be understood (agent.Hooks)."""
        self.books.broken.add(broken)

    def refused(self, refusal: evidence.TlsRefusal) -> None:
        """Write down why a handshake failed (agent.Hooks)."""
        self.books.broken.add(rules.explain_refusal(refusal))

    def _refusal_of(self, request: message.Request) -> tuple[int, str] | None:
        # Microsoft looks in Record-Route first, then in Contact (facts/teams.md 3).
        named = (*request.record_routes[:1], *request.contacts[:1])
        if not named:
            return 400, f'Q.850;cause=63;text="{MISSING}"'
        host = uri.parse_uri(named[0].uri).host
        if _ADDRESS.fullmatch(host):
            return 403, f'Q.850;cause=63;text="{host} is not an FQDN"'
        if host.lower() != self._settings.context.fqdn:
            return 403, f'Q.850;cause=63;text="no tenant has the trunk {host}"'
        return None

    async def _ping(self, host: str, contact: uri.Uri) -> None:
        # To the FQDN in the SBC's Contact, on a new connection (facts/teams.md 3, TLS-8).
        port = contact.port or 5061
        at = f"{contact.host}:{port}"
        source = self._settings.hosts.get(host, host)
        proxy = self._region_at(source).proxy
        request = build.request(
            "OPTIONS",
            f"sip:{at};transport=tls",
            from_=call.tagged(f"sip:{proxy}:{self._settings.port}"),
            to=uri.NameAddr(f"sip:{at}"),
            call_id=secrets.token_hex(16),
            number=1,
            extra=(
                ("Contact", f"<sip:{proxy}:{self._settings.port};transport=tls>"),
                ("Allow", ALLOW),
                ("User-Agent", PRODUCT),
            ),
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        client = await self._agent.send_request(request, f"sip:{at}", source=source, fresh=True)
        answer = await client.final(call.WITHIN)
        self.books.sent.add(memory.Ping(host, answer.status, loop.time() - began))

    async def _watch_ack(self, incoming: call.IncomingCall) -> None:
        await incoming.server.finished.wait()
        if incoming.dialog is None:
            return
        try:
            async with asyncio.timeout(ACK_WITHIN):
                await incoming.server.acknowledged.wait()
        except TimeoutError:
            late = f"no ACK for Teams' 200 within {ACK_WITHIN:g} s: Teams hangs up (1106)"
            self.books.broken.add(evidence.Broken("SIG-9", late))
            await incoming.hang_up()

    def _trunk_of(self, parsed: message.Request | message.Response) -> str:
        """The derived trunk by which a call that begins must come; empty for the carrier's."""
        target = parsed.target if isinstance(parsed, message.Request) else ""
        return self._moved.get(target) or tenancy.expected_name(parsed, self._settings.tenants)

    def _region_at(self, address: str) -> regions.Region:
        """The region behind one of our addresses; the first one behind the spare address."""
        places = tuple(self._settings.hosts.values())
        number = places.index(address) if address in places else 0
        return self._settings.regions[number % len(self._settings.regions)]

    def _host_of(self, address: str) -> str:
        """The name that leads to an address; the spare address itself, which has none."""
        found = (name for name, known in self._settings.hosts.items() if known == address)
        return next(found, address)

    def _stream(self, port: int = 0) -> media.MediaStream:
        return endpoint.open_stream(self._sockets, self._settings.media, port)


def _begins_dialog(parsed: message.Request | message.Response) -> bool:
    return isinstance(parsed, message.Request) and parsed.to.tag is None


def _profile(settings: Settings) -> agent.Profile:
    return agent.Profile(
        name="Teams",
        transport="tls",
        address=next(iter(settings.hosts.values())),
        port=settings.port,
        resolve=lambda host: endpoint.resolve(settings.names, host),
        identity=settings.identity,
        ciphers=":".join(tls.TEAMS_CIPHERS),
    )


def _answer(offer: bytes, here: offers.Place) -> bytes:
    if not offer:
        raise grammar.SipError("no offer in the INVITE")
    return offers.teams_answer(offer, here, session=_session(), key=secrets.token_bytes(30))


def _offer(here: offers.Place) -> bytes:
    keys = (secrets.token_bytes(30), secrets.token_bytes(30))
    return offers.teams_offer(here, session=_session(), keys=keys)


def _session() -> int:
    return secrets.randbelow(90_000) + 10_000


def _invite_headers() -> build.Extra:
    return (
        ("User-Agent", PRODUCT),
        ("Allow", ALLOW),
        ("Supported", "histinfo,timer"),
        ("Min-SE", "300"),
        ("Session-Expires", "1800"),
        ("X-MS-UserLocation", "external"),
        ("X-MS-UserSite", "lab"),
        ("X-MS-MediaPath", "sbc.example.com"),
    )
