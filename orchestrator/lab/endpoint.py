"""What PBXs, carriers and phones have in common: SIP, PCMA, the trunk's rules, their moods."""

from __future__ import annotations

import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.lab import (
    agent,
    call,
    evidence,
    journal,
    leg,
    media,
    moods,
    offers,
    offers_srtp,
    rules,
    tls,
    transaction,
    transport,
)
from orchestrator.sip import build, digest, message, uri

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where an endpoint is and how it reaches the SBC.

    Attributes:
        name: Its name in the ladder.
        address: Its own address.
        port: Where it listens for SIP.
        contact: Its Contact value, which must come back byte for byte (SIG-12).
        sbc: The SBC as the endpoint dials it, ``host:port``.
        product: Its User-Agent.
        domain: The host of the endpoint's own URI: its own address, or what it registers at.
        account: What answers a challenge, or None.
        names: Names it may have to resolve, with their addresses.
        transport: How it speaks SIP: ``udp``, ``tcp`` or ``tls``.
        identity: Its certificate and the roots it trusts, for ``tls``.
        srtp: True when it encrypts its audio.
        outsider: True for a carrier: nobody tells it who really calls.
    """

    name: str
    address: str
    port: int
    contact: str
    sbc: str
    product: str
    domain: str
    account: digest.Account | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    transport: str = "udp"
    identity: tls.Identity | None = None
    srtp: bool = False
    outsider: bool = False


class Endpoint(moods.Moody):
    """A SIP endpoint on the company's side; make it inside a running event loop."""

    def __init__(
        self,
        settings: Settings,
        sockets: transport.Sockets,
        *,
        context: evidence.Context,
        log: agent.Log,
    ) -> None:
        self.broken: journal.Journal[evidence.Broken] = journal.Journal()
        self.settings = settings
        self._sockets = sockets
        self._context = context
        self._calls: dict[str, call.Call] = {}
        self._agent = agent.Agent(_profile(settings), sockets, hooks=self, log=log)

    async def open(self) -> None:
        """Listen."""
        await self._agent.listen(self.settings.address, self.settings.port)

    async def close(self) -> None:
        """Close everything."""
        await self._agent.close()

    def places(self) -> tuple[str, ...]:
        """The one address it listens at."""
        return (self.settings.address,)

    async def invite(
        self,
        target: str,
        *,
        caller: str,
        to: str,
        next_hop: str = "",
        wishes: leg.Wishes = leg.USUAL,
    ) -> leg.OutgoingLeg:
        """Call by way of the SBC.

        Args:
            target: The Request-URI.
            caller: The URI of From.
            to: The URI of To.
            next_hop: The URI that decides where it goes, by default the SBC's.
            wishes: What is otherwise than usual.
        """
        stream = open_stream(self._sockets, self.settings.address, wishes.media_port)
        if wishes.first_sequence is not None:
            stream.begin_at(wishes.first_sequence)
        usual = (
            ("Contact", self.settings.contact),
            ("Allow", ALLOW),
            ("Supported", "replaces, 100rel"),
            *self._gossip(),
        )
        offer = (wishes.offer or self._offer)(offers.Place(*stream.address))
        headers, body = wishes.dress(offer, usual)
        invite = build.request(
            "INVITE",
            target,
            from_=call.tagged(caller),
            to=uri.NameAddr(to),
            call_id=call.new_call_id(self.settings.address),
            number=1,
            extra=headers,
            body=body,
        )
        outgoing = call.OutgoingCall(
            self._agent, invite, next_hop or f"sip:{self.settings.sbc}", self.settings.account
        )
        self._calls[invite.call_id] = outgoing
        try:
            await outgoing.start()
        except OSError:
            stream.close()
            raise
        return leg.OutgoingLeg(outgoing, stream, answerer=self._answer, offerer=self._offer)

    def _gossip(self) -> tuple[tuple[str, str], ...]:
        """What PBXs and phones like to tell about themselves, their address in each of them."""
        here = self.settings.contact.replace("<", '"Lab" <', 1)
        return (
            ("Route", f"<sip:{self.settings.sbc};lr>"),
            ("P-Asserted-Identity", here),
            ("Remote-Party-ID", f"{here};party=calling;privacy=off"),
            ("Diversion", f"{here};reason=no-answer"),
        )

    async def next_leg(self, *, within: float = call.WITHIN, call_id: str = "") -> leg.IncomingLeg:
        """The next call from the SBC, or the next with this Call-ID; Silence when none comes."""
        what = f"a call at the {self.settings.name}"
        incoming = await self._agent.next_call(call_id, within=within, what=what)
        self._calls[incoming.invite.call_id] = incoming
        return leg.IncomingLeg(
            incoming,
            open_stream(self._sockets, self.settings.address),
            contact=self.settings.contact,
            answerer=self._answer,
            offerer=self._offer,
            extra=(("Allow", ALLOW),),
        )

    def _offer(self, here: offers.Place) -> bytes:
        body = offers.plain_offer(here, session=secrets.randbelow(90_000))
        return offers_srtp.encrypted(body) if self.settings.srtp else body

    def _answer(self, offer: bytes, here: offers.Place) -> bytes:
        session = secrets.randbelow(90_000)
        if self.settings.srtp:
            return offers_srtp.answer(offer, here, session=session)
        return offers.plain_answer(offer, here, session=session)

    @property
    def waiting_calls(self) -> int:
        """Calls that came and that nobody took yet."""
        return self._agent.waiting_calls

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside until the endpoint is closed."""
        self._agent.spawn(work)

    def skip_calls(self) -> None:
        """Pass over calls that came and that nobody took."""
        self._agent.skip_calls()

    def forget(self, call_id: str) -> None:
        """Forget a call that is over, so that a lab under load does not grow."""
        self._calls.pop(call_id, None)
        self._agent.forget(call_id)

    async def ask(self, request: message.Request) -> message.Response:
        """Send a request outside a dialog to the SBC and return its final answer."""
        client = await self._agent.send_request(request, f"sip:{self.settings.sbc}")
        return await client.final(call.WITHIN)

    def seen(self, parsed: message.Request | message.Response, flow: transport.Flow) -> None:
        """Check a message against the trunk's rules (agent.Hooks)."""
        own = self.settings
        context = replace(self._context, tls=flow.facts, srtp=own.srtp, outsider=own.outsider)
        known = self._calls.get(parsed.call_id)
        standing = known is not None and known.dialog is not None
        if standing and not self._agent.ends_refusal(parsed):
            contact = uri.parse_name_addr(self.settings.contact).uri
            context = replace(context, dialog_contact=contact, names=call.names_of(known))
        for broken in rules.check(parsed, context, rules.TRUNK):
            self.broken.add(broken)

    def asked(self, server: transaction.ServerTransaction) -> None:
        """Answer OPTIONS; refuse everything else (agent.Hooks)."""
        status = 200 if server.request.method == "OPTIONS" else 405
        tag = secrets.token_hex(4)
        extra = (("Allow", ALLOW), ("Contact", self.settings.contact))
        server.respond(build.response(server.request, status, tag=tag, extra=extra))

    def trouble(self, broken: evidence.Broken) -> None:
        """Write down what could not be understood (agent.Hooks)."""
        self.broken.add(broken)

    def refused(self, refusal: evidence.TlsRefusal) -> None:
        """Write down why a handshake failed (agent.Hooks)."""
        self.broken.add(rules.explain_refusal(refusal))


def open_stream(sockets: transport.Sockets, address: str, port: int = 0) -> media.MediaStream:
    """An audio stream on this port of *address*, or on a fresh one."""
    return media.open_stream(sockets, address, port)


def resolve(names: Mapping[str, str], host: str) -> str:
    """The address of a host; an address is its own. OSError when nobody knows the name."""
    if host.startswith("[") or host.replace(".", "").isdigit():
        return host
    address = names.get(host.lower())
    if address is None:
        raise OSError(f"the name {host} does not resolve (569015)")
    return address


def _profile(settings: Settings) -> agent.Profile:
    return agent.Profile(
        name=settings.name,
        transport=settings.transport,
        address=settings.address,
        port=settings.port,
        resolve=lambda host: resolve(settings.names, host),
        identity=settings.identity,
        headers=(("User-Agent", settings.product),),
        demanding=False,
    )
