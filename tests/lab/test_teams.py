"""The strict Microsoft, with a small honest SBC on loopback: what it takes and what it names."""

import asyncio
from contextlib import asynccontextmanager, suppress

import loopback
import pytest

from orchestrator.lab import evidence, journal, regions, teams

HOSTS = {
    "sip.pstnhub.microsoft.com": loopback.own(11),
    "sip2.pstnhub.microsoft.com": loopback.own(12),
    "sip3.pstnhub.microsoft.com": loopback.own(13),
}
SBC = loopback.own(10)
NAMES = {
    **HOSTS,
    **{
        name: address
        for region, address in zip(regions.ALL, HOSTS.values(), strict=True)
        for name in (region.proxy, region.controller)
    },
    loopback.FQDN: SBC,
}


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    return loopback.make_authorities(tmp_path_factory.mktemp("ca"))


@asynccontextmanager
async def world(authorities, *, spoil=None, sbc=None):
    """Microsoft and the SBC, both listening."""
    log = journal.Journal()
    settings = teams.Settings(
        hosts=HOSTS,
        port=5061,
        media=loopback.own(14),
        names=NAMES,
        identity=authorities.teams_identity(),
        context=evidence.Context(fqdn=loopback.FQDN, port=5061, hidden=("192.0.2.0/24",)),
    )
    microsoft = teams.Teams(settings, loopback.sockets, log)
    small = loopback.SmallSbc(
        sbc or authorities.sbc_identity(), SBC, NAMES, log, spoil=spoil or loopback.Spoil()
    )
    try:
        await microsoft.open()
        await small.open()
        yield microsoft, small
    finally:
        await small.agent.close()
        await microsoft.close()


def ids(microsoft):
    return {broken.id for broken in microsoft.books.broken.entries}


def test_options_pass_both_ways(authorities):
    """serverAuth-only certificates in all four roles; no rule is broken."""

    async def play():
        async with world(authorities) as (microsoft, small):
            assert (await small.options()).status == 200
            sent = await microsoft.books.sent.first(lambda _: True, within=2, what="an answer")
            assert (sent.host, sent.status) == ("sip.pstnhub.microsoft.com", 200)
            assert microsoft.books.broken.entries == []

    asyncio.run(play())


@pytest.mark.parametrize(
    ("spoil", "status", "broken"),
    [
        (loopback.Spoil(drop=("Contact",)), 400, {"OPT-3"}),
        (loopback.Spoil(contact="<sip:203.0.113.10:5061;transport=tls>"), 403, {"OPT-3"}),
        (
            loopback.Spoil(contact="<sip:other.example.com;transport=tls>"),
            403,
            {"OPT-3", "CERT-3"},
        ),
    ],
)
def test_options_without_an_identity_are_refused(authorities, spoil, status, broken):
    async def play():
        async with world(authorities, spoil=spoil) as (microsoft, small):
            answer = await small.options()
            assert answer.status == status
            assert "Q.850;cause=63" in answer.need("Reason")
            assert broken <= ids(microsoft)

    asyncio.run(play())


def test_refer_in_allow_is_named(authorities):
    async def play():
        spoil = loopback.Spoil(allow="INVITE, ACK, REFER, OPTIONS, BYE")
        async with world(authorities, spoil=spoil) as (microsoft, small):
            await small.options()
            await microsoft.books.sent.first(lambda _: True, within=2, what="an answer")
            assert ids(microsoft) == {"XF-1", "OPT-6"}

    asyncio.run(play())


@pytest.mark.parametrize(
    ("wishes", "broken"),
    [
        ({"key": "ecdsa"}, "TLS-3"),
        ({"days": -1}, "REN-2"),
        ({"names": ("other.example.com",)}, "CERT-1"),
    ],
)
def test_a_wrong_certificate_is_named(authorities, wishes, broken):
    async def play():
        sbc = authorities.sbc_identity(**wishes)
        async with world(authorities, sbc=sbc) as (microsoft, small):
            with suppress(OSError, journal.Silence):
                await small.options()
            await microsoft.books.broken.first(
                lambda found: found.id == broken, within=2, what=broken
            )

    asyncio.run(play())


def test_a_missing_intermediate_is_named(authorities, tmp_path):
    async def play():
        sbc = authorities.sbc_identity()
        leaf = sbc.chain.read_text().split("-----END CERTIFICATE-----")[0]
        sbc.chain.write_text(f"{leaf}-----END CERTIFICATE-----\n")
        async with world(authorities, sbc=sbc) as (microsoft, small):
            with pytest.raises((OSError, journal.Silence)):
                await small.options()
            await microsoft.books.broken.first(lambda b: b.id == "TLS-4", within=2, what="TLS-4")

    asyncio.run(play())


