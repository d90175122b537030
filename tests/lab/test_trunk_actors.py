"""PBXs and carriers over every transport, encrypted or not, and one that wants to be proven to."""

import asyncio
import contextlib

import loopback
import pytest

from orchestrator.lab import authority as authorities
from orchestrator.lab import endpoint, evidence, journal, pbx, phone, registrar, tls
from orchestrator.sip import digest, sdp

ONE, OTHER = loopback.own(21), loopback.own(31)
CONTEXT = evidence.Context(fqdn="sbc.example.com")
ACCOUNT = digest.Account("company", "a secret")
REALM = "registrar.example.net"


@pytest.fixture(scope="module")
def identities(tmp_path_factory):
    """A certificate for each of two actors, of one CA."""
    folder = tmp_path_factory.mktemp("company")
    root = authorities.Authority("company", folder=folder, key="ecdsa")
    (folder / "root.pem").write_text(root.pem)
    issued = [root.issue((address,), key="ecdsa") for address in (ONE, OTHER)]
    return [tls.Identity(pair.chain, pair.key, folder / "root.pem") for pair in issued]


def settings(name, address, sbc, **more):
    transport = more.get("transport", "udp")
    contact = pbx.contact_of("+493055520", address, 5060, transport)
    return endpoint.Settings(
        name, address, 5060, contact, f"{sbc}:5060", "test", more.pop("domain", address), **more
    )


@contextlib.asynccontextmanager
async def opened(*actors):
    try:
        for actor in actors:
            await actor.open()
        yield
    finally:
        for actor in actors:
            await actor.close()


def pair(identities, transport, *, srtp=False):
    """Two PBXs, each of which takes the other for its SBC."""
    log = journal.Journal()
    places = ((ONE, OTHER), (OTHER, ONE))
    return [
        pbx.Pbx(
            settings(address, address, other, transport=transport, identity=identity, srtp=srtp),
            loopback.sockets,
            context=CONTEXT,
            log=log,
        )
        for (address, other), identity in zip(places, identities, strict=True)
    ]


async def call(one, other):
    out = await one.dial("+493055530", caller="+493055520")
    incoming = await other.next_leg()
    incoming.ring()
    incoming.answer()
    assert (await out.connected()).status == 200
    await incoming.confirmed()
    return out, incoming


@pytest.mark.parametrize("srtp", [False, True])
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_call_over_every_transport(identities, transport, srtp):
    async def play():
        one, other = pair(identities, transport, srtp=srtp)
        async with opened(one, other):
            out, incoming = await call(one, other)
            assert incoming.call.server.flow.transport == transport
            audio = sdp.parse(incoming.call.remote_sdp).audio
            assert audio.protocol == ("RTP/SAVP" if srtp else "RTP/AVP")
            assert await out.stream.heard(10, within=3)
            assert await incoming.stream.heard(10, within=3)
            assert (await incoming.hang_up()).status == 200
            await out.ended()
            reports = [leg.close() for leg in (out, incoming)]
            assert [report.altered + report.forged for report in reports] == [0, 0]
            assert (one.broken.entries, other.broken.entries) == ([], [])

    asyncio.run(play())


def test_who_encrypts_refuses_plain_audio_and_says_so(identities):
    async def play():
        (one, _), (_, other) = pair(identities, "tcp"), pair(identities, "tcp", srtp=True)
        async with opened(one, other):
            out = await one.dial("+493055530", caller="+493055520")
            incoming = await other.next_leg()
            with pytest.raises(Exception, match="speaks SRTP"):
                incoming.answer()
            assert (await out.connected()).status == 488
            assert [broken.id for broken in other.broken.entries] == ["MED-11"]
            out.close(), incoming.close()

    asyncio.run(play())


def test_a_closed_port_is_refused_and_open_again_afterwards(identities):
    async def play():
        one, other = pair(identities, "tcp")
        async with opened(one, other):
            async with other.closed():
                with pytest.raises(ConnectionRefusedError):
                    await one.dial("+493055530", caller="+493055520")
            out, incoming = await call(one, other)
            out.close(), incoming.close()

    asyncio.run(play())


def test_a_port_is_open_again_after_a_story_that_failed(identities):
    async def play():
        one, other = pair(identities, "udp")
        async with opened(one, other):
            with pytest.raises(RuntimeError):
                async with other.closed():
                    raise RuntimeError
            out, incoming = await call(one, other)
            out.close(), incoming.close()

    asyncio.run(play())


def test_who_is_mute_hears_and_says_nothing(identities):
    async def play():
        one, other = pair(identities, "tcp")
        async with opened(one, other):
            async with other.mute():
                out = await one.dial("+493055530", caller="+493055520")
                with pytest.raises(journal.Silence):
                    await out.call.final(within=0.3)
                assert other.waiting_calls == 0
                assert sum("INVITE" in trace.text for trace in other._agent._log.entries) == 2
                out.close()
            out, incoming = await call(one, other)
            out.close(), incoming.close()

    asyncio.run(play())


