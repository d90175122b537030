"""The exchange, on an invented clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtpengine_ng as ng

PING = b"d7:command4:pinge"


def test_the_same_bytes_are_sent_until_it_gives_up():
    asked = ng.Exchange(b"5323_1", PING, pauses=(0.5, 1.0))
    assert asked.datagram_due(100.0) == b"5323_1 d7:command4:pinge"
    assert asked.timer() == 100.5
    assert asked.datagram_due(100.4) is None
    assert asked.datagram_due(100.5) == b"5323_1 d7:command4:pinge"
    assert asked.datagram_due(101.4) is None
    with pytest.raises(ng.NoAnswer, match="no answer after 2 sends") as caught:
        asked.datagram_due(101.5)
    assert caught.value.sends == 2


def test_a_clock_that_jumps_sends_once_and_not_for_every_missed_pause():
    asked = ng.Exchange(b"c", PING, pauses=(1.0, 1.0, 1.0))
    asked.datagram_due(0.0)
    assert asked.datagram_due(1000.0) is not None
    assert asked.datagram_due(1000.5) is None


@given(st.lists(st.floats(0, 10), min_size=1, max_size=6), st.lists(st.floats(0, 5), max_size=40))
def test_it_sends_as_often_as_it_has_pauses_and_never_early(pauses, steps):
    asked, now, last = ng.Exchange(b"c", PING, tuple(pauses)), 0.0, None
    sent = 0
    for step in (0.0, *steps):
        now += step
        try:
            due = asked.datagram_due(now)
        except ng.NoAnswer:
            assert sent == len(pauses)
            return
        if due is not None:
            assert last is None or now >= last + pauses[sent - 1]
            sent, last = sent + 1, now
    assert sent <= len(pauses)


def test_the_answer_is_known_by_its_cookie_also_after_a_resend():
    asked = ng.Exchange(b"5323_1", PING)
    asked.datagram_due(0.0)
    asked.datagram_due(10.0)
    assert asked.receive(b"5323_1 d6:result4:ponge") == b"d6:result4:ponge"


@pytest.mark.parametrize(
    "datagram",
    [b"", b" ", b"5323_1", b"5323_2 d6:result4:ponge", b"5323_11 x", b"5323_ x", b" 5323_1 x"],
)
def test_what_has_another_cookie_is_not_ours(datagram):
    assert ng.Exchange(b"5323_1", PING).receive(datagram) is None


def test_an_empty_payload_is_an_answer():
    assert ng.Exchange(b"c", PING).receive(b"c ") == b""


@pytest.mark.parametrize("cookie", [b"", b"a b", b"a\n", b"\t", b"a\0"])
def test_what_is_no_cookie(cookie):
    with pytest.raises(ng.LocalProtocolError, match="no cookie"):
        ng.Exchange(cookie, PING)


def test_an_exchange_without_pauses_or_larger_than_a_datagram_is_refused():
    for pauses in ((), (-1.0,)):
        with pytest.raises(ng.LocalProtocolError, match="needs pauses"):
            ng.Exchange(b"c", PING, pauses)
    with pytest.raises(ng.LocalProtocolError, match="65508 bytes"):
        ng.Exchange(b"c", b"x" * 65_506)


def test_cookies_differ_by_caller_and_by_number():
    cookies = {ng.make_cookie(random, n) for random in (b"\0" * 8, b"\1" * 8) for n in range(9)}
    assert len(cookies) == 18
    assert ng.make_cookie(b"\xab", 7) == b"ab_7"
