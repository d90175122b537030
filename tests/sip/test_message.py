"""SIP messages: what is read, what is written, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sip import grammar, message, stream, uri

TEAMS = (
    b"INVITE sip:+493055520@sbc.example.com:5061;user=phone;transport=tls SIP/2.0\r\n"
    b"v: SIP/2.0/TLS 198.51.100.11:5061;branch=z9hG4bKa, SIP/2.0/TLS 10.0.0.1;branch=z9hG4bKb\r\n"
    b"Record-Route: <sip:one.example;lr>,\r\n <sip:two.example;lr>\r\n"
    b"RECORD-ROUTE: <sip:three.example;lr>\r\n"
    b'f: "Ann, \\"the boss\\" <x>" <sip:+4930@a.example;x-i=A;X-c=b>;tag=77\r\n'
    b"t: <sip:+493055520@sbc.example.com>\r\n"
    b"i: abc@host\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"m: <sip:api-du.example:443;x-i=4F;x-c=/s/1-x>\r\n"
    b"X-Odd: r\xe9sum\xe9\r\n"
    b"l: 4\r\n"
    b"\r\nv=0\n"
)


def test_a_teams_like_invite_is_read_part_by_part():
    parsed = message.parse(TEAMS)
    assert isinstance(parsed, message.Request)
    assert parsed.method == "INVITE"
    assert uri.parse_uri(parsed.target).user == "+493055520"
    assert [via.branch for via in parsed.via] == ["z9hG4bKa", "z9hG4bKb"]
    assert parsed.top_via.sent_by == "198.51.100.11:5061"
    assert [route.uri for route in parsed.record_routes] == [
        "sip:one.example;lr",
        "sip:two.example;lr",
        "sip:three.example;lr",
    ]
    assert parsed.from_.display == 'Ann, "the boss" <x>'
    assert parsed.from_.tag == "77"
    assert parsed.contacts[0].uri == "sip:api-du.example:443;x-i=4F;x-c=/s/1-x"
    assert parsed.cseq == message.CSeq(1, "INVITE")
    assert parsed.body == b"v=0\n"
    assert parsed.raw == TEAMS


def test_a_comma_inside_quotes_or_angle_brackets_joins_nothing():
    value = '"a \\", b" <sip:x;y=1,2>;q=1, <sip:z>'
    raw = f"OPTIONS sip:a SIP/2.0\r\nContact: {value}\r\n\r\n".encode()
    contacts = message.parse(raw).contacts
    assert [contact.uri for contact in contacts] == ["sip:x;y=1,2", "sip:z"]
    assert contacts[0].display == 'a ", b'


def test_a_cseq_has_32_bits():
    raw = b"OPTIONS sip:a SIP/2.0\r\nCSeq: %d OPTIONS\r\n\r\n"
    assert message.parse(raw % (2**32 - 1)).cseq.number == 2**32 - 1
    with pytest.raises(grammar.SipError):
        assert message.parse(raw % 2**32).cseq


def test_bytes_that_are_no_text_survive_the_round_trip():
    again = message.parse(TEAMS).serialise()
    assert b"X-Odd: r\xe9sum\xe9\r\n" in again
    assert message.parse(again).body == b"v=0\n"


def test_a_response_is_read_and_written():
    raw = b"SIP/2.0 486 Busy Here\r\nTo: sip:a@b;tag=1\r\nContent-Length: 0\r\n\r\n"
    parsed = message.parse(raw)
    assert isinstance(parsed, message.Response)
    assert (parsed.status, parsed.reason, parsed.to.tag) == (486, "Busy Here", "1")
    assert parsed.serialise() == raw


def test_a_header_is_replaced_where_it_stood():
    parsed = message.parse(TEAMS).with_header("Contact", "<sip:new>")
    assert [header.key for header in parsed.headers].count("contact") == 1
    names = [header.key for header in parsed.headers]
    assert names.index("contact") == names.index("cseq") + 1
    assert parsed.without("contact").contacts == ()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "the empty line behind the headers is missing"),
        (b"HELO\r\n\r\n", "neither a request line nor a status line: 'HELO'"),
        (b"INVITE sip:a SIP/3.0\r\n\r\n", "neither a request line nor a status line"),
        (b"OPTIONS sip:a SIP/2.0\r\nno header\r\n\r\n", "a header line that is none: 'no header'"),
        (b"OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\n", "Content-Length is not a number that fits"),
        (b"OPTIONS sip:a SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\nab", "two different Content-Length"),
        (b"OPTIONS sip:a SIP/2.0\r\nl: 9\r\n\r\nab", "Content-Length says 9, 2 bytes are there"),
        (b"x" * 70000, "70000 bytes are more than a SIP message may have"),
    ],
)
def test_what_is_no_message_says_why(raw, reason):
    with pytest.raises(grammar.SipError) as caught:
        message.parse(raw)
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize("text", ["sip:", "tel:+49", "a@b", "sip:a:99999", "sip:a:x", "sip:;x=y"])
def test_what_is_no_sip_uri_is_refused(text):
    with pytest.raises(grammar.SipError):
        uri.parse_uri(text)


@pytest.mark.parametrize(
    "text",
    [
        "sip:+49@[2001:db8::1]:5060;transport=tls;X-c=aB/%2f;lr?Subject=x",
        "sips:host.example",
        "sip:user:secret@host",
        "sip:@host",
    ],
)
def test_a_uri_comes_back_as_it_was_written(text):
    assert str(uri.parse_uri(text)) == text


def test_parameters_without_angle_brackets_belong_to_the_header():
    address = uri.parse_name_addr("sip:a@b;tag=1")
    assert (address.uri, address.tag) == ("sip:a@b", "1")
    assert str(address.tagged("2")) == "<sip:a@b>;tag=2"


NOISE = st.binary(max_size=400) | st.lists(
    st.sampled_from(
        [b"INVITE sip:a@b SIP/2.0", b"SIP/2.0 200 OK", b"\r\n", b"\n", b" ", b"Via: SIP/2.0/UDP a",
         b"l: 3", b"Contact: <sip:a;b=c>", b",", b'"', b"<", b">", b";", b"CSeq: 1 X", b"\xff"]
    ),
    max_size=30,
).map(b"".join)  # fmt: skip


@given(NOISE)
def test_any_bytes_are_a_message_or_the_one_error(raw):
    try:
        parsed = message.parse(raw)
    except grammar.SipError:
        return
    again = message.parse(parsed.serialise())
    assert again.serialise() == parsed.serialise()
    for read in ("call_id", "cseq", "via", "from_", "to", "contacts", "routes", "record_routes"):
        try:
            getattr(parsed, read)
        except grammar.SipError:
            continue


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_the_one_error(text):
    for read in (uri.parse_uri, uri.parse_name_addr, message.parse_via):
        try:
            once = str(read(text))
        except grammar.SipError:
            continue
        assert str(read(once)) == once


@given(st.lists(st.integers(1, 80), max_size=60))
def test_a_stream_is_cut_the_same_however_it_arrives(sizes):
    whole = b"\r\n\r\n" + TEAMS + b"\r\n" + TEAMS
    parser = stream.StreamParser()
    events: list[stream.Event] = list(parser.feed(whole[:4]))
    at = 4
    for size in sizes:
        # A pong's two bytes come together, as RFC 5626 sends them.
        events += parser.feed(whole[at : at + size])
        at += size
    events += parser.feed(whole[at:])
    assert events[0] is stream.KeepAlive.PING
    assert events[-1] == message.parse(TEAMS)
    assert [event for event in events if not isinstance(event, stream.KeepAlive)] == [
        message.parse(TEAMS)
    ] * 2


@given(st.lists(NOISE, max_size=5))
def test_any_stream_gives_messages_or_the_one_error(pieces):
    parser = stream.StreamParser()
    try:
        for piece in pieces:
            parser.feed(piece)
    except grammar.SipError:
        return


def test_a_stream_without_content_length_cannot_be_followed():
    with pytest.raises(grammar.SipError, match="without Content-Length"):
        stream.StreamParser().feed(b"OPTIONS sip:a SIP/2.0\r\nTo: b\r\n\r\n")


def test_a_head_that_never_ends_is_refused():
    with pytest.raises(grammar.SipError, match="no end of headers"):
        stream.StreamParser().feed(b"OPTIONS sip:a SIP/2.0\r\nTo: " + b"x" * 40000)
