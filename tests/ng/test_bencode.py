"""bencode: what is written is read back, and hostile bytes end as EncodingError only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpengine_ng import bencode, errors

INTEGERS = st.integers(bencode.MIN_INTEGER, bencode.MAX_INTEGER)
VALUES = st.recursive(
    INTEGERS | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(st.binary(max_size=8), inner, max_size=5)
    ),
    max_leaves=25,
)
NEARLY = st.lists(
    st.sampled_from([b"d", b"l", b"e", b"i", b"-", b"0", b"1", b"9", b":", b"1:a", b"i1e", b"0:"]),
    max_size=60,
).map(b"".join)


@given(VALUES)
def test_a_written_value_is_read_back(value):
    assert bencode.decode(bencode.encode(value)) == value


@given(st.binary(max_size=300) | NEARLY)
def test_any_bytes_are_a_value_with_one_spelling_or_an_encoding_error(data):
    try:
        value = bencode.decode(data)
    except errors.EncodingError:
        return
    assert bencode.encode(value) == data


@given(VALUES)
def test_keys_keep_their_order(value):
    assert list(bencode.decode(bencode.encode({b"z": value, b"a": value}))) == [b"z", b"a"]


def test_the_vector_of_the_protocol_document():
    assert bencode.encode({b"command": b"ping"}) == b"d7:command4:pinge"
    assert bencode.decode(b"d6:result4:ponge") == {b"result": b"pong"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no value at offset 0"),
        (b"i12", "no end of the integer"),
        (b"ie", "no number"),
        (b"i-e", "no number"),
        (b"i-0e", "minus zero"),
        (b"i007e", "a leading zero"),
        (b"i1_0e", "no number"),
        (b"i+1e", "no number"),
        ("i٣e".encode(), "no number"),
        (b"i9223372036854775808e", "more than 64 bits"),
        (b"i-9223372036854775809e", "more than 64 bits"),
        (b"i" + b"9" * 5000 + b"e", "no end of the integer"),
        (b"01:a", "a leading zero"),
        (b"5:abc", "ends behind the message"),
        (b"99999:a", "ends behind the message"),
        (b"999999999:a", "no value"),
        (b"-1:a", "no number"),
        (b"l", "no value"),
        (b"di1ei2ee", "no value"),
        (b"d1:ae", "no value"),
        (b"d1:ai1e1:ai2ee", "the same key again"),
        (b"i1ei2e", "something follows"),
        (b"l" * 33 + b"e" * 33, "deeper than 32"),
        (b"d1:a" * 33 + b"i1e" + b"e" * 33, "deeper than 32"),
        (b"l" * 60_000, "deeper than 32"),
        (b"0:" * 40_000, "more than 65507"),
    ],
)
def test_what_is_refused_and_how(data, says):
    with pytest.raises(errors.EncodingError, match=says):
        bencode.decode(data)


def test_the_bounds_themselves_are_inside():
    deepest = b"l" * 32 + b"e" * 32
    assert bencode.encode(bencode.decode(deepest)) == deepest
    largest = b"65501:" + b"x" * 65_501
    assert len(largest) == bencode.MAX_SIZE
    assert bencode.encode(bencode.decode(largest)) == largest
    for number in (bencode.MIN_INTEGER, bencode.MAX_INTEGER):
        assert bencode.decode(b"i%de" % number) == number


@pytest.mark.parametrize(
    "value", [True, None, "text", 1.5, [], {"a": 1}, {1: 1}, (b"a", None), 2**63, -(2**63) - 1]
)
def test_what_cannot_be_written(value):
    with pytest.raises(errors.EncodingError):
        bencode.encode(value)


def test_a_value_that_is_too_large_or_contains_itself_cannot_be_written():
    with pytest.raises(errors.EncodingError, match="do not fit"):
        bencode.encode(b"x" * 65_502)
    endless: dict[bytes, object] = {}
    endless[b"again"] = endless
    with pytest.raises(errors.EncodingError, match="deeper than 32"):
        bencode.encode(endless)
