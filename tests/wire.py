"""Everybody but the SBC, for random calls: real sockets that answer what a call says they shall.

Every gateway of every trunk, Microsoft's three names and the phones are sockets of one process;
``wire_calls.py`` places calls through them.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.sip import digest
from orchestrator.site import model

TEAMS = ("198.51.100.11", "198.51.100.12", "198.51.100.13")
SBC_TRUNK, SBC_TEAMS, FQDN = "192.0.2.10", "203.0.113.10", "sbc.example.com"
GATEWAYS = tuple(f"192.0.2.{n}" for n in range(20, 32))
PHONES = {"reception": "192.0.2.61", "lobby": "192.0.2.62"}
"""Where phones registered from; the one called gate never did."""
PASSWORD = "for tests only"

_REGISTRATIONS = itertools.count(10**6)

LATE = 183
"""In place of an answer: it rings, and answers after 1.7 s."""

Send = Callable[[str], None]


@dataclass
class Call:
    """One call: what each address will say, and what happened."""

    number: int
    source: str
    dialled: str
    says: dict[str, int]
    """The final answer of each address; 0 is silence, 180 rings for ever, 100 only tries."""
    name: str = FQDN
    """The name that Teams calls."""
    callers: tuple[str, ...] = ()
    """What Teams says in From, and in P-Asserted-Identity."""
    shown: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The user in From, and the name in Contact, as each address saw them."""
    asked: list[str] = field(default_factory=list)
    final: asyncio.Future[tuple[int, str]] = field(default_factory=asyncio.Future)

    @property
    def call_id(self) -> str:
        return f"wire-{self.number}"


# -- messages ---------------------------------------------------------------------------------


