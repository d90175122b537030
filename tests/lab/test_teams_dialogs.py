"""The strict Microsoft inside a call: how it answers, and what it names, with a small SBC."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from test_teams import authorities, ids, world  # noqa: F401 - a fixture

from orchestrator.lab import hold, leg, offers
from orchestrator.sip import sdp


@asynccontextmanager
async def talking(authorities, *, wishes=leg.USUAL):  # noqa: F811 - pytest passes fixtures by name
    """Microsoft has called the small SBC, and both hear each other."""
    async with world(authorities) as (microsoft, small):
        caller = await microsoft.dial("+493055520", caller="+493055510", wishes=wishes)
        callee = await small.next_leg()
        callee.answer()
        await caller.connected()
        await callee.confirmed()
        assert await caller.stream.heard(5, within=2)
        try:
            yield microsoft, caller, callee
        finally:
            caller.close()
            callee.close()


@pytest.mark.parametrize(
    ("way", "status", "broken"),
    [
        ("inactive", 200, set()),
        ("sendonly", 200, {"MED-10"}),
        ("recvonly", 200, {"MED-10"}),
        ("zero", 488, {"SIG-32", "MED-6"}),
        ("zero-media", 488, {"SIG-32", "MED-6"}),
    ],
)
def test_microsoft_knows_one_way_to_hold(authorities, way, status, broken):  # noqa: F811
    async def play():
        async with talking(authorities) as (microsoft, _, callee):
            answer = await callee.hold(way)
            assert answer.status == status
            if status == 200:
                assert hold.direction_of(answer.body) == "inactive"
            assert ids(microsoft) == broken

    asyncio.run(play())


def test_a_hold_of_microsofts_is_answered_by_inactive_and_ends(authorities):  # noqa: F811
    async def play():
        async with talking(authorities) as (microsoft, caller, callee):
            before = sdp.parse(callee.call.local_sdp).audio.crypto
            assert (await caller.hold(fresh=True)).status == 200
            assert callee.offered == caller.offered == "inactive"
            await asyncio.sleep(0.4)
            assert (await caller.resume(fresh=True)).status == 200
            assert await callee.stream.heard_more(10, within=2)
            assert sdp.parse(callee.call.local_sdp).audio.crypto == before
            report = callee.close()
            assert report.held_ms > 300
            assert (report.unexpected, report.forged, report.max_gap_ms < 350) == (0, 0, True)
            assert ids(microsoft) == set()

    asyncio.run(play())


def test_a_refresh_is_answered_as_before_to_the_byte(authorities):  # noqa: F811
    async def play():
        async with talking(authorities) as (microsoft, caller, callee):
            before = caller.call.remote_sdp
            assert (await caller.refresh(fresh=True)).body == before
            assert (await callee.refresh()).status == 200
            assert ids(microsoft) == set()

    asyncio.run(play())


def test_audio_that_moves_is_named(authorities):  # noqa: F811
    async def play():
        async with talking(authorities) as (microsoft, _, callee):
            assert (await callee.move()).status == 200
            assert ids(microsoft) == {"MED-6"}

    asyncio.run(play())


def test_a_key_that_changes_is_named(authorities):  # noqa: F811
    async def play():
        async with talking(authorities) as (microsoft, _, callee):
            line = sdp.parse(callee.call.local_sdp).audio.crypto[0]
            other = callee.call.local_sdp.replace(line.key.encode(), b"A" * 40)
            assert (await callee.call.renegotiate(other)).status == 200
            assert ids(microsoft) == {"MED-7"}

    asyncio.run(play())


def test_a_second_tag_is_named(authorities):  # noqa: F811
    async def play():
        async with world(authorities) as (microsoft, small):
            caller = await microsoft.dial("+493055520", caller="+493055510")
            callee = await small.next_leg()
            callee.early(183, tag="first")
            await caller.early()
            callee.answer(tag="second")
            await caller.connected()
            assert ids(microsoft) == {"MED-9"}
            caller.close()
            callee.close()

    asyncio.run(play())


def test_a_failure_under_another_tag_is_none(authorities):  # noqa: F811
    async def play():
        async with world(authorities) as (microsoft, small):
            caller = await microsoft.dial("+493055520", caller="+493055510")
            callee = await small.next_leg()
            callee.ring(tag="first")
            await caller.call.status(180)
            callee.call.refuse(486, tag="second")
            assert (await caller.connected()).status == 486
            assert ids(microsoft) == set()
            caller.close()
            callee.close()

    asyncio.run(play())


@pytest.mark.parametrize("mux", [True, False])
def test_microsofts_older_list_and_no_shared_port(authorities, mux):  # noqa: F811
    def offer(here):
        keys = (bytes(range(30)), bytes(30))
        return offers.teams_offer(
            here, session=7, keys=keys, codecs=offers.OLD_TEAMS_CODECS, mux=mux
        )

    async def play():
        wishes = leg.Wishes(offer=offer, first_sequence=65500)
        async with talking(authorities, wishes=wishes) as (microsoft, caller, callee):
            caller.stream.press("*9", seconds=0.06)
            assert await callee.stream.heard(70, within=3)
            assert callee.stream.report().digits == "*9"
            assert callee.stream.report().rtcp == caller.stream.report().rtcp_sent == 1
            assert ids(microsoft) == set()

    asyncio.run(play())
