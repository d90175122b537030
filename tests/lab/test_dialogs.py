"""What an actor can do in a call, actor against actor over UDP on loopback, without an SBC."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from test_endpoints import both

from orchestrator.lab import bodies, hold, leg, offers, timers
from orchestrator.sip import grammar, message, sdp

CALLED, CALLER = "+493055500", "+493055520"


@asynccontextmanager
async def legs(*, wishes=leg.USUAL):
    """A call that came in and is not answered: the caller's leg and the callee's."""
    async with both() as (caller, callee):
        out = await caller.dial(CALLED, caller=CALLER, wishes=wishes)
        incoming = await callee.next_leg()
        try:
            yield out, incoming
        finally:
            out.close()
            incoming.close()


@asynccontextmanager
async def talking(*, wishes=leg.USUAL):
    """A call with audio both ways."""
    async with legs(wishes=wishes) as (out, incoming):
        incoming.ring()
        await out.call.status(180)
        incoming.answer()
        await out.connected()
        await incoming.confirmed()
        assert await both_hear(out, incoming)
        yield out, incoming


async def both_hear(one, other, packets=5):
    """Whether both hear something from now on."""
    waits = (each.stream.heard_more(packets, within=2) for each in (one, other))
    return all(await asyncio.gather(*waits))


def run(play):
    asyncio.run(play())


def direction(body):
    return hold.direction_of(body)


def test_early_media_is_heard_before_the_answer():
    async def play():
        async with legs() as (out, incoming):
            incoming.early(183)
            assert (await out.early()).status == 183
            assert await both_hear(out, incoming)
            assert out.call.dialog is None
            incoming.answer()
            assert (await out.connected()).status == 200
            assert incoming.call.local_sdp == out.call.remote_sdp
            assert await both_hear(out, incoming)

    run(play)


def test_forks_have_their_own_tags_and_any_of_them_answers():
    async def play():
        async with legs() as (out, incoming):
            for tag in ("one", "two", "three"):
                incoming.ring(tag=tag)
            await out.call.status(180)
            incoming.early(183, tag="two")
            await out.early()
            incoming.answer(tag="three")
            answer = await out.connected()
            await incoming.confirmed()
            assert answer.to.tag == "three"
            assert out.call.tags == ("one", "two", "three")
            assert (await out.hang_up()).status == 200

    run(play)


def test_an_offer_that_comes_late_is_answered_in_the_ack():
    async def play():
        async with legs(wishes=leg.Wishes(offer=leg.no_offer)) as (out, incoming):
            assert incoming.call.remote_sdp == b""
            incoming.answer()
            await out.connected()
            await incoming.confirmed()
            assert await both_hear(out, incoming)
            assert (await out.call.renegotiate(b"")).status == 200
            assert await both_hear(out, incoming)

    run(play)


def test_an_ack_that_gets_lost_brings_the_answer_again():
    async def play():
        async with legs() as (out, incoming):
            incoming.call.server.lose_acks = 1
            incoming.answer()
            await out.connected()
            await incoming.confirmed()
            assert incoming.call.server.acks == 2
            assert [r.status for r in out.call.responses.entries].count(200) == 2

    run(play)


def test_an_ack_that_never_comes_and_then_does():
    async def play():
        async with legs() as (out, incoming):
            out.call.drop_acks = 99
            incoming.answer()
            await out.connected()
            await out.call.responses.first(
                lambda r: r.status == 200, within=3, what="another 200", after=2
            )
            assert not incoming.call.server.acknowledged.is_set()
            await out.call.acknowledge()
            await incoming.confirmed()

    run(play)


def test_an_invite_that_comes_twice_is_seen_twice():
    async def play():
        async with legs() as (out, incoming):
            again = await out.call.repeat()
            assert (again.request.top_via.branch, again.request.need("From")) != (
                incoming.call.invite.top_via.branch,
                "",
            )
            assert again.request.call_id == incoming.call.invite.call_id
            assert again.request.from_.tag == incoming.call.invite.from_.tag

    run(play)


def test_two_invites_that_cross_are_refused_by_491():
    async def play():
        async with talking() as (out, incoming):
            answers = await asyncio.gather(out.hold(), incoming.hold())
            assert {answer.status for answer in answers} == {491}
            assert (await out.refresh()).status == 200

    run(play)


def test_an_answer_crosses_a_cancel():
    async def play():
        async with legs() as (out, incoming):
            incoming.ring()
            await out.call.status(180)
            incoming.call.heeds_cancel = False
            cancel = out.call.send_cancel()
            await incoming.cancelled()
            incoming.answer()
            assert (await out.connected()).status == 200
            assert (await cancel.final(1)).status == 200
            await incoming.confirmed()

    run(play)


@pytest.mark.parametrize("method", ["UPDATE", "INFO", "PRACK", "MESSAGE"])
def test_methods_nobody_allows_are_refused(method):
    async def play():
        async with talking() as (out, incoming):
            answer = await out.call.ask(method)
            assert answer.status == 405
            assert "UPDATE" not in answer.need("Allow")
            incoming.call.answers[method] = 200
            assert (await out.call.ask(method)).status == 200
            answer = await out.call.ask(method, extra=(("Require", "100rel"),))
            assert (answer.status, answer.need("Unsupported")) == (420, "100rel")

    run(play)


def test_a_request_in_an_early_dialog_is_understood():
    async def play():
        async with legs() as (out, incoming):
            incoming.ring(extra=(("Require", "100rel"), ("RSeq", "1")))
            ringing = await out.call.status(180)
            assert ringing.tokens("Require") == {"100rel"}
            early = out.call.dialogs[ringing.to.tag]
            answer = await out.call.ask("PRACK", extra=(("RAck", "1 1 INVITE"),), early=early)
            assert answer.status == 405

    run(play)


def test_a_refusal_says_why_and_for_how_long():
    async def play():
        async with legs() as (out, incoming):
            incoming.refuse(503, extra=(("Retry-After", "7"), ("Reason", "Q.850;cause=41")))
            answer = await out.connected()
            assert (answer.status, answer.need("Retry-After")) == (503, "7")
            assert answer.need("Reason") == "Q.850;cause=41"

    run(play)


@pytest.mark.parametrize(
    ("way", "answered"),
    [
        ("inactive", "inactive"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("zero", "recvonly"),
        ("zero-media", "recvonly"),
    ],
)
@pytest.mark.parametrize("holder", [0, 1])
def test_a_hold_is_answered_as_it_is_offered(way, answered, holder):
    async def play():
        async with talking() as two:
            one, other = two[holder], two[1 - holder]
            assert (await one.hold(way)).status == 200
            assert direction(one.call.remote_sdp) == answered
            await asyncio.sleep(0.4)
            sent = [each.stream.report().sent for each in two]
            await asyncio.sleep(0.2)
            grew = [each.stream.report().sent - was for each, was in zip(two, sent, strict=True)]
            # Who holds by address or sendonly may play music; who is held so is silent.
            assert (grew[holder] > 5) is (way in {"sendonly", "zero", "zero-media"})
            assert (grew[1 - holder] > 5) is (way == "recvonly")
            assert (await one.resume()).status == 200
            assert direction(one.call.remote_sdp) == "sendrecv"
            assert await both_hear(one, other)
            for each in two:
                report = each.close()
                assert report.max_gap_ms < 500
                assert (report.altered, report.lost, report.unexpected) == (0, 0, 0)
                assert report.resume_ms < 500

    run(play)


def test_both_hold_and_one_after_the_other_comes_back():
    async def play():
        async with talking() as (out, incoming):
            await out.hold("sendonly")
            await incoming.hold("sendonly")
            assert direction(out.call.local_sdp) == "inactive"
            await out.resume()
            assert direction(incoming.call.local_sdp) == "sendonly"
            await incoming.resume()
            assert await both_hear(out, incoming)

    run(play)


def test_audio_moves_to_another_port():
    async def play():
        async with talking() as (out, incoming):
            before = out.here
            assert (await out.move()).status == 200
            assert out.here != before
            assert (
                offers.agree(incoming.call.local_sdp, incoming.call.remote_sdp).remote == out.here
            )
            assert await both_hear(out, incoming)
            for each in (out, incoming):
                report = each.close()
                assert (report.altered, report.lost) == (0, 0)

    run(play)


def test_the_list_of_codecs_changes():
    async def play():
        async with talking() as (out, incoming):
            incoming.answerer = lambda offer, here: offers.plain_answer(
                offer, here, session=1, speaks=("PCMU", "PCMA")
            )
            listed = (("0", "PCMU/8000"), ("101", "telephone-event/8000"))
            assert (await out.offer_codecs(listed)).status == 200
            assert sdp.parse(out.call.remote_sdp).audio.formats == ("0", "101")
            assert await both_hear(out, incoming)
            assert not out.close().altered
            assert not incoming.close().altered

    run(play)


def test_a_codec_nobody_has_is_refused_and_the_call_goes_on():
    async def play():
        async with talking() as (out, incoming):
            assert (await out.offer_codecs((("96", "opus/48000"),))).status == 488
            assert await both_hear(out, incoming)

    run(play)


def test_a_side_that_hears_nothing_hangs_up():
    async def play():
        async with talking() as (out, incoming):
            incoming.stream.pause()
            answer = await out.hang_up_when_silent(0.5)
            assert answer.status == 200
            bye = await incoming.ended()
            assert "MediaConnectivityFailure" in bye.need("Reason")

    run(play)


def test_a_session_is_refreshed_by_who_promised_to():
    async def play():
        async with legs(wishes=leg.Wishes(extra=timers.ask(2, refresher="uac"))) as (
            out,
            incoming,
        ):
            asked = timers.said(incoming.call.invite)
            assert asked == timers.Timer(2, "uac")
            incoming.answer(extra=timers.grant(2, refresher="uac"))
            granted = timers.said(await out.connected())
            await incoming.confirmed()
            ends = asyncio.gather(timers.keep(out, granted), timers.guard(incoming, granted))
            await incoming.call.requested("INVITE", within=2)
            await incoming.call.requested("INVITE", within=2, after=3)
            answer = await timers.refresh(out, granted)
            assert timers.said(answer) == timers.Timer(2, "uac")
            await out.hang_up()
            assert await ends == [None, True]

    run(play)


def test_a_session_nobody_refreshes_runs_out():
    async def play():
        async with talking() as (out, incoming):
            assert await timers.guard(out, timers.Timer(1, "uas")) is False
            bye = await incoming.ended()
            assert "Session timer expired" in bye.need("Reason")

    run(play)


def test_a_location_travels_beside_the_sdp():
    async def play():
        wishes = leg.Wishes(location="sip:+493055520@example.com")
        async with legs(wishes=wishes) as (out, incoming):
            invite = incoming.call.invite
            sdp_part, location = bodies.parts_of(invite)
            assert sdp_part.content == out.call.local_sdp
            assert (location.type, b"Berlin" in location.content) == (bodies.PIDF_TYPE, True)
            identity = dict(location.headers)["Content-ID"]
            assert invite.need("Geolocation") == identity.replace("<", "<cid:")
            incoming.answer()
            await out.connected()
            assert await both_hear(out, incoming)

    run(play)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", b"--x\r\n\r\n--x--\r\n"),
        ("multipart/mixed;boundary=x", b"--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"),
        ("multipart/mixed;boundary=x", b"--x\r\nno header at all\r\n--x--\r\n"),
    ],
)
def test_a_body_that_is_cut_holds_no_sdp(kind, body):
    cut = message.Response((message.Header("Content-Type", kind),), body, status=200, reason="OK")
    assert bodies.sdp_of(cut) == b""
    with pytest.raises(grammar.SipError):
        bodies.parts_of(cut)


def test_microsoft_answers_every_hold_by_inactive():
    for offered in ("sendonly", "recvonly", "inactive"):
        assert hold.teams_answer_to(offered) == "inactive"
    assert hold.teams_answer_to("sendrecv") == "sendrecv"
    with pytest.raises(grammar.SipError):
        hold.teams_answer_to("zero")
