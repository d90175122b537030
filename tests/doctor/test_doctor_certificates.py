"""What doctor says about certificates: each chain is shown by a real TLS listener."""

from __future__ import annotations

import datetime as dt
import socket
import threading

import certs
import listening
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from orchestrator import errors, observe
from orchestrator.doctor import judge_certificate, look, seen
from orchestrator.engines import handshake
from orchestrator.render import generation, views
from orchestrator.site import load, model

NAME = "sbc.example.com"
SITE = """
version: 1
site: fra1
node: {public_address: 203.0.113.10}
teams: {fqdn: sbc.example.com}
certificate: {files: {chain: /c, key: /k}}
trunks: {office: {kind: pbx, gateways: ["sip:192.0.2.20"]}}
"""
TOP = certs.Ca("Top")
ISSUER = certs.Ca("Issuer")
OTHER = certs.Ca("Other")
GOVERNMENT = "DigiCert Global Root CA"
SHIPPED = generation.templates_root().joinpath("kamailio", "roots.pem.j2").read_bytes()


def above(ca: certs.Ca, issuer: certs.Ca) -> bytes:
    """The certificate of *ca*, signed by *issuer*: an intermediate."""
    built = (
        x509.CertificateBuilder()
        .subject_name(ca.certificate.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(ca.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(certs.NOW - dt.timedelta(days=1))
        .not_valid_after(certs.NOW + dt.timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(issuer.key, hashes.SHA256())
    )
    return built.public_bytes(certs.serialization.Encoding.PEM)


STORE = seen.File("store", TOP.pem)
LEAF = ISSUER.leaf(NAME)
BETWEEN = above(ISSUER, TOP)
WELL = LEAF + BETWEEN


def serial_of(chain: bytes) -> int:
    return x509.load_pem_x509_certificates(chain)[0].serial_number


def judged(tmp_path, chain: bytes, *, serial: int | None = None, store: bytes = TOP.pem):
    """What is said about a chain that was shown on the wire."""
    with listening.shower(tmp_path, chain) as port:
        shown = handshake.shown_chain("127.0.0.1", port, name=NAME)
    found = seen.Seen(
        applied=True,
        serial=serial,
        wire=seen.Wire("192.0.2.1:5061", shown),
        roots=seen.File("roots", SHIPPED),
        store=seen.File("store", store),
    )
    site = load.load_site(SITE.encode(), "site.yaml")
    return [
        (each.check, str(each.level), each.seen)
        for each in judge_certificate.judge(site, found, certs.NOW)
        if each.check != "roots"
    ]


def test_a_good_chain_is_described(tmp_path):
    """EKU-5: key, usages, names, chain and days left."""
    told = judged(tmp_path, WELL, serial=serial_of(WELL))

    assert [each[:2] for each in told] == [
        ("chain", "ok"),
        ("installed", "ok"),
        ("served", "ok"),
    ]
    assert (
        "a certificate for sbc.example.com, RSA 2048, serverAuth, by Issuer (root Top)"
        in (told[2][2])
    )
    assert told[2][2].endswith("(59 days)")


@pytest.mark.parametrize(
    ("chain", "check", "words"),
    [
        (LEAF, "chain", "shows 1 certificate, the last one signed by CN=Issuer, which no root"),
        (LEAF + OTHER.pem + BETWEEN, "served", "out of order: CN=Other did not sign"),
        (ISSUER.leaf("other.example.com") + BETWEEN, "served", "is for other.example.com, not"),
        (ISSUER.leaf("*.com") + BETWEEN, "served", "is for *.com, not for sbc.example.com"),
        (
            ISSUER.leaf(NAME, end=dt.timedelta(hours=-1)) + BETWEEN,
            "served",
            "the certificate expired on",
        ),
        (
            ISSUER.leaf(NAME, begin=dt.timedelta(hours=2)) + BETWEEN,
            "served",
            "not valid before",
        ),
        (
            ISSUER.leaf(NAME, usage=ExtendedKeyUsageOID.CLIENT_AUTH) + BETWEEN,
            "served",
            "not for TLS servers",
        ),
    ],
)
def test_each_fault_of_a_chain_is_a_problem(tmp_path, chain, check, words):
    told = judged(tmp_path, chain)

    found = [each for each in told if each[1] == "problem"]
    assert [each[0] for each in found] == [check]
    assert words in found[0][2]


def test_every_name_of_the_site_must_be_covered():
    """CERT-1, CERT-5: a name beside teams.fqdn, and a wildcard."""
    more = "{acme: {email: a@b.example, dns: {hook: {auth: /put}}, names: ['*.example.org']}}"
    text = SITE.replace("{files: {chain: /c, key: /k}}", more)
    found = seen.Seen(
        applied=True, wire=seen.Wire("w", WELL), roots=seen.File("r", SHIPPED), store=STORE
    )
    told = judge_certificate.judge(load.load_site(text.encode(), "s"), found, certs.NOW)

    assert [each.seen for each in told if str(each.level) == "problem"] == [
        "w: the certificate is for sbc.example.com, not for *.example.org (CERT-1)"
    ]


def test_a_key_that_is_not_rsa_is_a_problem():
    """TLS-3; the listener of the test itself has RSA keys only."""
    chain = ISSUER.leaf(NAME, key=ec.generate_private_key(ec.SECP256R1())) + BETWEEN
    found = seen.Seen(
        applied=True,
        wire=seen.Wire("192.0.2.1:5061", chain),
        roots=seen.File("roots", SHIPPED),
        store=seen.File("store", TOP.pem),
    )
    site = load.load_site(SITE.encode(), "site.yaml")

    told = list(judge_certificate.judge(site, found, certs.NOW))

    assert "not RSA of at least 2048 bits" in told[0].seen


def test_a_private_ca_is_told_from_a_public_one(tmp_path):
    """CERT-6: nobody knows the root."""
    told = judged(tmp_path, WELL, store=OTHER.pem)

    assert [each[:2] for each in told if each[1] != "ok"] == [("chain", "problem")]
    assert "signed by CN=Top" in told[0][2]


def test_a_government_cloud_takes_two_roots_only():
    """CERT-6: told by the thumbprint of the root itself."""
    shipped = x509.load_pem_x509_certificates(SHIPPED)
    [taken] = [each for each in shipped if judge_certificate.short(each) == GOVERNMENT]
    high = model.Cloud.GCC_HIGH

    [told] = judge_certificate.government(high, TOP.certificate)
    assert str(told.level) == "warning"
    assert "the chain ends at Top; gcc-high takes DigiCert Global Root CA" in told.seen
    assert list(judge_certificate.government(high, taken)) == []
    assert list(judge_certificate.government(model.Cloud.COMMERCIAL, TOP.certificate)) == []


def test_a_root_that_is_sent_as_well_is_a_hint(tmp_path):
    told = judged(tmp_path, WELL + TOP.pem)
    unknown = judged(tmp_path, WELL + TOP.pem, store=OTHER.pem)

    assert ("chain", "hint") in [each[:2] for each in told]
    assert ("chain", "warning") in [each[:2] for each in unknown]


def test_another_certificate_than_the_installed_one_is_a_problem(tmp_path):
    told = judged(tmp_path, WELL, serial=7)

    [(_, level, words)] = [each for each in told if each[0] == "installed"]
    assert level == "problem"
    assert "than the one that is installed (7)" in words


def test_a_listener_that_wants_a_certificate_has_shown_its_own(tmp_path):
    with listening.shower(tmp_path, WELL, demand=True) as port:
        shown = handshake.shown_chain("127.0.0.1", port, name=NAME)

    assert len(x509.load_pem_x509_certificates(shown)) == 2


def test_a_listener_that_speaks_no_tls_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            plain, _ = listener.accept()
            with plain:
                plain.recv(4096)
                plain.sendall(b"SIP/2.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(errors.EngineRefused, match="the TLS handshake with"):
            handshake.shown_chain("127.0.0.1", listener.getsockname()[1], name=NAME)
        thread.join()


def test_a_listener_that_is_not_there_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(errors.EngineSilent, match="Connection refused"):
        handshake.shown_chain("127.0.0.1", port, name=NAME)


def test_a_listener_that_says_nothing_is_waited_for_three_seconds():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(errors.EngineSilent, match="no answer within 3 s"),
    ):
        handshake.shown_chain("127.0.0.1", silent.getsockname()[1], name=NAME)


def test_a_certificate_in_its_last_third_is_a_warning(tmp_path):
    """REN-3: 20 of 61 days are left."""
    old = ISSUER.leaf(NAME, begin=dt.timedelta(days=-41), end=dt.timedelta(days=20)) + BETWEEN

    assert ("served", "warning") in [each[:2] for each in judged(tmp_path, old)]


@pytest.mark.parametrize(
    ("chain", "key", "level", "words"),
    [
        (WELL, certs.rsa_key(), "ok", "holds a certificate for sbc.example.com, RSA 2048"),
        (WELL, certs.rsa_key(9), "problem", "the key does not belong to the certificate"),
        (ISSUER.leaf("a.example") + BETWEEN, certs.rsa_key(), "problem", "is for a.example, not"),
        (b"", certs.rsa_key(), "problem", "no certificate in PEM form"),
        (None, certs.rsa_key(), "problem", "No such file or directory"),
    ],
)
def test_the_files_are_proven_before_apply_takes_them(tmp_path, chain, key, level, words):
    if chain is not None:
        (tmp_path / "c").write_bytes(chain)
    (tmp_path / "k").write_bytes(certs.pem_key(key))
    text = SITE.replace("/c", f"{tmp_path}/c").replace("/k", f"{tmp_path}/k")
    site = load.load_site(text.encode(), "site.yaml")
    paths = views.Paths(state=str(tmp_path / "state"), run=str(tmp_path / "run"))
    machine = observe.Machine(paths=paths, engine_root=None, env={})

    seen_here = look.look(machine, site, look.Question(offline=True))
    told = list(judge_certificate.judge(site, seen_here, certs.NOW))

    assert seen_here.offered
    assert "PRIVATE" not in repr(seen_here)
    [one] = [each for each in told if each.check == "files"]
    assert str(one.level) == level
    assert words in one.seen


@pytest.mark.parametrize(
    ("pem", "level", "words"),
    [
        (SHIPPED, "ok", "and only they"),
        (SHIPPED + TOP.pem, "hint", "and 1 that may vouch as well"),
        (
            b"-----BEGIN".join(SHIPPED.split(b"-----BEGIN")[:-1]),
            "problem",
            "lacks 1 (Microsoft RSA Root Certificate Authority 2017) of the seven roots",
        ),
        (TOP.pem, "problem", "lacks all of the seven roots"),
        (b"", "problem", "holds no certificates"),
    ],
)
def test_who_may_vouch_for_microsoft(pem, level, words):
    """TLS-9: the thumbprints of the file itself."""
    site = load.load_site(SITE.encode(), "site.yaml")
    found = seen.Seen(applied=False, roots=seen.File("roots.pem", pem))

    [told] = judge_certificate.judge(site, found, certs.NOW)

    assert str(told.level) == level
    assert words in told.seen
