"""Transfers actor against actor: the strict Microsoft with a small SBC, a PBX with a phone."""

import asyncio

import loopback
import pytest
from test_endpoints import PHONE, both
from test_teams import HOSTS, authorities, ids, world  # noqa: F401 - a fixture

from orchestrator.lab import call, leg, media, refer
from orchestrator.sip import build, uri


class Follower:
    """The small SBC as one that can be transferred, and that a test can spoil."""

    def __init__(self, small, spoil=lambda target: target):
        self.small, self.spoil = small, spoil

    async def invite(self, target, *, caller, to, wishes=leg.USUAL):
        small = self.small
        stream = small.stream()
        body = loopback.clean_offer(loopback.offers.Place(*stream.address))
        usual = (("Contact", small.contact), ("Allow", small.spoil.allow), ("User-Agent", "s"))
        headers, body = wishes.dress(body, usual)
        invite = build.request(
            "INVITE",
            self.spoil(target),
            from_=call.tagged(f"sip:+493055520@{loopback.FQDN}"),
            to=uri.NameAddr(to),
            call_id=call.new_call_id(loopback.FQDN),
            number=1,
            extra=headers,
            body=body,
        )
        outgoing = call.OutgoingCall(small.agent, invite, f"sip:{loopback.HOST}:5061", None)
        await outgoing.start()
        return leg.OutgoingLeg(outgoing, stream)

    def spawn(self, work):
        self.small.agent.spawn(work)


async def connected(microsoft, small):
    caller = await microsoft.dial("+493055520", caller="+493055510")
    callee = await small.next_leg()
    callee.answer()
    await caller.connected()
    await callee.confirmed()
    refer.accept(callee)
    return caller, callee


@pytest.mark.parametrize("user", ["", "+493055577"])
def test_a_blind_transfer_goes_from_the_refer_to_the_last_notify(authorities, user):  # noqa: F811
    async def play():
        async with world(authorities) as (microsoft, small):
            caller, callee = await connected(microsoft, small)
            target = refer.opaque_target(user, consult=not user)
            assert 350 <= len(target.refer_to) <= 600
            moved = await microsoft.transfer(caller, target)
            assert moved.answer.status == 202
            asked = await callee.call.requested("REFER")
            assert asked.need("Referred-By") == target.referred_by
            new = await refer.follow(Follower(small), callee, asked)
            third = await microsoft.next_leg()
            assert third.call.invite.target == target.refer_to
            third.ring()
            third.answer()
            assert (await new.connected()).status == 200
            await third.confirmed()
            assert await moved.told(200) == 200
            assert moved.statuses == (100, 180, 200)
            assert (await caller.hang_up(source=HOSTS["sip2.pstnhub.microsoft.com"])).status == 200
            media.bridge(callee.stream, new.stream)
            assert await third.stream.heard_more(5, within=2) is False  # nobody speaks any more
            for each in (caller, callee, new, third):
                each.close()
            assert ids(microsoft) == set()

    asyncio.run(play())


def test_a_transfer_that_fails_is_told_and_the_call_stands(authorities):  # noqa: F811
    async def play():
        async with world(authorities) as (microsoft, small):
            caller, callee = await connected(microsoft, small)
            moved = await microsoft.transfer(caller, refer.opaque_target())
            asked = await callee.call.requested("REFER")
            new = await refer.follow(Follower(small), callee, asked)
            third = await microsoft.next_leg()
            third.refuse(486)
            assert await moved.told(486) == 486
            assert await caller.stream.heard_more(5, within=2)
            for each in (caller, callee, new, third):
                each.close()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [(";x-t=", ";X-T=", "XF-2"), (";transport=tls", "", "XF-2"), ("x-m=8:", "x-m=8%3A", "XF-2")],
)
def test_a_target_that_came_back_changed_is_named(authorities, old, new, broken):  # noqa: F811
    async def play():
        async with world(authorities) as (microsoft, small):
            caller, callee = await connected(microsoft, small)
            await microsoft.transfer(caller, refer.opaque_target())
            asked = await callee.call.requested("REFER")
            spoiled = Follower(small, lambda target: target.replace(old, new, 1))
            moved = await refer.follow(spoiled, callee, asked)
            third = await microsoft.next_leg()
            assert broken in ids(microsoft)
            for each in (caller, callee, moved, third):
                each.close()

    asyncio.run(play())


def test_an_sbc_that_hangs_up_too_soon_is_named(authorities):  # noqa: F811
    async def play():
        async with world(authorities) as (microsoft, small):
            caller, callee = await connected(microsoft, small)
            await microsoft.transfer(caller, refer.opaque_target())
            await callee.call.requested("REFER")
            await callee.hang_up()
            assert "XF-5" in ids(microsoft)
            for each in (caller, callee):
                each.close()

    asyncio.run(play())


def test_a_refer_nobody_takes_is_refused(authorities):  # noqa: F811
    async def play():
        async with world(authorities) as (microsoft, small):
            caller, callee = await connected(microsoft, small)
            del callee.call.answers["REFER"]
            moved = await microsoft.transfer(caller, refer.opaque_target())
            assert (moved.answer.status, moved.statuses) == (405, ())
            caller.close()
            callee.close()

    asyncio.run(play())


def test_a_bridge_lets_two_calls_hear_each_other():
    """The PBX has two calls with the phone, and connects them: the phone hears itself."""

    async def play():
        async with both() as (pbx, phone):
            ours, theirs = [], []
            for _ in range(2):
                out = await pbx.dial("+493055500", caller="+493055520")
                incoming = await phone.next_leg(call_id=out.call.invite.call_id)
                incoming.answer()
                await out.connected()
                await incoming.confirmed()
                ours.append(out)
                theirs.append(incoming)
            assert await theirs[0].stream.heard(5, within=2)
            for each in theirs:
                each.stream.ear.turn_to_another()
            media.bridge(ours[0].stream, ours[1].stream)
            for each, other in zip(theirs, reversed(theirs), strict=True):
                assert await each.stream.heard_more(10, within=2)
                assert each.stream.ear.ssrc == other.stream.ssrc
            for each in (*ours, *theirs):
                assert not each.close().altered

    asyncio.run(play())


def test_headers_in_a_refer_to_become_headers():
    async def play():
        async with both() as (pbx, phone):
            out = await pbx.dial("+493055500", caller="+493055520")
            incoming = await phone.next_leg()
            incoming.answer()
            await out.connected()
            refer.accept(out)
            to = f"sip:+493055501@{PHONE}:5060?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2"
            moved = await refer.transfer(incoming, refer.Target(to))
            assert moved.answer.status == 202
            new = await refer.follow(pbx, out, await out.call.requested("REFER"))
            third = await phone.next_leg()
            assert third.call.invite.target == f"sip:+493055501@{PHONE}:5060"
            assert third.call.invite.need("Replaces") == "a@b;to-tag=1;from-tag=2"
            third.refuse(603)
            assert await moved.told(603) == 603
            for each in (out, incoming, new, third):
                each.close()

    asyncio.run(play())


def test_replaces_names_the_dialog_as_the_other_side_sees_it():
    async def play():
        async with both() as (pbx, phone):
            out = await pbx.dial("+493055500", caller="+493055520")
            incoming = await phone.next_leg()
            incoming.answer()
            await out.connected()
            name, value = refer.replaces(out.call.dialog)
            seen = incoming.call.dialog
            assert name == "Replaces"
            assert value == f"{seen.call_id};to-tag={seen.local.tag};from-tag={seen.remote.tag}"
            out.close()
            incoming.close()

    asyncio.run(play())
