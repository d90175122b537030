"""Questions and answers: one key table, read back as written, judged by the daemon's words."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rtpengine_ng as ng
from rtpengine_ng import bencode, messages
from rtpengine_ng.messages import keys

TEXT = st.text(max_size=12)
TREES = st.recursive(
    st.integers(-9, 9) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=6,
)
BY_KIND = {
    ng.Kind.TEXT: TEXT,
    ng.Kind.NUMBER: st.integers(bencode.MIN_INTEGER, bencode.MAX_INTEGER),
    ng.Kind.WORDS: st.lists(TEXT, min_size=2, max_size=2).map(tuple),
    ng.Kind.BLOB: st.binary(max_size=12),
    ng.Kind.TREE: st.dictionaries(TEXT, TREES, max_size=3),
}


def requests():
    """Any request of any command, with any of its fields filled."""
    return st.sampled_from(sorted(ng.COMMANDS)).flatmap(of_command)


def of_command(command):
    required, optional = {}, {}
    for each in dataclasses.fields(ng.COMMANDS[command]):
        strategy = BY_KIND[ng.KEYS[each.name].kind]
        (required if each.default is dataclasses.MISSING else optional)[each.name] = strategy
    return st.fixed_dictionaries(required, optional=optional).map(
        lambda values: ng.COMMANDS[command](**values)
    )


@settings(deadline=None)
@given(requests())
def test_every_request_is_read_back_as_it_was_written(request):
    assert ng.read_request(ng.write_request(request)) == request


@given(st.binary(max_size=200))
def test_any_payload_is_a_reply_or_an_error_of_the_library(payload):
    for request in (ng.Ping(), ng.Query(call_id="a")):
        try:
            reply = ng.read_reply(request, payload)
        except (ng.RemoteProtocolError, ng.Refused):
            continue
        assert isinstance(reply, ng.Reply)


@pytest.mark.parametrize("command", sorted(ng.COMMANDS))
def test_every_field_stands_in_the_key_table_with_the_form_of_its_type(command):
    forms = {"str": "text", "int": "number", "bytes": "blob", "tuple[str, ...]": "words"}
    for each in dataclasses.fields(ng.COMMANDS[command]):
        written = str(each.type).removesuffix(" | None")
        assert forms.get(written, "tree") == ng.KEYS[each.name].kind, each.name


def test_no_two_names_share_a_key_and_every_key_is_used():
    wires = [key.wire for key in ng.KEYS.values()]
    assert len(wires) == len(set(wires))
    assert not any(" " in wire for wire in wires)
    used = {each.name for kind in ng.COMMANDS.values() for each in dataclasses.fields(kind)}
    assert used == set(ng.KEYS)


def test_an_offer_towards_teams_on_the_wire():
    offer = ng.Offer(
        call_id="c@example.com",
        from_tag="f",
        sdp="v=0\r\n",
        replace=("origin", "session-connection"),
        direction=("priv", "pub"),
        transport_protocol="RTP/SAVP",
        ice="remove",
        dtls="off",
        sdes=("only-AES_CM_128_HMAC_SHA1_80", "lifetime"),
        rtcp_mux=("offer",),
        codec={"strip": ("SILK",)},
        tos=184,
    )
    assert bencode.decode(ng.write_request(offer)) == {
        b"command": b"offer",
        b"call-id": b"c@example.com",
        b"from-tag": b"f",
        b"sdp": b"v=0\r\n",
        b"replace": (b"origin", b"session-connection"),
        b"direction": (b"priv", b"pub"),
        b"transport-protocol": b"RTP/SAVP",
        b"ICE": b"remove",
        b"DTLS": b"off",
        b"SDES": (b"only-AES_CM_128_HMAC_SHA1_80", b"lifetime"),
        b"rtcp-mux": (b"offer",),
        b"codec": {b"strip": (b"SILK",)},
        b"TOS": 184,
    }


def test_keys_are_read_with_spaces_as_well():
    payload = bencode.encode(
        {b"command": b"offer", b"call-id": b"c", b"from tag": b"f", b"sdp": b""}
    )
    assert ng.read_request(payload) == ng.Offer(call_id="c", from_tag="f", sdp="")


def test_bytes_that_are_no_utf_8_survive_both_ways():
    reply = ng.read_reply(
        ng.Offer(call_id="c", from_tag="f", sdp="v"),
        bencode.encode({b"sdp": b"s=\xe9t\xe9\r\n", b"result": b"ok"}),
    )
    again = ng.write_request(ng.Offer(call_id="c", from_tag="f", sdp=reply.sdp))
    assert b"s=\xe9t\xe9\r\n" in again


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"direction": ("priv",)}, "direction takes two words"),
        ({"received_from": ("IP4",)}, "received-from takes two words"),
        ({"flags": ["asymmetric"]}, "flags is words"),
        ({"tos": "184"}, "TOS is number"),
        ({"tos": True}, "TOS is number"),
        ({"tos": 2**63}, "64 bits"),
        ({"label": b"x"}, "label is text"),
        ({"label": "\ud800"}, "without UTF-8 form"),
        ({"label": "x" * 70_000}, "do not fit"),
        ({"codec": {"strip": ["SILK"]}}, "codec cannot carry list"),
        ({"codec": {1: ()}}, "key of int"),
        ({"codec": {"strip": (None,)}}, "codec cannot carry NoneType"),
    ],
)
def test_what_cannot_be_sent(values, says):
    with pytest.raises(ng.LocalProtocolError, match=says):
        ng.write_request(ng.Offer(call_id="c", from_tag="f", sdp="v=0", **values))


OFFER = ng.Offer(call_id="c", from_tag="f", sdp="v=0")


@pytest.mark.parametrize(
    ("request_", "payload", "says"),
    [
        (ng.Ping(), b"", "empty"),
        (ng.Ping(), b"garbage", "no bencode"),
        (ng.Ping(), b"i5e", "no dictionary"),
        (ng.Ping(), b"de", "result of 'ping' is None"),
        (ng.Ping(), b"d6:result2:oke", "result of 'ping' is 'ok'"),
        (OFFER, b"d6:result4:ponge", "result of 'offer' is 'pong'"),
        (OFFER, b"d6:result2:oke", "has no sdp"),
        (OFFER, b"d3:sdpi1e6:result2:oke", "sdp is not text"),
        (ng.List(), b"d5:callsli1ee6:result2:oke", "no list of words"),
        (ng.Query(call_id="c"), b"d7:created1:x6:result2:oke", "created is no number"),
        (ng.Statistics(), b"d10:statistics1:x6:result2:oke", "no dictionary"),
    ],
)
def test_what_is_no_answer(request_, payload, says):
    with pytest.raises(ng.RemoteProtocolError, match=says):
        ng.read_reply(request_, payload)


def test_refusals_keep_the_words_of_the_daemon():
    payload = b"d6:result5:error12:error-reason15:Unknown call-ide"
    with pytest.raises(ng.Refused) as caught:
        ng.read_reply(ng.Query(call_id="c"), payload)
    assert (caught.value.command, caught.value.words) == ("query", "Unknown call-id")
    assert not isinstance(caught.value, ng.LoadLimit)
    with pytest.raises(ng.LoadLimit, match="load limit"):
        ng.read_reply(OFFER, bencode.encode({b"result": b"load limit"}))


def test_a_delete_of_an_unknown_call_is_ok_with_a_warning():
    reply = ng.read_reply(ng.Delete(call_id="c"), b"d7:warning9:not found6:result2:oke")
    assert (reply.warning, reply.created, reply.totals) == ("not found", None, {})


def test_the_abstract_fault_cannot_be_raised():
    with pytest.raises(TypeError, match="raise LocalProtocolError or RemoteProtocolError"):
        raise ng.ProtocolError("x")


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"d7:command5:dancee", "Unrecognized command"),
        (b"d7:commandi1ee", "Unrecognized command"),
        (b"d7:command5:offer7:call-id1:ce", "missing"),
        (b"d7:command4:list5:limit1:xe", "limit is not number"),
    ],
)
def test_questions_that_no_daemon_would_take(payload, says):
    with pytest.raises(ng.RemoteProtocolError, match=says):
        messages.read_request(payload)


def test_a_meaning_stands_beside_every_key():
    assert all(
        key.meaning and key.since in ((10, 5), (12, 5), (26, 0)) for key in keys.KEYS.values()
    )
