"""Certificates of tenants: proven when they are new, laid beside the site's, told by doctor."""

from __future__ import annotations

import datetime as dt

import certs
import pytest

from orchestrator import errors, own_pairs
from orchestrator.doctor import finding, judge_tenants, seen
from orchestrator.host import names, store
from orchestrator.site import load

NAME = "sbc.big.example"
SITE = """
version: 1
site: fra1
node: {{public_address: 203.0.113.10, trunk_address: 192.0.2.10}}
teams: {{fqdn: sbc.example.com}}
certificate: {{files: {{chain: /c, key: /k}}}}
trunks: {{office: {{kind: pbx, gateways: ["sip:192.0.2.20"]}}}}
tenants:
  big:
    fqdn: sbc.big.example
    address: 203.0.113.11
    certificate: {{files: {{chain: {folder}/big.pem, key: {folder}/big.key}}}}
    numbers: ["+4989"]
"""
CA = certs.Ca()


@pytest.fixture
def site(tmp_path):
    put(tmp_path, CA.leaf(NAME, key=certs.rsa_key(1)) + CA.pem)
    return load.load_site(SITE.format(folder=tmp_path).encode(), "site.yaml")


def put(folder, chain: bytes, number: int = 1) -> None:
    (folder / "big.pem").write_bytes(chain)
    (folder / "big.key").write_bytes(certs.pem_key(certs.rsa_key(number)))


def refused(site, held=None) -> tuple[errors.Problem, ...]:
    offered, problems = own_pairs.read_offered(site, held or {}, certs.NOW, b"")
    assert offered == (held or {})
    return problems


def test_a_pair_that_fits_is_taken(site, tmp_path):
    found, wrong = own_pairs.read_offered(site, {}, certs.NOW, b"")
    assert not wrong
    assert found == {NAME: tuple((tmp_path / f"big.{end}").read_bytes() for end in ("pem", "key"))}


def test_what_does_not_fit_is_told_in_its_place(site, tmp_path):
    place = ("tenants", "big", "certificate", "files")
    put(tmp_path, CA.leaf("sbc.small.example", key=certs.rsa_key(1)) + CA.pem)
    (problem,) = refused(site)
    assert (problem.id, problem.path) == ("unfit-certificate", (*place, "chain"))
    assert "not for sbc.big.example" in problem.message
    put(tmp_path, CA.leaf(NAME, key=certs.rsa_key(1)) + CA.pem, number=2)
    (problem,) = refused(site)
    assert "the key does not belong to the certificate" in problem.message
    (tmp_path / "big.key").unlink()
    (problem,) = refused(site)
    assert problem.path == (*place, "key")
    assert "No such file" in problem.message
    refused(site, {NAME: (b"its chain", b"its key")})


def test_an_installed_pair_goes_on_when_it_has_expired(site, tmp_path):
    """Who forgets to renew keeps nobody else from being changed; a new one must fit."""
    old = CA.leaf(NAME, key=certs.rsa_key(1), end=dt.timedelta(hours=-1)) + CA.pem
    put(tmp_path, old)
    assert "expired" in str(refused(site))
    held = {NAME: (old, certs.pem_key(certs.rsa_key(1)))}
    assert own_pairs.read_offered(site, held, certs.NOW, b"") == (held, ())


def test_all_pairs_lie_in_one_folder(tmp_path):
    kept = store.Store(tmp_path, None)
    kept.prepare()
    alone = kept.install_certificate(b"chain", b"key")
    both = kept.install_certificate(b"chain", b"key", {NAME: (b"its chain", b"its key")})
    other = kept.install_certificate(b"chain", b"key", {NAME: (b"another", b"its key")})
    assert len({alone, both, other}) == 3
    assert kept.read_certificate(both) == (b"chain", b"key")
    assert kept.own_certificates(both) == {NAME: (b"its chain", b"its key")}
    assert kept.own_certificates(alone) == {}
    key = tmp_path / "certificates" / both / f"{NAME}.key.pem"
    key.chmod(0o644)
    kept.put_right()
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("addresses", "chain", "level", "said"),
    [
        (("203.0.113.11",), CA.leaf(NAME), finding.Level.OK, ""),
        (("203.0.113.10",), CA.leaf(NAME), finding.Level.PROBLEM, "leads to 203.0.113.10"),
        ((), CA.leaf(NAME), finding.Level.PROBLEM, "leads nowhere"),
        (("203.0.113.11",), CA.leaf("x.example"), finding.Level.PROBLEM, "not for sbc.big"),
        (("203.0.113.11",), b"", finding.Level.PROBLEM, "shows no certificate: silent"),
        (
            ("203.0.113.11",),
            CA.leaf(NAME, begin=dt.timedelta(days=-60), end=dt.timedelta(days=5, minutes=1)),
            finding.Level.WARNING,
            "(5 days)",
        ),
    ],
)
def test_doctor_tells_about_each(site, addresses, chain, level, said):
    told = seen.Tenant(
        name="big",
        offered=seen.Offered("/big.pem"),
        answer=names.Answer(addresses),
        wire=seen.Wire("203.0.113.11:5061", chain, "" if chain else "silent"),
    )
    findings = tuple(
        judge_tenants.judge(site, seen.Seen(applied=True, tenants=(told,)), certs.NOW)
    )
    assert finding.worst(findings) is level
    assert said in " ".join(each.seen for each in findings if each.level is level)