def test_who_is_hurried_closes_the_connection_after_each_transaction(identities):
    async def play():
        one, other = pair(identities, "tls")
        async with opened(one, other), other.hurried():
            out, incoming = await call(one, other)
            first = incoming.call.server.flow
            await first.closed.wait()
            assert (await out.hang_up()).status == 200
            await incoming.ended()
            out.close(), incoming.close()
            assert (one.broken.entries, other.broken.entries) == ([], [])

    asyncio.run(play())


def customer(password="a secret"):
    """A registrar and somebody who registers there."""
    log = journal.Journal()
    carrier = registrar.Registrar(
        settings("registrar", ONE, OTHER, domain=REALM, account=ACCOUNT),
        loopback.sockets,
        context=CONTEXT,
        log=log,
    )
    account = digest.Account("company", password)
    own = phone.Phone(
        settings("customer", OTHER, ONE, domain=REALM, account=account),
        loopback.sockets,
        context=CONTEXT,
        log=log,
    )
    return carrier, own


def test_who_proves_itself_is_registered_and_called():
    async def play():
        carrier, own = customer()
        async with opened(carrier, own):
            assert (await own.register(seconds=120)).status == 200
            binding = await carrier.registered(within=1)
            assert (binding.seconds, binding.contact) == (120, carrier.binding.contact)
            assert f"<{binding.contact}>" == own.settings.contact
            assert binding.source == (OTHER, 5060)
            assert carrier.proofs.entries == [registrar.Proof("REGISTER", True, True, 1)]
            out = await carrier.dial_binding("+493055520", caller="+12025550100")
            incoming = await own.next_leg()
            assert incoming.call.invite.target == binding.contact
            incoming.answer()
            assert (await out.connected()).status == 200
            out.close(), incoming.close()
            assert (await own.register(seconds=0)).status == 200
            assert carrier.binding is None
            with pytest.raises(journal.Silence, match="nobody has registered"):
                await carrier.dial_binding("+493055520", caller="+12025550100")

    asyncio.run(play())


def test_who_does_not_know_the_password_is_not_let_in():
    async def play():
        carrier, own = customer("a guess")
        async with opened(carrier, own):
            assert (await own.register()).status == 401
            out = await own.dial("+12025550100")
            assert (await out.connected()).status == 407
            out.close()
            facts = [(proof.method, proof.right) for proof in carrier.proofs.entries]
            assert facts == [("REGISTER", False), ("INVITE", False)]
            assert (carrier.binding, carrier.waiting_calls) == (None, 0)

    asyncio.run(play())


def test_a_challenged_invite_comes_again_with_a_proof_and_a_higher_cseq():
    async def play():
        carrier, own = customer()
        async with opened(carrier, own):
            out = await own.dial("+12025550100")
            incoming = await carrier.next_leg()
            assert carrier.proofs.entries == [registrar.Proof("INVITE", True, True, 1)]
            incoming.refuse(486)
            assert (await out.connected()).status == 486
            out.close(), incoming.close()

    asyncio.run(play())


def test_a_proof_whose_cseq_did_not_rise_is_let_in_and_written_down():
    async def play():
        carrier, own = customer()
        async with opened(carrier, own):
            asked = await own.register()
            proof = carrier.proofs.entries[0]
            assert (asked.status, proof.rose) == (200, True)
            sent = [t for t in own._agent._log.entries if "Authorization: Digest" in t.text]
            raw = sent[0].text.replace("branch=z9hG4bK", "branch=z9hG4bKagain")
            loop = asyncio.get_running_loop()
            with loopback.sockets(*UDP, (OTHER, 5099)) as plain:
                await loop.sock_sendto(plain, raw.encode(), (ONE, 5060))
                await carrier.proofs.first(lambda p: not p.rose, within=2, what="it again")
            assert [p.right for p in carrier.proofs.entries] == [True, True]

    asyncio.run(play())


UDP = (endpoint.transport.AF_INET, endpoint.transport.SOCK_DGRAM)


def test_a_nonce_that_was_forgotten_is_stale_and_a_refusal_ends_with_the_story():
    async def play():
        carrier, own = customer()
        async with opened(carrier, own):
            assert (await own.register()).status == 200
            carrier.forget_nonces()
            sent = [t for t in own._agent._log.entries if "Authorization: Digest" in t.text]
            raw = sent[0].text.replace("branch=z9hG4bK", "branch=z9hG4bKagain")
            loop = asyncio.get_running_loop()
            with loopback.sockets(*UDP, (OTHER, 5099)) as plain:
                await loop.sock_sendto(plain, raw.encode(), (ONE, 5060))
                await carrier._agent._log.first(
                    lambda trace: "stale=true" in trace.text, within=2, what="a fresh nonce"
                )
            async with carrier.refusing(503, extra=(("Retry-After", "5"),)):
                answer = await own.register()
                assert (answer.status, answer.need("Retry-After")) == (503, "5")
            assert (await own.register()).status == 200

    asyncio.run(play())
