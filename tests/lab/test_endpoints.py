"""The PBX and the phone over UDP: calls, resends, and digest authentication."""

import asyncio
import socket
from contextlib import asynccontextmanager

import loopback
import pytest

from orchestrator.lab import endpoint, evidence, journal, pbx, phone, transaction
from orchestrator.sip import build, digest, message

PBX, PHONE, REGISTRAR = loopback.own(20), loopback.own(30), loopback.own(10)
REALM = "sbc.example.com"
CONTEXT = evidence.Context(fqdn="sbc.example.com")
ACCOUNT = digest.Account("reception", "a secret")


def settings_of(name, address, contact, sbc, **more):
    return endpoint.Settings(name, address, 5060, contact, f"{sbc}:5060", "test", **more)


@asynccontextmanager
async def both(sbc_of_pbx=PHONE):
    """A PBX and a phone; the PBX takes the phone for its SBC."""
    log = journal.Journal()
    contact = pbx.contact_of("+493055520", PBX, 5060)
    caller = pbx.Pbx(
        settings_of("PBX", PBX, contact, sbc_of_pbx, domain=PBX),
        loopback.sockets,
        context=CONTEXT,
        log=log,
    )
    contact = phone.contact_of("reception", PHONE, 5060)
    callee = phone.Phone(
        settings_of("phone", PHONE, contact, REGISTRAR, domain=REALM, account=ACCOUNT),
        loopback.sockets,
        context=CONTEXT,
        log=log,
    )
    try:
        await caller.open()
        await callee.open()
        yield caller, callee
    finally:
        await caller.close()
        await callee.close()


def stranger(address):
    """A plain socket at port 5060 that answers only when a test does."""
    return loopback.sockets(socket.AF_INET, socket.SOCK_DGRAM, (address, 5060))


async def next_message(sock):
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(3):
        raw, where = await loop.sock_recvfrom(sock, 65535)
    return message.parse(raw), where


def test_a_call_is_answered_heard_and_ended():
    async def play():
        async with both() as (caller, callee):
            out = await caller.dial("+493055500", caller="+493055520")
            incoming = await callee.next_leg()
            incoming.ring()
            await out.call.status(180)
            incoming.answer()
            assert (await out.connected()).status == 200
            await incoming.confirmed()
            assert await out.stream.heard(10, within=3)
            assert await incoming.stream.heard(10, within=3)
            assert (await incoming.hang_up()).status == 200
            await out.ended()
            assert [leg.close().altered for leg in (out, incoming)] == [0, 0]
            assert (caller.broken.entries, callee.broken.entries) == ([], [])

    asyncio.run(play())


def test_a_busy_phone_and_a_caller_who_gives_up():
    async def play():
        async with both() as (caller, callee):
            out = await caller.dial("+493055500", caller="+493055520")
            incoming = await callee.next_leg()
            incoming.refuse(486)
            assert (await out.connected()).status == 486
            await incoming.confirmed()
            again = await caller.dial("+493055500", caller="+493055520")
            other = await callee.next_leg()
            other.ring()
            await again.call.status(180)
            assert (await again.cancel()).status == 487
            await other.cancelled()
            for leg in (out, incoming, again, other):
                leg.close()

    asyncio.run(play())


def test_an_invite_that_nobody_answers_is_sent_again_as_it_was():
    async def play():
        with stranger(REGISTRAR) as deaf:
            async with both(sbc_of_pbx=REGISTRAR) as (caller, _):
                out = await caller.dial("+493055500", caller="+493055520")
                first, where = await next_message(deaf)
                second, _ = await next_message(deaf)
                assert first == second
                loop = asyncio.get_running_loop()
                busy = build.response(first, 486, tag="x").serialise()
                await loop.sock_sendto(deaf, busy, where)
                ack, _ = await next_message(deaf)
                assert (ack.method, ack.top_via.branch) == ("ACK", first.top_via.branch)
                assert ack.to.tag == "x"
                assert (await out.connected()).status == 486
                out.close()

    asyncio.run(play())


