"""Digest authentication against the published example."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sip import digest, grammar

EXAMPLE = (
    'Digest realm="testrealm@host.com", qop="auth,auth-int", '
    'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
MUFASA = digest.Account("Mufasa", "Circle Of Life")


def test_the_example_of_rfc_2617_comes_out():
    proof = digest.response(
        digest.parse_challenge(EXAMPLE),
        MUFASA,
        method="GET",
        target="/dir/index.html",
        cnonce="0a4f113b",
    )
    assert proof == "6629fae49393a05397450978507c4ef1"


def test_the_header_carries_what_a_registrar_needs():
    value = digest.authorisation(
        digest.parse_challenge(EXAMPLE),
        MUFASA,
        method="GET",
        target="/dir/index.html",
        cnonce="0a",
    )
    fields = digest.read_fields(value.removeprefix("Digest "))
    assert fields["username"] == "Mufasa"
    assert fields["nc"] == "00000001"
    assert fields["opaque"] == "5ccc069c403ebaf9f0171e9517f40e41"


@pytest.mark.parametrize(
    "value", ["Basic x", "Digest realm=a", "Digest nonce=a, algorithm=SHA-256"]
)
def test_a_challenge_we_cannot_answer_is_refused(value):
    with pytest.raises(grammar.SipError):
        digest.parse_challenge(value)


@given(st.text(max_size=80))
def test_any_text_is_a_challenge_or_the_one_error(text):
    for value in (text, f"Digest {text}"):
        try:
            assert digest.parse_challenge(value).nonce is not None
        except grammar.SipError:
            continue


ASKED = digest.Challenge("registrar.example.net", "n1", "auth", "opaque one")
KNOWN = digest.Account("company", 'a "quoted" secret')


@pytest.mark.parametrize("qop", ["", "auth"])
def test_what_was_asked_is_answered_and_believed(qop):
    asked = dataclasses.replace(ASKED, qop=qop)
    heard = digest.parse_challenge(digest.challenge_value(asked, stale=True))
    assert heard == asked
    value = digest.authorisation(
        heard, KNOWN, method="INVITE", target="sip:a@b", cnonce="c1", count=2
    )
    proof = digest.parse_proof(value)
    assert (proof.target, proof.count) == ("sip:a@b", 2 if qop else 1)
    assert digest.proves(proof, asked, KNOWN, method="INVITE")


@pytest.mark.parametrize(
    "change",
    [
        {"user": "somebody"}, {"realm": "elsewhere"}, {"nonce": "n2"}, {"target": "sip:c@b"},
        {"response": "0" * 32}, {"count": 3}, {"cnonce": "c2"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_proof_in_which_anything_was_changed_is_not_believed(change):
    value = digest.authorisation(ASKED, KNOWN, method="INVITE", target="sip:a@b", cnonce="c1")
    proof = digest.parse_proof(value)
    assert digest.proves(proof, ASKED, KNOWN, method="INVITE")
    assert not digest.proves(dataclasses.replace(proof, **change), ASKED, KNOWN, method="INVITE")
    assert not digest.proves(proof, ASKED, KNOWN, method="REGISTER")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic abc",
        'Digest username="a", realm="b", nonce="c", uri="d"',
        'Digest username="a", realm="b", nonce="c", uri="d", response="e", nc=zz',
    ],
)
def test_a_proof_that_is_none_is_refused(value):
    with pytest.raises(grammar.SipError):
        digest.parse_proof(value)
