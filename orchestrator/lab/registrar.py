"""A carrier that lets in only who has registered there and proves itself by digest.

It keeps what it saw as facts for the stories: every REGISTER, and every proof with whether the
CSeq rose after the challenge, which RFC 3261 (section 22.2) wants and carriers differ about.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestrator.lab import agent, endpoint, evidence, journal, leg, pbx, transaction, transport
from orchestrator.sip import build, digest, grammar, message, uri

PRODUCT = "Lab Registrar 1.0"
GRANTED = 300
"""Seconds a registration lasts when nobody asks for less."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A request that came with a proof.

    Attributes:
        method: ``REGISTER``, ``INVITE`` ...
        right: True when only somebody with the password can have made it, for this nonce and
            for the Request-URI it came with.
        rose: True when the CSeq is above that of the request that was challenged.
        count: How often the nonce was used, as the other side counts.
    """

    method: str
    right: bool
    rose: bool
    count: int


@dataclass(frozen=True, slots=True)
class Binding:
    """Where somebody who registered is reached.

    Attributes:
        contact: The Contact URI, byte for byte.
        seconds: How long it holds; 0 takes it back.
        call_id: The REGISTER's Call-ID, the same one for all that renew it (RFC 3261 10.2.4).
        number: The REGISTER's CSeq.
        source: The address and port it came from.
    """

    contact: str
    seconds: int
    call_id: str
    number: int
    source: transport.Address


class Registrar(pbx.Pbx):
    """Such a carrier; ``settings.account`` is the one its customer must know.

    Attributes:
        proofs: Every proof that came.
        registrations: Every REGISTER that was let in.
        binding: The one that holds, or None.
        granted: The longest a registration lasts, in seconds.
    """

    def __init__(
        self,
        settings: endpoint.Settings,
        sockets: transport.Sockets,
        *,
        context: evidence.Context,
        log: agent.Log,
    ) -> None:
        assert settings.account is not None
        super().__init__(settings, sockets, context=context, log=log)
        self.proofs: journal.Journal[Proof] = journal.Journal()
        self.registrations: journal.Journal[Binding] = journal.Journal()
        self.binding: Binding | None = None
        self.granted = GRANTED
        self._account = settings.account
        self._asked: dict[str, digest.Challenge] = {}
        self._numbers: dict[str, int] = {}
        self._refusal: tuple[int, build.Extra] | None = None
        self._forgetful = False
        self._agent.guard = self._admits

    def forget_nonces(self) -> None:
        """Take no nonce any more that was given out: the next proof is answered as stale."""
        self._asked.clear()

    @asynccontextmanager
    async def refusing(self, status: int, *, extra: build.Extra = ()) -> AsyncIterator[None]:
        """Answer every REGISTER by *status* meanwhile, whatever it proves."""
        self._refusal = (status, extra)
        try:
            yield
        finally:
            self._refusal = None

    @asynccontextmanager
    async def suspicious(self) -> AsyncIterator[None]:
        """Ask for a proof of every request meanwhile, those inside a call as well."""
        self._agent.suspicious = True
        try:
            yield
        finally:
            self._agent.suspicious = False

    @asynccontextmanager
    async def forgetful(self) -> AsyncIterator[None]:
        """Take no proof meanwhile, right or not: ask again each time."""
        self._forgetful = True
        try:
            yield
        finally:
            self._forgetful = False

    async def registered(self, *, within: float, after: int = 0) -> Binding:
        """The first registration after the first *after* ones; Silence when none comes in time."""
        return await self.registrations.first(
            lambda binding: binding.seconds > 0,
            within=within,
            what="a REGISTER at the carrier",
            after=after,
        )

    async def dial_binding(self, number: str, *, caller: str) -> leg.OutgoingLeg:
        """Call the one who registered, at the Contact it gave; *number* stands in To.

        Raises:
            Silence: Nobody has registered.
        """
        if self.binding is None:
            raise journal.Silence("nobody has registered at the carrier")
        domain = self.settings.domain
        return await self.invite(
            self.binding.contact,
            caller=f"sip:{caller}@{domain}",
            to=f"sip:{number}@{domain}",
            next_hop=self.binding.contact,
        )

    def asked(self, server: transaction.ServerTransaction) -> None:
        """Take a REGISTER; everything else as any endpoint does (agent.Hooks)."""
        request = server.request
        if request.method != "REGISTER":
            super().asked(server)
            return
        if self._refusal is not None:
            status, extra = self._refusal
            server.respond(build.response(request, status, tag=_tag(), extra=extra))
            return
        binding = self._binding_of(server)
        self.binding = binding if binding.seconds else None
        self.registrations.add(binding)
        lasting = f"<{binding.contact}>;expires={binding.seconds}"
        contacts = (("Contact", lasting),) if binding.seconds else ()
        server.respond(build.response(request, 200, tag=_tag(), extra=contacts))

    def _admits(self, server: transaction.ServerTransaction) -> bool:
        """Let OPTIONS in, and whoever answers our challenge (agent.Guard)."""
        request = server.request
        if request.method == "OPTIONS":
            return True
        header = "Authorization" if request.method == "REGISTER" else "Proxy-Authorization"
        given = request.values(header)
        before = self._numbers.get(request.call_id, 0)
        self._numbers[request.call_id] = max(before, request.cseq.number)
        stale = False
        if given:
            proof = digest.parse_proof(given[0])
            challenge = self._asked.get(proof.nonce)
            stale = challenge is None
            right = challenge is not None and self._is_right(proof, challenge, request)
            rose = request.cseq.number > before
            self.proofs.add(Proof(request.method, right, rose, proof.count))
            if right and not self._forgetful:
                return True
        self._challenge(server, stale=stale)
        return False

    def _is_right(
        self, proof: digest.Proof, challenge: digest.Challenge, request: message.Request
    ) -> bool:
        right = digest.proves(proof, challenge, self._account, method=request.method)
        return right and proof.target == request.target

    def _challenge(self, server: transaction.ServerTransaction, *, stale: bool) -> None:
        challenge = digest.Challenge(self.settings.domain, secrets.token_hex(16), "auth")
        self._asked[challenge.nonce] = challenge
        register = server.request.method == "REGISTER"
        status = 401 if register else 407
        name = "WWW-Authenticate" if register else "Proxy-Authenticate"
        extra = ((name, digest.challenge_value(challenge, stale=stale)),)
        server.respond(build.response(server.request, status, tag=_tag(), extra=extra))

    def _binding_of(self, server: transaction.ServerTransaction) -> Binding:
        request = server.request
        contacts = request.listed("Contact")
        if not contacts:
            raise grammar.SipError("a REGISTER without Contact")
        contact = uri.parse_name_addr(contacts[0])
        asked = contact.param("expires") or (request.values("Expires") or ("",))[0]
        seconds = int(asked) if asked.isdigit() else self.granted
        return Binding(
            contact=contact.uri,
            seconds=min(seconds, self.granted),
            call_id=request.call_id,
            number=request.cseq.number,
            source=server.flow.remote,
        )


def _tag() -> str:
    return secrets.token_hex(5)