def test_teams_calls_and_hangs_up_from_another_address(authorities):
    async def play():
        async with world(authorities) as (microsoft, small):
            caller = await microsoft.dial("+493055520", caller="+493055510")
            callee = await small.next_leg()
            callee.ring()
            await caller.call.status(180)
            callee.answer()
            assert (await caller.connected()).status == 200
            await callee.confirmed()
            assert await caller.stream.heard(10, within=3)
            assert await callee.stream.heard(10, within=3)
            other = HOSTS["sip2.pstnhub.microsoft.com"]
            assert (await caller.hang_up(source=other, fresh=True)).status == 200
            await callee.ended()
            for report in (caller.close(), callee.close()):
                assert (report.altered, report.forged, report.heard) == (0, 0, True)
            assert microsoft.books.broken.entries == []

    asyncio.run(play())


def test_the_sbc_calls_and_teams_hangs_up(authorities):
    """In-dialog requests come back by Teams' route, with its Contact byte for byte."""

    async def play():
        async with world(authorities) as (microsoft, small):
            caller = await small.dial("+493055510")
            callee = await microsoft.next_leg()
            callee.ring()
            await caller.call.status(180)
            callee.answer()
            assert (await caller.connected()).status == 200
            await callee.confirmed()
            assert await caller.stream.heard(10, within=3)
            assert (await callee.hang_up(fresh=True)).status == 200
            await caller.ended()
            caller.close()
            callee.close()
            assert microsoft.books.broken.entries == []

    asyncio.run(play())


def test_a_call_that_is_cancelled_ends_with_487(authorities):
    async def play():
        async with world(authorities) as (microsoft, small):
            caller = await small.dial("+493055510")
            callee = await microsoft.next_leg()
            callee.ring()
            await caller.call.status(180)
            assert (await caller.cancel()).status == 487
            await callee.cancelled()
            caller.close()
            callee.close()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("spoiled", "broken"),
    [
        ((b"RTP/SAVP", b"RTP/AVP"), "MED-2"),
        ((b"|2^31", b""), "MED-4"),
        ((SBC.encode(), b"192.0.2.20"), "SIG-35"),
    ],
)
def test_a_spoiled_offer_is_named(authorities, spoiled, broken):
    async def play():
        async with world(authorities, spoil=loopback.Spoil(sdp=spoiled)) as (microsoft, small):
            caller = await small.dial("+493055510")
            callee = await microsoft.next_leg()
            assert broken in ids(microsoft)
            caller.close()
            callee.close()

    asyncio.run(play())


@pytest.mark.slow
def test_teams_hangs_up_when_no_ack_comes(authorities):
    async def play():
        async with world(authorities, spoil=loopback.Spoil(no_ack=True)) as (microsoft, small):
            caller = await small.dial("+493055510")
            callee = await microsoft.next_leg()
            callee.answer()
            await caller.connected()
            await caller.ended()
            assert ids(microsoft) == {"SIG-9"}
            caller.close()
            callee.close()

    asyncio.run(play())


def test_a_call_from_another_region_names_that_region_and_is_ended_there(authorities):
    async def play():
        async with world(authorities) as (microsoft, small):
            place = HOSTS["sip3.pstnhub.microsoft.com"]
            caller = await microsoft.dial("+493055520", caller="+493055510", source=place)
            callee = await small.next_leg()
            invite = callee.call.invite
            assert callee.call.server.flow.remote[0] == place
            assert f"<{regions.ASIA.route}>" in invite.need("Record-Route")
            assert regions.ASIA.controller in invite.need("Contact")
            callee.answer()
            assert (await caller.connected()).status == 200
            await callee.confirmed()
            assert callee.call.requests.entries[-1].method == "ACK"
            assert (await callee.hang_up()).status == 200
            assert (await caller.ended()).method == "BYE"
            flows = {known.local[0] for known in microsoft._agent._wire._connections}
            assert flows == {place}
            caller.close(), callee.close()

    asyncio.run(play())


def test_the_ack_of_a_refused_fork_is_not_held_against_the_answered_one(authorities):
    """The SBC tried another address of Microsoft's meanwhile; that INVITE comes late."""

    async def play():
        async with world(authorities) as (microsoft, small):
            caller = await small.dial("+493055510")
            callee = await microsoft.next_leg()
            callee.answer()
            assert (await caller.connected()).status == 200
            await callee.confirmed()
            again = await small.agent.send_request(
                caller.call.invite.without("Via"), f"sip:{loopback.HOST}:5061"
            )
            small.agent.send_cancel(again)
            assert (await again.final(2.0)).status == 487
            late = microsoft._agent.calls.entries[-1].server
            await asyncio.wait_for(late.acknowledged.wait(), 2)
            assert microsoft.books.broken.entries == []
            caller.close(), callee.close()

    asyncio.run(play())
