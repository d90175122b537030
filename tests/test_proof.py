"""What must be proven before a pair is installed, and what is worth a remark."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import bad_pairs
import certs
import pytest
from cryptography.hazmat.primitives import hashes, serialization

from orchestrator import proof
from orchestrator.site import trust_program

STORE = Path("/etc/ssl/certs/ca-certificates.crt")
KINDS = [kind for kind, *_ in bad_pairs.PAIRS]


def faults(chain: bytes, key: bytes, *names: str, roots: bytes = b"") -> tuple[str, ...]:
    asked = names or (bad_pairs.NAME,)
    return proof.find_faults(chain, key, names=asked, now=certs.NOW, roots=roots)


@pytest.mark.parametrize(("kind", "chain", "key", "said"), bad_pairs.PAIRS, ids=KINDS)
def test_each_bad_pair_is_refused_with_its_own_sentence(kind, chain, key, said):
    """The machine's roots are those of the same CA, so nothing else is wrong with it."""
    found = faults(chain, key, roots=bad_pairs.CA.pem)
    assert any(said in fault for fault in found), found


def test_they_are_many_kinds_and_no_two_are_refused_by_the_same_words():
    """Wrong in one way: one sentence is what each is told, or two where both are true."""
    assert len(set(KINDS)) >= 20
    for kind, chain, key, _ in bad_pairs.PAIRS:
        found = faults(chain, key, roots=bad_pairs.CA.pem)
        assert 1 <= len(found) <= 3, (kind, found)
        assert not any(fault.endswith(".") or "\n" in fault for fault in found)


@pytest.mark.parametrize("root", [b"", bad_pairs.CA.pem])
@pytest.mark.parametrize("top", [b"", bad_pairs.CA.pem])
def test_good_chains_have_no_faults(root, top):
    """With an intermediate, with the root or without, whether the machine knows it or not."""
    middle = bad_pairs.under_middle() + bad_pairs.built("Middle CA") + top
    assert faults(middle, bad_pairs.KEY, roots=root) == ()
    if root or top:
        plain = bad_pairs.CA.leaf(bad_pairs.NAME) + top
        assert faults(plain, bad_pairs.KEY, roots=root) == ()


def test_every_name_of_the_site_must_be_covered():
    """One that is missing is named; a wildcard is asked for as it is, and stands for one label."""
    chain = bad_pairs.CA.leaf(bad_pairs.NAME, "*.customers.example.com") + bad_pairs.CA.pem
    good = (bad_pairs.NAME, "*.customers.example.com", "a.customers.example.com")
    assert faults(chain, bad_pairs.KEY, *good) == ()
    bad = ("a.b.customers.example.com", "customers.example.com", "*.example.com")
    found = faults(chain, bad_pairs.KEY, *good, *bad)
    assert [fault.split("not for ")[1].split()[0] for fault in found] == list(bad)


def test_who_vouches_is_a_remark():
    """A private CA, and one that joined Microsoft's program after our copy: told, not refused."""
    chain = bad_pairs.CA.leaf(bad_pairs.NAME) + bad_pairs.CA.pem
    [private] = proof.find_remarks(chain, roots=bad_pairs.STRANGER.pem)
    assert "ends at Bad Pairs Root, which no root of this machine is" in private
    [unlisted] = proof.find_remarks(chain, roots=bad_pairs.CA.pem)
    assert "Bad Pairs Root, which is not in our copy of Microsoft's" in unlisted
    assert trust_program.AS_OF in unlisted
    assert proof.find_remarks(chain, roots=b"") == ()


def test_our_copy_of_the_program_is_dated_and_names_what_this_machine_trusts():
    """Fingerprints and names are those of the certificates themselves; ISRG Root X1 is there."""
    assert dt.date.fromisoformat(trust_program.AS_OF) < certs.NOW.date()
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in trust_program.ROOTS)
    held = {
        root.fingerprint(hashes.SHA256()).hex(): root
        for root in proof.readable(STORE.read_bytes())
    }
    here = {each: name for each, name in trust_program.ROOTS.items() if each in held}
    assert len(here) > 90
    for each, name in here.items():
        assert name.split(" - R")[0] in held[each].subject.rfc4514_string()
    assert "ISRG Root X1" in here.values()


def test_a_root_of_the_program_is_worth_no_remark():
    """A root itself stands for what it signed."""
    [root] = [
        each
        for each in proof.readable(STORE.read_bytes())
        if trust_program.ROOTS.get(each.fingerprint(hashes.SHA256()).hex()) == "ISRG Root X1"
    ]
    pem = root.public_bytes(serialization.Encoding.PEM)
    assert proof.find_remarks(pem, roots=STORE.read_bytes()) == ()
