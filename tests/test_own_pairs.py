"""Certificates of tenants: proven when they are new, laid beside the site's, told by doctor."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import certs
import pytest

from orchestrator import errors, own_pairs, plan, renewal
from orchestrator.apply import obtain, renew
from orchestrator.doctor import finding, judge_tenants, seen
from orchestrator.host import attempts, names, store
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


def read(site, held=None) -> own_pairs.Offered:
    nowhere = Path("/nonexistent")
    return own_pairs.read_offered(site, held or {}, certs.NOW, roots=b"", lineages=nowhere)


def refused(site, held=None) -> list[errors.Problem]:
    offered = read(site, held)
    assert offered.pairs == (held or {})
    return offered.wrong


def test_a_pair_that_fits_is_taken(site, tmp_path):
    found = read(site)
    pair = ((tmp_path / "big.pem").read_bytes(), (tmp_path / "big.key").read_bytes())
    assert found == own_pairs.Offered(pairs={NAME: pair})


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
    assert read(site, held) == own_pairs.Offered(pairs=held)


# -- by ACME ------------------------------------------------------------------------------------

CA_URL = "https://acme.example.net/dir"
ASKED = f"acme: {{{{email: ops@big.example, directory: '{CA_URL}'}}}}"
FILES = "files: {{chain: {folder}/big.pem, key: {folder}/big.key}}"


def by_acme(folder, held=None) -> own_pairs.Offered:
    site = load.load_site(SITE.replace(FILES, ASKED).format().encode(), "site.yaml")
    return own_pairs.read_offered(site, held or {}, certs.NOW, roots=b"", lineages=folder)


def keep(folder, chain: bytes, directory: str = CA_URL, number: int = 1) -> tuple[bytes, bytes]:
    """What certbot leaves when it has obtained one."""
    pair = (chain + CA.pem, certs.pem_key(certs.rsa_key(number)))
    for place, content in (
        (f"live/{NAME}/fullchain.pem", pair[0]),
        (f"live/{NAME}/privkey.pem", pair[1]),
        (f"renewal/{NAME}.conf", f"[renewalparams]\nserver = {directory}\n".encode()),
    ):
        (folder / "config" / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / "config" / place).write_bytes(content)
    return pair


def test_a_first_one_is_missing_until_certbot_has_one_that_fits(tmp_path):
    assert by_acme(tmp_path) == own_pairs.Offered(missing=[NAME])
    keep(tmp_path, CA.leaf("sbc.small.example", key=certs.rsa_key(1)))
    assert by_acme(tmp_path) == own_pairs.Offered(missing=[NAME])
    pair = keep(tmp_path, CA.leaf(NAME, key=certs.rsa_key(1)))
    assert by_acme(tmp_path) == own_pairs.Offered(pairs={NAME: pair})


def test_the_installed_one_goes_on_until_there_is_a_better_one(tmp_path):
    """Expired, out of files of before, or of a CA that is not asked any more."""
    old = CA.leaf(NAME, key=certs.rsa_key(1), end=dt.timedelta(hours=-1))
    held = {NAME: (old + CA.pem, certs.pem_key(certs.rsa_key(1)))}
    assert by_acme(tmp_path, held) == own_pairs.Offered(pairs=held)
    assert keep(tmp_path, old) == held[NAME]
    assert by_acme(tmp_path, held) == own_pairs.Offered(pairs=held)
    new = keep(tmp_path, CA.leaf(NAME, key=certs.rsa_key(1)), "https://other.example/dir")
    found = by_acme(tmp_path, held)
    assert found.pairs == held
    assert "it is from https://other.example/dir" in dict(found.replaced)[NAME]
    assert keep(tmp_path, new[0].removesuffix(CA.pem)) == new
    assert by_acme(tmp_path, held) == own_pairs.Offered(pairs={NAME: new})


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


def test_who_failed_least_often_is_asked_first(tmp_path):
    """A CA that is away holds up nobody; of whom a new pair lies ready no CA is asked."""
    acme = load.load_site(SITE.replace(FILES, ASKED).format().encode(), "site.yaml").by_acme
    (asked,) = acme.values()
    renew_now = renewal.Decision(renewal.Do.RENEW, certs.NOW, "due", CA_URL)
    orders = [obtain.Order((f"{name}.example",), asked, name) for name in ("a", "b", "c")]
    decided = tuple((order, renew_now) for order in orders)
    attempts.begin(tmp_path, CA_URL, certs.NOW, "a.example")
    seen_now = plan.CertificateSeen("files", None, changed=("c.example",))
    due = renew._due(tmp_path, seen_now, decided, None)
    assert [order.tenant for order, _ in due] == ["b", "a"]
    attempts.succeed(tmp_path, "a.example")
    due = renew._due(tmp_path, seen_now, decided, "c.example")
    assert [order.tenant for order, _ in due] == ["a", "b", "c"]
