"""Any bytes are answered, and a broken leaf is found where it stands."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import errors
from orchestrator.site import load, model

_FRAGMENTS = [
    b"version: 1\n", b"site: a\n", b"node:\n", b"  public_address: 203.0.113.1\n", b"teams:\n",
    b"  fqdn: sbc.example.com\n", b"trunks:\n", b"  office:\n", b"    kind: pbx\n", b"- ", b": ",
    b"[", b"]", b"{", b"}", b"&a ", b"*a", b"<<: *a\n", b"!x ", b"!!int 1\n", b"|\n", b">-\n",
    b"---\n", b"...\n", b"%YAML 1.1\n", b"? ", b"'", b'"', b"\\", b"\t", b"\r\n", b"\r", b"\n",
    b"\0", b"\x1b[31m", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xae",
    b"\xe4\xf6\xfc", b"\xc2\x85", b"# x\n", b"null", b"~", b"+4930", b"12:30", b"  ",
]  # fmt: skip

any_bytes = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", errors="surrogatepass")),
    st.lists(st.sampled_from(_FRAGMENTS), max_size=60).map(b"".join),
)


def _problems_of(text: bytes) -> tuple[errors.Problem, ...]:
    try:
        load.load_site(text, "site.yaml")
    except errors.SiteError as error:
        return error.problems or pytest.fail("an error without a problem")
    return ()


@settings(max_examples=600, deadline=None)
@given(text=any_bytes)
def test_any_bytes_are_a_site_or_have_problems(text):
    """Whatever is in the file: a Site, or Problems with a place in it; within a second."""
    began = time.process_time()
    for problem in _problems_of(text):
        lines = text.count(b"\n") + text.count(b"\r") + 1
        assert problem.message
        assert problem.position is not None
        assert 1 <= problem.position.line <= lines + 1
        assert problem.position.column >= 1
    # The promise is a second; the rest is room for a busy machine, and the first one's imports.
    assert time.process_time() - began < 2.5


names = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)
numbers = st.from_regex(r"\+?[0-9]{1,15}", fullmatch=True)


@st.composite
def sites(draw: st.DrawFn) -> dict[str, object]:
    """A valid site as plain values."""
    trunk_names = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    users = draw(st.lists(names, max_size=3, unique=True))
    site: dict[str, object] = {
        "version": "1",
        "site": draw(names),
        "node": {"public_address": "203.0.113.10", "sip_port": "5060"},
        "teams": {
            "fqdn": "sbc.example.com",
            "cloud": draw(st.sampled_from([str(cloud) for cloud in model.Cloud])),
        },
        "certificate": {"files": {"chain": "/a", "key": "/b"}},
        "trunks": {
            name: {
                "kind": draw(st.sampled_from(["pbx", "carrier"])),
                "gateways": [
                    f"sip:192.0.2.{10 * place + n}" for n in range(draw(st.integers(1, 3)))
                ],
                "numbers": [f"+{place + 1}{draw(st.integers(0, 9999)):04}"],
            }
            for place, name in enumerate(trunk_names)
        },
    }
    if users:
        site["phones"] = {
            "realm": "sbc.example.com",
            "users": {
                user: {"number": f"+99{place}", "password": {"env": "SECRET"}}
                for place, user in enumerate(users)
            },
        }
    return site


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [leaf for key, below in value.items() for leaf in _leaves(below, (*path, key))]
    if isinstance(value, list):
        return [leaf for key, below in enumerate(value) for leaf in _leaves(below, (*path, key))]
    return [path]


_MARK = "!?broken"
"""Neither a name, a number, an address nor a path: no leaf of a site may be this."""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(site=sites(), data=st.data(), flow=st.sampled_from([None, True, False]))
def test_a_broken_leaf_is_found_where_it_stands(site, data, flow):
    """In block and flow style: the site is valid, and one bad leaf is one problem, right there."""
    text = _written(site, flow)
    assert load.load_site(text.encode(), "x").site == site["site"]
    path = data.draw(st.sampled_from(_leaves(site)))
    parent: object = site
    for key in path[:-1]:
        parent = parent[key]  # type: ignore[index]
    parent[path[-1]] = _MARK  # type: ignore[index]
    broken = _written(site, flow)
    with pytest.raises(errors.SiteError) as caught:
        load.load_site(broken.encode(), "x")
    offset = broken.index(f"'{_MARK}'")
    before = broken[:offset]
    expected = errors.Position("x", before.count("\n") + 1, offset - before.rfind("\n"))
    assert [problem.position for problem in caught.value.problems] == [expected]


def _written(site: dict[str, object], flow: bool | None) -> str:
    return yaml.safe_dump(site, default_flow_style=flow, sort_keys=False)
