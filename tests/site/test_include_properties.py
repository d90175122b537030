"""Any bytes in an included file are answered, and what is said of them is said of that file."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenant_files import SITE, line, tenant

from orchestrator import errors
from orchestrator.site import load

_FRAGMENTS = [
    b"acme:\n", b"  fqdn: acme.sbc.example.com\n", b"  numbers: ['+4930']\n", b"include: x\n",
    b"[", b"]", b"{", b"}", b": ", b"- ", b"&a ", b"*a", b"<<: *a\n", b"---\n", b"%YAML 1.1\n",
    b'{"name": ', b'"acme"', b', "fqdn": ', b'"acme.sbc.example.com"', b', "numbers": ', b'["+1"]',
    b"}\n", b"1e9", b"NaN", b"null", b"true", b'"\\ud800"', b'"\\n"', b'"', b"\\", b",", b"\r",
    b"\n", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xae", b"\xe4\xf6", b"\xc2\x85",
]  # fmt: skip

any_bytes = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from(_FRAGMENTS), max_size=40).map(b"".join),
    st.sampled_from([tenant("acme", "+4931").encode(), line("acme", "+4931").encode()]).flatmap(
        lambda text: st.integers(0, len(text)).map(lambda cut: text[:cut] + text[cut + 1 :])
    ),
)


@pytest.fixture(scope="module")
def site():
    """A site with a good tenant of its own that includes whatever is beside it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "site.yaml"
        own = "own: {fqdn: own.sbc.example.com, numbers: ['+4930']}"
        path.write_text(f"{SITE}tenants:\n  include: included.*\n  {own}\n")
        yield path


def read(path: Path) -> tuple[list[str], tuple[errors.Problem, ...]]:
    """The names of the tenants, or what is wrong."""
    try:
        return list(load.read_site(str(path))[0].tenants), ()
    except errors.SiteError as refused:
        return [], refused.problems


@settings(max_examples=300, deadline=None)
@given(text=any_bytes, ending=st.sampled_from(["yaml", "jsonl"]))
def test_any_bytes_are_tenants_or_have_problems_of_their_own(site, text, ending):
    included = site.parent / f"included.{ending}"
    included.write_bytes(text)
    began = time.process_time()
    names, problems = read(site)
    took = time.process_time() - began
    included.unlink()

    assert bool(names) != bool(problems)
    assert not names or (names[0] == "own" and len(names) > 1)
    for problem in problems:
        assert problem.position.file == str(included)
        assert 1 <= problem.position.line <= text.count(b"\n") + text.count(b"\r") + 2
        assert problem.position.column >= 1
    assert took < 2.5