def header(text: str, name: str) -> str:
    found = re.search(rf"^{name}:[ \t]*(.*?)\r$", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def answer(request: str, code: int, address: str) -> str:
    """An answer to *request*; a 200 to an INVITE brings media."""
    kept = [
        line
        for line in request.partition("\r\n\r\n")[0].split("\r\n")
        if line.partition(":")[0].lower() in ("via", "from", "call-id", "cseq", "record-route")
    ]
    to = header(request, "To")
    tag = "" if ";tag=" in to or code == 100 else f";tag={address}"
    body = ""
    if code == 200 and request.startswith("INVITE"):
        body = _sdp(address, is_secure=address in TEAMS)
        kept += [f"Contact: <sip:{address}:5060>", "Content-Type: application/sdp"]
    lines = [f"SIP/2.0 {code} Said", *kept, f"To: {to}{tag}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body])


def _sdp(address: str, *, is_secure: bool) -> str:
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40
    lines = [
        *("v=0", f"o=- 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0"),
        f"m=audio 40000 RTP/{'SAVP' if is_secure else 'AVP'} 8",
        *((key,) if is_secure else ()),
    ]
    return "".join(f"{line}\r\n" for line in lines)


def invite(call: Call, address: str, user: str, *, count: int = 1, proof: str = "") -> str:
    """The INVITE of *call* as its caller sends it from *address*."""
    is_teams = call.source == "teams"
    here = f"{address}:5061;transport=tls" if is_teams else f"{address}:5060"
    via = f"TLS {address}:5061" if is_teams else f"UDP {address}:5060"
    there = f"{call.name}:5061;transport=tls" if is_teams else f"{SBC_TRUNK}:5060"
    body = _sdp(address, is_secure=is_teams)
    lines = [
        f"INVITE sip:{call.dialled}@{there} SIP/2.0",
        f"Via: SIP/2.0/{via};branch=z9hG4bK-{call.number}-{count}",
        "Max-Forwards: 70",
        f"From: <sip:{user}@{address}>;tag=c{call.number}",
        f"To: <sip:{call.dialled}@{FQDN}>",
        f"Call-ID: {call.call_id}",
        f"CSeq: {count} INVITE",
        f"Contact: <sip:{user}@{here}>",
        *(f"P-Asserted-Identity: <sip:{each}@{address}>" for each in call.callers[1:]),
        *((f"Proxy-Authorization: {proof}",) if proof else ()),
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body])


def acknowledgement(request: str, reply: str) -> str:
    """The ACK of a refusal: same branch, the answer's To."""
    first, *lines = request.partition("\r\n\r\n")[0].split("\r\n")
    kept = [line for line in lines if line.split(":")[0] in ("Via", "From", "Call-ID")]
    count = header(request, "CSeq").split()[0]
    lines = [first.replace("INVITE", "ACK", 1), *kept, f"To: {header(reply, 'To')}"]
    return "\r\n".join(
        [*lines, f"CSeq: {count} ACK", "Max-Forwards: 70", "Content-Length: 0", "", ""]
    )


# -- sockets ----------------------------------------------------------------------------------


class Udp(asyncio.DatagramProtocol):
    """One address of a trunk or a phone."""

    def __init__(self, world: World, address: str) -> None:
        self.world = world
        self.address = address

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        text = data.decode()
        self.world.take(
            self.address, text, lambda reply: self.transport.sendto(reply.encode(), addr)
        )

    def send(self, text: str) -> None:
        self.transport.sendto(text.encode(), (SBC_TRUNK, 5060))


class World:
    """Everybody but the SBC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: dict[str, Call] = {}
        self.udp: dict[str, Udp] = {}
        self.seen: set[tuple[str, str]] = set()
        self.teams: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Bind every address."""
        loop = asyncio.get_running_loop()
        for address in (*GATEWAYS, *PHONES.values()):
            _, self.udp[address] = await loop.create_datagram_endpoint(
                lambda address=address: Udp(self, address), (address, 5060)
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "peer.chain", self.folder / "peer.key")
        for address in TEAMS:
            await asyncio.start_server(
                lambda reader, writer, address=address: self._read(address, reader, writer),
                *(address, 5061),
                ssl=context,
            )

    async def dial(self) -> None:
        """Open the connection over which Teams calls."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / "peer.chain", self.folder / "peer.key")
        reader, self.teams = await asyncio.open_connection(
            *(SBC_TEAMS, 5061),
            ssl=context,
            server_hostname=FQDN,
            local_addr=(TEAMS[0], 0),
        )
        self.reading = asyncio.create_task(self._read(TEAMS[0], reader, self.teams))

    async def _read(self, address: str, reader, writer) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(header(head, "Content-Length") or 0)
                body = (await reader.readexactly(length)).decode()
                self.take(address, head + body, lambda reply: writer.write(reply.encode()))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    def take(self, address: str, text: str, send: Send) -> None:
        """A message came to *address*."""
        first = text.partition("\r\n")[0]
        call = self.calls.get(header(text, "Call-ID"))
        if first.startswith("SIP/2.0"):
            if call and not call.final.done() and int(first.split()[1]) >= 200:
                call.final.set_result((int(first.split()[1]), text))
        elif first.startswith("INVITE"):
            self._ring(address, call, text, send)
        elif first.startswith("CANCEL"):
            send(answer(text, 200, address))
            send(answer(self.ringing.pop((address, header(text, "Call-ID"))), 487, address))
        elif not first.startswith("ACK"):
            send(answer(text, 200, address))

    ringing: dict[tuple[str, str], str] = {}  # noqa: RUF012 - one world for each process

    def _ring(self, address: str, call: Call | None, text: str, send: Send) -> None:
        if call is None or (branch := (address, header(text, "Via"))) in self.seen:
            return
        self.seen.add(branch)
        call.asked.append(address)
        called = re.match(r"[^<]*<sips?:(?:([^@>]*)@)?", header(text, "From"))
        contact = re.match(r"[^<]*<sips?:(?:[^@>]*@)?([^:;>]*)", header(text, "Contact"))
        assert called
        assert contact
        call.shown[address] = (called[1] or "", contact[1])
        code = call.says[address]
        if code in (100, 180):
            self.ringing[address, call.call_id] = text
            self._again(address, call, answer(text, code, address), send)
        if code == LATE:
            send(answer(text, 180, address))
            later = answer(text, 200, address)
            asyncio.get_running_loop().call_later(1.7, send, later)
        elif code not in (0, 100, 180):
            send(answer(text, code, address))

    def _again(self, address: str, call: Call, text: str, send: Send) -> None:
        """Ring on until somebody cancels: no answer may give a target more time."""
        if (address, call.call_id) in self.ringing:
            send(text)
            asyncio.get_running_loop().call_later(0.7, self._again, address, call, text, send)

    # -- callers ----------------------------------------------------------------------------

    async def place(self, call: Call, site: model.Site) -> int:
        """Place *call* and return its final answer; 0 when none comes."""
        address, user, send = self._caller(call, site)
        sent = invite(call, address, user)
        send(sent)
        try:
            code, reply = await asyncio.wait_for(call.final, 20)
            if code == 407 and call.source == "phone":
                send(acknowledgement(sent, reply))
                call.final = asyncio.Future()
                sent = invite(call, address, user, count=2, proof=_proof(reply, user, sent))
                send(sent)
                code, reply = await asyncio.wait_for(call.final, 20)
        except TimeoutError:
            return 0
        if code >= 300:
            send(acknowledgement(sent, reply))
        return code

    async def place_again(self, call: Call, site: model.Site) -> int:
        """Place an answered call of Teams' once more, as its other datacentre does (SIG-27)."""
        address, user, send = self._caller(call, site)
        call.final = asyncio.Future()
        first = f"z9hG4bK-{call.number}-1"
        send(invite(call, address, user).replace(first, f"z9hG4bK-{call.number}-again"))
        return (await asyncio.wait_for(call.final, 20))[0]

    async def hang_up(self, call: Call) -> int:
        """Teams ends a call that it made and that was answered; the answer to its BYE."""
        assert self.teams
        _, reply = call.final.result()
        contact = re.match(r"[^<]*<([^>]*)>", header(reply, "Contact"))
        assert contact
        ways = re.findall(r"^Record-Route:[ \t]*(.*?)\r$", reply, re.MULTILINE | re.IGNORECASE)
        routes = [each.strip() for way in ways for each in way.split(",")]
        lines = [
            f"BYE {contact[1]} SIP/2.0",
            f"Via: SIP/2.0/TLS {TEAMS[0]}:5061;branch=z9hG4bK-{call.number}-bye",
            "Max-Forwards: 70",
            f"From: {header(reply, 'From')}",
            f"To: {header(reply, 'To')}",
            f"Call-ID: {call.call_id}",
            "CSeq: 9 BYE",
            *(f"Route: {route}" for route in reversed(routes)),
            "Content-Length: 0",
        ]
        call.final = asyncio.Future()
        self.teams.write("\r\n".join([*lines, "", ""]).encode())
        return (await asyncio.wait_for(call.final, 5))[0]

    def _caller(self, call: Call, site: model.Site) -> tuple[str, str, Send]:
        if call.source == "teams":
            assert self.teams
            writer = self.teams
            user = call.callers[0] if call.callers else "+4989"
            return TEAMS[0], user, lambda text: writer.write(text.encode())
        if call.source == "phone":
            user = list(PHONES)[call.number % len(PHONES)]
            return PHONES[user], user, self.udp[PHONES[user]].send
        gateways = site.trunks[call.source].gateways
        address = gateways[call.number % len(gateways)].host
        return address, "+4940", self.udp[address].send

    async def register(self, user: str) -> None:
        """Register the phone *user* with its password."""
        address, target = PHONES[user], f"sip:{FQDN}"
        proof = ""
        for count in (1, 2):
            call = Call(next(_REGISTRATIONS), "phone", "", {})
            self.calls[call.call_id] = call
            lines = [
                f"REGISTER {target} SIP/2.0",
                f"Via: SIP/2.0/UDP {address}:5060;branch=z9hG4bK{call.call_id}",
                f"From: <sip:{user}@{FQDN}>;tag=r",
                f"To: <sip:{user}@{FQDN}>",
                f"Call-ID: {call.call_id}",
                *(f"CSeq: {count} REGISTER", "Max-Forwards: 70", "Expires: 600"),
                f"Contact: <sip:{user}@{address}:5060>",
                *((f"Authorization: {proof}",) if proof else ()),
            ]
            self.udp[address].send("\r\n".join([*lines, "Content-Length: 0", "", ""]))
            code, reply = await asyncio.wait_for(call.final, 5)
            if count == 1:
                challenge = digest.parse_challenge(header(reply, "WWW-Authenticate"))
                account = digest.Account(user, PASSWORD)
                proof = digest.authorisation(
                    challenge, account, method="REGISTER", target=target, cnonce="x"
                )
        assert code == 200, reply


def _proof(reply: str, user: str, sent: str) -> str:
    challenge = digest.parse_challenge(header(reply, "Proxy-Authenticate"))
    account = digest.Account(user, PASSWORD)
    target = sent.split()[1]
    return digest.authorisation(challenge, account, method="INVITE", target=target, cnonce="x")
