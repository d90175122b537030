"""Both clients on real sockets, against a daemon that loses, doubles, delays and garbles."""

import asyncio
import socket

import pytest
from fakes.rtpengine import FakeRtpengine, Fate

import rtpengine_ng as ng

PAUSES = (0.05, 0.05, 0.05, 0.05)
OFFER = ng.Offer(call_id="c", from_tag="f", sdp="v=0\r\n")


def ask_blocking(port, requests, pauses=PAUSES):
    with ng.Client("127.0.0.1", port, pauses=pauses) as client:
        return [outcome_of(lambda r=request: client.ask(r)) for request in requests]


def ask_async(port, requests, pauses=PAUSES):
    async def ask():
        async with await ng.AsyncClient.connect("127.0.0.1", port, pauses=pauses) as client:
            outcomes = []
            for request in requests:
                try:
                    outcomes.append(await client.ask(request))
                except ng.NgError as error:
                    outcomes.append(error)
            return outcomes

    return asyncio.run(ask())


def outcome_of(question):
    try:
        return question()
    except ng.NgError as error:
        return error


@pytest.fixture(params=[ask_blocking, ask_async], ids=["blocking", "asyncio"])
def ask(request):
    return request.param


def closed_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_call_from_offer_to_delete(ask):
    answer = ng.Answer(call_id="c", from_tag="f", to_tag="t", sdp="v=1\r\n")
    asked = (
        ng.Ping(), OFFER, answer, ng.List(), ng.Delete(call_id="c"), ng.Delete(call_id="c"),
    )  # fmt: skip
    with FakeRtpengine() as daemon:
        pong, offered, answered, listed, deleted, again = ask(daemon.port, asked)
    assert isinstance(pong, ng.Pong)
    assert (offered.sdp, answered.sdp, listed.calls) == ("v=0\r\n", "v=1\r\n", ("c",))
    assert (deleted.warning, again.warning) == ("", "Call-ID not found")
    cookies = [datagram.split(b" ")[0] for datagram in daemon.heard]
    assert len(set(cookies)) == len(asked)


@pytest.mark.parametrize("fate", [Fate.LOSE_QUESTION, Fate.LOSE_ANSWER])
def test_what_is_lost_is_sent_again_and_executed_once(ask, fate):
    with FakeRtpengine(fate, fate) as daemon:
        (reply,) = ask(daemon.port, [OFFER])
    assert reply.sdp == "v=0\r\n"
    assert len(daemon.heard) == 3
    assert len(set(daemon.heard)) == 1
    assert daemon.executed == {"offer": 1}


def test_a_second_answer_does_not_answer_the_next_question(ask):
    with FakeRtpengine(Fate.DUPLICATE) as daemon:
        first, second = ask(daemon.port, [OFFER, ng.List()])
    assert (first.sdp, second.calls) == ("v=0\r\n", ("c",))


def test_a_late_answer_does_not_answer_the_next_question(ask):
    with FakeRtpengine(Fate.LATE) as daemon:
        silent, listed = ask(daemon.port, [OFFER, ng.List()], pauses=(0.1,))
    assert isinstance(silent, ng.NoAnswer)
    assert silent.sends == 1
    assert listed.calls == ("c",)


def test_a_foreign_cookie_is_passed_over(ask):
    with FakeRtpengine(Fate.FOREIGN) as daemon:
        (reply,) = ask(daemon.port, [ng.Ping()])
    assert isinstance(reply, ng.Pong)
    assert len(daemon.heard) == 1


@pytest.mark.parametrize("fate", [Fate.GARBLE, Fate.EMPTY])
def test_a_damaged_answer_is_a_remote_fault_and_the_client_lives_on(ask, fate):
    with FakeRtpengine(fate) as daemon:
        broken, pong = ask(daemon.port, [ng.Ping(), ng.Ping()])
    assert isinstance(broken, ng.RemoteProtocolError)
    assert isinstance(pong, ng.Pong)


def test_silence_ends_after_the_last_pause(ask):
    with FakeRtpengine(*[Fate.LOSE_QUESTION] * 9) as daemon:
        (silent,) = ask(daemon.port, [ng.Ping()], pauses=(0.01, 0.01, 0.01))
    assert isinstance(silent, ng.NoAnswer)
    assert silent.sends == 3
    assert len(daemon.heard) == 3


def test_a_port_where_nobody_listens_is_named(ask):
    port = closed_port()
    (silent,) = ask(port, [ng.Ping()], pauses=(0.02, 0.02))
    assert isinstance(silent, ng.NoAnswer)
    assert silent.reason == "Connection refused"
    assert f"127.0.0.1 port {port}" in str(silent)
    assert silent.sends == 2


def test_refusals_come_with_the_words_of_the_daemon(ask):
    full = ng.Offer(call_id="one too many", from_tag="f", sdp="v=0")
    with FakeRtpengine() as daemon:
        unknown, limited = ask(daemon.port, [ng.Query(call_id="x"), full])
    assert (type(unknown), unknown.words) == (ng.Refused, "Unknown call-id")
    assert isinstance(limited, ng.LoadLimit)


def test_what_cannot_be_written_is_not_sent(ask):
    huge = ng.Offer(call_id="c", from_tag="f", sdp="x" * 65_440)
    with FakeRtpengine() as daemon:
        (fault,) = ask(daemon.port, [huge])
    assert isinstance(fault, ng.LocalProtocolError)
    assert daemon.heard == []


def test_an_unknown_name_is_no_answer(ask):
    with pytest.raises(ng.NoAnswer, match="cannot reach no-such-name"):
        ng.Client("no-such-name.invalid", 1)
    with pytest.raises(ng.NoAnswer, match="cannot reach no-such-name"):
        asyncio.run(ng.AsyncClient.connect("no-such-name.invalid", 1))


def test_many_questions_at_once_find_their_own_answers():
    async def ask_all(port):
        async with await ng.AsyncClient.connect("127.0.0.1", port, pauses=PAUSES) as client:
            offers = [ng.Offer(call_id=str(n), from_tag="f", sdp=f"v={n}") for n in range(50)]
            return [reply.sdp for reply in await asyncio.gather(*map(client.ask, offers))]

    with FakeRtpengine(Fate.LOSE_ANSWER, Fate.LATE, Fate.DUPLICATE, Fate.FOREIGN) as daemon:
        assert asyncio.run(ask_all(daemon.port)) == [f"v={n}" for n in range(50)]
    assert daemon.executed == {"offer": 50}


def test_a_closed_asyncio_client_ends_its_questions_at_once():
    async def close_while_asking(port):
        client = await ng.AsyncClient.connect("127.0.0.1", port, pauses=(60.0,))
        asked = asyncio.create_task(client.ask(ng.Ping()))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(ng.NoAnswer, match="the client is closed"):
            await asyncio.wait_for(asked, 5)
        with pytest.raises(ng.NoAnswer, match="the client is closed"):
            await client.ask(ng.Ping())

    with FakeRtpengine(Fate.LOSE_QUESTION) as daemon:
        asyncio.run(close_while_asking(daemon.port))


def test_a_cancelled_question_is_forgotten():
    async def cancel(port):
        async with await ng.AsyncClient.connect("127.0.0.1", port, pauses=PAUSES) as client:
            asked = asyncio.create_task(client.ask(ng.Ping()))
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert client._waiting == {}
            return await client.ask(ng.List())

    with FakeRtpengine(Fate.LATE) as daemon:
        assert asyncio.run(cancel(daemon.port)).calls == ()
