"""Every command against real RTPEngines: sent, answered, decoded; and what it does to media."""

import itertools
import time

import daemons
import lanes
import pytest

import rtpengine_ng as ng
from rtpengine_ng import bencode

pytestmark = pytest.mark.engine

CALL_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=lanes.names())
def daemon(request, tmp_path_factory):
    why = lanes.missing(request.param)
    if why:
        pytest.skip(why)
    started = daemons.start(request.param, tmp_path_factory.mktemp(request.param))
    yield started
    started.stop()


@pytest.fixture
def call(daemon):
    made = daemons.Call(daemon, f"call-{next(CALL_NUMBERS)}@example.com")
    made.set_up()
    yield made
    made.hang_up()


@pytest.fixture
def plain_call(daemon):
    """A call without DTMF injection: the daemon relays packets and does not reorder them."""
    made = daemons.Call(daemon, f"plain-{next(CALL_NUMBERS)}@example.com", ("trust-address",))
    made.set_up()
    yield made
    made.hang_up()


def playing(call):
    """Let a tone be played to the caller."""
    tone = str(call.daemon.tone)
    call.daemon.client.ask(ng.PlayMedia(call_id=call.call_id, from_tag="ft", file=tone))


def stop_media(call):
    playing(call)
    return ng.StopMedia(call_id=call.call_id, from_tag="ft")


def inject(kind, *, started):
    """Make the question that mixes a published source into the callee's media."""

    def question(call):
        if call.daemon.version >= kind.since:
            call.daemon.client.ask(QUESTIONS["publish"](call))
            if started:
                call.daemon.client.ask(inject(ng.StartInject, started=False)(call))
        return kind(call_id=call.call_id, to_tag="tt", source_tag="pub")

    return question


def subscription(call):
    """Subscribe to the caller's media and return the daemon's offer."""
    return call.daemon.client.ask(ng.SubscribeRequest(call_id=call.call_id, from_tag="ft"))


def subscribe_answer(call):
    return ng.SubscribeAnswer(
        call_id=call.call_id,
        to_tag=subscription(call).to_tag,
        sdp=daemons.sdp(call.other.getsockname()[1], "recvonly"),
    )


def create_answer(call):
    if call.daemon.version >= (26, 0):
        call.daemon.client.ask(ng.Create(call_id=call.call_id, from_tag="made"))
    return ng.CreateAnswer(call_id=call.call_id, from_tag="made", sdp=daemons.sdp(40_000))


def of_caller(kind, **values):
    return lambda call: kind(call_id=call.call_id, from_tag="ft", **values)


QUESTIONS = {
    "ping": lambda call: ng.Ping(),
    "list": lambda call: ng.List(limit=1000),
    "statistics": lambda call: ng.Statistics(),
    "offer": lambda call: ng.Offer(
        call_id=call.call_id, from_tag="ft", sdp=daemons.sdp(call.caller.getsockname()[1])
    ),
    "answer": lambda call: ng.Answer(
        call_id=call.call_id, from_tag="ft", to_tag="tt", sdp=daemons.sdp(40_000)
    ),
    "delete": of_caller(ng.Delete, to_tag="tt", delete_delay=0),
    "query": of_caller(ng.Query),
    "start recording": of_caller(ng.StartRecording, metadata="who:me"),
    "stop recording": of_caller(ng.StopRecording),
    "pause recording": of_caller(ng.PauseRecording),
    "block DTMF": of_caller(ng.BlockDtmf, dtmf_security="silence"),
    "unblock DTMF": of_caller(ng.UnblockDtmf),
    "block media": of_caller(ng.BlockMedia),
    "unblock media": of_caller(ng.UnblockMedia),
    "silence media": of_caller(ng.SilenceMedia),
    "unsilence media": of_caller(ng.UnsilenceMedia),
    "start forwarding": of_caller(ng.StartForwarding),
    "stop forwarding": of_caller(ng.StopForwarding),
    "play media": lambda call: ng.PlayMedia(
        call_id=call.call_id, from_tag="ft", file=str(call.daemon.tone)
    ),
    "stop media": stop_media,
    "play DTMF": of_caller(ng.PlayDtmf, code="5", duration=100),
    "publish": lambda call: ng.Publish(
        call_id=call.call_id, from_tag="pub", sdp=daemons.sdp(40_000, "sendonly")
    ),
    "subscribe request": of_caller(ng.SubscribeRequest, to_tag="sub", set_label="copy"),
    "subscribe answer": subscribe_answer,
    "unsubscribe": lambda call: ng.Unsubscribe(
        call_id=call.call_id, to_tag=subscription(call).to_tag
    ),
    "connect": of_caller(ng.Connect, to_tag="tt"),
    "create": lambda call: ng.Create(call_id=call.call_id, from_tag="new"),
    "create answer": create_answer,
    "inject start": inject(ng.StartInject, started=False),
    "inject stop": inject(ng.StopInject, started=True),
}


