"""Plain loopback sockets, certificates, and a small SBC that does everything right.

The SBC here is for Microsoft's simulator to talk to: one honest user agent over TLS, whose headers
a test can spoil on purpose.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.lab import (
    agent,
    authority,
    call,
    evidence,
    journal,
    leg,
    media,
    offers,
    teams,
    tls,
    transaction,
    transport,
)
from orchestrator.sip import build, message, sdp, uri

FQDN = "sbc.example.com"
HOST = "sip.pstnhub.microsoft.com"


def own(number: int) -> str:
    """An address of this process: the tests beside us take the same ports on others."""
    net, host = divmod(os.getpid(), 250)
    return f"127.{1 + net % 250}.{host}.{number}"


def sockets(family, kind, bind):
    """A non-blocking socket bound on loopback (transport.Sockets)."""
    made = socket.socket(family, kind)
    made.setblocking(False)
    if kind == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(bind)
    except OSError:
        made.close()
        raise
    return made


@dataclass(frozen=True)
class Authorities:
    """Both CAs of a test, on disk."""

    microsoft: authority.Authority
    acme: authority.Authority
    microsoft_root: Path
    acme_root: Path

    def teams_identity(self, **wishes) -> tls.Identity:
        pair = self.microsoft.issue(("*.pstnhub.microsoft.com",), **wishes)
        return tls.Identity(pair.chain, pair.key, self.acme_root)

    def sbc_identity(self, *, names=(FQDN,), **wishes) -> tls.Identity:
        pair = self.acme.issue(names, **wishes)
        return tls.Identity(pair.chain, pair.key, self.microsoft_root)


def make_authorities(folder: Path) -> Authorities:
    """A root with an intermediate for each side."""
    roots, between = [], []
    for name in ("microsoft", "acme"):
        root = authority.Authority(f"{name} root", folder=folder)
        roots.append(folder / f"{name}-root.pem")
        roots[-1].write_text(root.pem, encoding="ascii")
        between.append(authority.Authority(f"{name} issuing", folder=folder, issuer=root))
    return Authorities(between[0], between[1], roots[0], roots[1])


@dataclass
class Spoil:
    """How a test wants the SBC to misbehave."""

    contact: str | None = None
    drop: tuple[str, ...] = ()
    sdp: tuple[bytes, bytes] = (b"", b"")
    no_ack: bool = False
    allow: str = "INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY"


@dataclass
class SmallSbc:
    """A user agent that behaves towards Microsoft as an SBC must."""

    identity: tls.Identity
    address: str
    names: dict[str, str]
    log: agent.Log
    port: int = 5061
    spoil: Spoil = field(default_factory=Spoil)

    def __post_init__(self):
        profile = agent.Profile(
            name="SBC",
            transport="tls",
            address=self.address,
            port=self.port,
            resolve=lambda host: teams.endpoint.resolve(self.names, host),
            peer="Teams",
            identity=self.identity,
        )
        self.troubles: journal.Journal[evidence.Broken] = journal.Journal()
        self.agent = HonestVia(profile, sockets, hooks=self, log=self.log)
        self.agent.spoil = self.spoil

    @property
    def contact(self) -> str:
        return self.spoil.contact or f"<sip:+493055520@{FQDN}:{self.port};transport=tls>"

    async def open(self) -> None:
        self.port = (await self.agent.listen(self.address, self.port))[1]

    async def options(self) -> message.Response:
        extra = (
            ("Contact", self.spoil.contact or f"<sip:{FQDN}:{self.port};transport=tls>"),
            ("Allow", self.spoil.allow),
            ("User-Agent", "small"),
        )
        request = build.request(
            "OPTIONS",
            f"sip:{HOST}:5061;transport=tls",
            from_=call.tagged(f"sip:{FQDN}"),
            to=uri.NameAddr(f"sip:{HOST}:5061"),
            call_id=secrets.token_hex(8),
            number=1,
            extra=[pair for pair in extra if pair[0] not in self.spoil.drop],
        )
        client = await self.agent.send_request(request, f"sip:{HOST}:5061")
        return await client.final(2.0)

    async def dial(self, number: str, offer_of=None) -> leg.OutgoingLeg:
        stream = self.stream()
        body = self.spoiled(clean_offer(offers.Place(*stream.address)))
        invite = build.request(
            "INVITE",
            f"sip:{number}@{HOST}:5061;user=phone;transport=tls",
            from_=call.tagged(f"sip:+493055520@{FQDN}"),
            to=uri.NameAddr(f"sip:{number}@{HOST}"),
            call_id=secrets.token_hex(8),
            number=1,
            extra=(
                ("Contact", self.contact),
                ("Allow", self.spoil.allow),
                ("User-Agent", "small"),
            ),
            body=body,
        )
        outgoing = call.OutgoingCall(self.agent, invite, f"sip:{HOST}:5061", None)
        await outgoing.start()
        return leg.OutgoingLeg(outgoing, stream)

    async def next_leg(self) -> leg.IncomingLeg:
        incoming = await self.agent.calls.first(lambda _: True, within=2.0, what="a call")
        return leg.IncomingLeg(
            incoming,
            self.stream(),
            contact=self.contact,
            answerer=lambda offer, here: self.spoiled(clean_answer(offer, here)),
            extra=(("Allow", self.spoil.allow),),
        )

    def stream(self) -> media.MediaStream:
        return teams.endpoint.open_stream(sockets, self.address)

    def spoiled(self, body: bytes) -> bytes:
        return body.replace(*self.spoil.sdp) if self.spoil.sdp[0] else body

    def seen(self, parsed, flow):
        pass

    def asked(self, server: transaction.ServerTransaction) -> None:
        extra = (
            ("Contact", self.spoil.contact or f"<sip:{FQDN}:{self.port};transport=tls>"),
            ("Allow", self.spoil.allow),
            ("Server", "small"),
        )
        kept = [pair for pair in extra if pair[0] not in self.spoil.drop]
        server.respond(build.response(server.request, 200, tag="sbc", extra=kept))

    def trouble(self, broken):
        self.troubles.add(broken)

    def refused(self, refusal):
        self.troubles.add(evidence.Broken("TLS", refusal.reason))


class HonestVia(agent.Agent):
    """An agent whose Via is the SBC's name (OPT-5), and that can forget its ACKs (SIG-9)."""

    spoil = Spoil()

    def _via(self, flow: transport.Flow) -> str:
        address, _, branch = super()._via(flow).partition(";")
        return f"{address.replace(flow.local[0], FQDN)};{branch}"

    async def send_ack(self, request, next_hop, *, source=""):
        if not self.spoil.no_ack:
            await super().send_ack(request, next_hop, source=source)


def clean_offer(here: offers.Place) -> bytes:
    """An offer as the SBC must make it towards Teams."""
    return _clean(offers.teams_offer(here, session=1, keys=(secrets.token_bytes(30),) * 2))


def clean_answer(offer: bytes, here: offers.Place) -> bytes:
    """An answer as the SBC must make it towards Teams."""
    return _clean(offers.teams_answer(offer, here, session=1, key=secrets.token_bytes(30)))


def _clean(raw: bytes) -> bytes:
    parsed = sdp.parse(raw)
    media_ = parsed.media[0]
    kept = tuple(
        line
        for line in media_.lines
        if not line.value.startswith(("x-", "label", "mid", "candidate", "crypto:2", "rtcp-fb"))
    )
    return sdp.Sdp(parsed.lines, (replace(media_, lines=kept),)).serialise()