def test_an_answer_is_sent_again_until_the_ack_comes():
    async def play():
        with stranger(REGISTRAR) as slow:
            async with both() as (caller, callee):
                out = await caller.dial("+493055500", caller="+493055520")
                invite = out.call.invite
                (await callee.next_leg()).close()
                via = f"SIP/2.0/UDP {REGISTRAR}:5060;branch=z9hG4bKslow;rport"
                again = build.with_via(invite.with_header("Call-ID", "slow"), via)
                loop = asyncio.get_running_loop()
                await loop.sock_sendto(slow, again.serialise(), (PHONE, 5060))
                incoming = await callee.next_leg()
                incoming.answer()
                seen = []
                while seen.count(200) < 2:
                    parsed, _ = await next_message(slow)
                    seen.append(parsed.status)
                ack = again.without("Via").with_header("CSeq", "1 ACK")
                ack = message.Request(ack.headers, method="ACK", target=ack.target)
                whole = build.with_via(ack.with_header("To", parsed.need("To")), via)
                await loop.sock_sendto(slow, whole.serialise(), (PHONE, 5060))
                await incoming.confirmed()
                incoming.close()
                out.close()

    asyncio.run(play())


def test_garbage_is_written_down_and_survived():
    async def play():
        with stranger(REGISTRAR) as rude:
            async with both() as (_, callee):
                loop = asyncio.get_running_loop()
                for raw in (b"\x00\xff" * 50, b"INVITE sip:x SIP/2.0\r\n\r\n", b"\r\n\r\n"):
                    await loop.sock_sendto(rude, raw, (PHONE, 5060))
                await callee.broken.first(
                    lambda broken: "Call-ID" in broken.excerpt, within=2, what="a complaint"
                )
                assert {broken.id for broken in callee.broken.entries} == {"SIP"}

    asyncio.run(play())


@pytest.mark.parametrize(("password", "status"), [("a secret", 200), ("another", 403)])
def test_the_phone_registers_with_digest(password, status):
    async def play():
        with stranger(REGISTRAR) as registrar:
            async with both() as (_, callee):
                asked = asyncio.ensure_future(callee.register())
                await serve_registration(registrar, password)
                assert (await asked).status == status

    asyncio.run(play())


async def serve_registration(sock, password):
    """Challenge once, then check the proof."""
    loop = asyncio.get_running_loop()
    first, where = await next_message(sock)
    challenge = 'Digest realm="sbc.example.com", nonce="n1", qop="auth"'
    extra = (("WWW-Authenticate", challenge),)
    refused = build.response(first, 401, tag="r", extra=extra)
    await loop.sock_sendto(sock, refused.serialise(), where)
    second, where = await next_message(sock)
    fields = digest.read_fields(second.need("Authorization").removeprefix("Digest "))
    expected = digest.response(
        digest.parse_challenge(challenge),
        digest.Account("reception", password),
        method="REGISTER",
        target="sip:sbc.example.com",
        cnonce=fields["cnonce"],
    )
    assert second.cseq.number == first.cseq.number + 1
    right = fields["response"] == expected
    answer = build.response(second, 200 if right else 403, tag="r")
    await loop.sock_sendto(sock, answer.serialise(), where)


def test_a_challenged_invite_is_sent_again_with_a_proof():
    async def play():
        with stranger(REGISTRAR) as registrar:
            async with both() as (_, caller):
                loop = asyncio.get_running_loop()
                out = await caller.dial("+493055510")
                first, where = await next_message(registrar)
                challenge = 'Digest realm="sbc.example.com", nonce="n2", qop="auth"'
                extra = (("Proxy-Authenticate", challenge),)
                refused = build.response(first, 407, tag="r", extra=extra)
                await loop.sock_sendto(registrar, refused.serialise(), where)
                ack, _ = await next_message(registrar)
                second, where = await next_message(registrar)
                assert (ack.method, ack.top_via.branch) == ("ACK", first.top_via.branch)
                assert second.call_id == first.call_id
                assert second.cseq.number == first.cseq.number + 1
                assert second.top_via.branch != first.top_via.branch
                assert 'username="reception"' in second.need("Proxy-Authorization")
                busy = build.response(second, 486, tag="r").serialise()
                await loop.sock_sendto(registrar, busy, where)
                assert (await out.connected()).status == 486
                out.close()

    asyncio.run(play())


def test_resends_stop_when_told():
    async def play():
        count = []
        resend = transaction.Resend(lambda: count.append(1))
        await asyncio.sleep(transaction.T1 * 1.2)
        resend.stop()
        assert count == [1]

    asyncio.run(play())