@pytest.mark.parametrize("command", sorted(ng.COMMANDS))
def test_every_command_is_sent_answered_and_decoded(call, command):
    request = QUESTIONS[command](call)
    assert request.command == command
    if call.daemon.version < request.since:
        with pytest.raises(ng.Refused) as caught:
            call.daemon.client.ask(request)
        assert caught.value.words == "Unrecognized command"
        return
    reply = call.daemon.client.ask(request)
    assert reply.values["result"] == ("pong" if command == "ping" else "ok")
    assert reply.warning == ""
    if isinstance(reply, ng.SdpReply):
        assert daemons.port_of(reply.sdp) > 0


REFUSED = {
    "an unknown call": (
        lambda call: ng.Query(call_id="nobody"), "Unknown call-id",
    ),
    "a fatal delete": (
        lambda call: ng.Delete(call_id="nobody", flags=("fatal",)),
        "Call-ID not found or tags didn't match",
    ),
    "a broken description": (
        lambda call: ng.Offer(call_id=call.call_id, from_tag="ft", sdp="nonsense"),
        "Failed to parse SDP",
    ),
    "an unknown party": (
        lambda call: ng.SilenceMedia(call_id=call.call_id, from_tag="nobody"),
        "From-tag given, but no such tag exists",
    ),
    "an unknown label": (
        lambda call: ng.BlockMedia(call_id=call.call_id, label="nobody"),
        "No monologue matching the given label",
    ),
    "a missing file": (
        of_caller(ng.PlayMedia, file="/nonexistent.wav"),
        "Failed to start media playback from file",
    ),
    "no database": (
        of_caller(ng.PlayMedia, db_id=1), "Failed to start media playback from database",
    ),
    "nothing plays": (
        of_caller(ng.StopMedia), "Not currently playing media",
    ),
    "no such digit": (
        of_caller(ng.PlayDtmf, code="x"), "Out of range 'code' specified",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_are_the_daemons_own_words(call, what):
    question, words = REFUSED[what]
    request = question(call)
    with pytest.raises(ng.Refused) as caught:
        call.daemon.client.ask(request)
    assert (caught.value.command, caught.value.words) == (request.command, words)


def test_a_query_counts_the_packets_and_a_list_names_the_call(call):
    known = call.daemon.client.ask(ng.Query(call_id=call.call_id))
    assert set(known.tags) == {"ft", "tt"}
    assert known.tags["ft"]["label"] == "caller"
    assert abs(known.created - time.time()) < 60
    assert known.last_signal >= known.created
    assert known.totals["RTP"] == {"packets": 6, "bytes": 6 * 172, "errors": 0}
    assert call.call_id in call.daemon.client.ask(ng.List()).calls
    assert call.daemon.client.ask(ng.Statistics()).sessions == 1


def test_a_second_delete_is_ok_with_a_warning(call):
    delete = ng.Delete(call_id=call.call_id, delete_delay=0)
    assert call.daemon.client.ask(delete).warning == ""
    again = call.daemon.client.ask(delete)
    assert again.warning == "Call-ID not found or tags didn't match"
    assert (again.created, again.totals) == (None, {})


@pytest.mark.parametrize(("tag", "silent_in"), [(None, (10, 5)), ("ft", (12, 5))])
def test_a_delete_returns_the_final_counters_but_not_always(call, tag, silent_in):
    delete = ng.Delete(call_id=call.call_id, from_tag=tag, delete_delay=0)
    final = call.daemon.client.ask(delete).totals.get("RTP", {}).get("packets", 0)
    assert final == (0 if call.daemon.version == silent_in else 6)


def test_blocked_media_does_not_pass(plain_call):
    call, ask = plain_call, plain_call.daemon.client.ask
    ask(ng.BlockMedia(call_id=call.call_id, from_tag="ft"))
    call.send(call.caller)
    # Asking makes sure that the daemon has come to the packet before media is unblocked.
    counts = (ask(ng.Query(call_id=call.call_id)).totals["RTP"]["packets"] for _ in range(500))
    assert 7 in counts
    ask(ng.UnblockMedia(call_id=call.call_id, from_tag="ft"))
    passed = call.send(call.caller)
    assert daemons.sequence_of(call.callee.recv(2048)) == passed


def test_silenced_media_arrives_as_silence(call):
    call.daemon.client.ask(ng.SilenceMedia(call_id=call.call_id, from_tag="ft"))
    call.send(call.caller)
    assert set(call.callee.recv(2048)[12:]) == {0xD5}


def test_a_subscriber_gets_a_copy_until_it_unsubscribes(call):
    offered = subscription(call)
    assert offered.from_tags == ("ft",)
    answer = ng.SubscribeAnswer(
        call_id=call.call_id,
        to_tag=offered.to_tag,
        sdp=daemons.sdp(call.other.getsockname()[1], "recvonly"),
    )
    call.daemon.client.ask(answer)
    sent = call.send(call.caller)
    copied, passed = call.other.recv(2048), call.callee.recv(2048)
    assert copied[12:] == passed[12:]
    assert daemons.sequence_of(passed) == sent
    call.daemon.client.ask(ng.Unsubscribe(call_id=call.call_id, to_tag=offered.to_tag))
    call.send(call.caller)
    call.callee.recv(2048)
    call.other.settimeout(0.2)
    with pytest.raises(TimeoutError):
        call.other.recv(2048)


def test_media_is_played_from_a_file_and_from_the_message(call):
    ask = call.daemon.client.ask
    whole = call.daemon.tone.read_bytes()
    for source in ({"file": str(call.daemon.tone)}, {"blob": whole}):
        played = ask(ng.PlayMedia(call_id=call.call_id, from_tag="ft", **source))
        assert played.duration == 2000
        assert len(call.caller.recv(2048)) == 172
        stopped = ask(ng.StopMedia(call_id=call.call_id, from_tag="ft"))
        assert (stopped.last_frame_pos is None) == (call.daemon.version < (12, 5))


def test_a_dtmf_digit_arrives_as_events(call):
    call.daemon.client.ask(ng.PlayDtmf(call_id=call.call_id, from_tag="ft", code="5"))
    for _ in range(5):
        call.send(call.caller)
        packet = call.callee.recv(2048)
        if packet[1] & 0x7F == 101:
            break
    assert packet[12] == 5


def test_the_same_cookie_gets_the_old_answer_and_executes_nothing(daemon):
    with daemons.media_socket() as raw:
        raw.connect(("127.0.0.1", daemon.port))
        offer = ng.Offer(call_id="twice", from_tag="ft", sdp=daemons.sdp(40_000))
        delete = ng.Delete(call_id="twice", delete_delay=0)
        answers = []
        for request in (offer, offer, delete):
            raw.send(b"cookie-of-twice " + ng.write_request(request))
            answers.append(raw.recv(65_536))
        assert answers[0] == answers[1] == answers[2]
        assert "twice" in daemon.client.ask(ng.List()).calls
        assert daemon.client.ask(delete).warning == ""


@pytest.mark.parametrize("payload", [b"garbage", b"d4:spam", b"i5e"])
def test_garbage_is_answered_with_an_error_and_by_26_0_with_nothing(daemon, payload):
    asked = ng.Exchange(b"c-" + payload[:3], payload)
    with daemons.media_socket() as raw:
        raw.connect(("127.0.0.1", daemon.port))
        raw.send(asked.datagram_due(0.0))
        answer = asked.receive(raw.recv(65_536))
    kind = ng.RemoteProtocolError if daemon.version >= (26, 0) else ng.Refused
    with pytest.raises(kind):
        ng.read_reply(ng.Ping(), answer)


def test_what_the_daemon_sends_is_written_again_as_the_same_bytes(call):
    with daemons.media_socket() as raw:
        raw.connect(("127.0.0.1", call.daemon.port))
        for number, request in enumerate((ng.Query(call_id=call.call_id), ng.Statistics())):
            asked = ng.Exchange(b"bytes-%d" % number, ng.write_request(request))
            raw.send(asked.datagram_due(0.0))
            payload = asked.receive(raw.recv(65_536))
            assert bencode.encode(bencode.decode(payload)) == payload
