"""certbot: obtain a certificate by ACME, as a program with directories of its own.

It runs as a subprocess (in-process it leaves log handlers and an exception hook behind,
reliability.md 1.4) and is judged by the files it leaves, never by its exit code alone. Kamailio
never reads certbot's ``live/``: what is proven there is copied into the state directory.

Secrets (the key of a DNS server, of an account at the CA) reach certbot in files of mode 0600
that live as long as it runs; no command line holds one.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator import errors
from orchestrator.engines import certbot_words
from orchestrator.host import process, secrets
from orchestrator.site import acme as acme_parts
from orchestrator.site import model

_SECONDS = 300.0
_LOGS_KEPT = 50
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_SERVER = re.compile(r"^server\s*=\s*(\S+)\s*$", re.MULTILINE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


@dataclass(frozen=True, slots=True)
class Lineage:
    """What certbot has for a name: the PEM files as they are now.

    Attributes:
        chain: The certificate and those above it.
        key: Its key.
        directory: The ACME directory it is from, as certbot notes it; empty when unknown.
    """

    chain: bytes
    key: bytes
    directory: str = ""


def read_lineage(directory: Path, fqdn: str) -> Lineage | None:
    """What certbot obtained before; None when there is nothing whole.

    Args:
        directory: The directory all of certbot's files live under, ``STATE/acme``.
        fqdn: The name, which is also the lineage's.
    """
    live = directory / "config" / "live" / fqdn
    try:
        chain, key = (live / "fullchain.pem").read_bytes(), (live / "privkey.pem").read_bytes()
    except OSError:
        return None
    try:
        noted = (directory / "config" / "renewal" / f"{fqdn}.conf").read_text(encoding="utf-8")
    except (OSError, ValueError):
        noted = ""
    server = _SERVER.search(noted)
    return Lineage(chain=chain, key=key, directory=server[1] if server else "")


def obtain(
    directory: Path,
    fqdn: str,
    acme: model.Acme,
    *,
    ca: acme_parts.Ca | None = None,
    env: Mapping[str, str] | None = None,
) -> Lineage:
    """Obtain a certificate for ``fqdn`` and ``acme.names``; blocks for some minutes at most.

    Args:
        directory: The directory all of certbot's files live under, ``STATE/acme``.
        fqdn: The first name in the certificate, which is also the lineage's.
        acme: What is asked: names, key, how they are proven.
        ca: Who is asked; by default the first CA of ``acme``.
        env: Where references to secrets of the environment lead; by default our own.

    Raises:
        NotObtained: No new certificate; the CA's words are kept, the cause is sorted, the hint
            says what to do, and ``retry_at`` is the time the CA named, if it named one.
        EngineSilent: certbot did not end in time.
        HostError: certbot is not installed, or a secret cannot be had.
    """
    asked = ca or acme.first
    for name in ("config", "work", "logs"):
        (directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    before = read_lineage(directory, fqdn)
    with _secret_files(directory, acme, asked, os.environ if env is None else env) as secret:
        ran, log = _run(directory, _argv(directory, fqdn, acme, asked, secret), acme)
    after = read_lineage(directory, fqdn)
    if after is None or (before is not None and after.chain == before.chain):
        raise _failure(ran, log, fqdn, acme, asked)
    return after


def find_certbot() -> str:
    """The certbot installed beside the Python that runs us, or the one on PATH."""
    beside = Path(sys.executable).with_name("certbot")
    return str(beside) if os.access(beside, os.X_OK) else process.find_program("certbot")


# -- what certbot is told -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Secrets:
    """Files with secrets, each there when it is needed; certbot reads them."""

    dns: Path | None = None
    account: Path | None = None


def _argv(
    directory: Path, fqdn: str, acme: model.Acme, ca: acme_parts.Ca, secret: _Secrets
) -> list[str]:
    names = acme_parts.names_to_order(fqdn, acme.names)
    return [
        find_certbot(),
        "certonly",
        *(("--config", str(secret.account)) if secret.account else ()),
        *("--config-dir", str(directory / "config")),
        *("--work-dir", str(directory / "work")),
        *("--logs-dir", str(directory / "logs"), "--max-log-backups", str(_LOGS_KEPT)),
        *("--server", ca.directory),
        *("-n", "--agree-tos", "-m", acme.email, "--no-eff-email"),
        *_challenge_words(acme, secret),
        *_profile_words(ca),
        *("--key-type", "rsa", "--rsa-key-size", acme.key_size),
        *("--cert-name", fqdn),
        *(word for name in names for word in ("-d", name)),
        # A lineage that is there but was found unfit is replaced, not kept, and may get other
        # names. It may be from another CA: what serves is our own copy, which stays until the
        # new one is proven, so a test certificate breaks nothing. Accounts are kept apart by CA.
        *("--force-renewal", "--break-my-certs", "--renew-with-new-domains"),
        *("--no-random-sleep-on-renew", "--no-directory-hooks"),
    ]


def _challenge_words(acme: model.Acme, secret: _Secrets) -> tuple[str, ...]:
    if acme.dns is None:
        port = str(acme.http_port)
        return ("--standalone", "--preferred-challenges", "http", "--http-01-port", port)
    if acme.dns.hook is not None:
        cleanup = acme.dns.hook.cleanup
        return (
            *("--manual", "--preferred-challenges", "dns"),
            *("--manual-auth-hook", acme.dns.hook.auth),
            *(("--manual-cleanup-hook", cleanup) if cleanup else ()),
        )
    assert acme.dns.rfc2136 is not None
    return (
        *("--authenticator", "dns-rfc2136", "--preferred-challenges", "dns"),
        *("--dns-rfc2136-credentials", str(secret.dns)),
        *("--dns-rfc2136-propagation-seconds", str(acme.dns.rfc2136.wait)),
    )


def _profile_words(ca: acme_parts.Ca) -> tuple[str, ...]:
    if ca.profile is None:
        return ()
    return ("--required-profile" if ca.profile_required else "--preferred-profile", ca.profile)


@contextmanager
def _secret_files(
    directory: Path, acme: model.Acme, ca: acme_parts.Ca, env: Mapping[str, str]
) -> Iterator[_Secrets]:
    """Lay down what certbot must know and nobody may see, for as long as the block runs.

    What a run that was killed left behind is removed first.
    """
    folder = directory / "secrets"
    shutil.rmtree(folder, ignore_errors=True)
    dns, eab = acme.dns.rfc2136 if acme.dns else None, ca.eab
    if dns is None and eab is None:
        yield _Secrets()
        return
    texts: dict[str, str] = {}
    if dns is not None:
        texts["dns"] = _dns_text(dns, env)
    if eab is not None:
        which = "fallback.eab" if ca == acme.fallback else "eab"
        hmac = _resolved(eab.hmac, f"certificate.acme.{which}.hmac", env)
        texts["account"] = f"eab-kid = {eab.kid}\neab-hmac-key = {hmac}\n"
    folder.mkdir(mode=0o700)
    try:
        yield _Secrets(**{name: _written(folder / name, text) for name, text in texts.items()})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _dns_text(dns: acme_parts.Rfc2136, env: Mapping[str, str]) -> str:
    secret = _resolved(dns.secret, "certificate.acme.dns.rfc2136.secret", env)
    settings = {
        "server": str(dns.server),
        "port": str(dns.port),
        "name": dns.key_name,
        "secret": secret,
        "algorithm": dns.algorithm.upper(),
        # A server with several views shows the zone to the key; a wrong key is told at once.
        "sign_query": "true",
    }
    return "".join(f"dns_rfc2136_{name} = {value}\n" for name, value in settings.items())


def _resolved(secret: model.Secret, what: str, env: Mapping[str, str]) -> str:
    text = secrets.resolve(secret, what=what, env=env).strip()
    if not _BASE64.fullmatch(text):
        raise errors.HostError(
            f"the secret of {what} is not in base64",
            hint="write it as it stands in the key file of the DNS server, or as the CA gave it",
        )
    return text


def _written(path: Path, text: str) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _environment() -> dict[str, str]:
    """Our environment without what would change certbot's words, its trust or its log's clock."""
    kept = {k: v for k, v in os.environ.items() if k not in ("LANGUAGE", "SSL_CERT_FILE")}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC", "REQUESTS_CA_BUNDLE": _CA_BUNDLE}


# -- what came of it ------------------------------------------------------------------------


def _run(directory: Path, argv: list[str], acme: model.Acme) -> tuple[process.Ran, str]:
    """Run certbot; what it said, and its log of this run, empty when it wrote none."""
    file = directory / "logs" / "letsencrypt.log"
    before = _identity(file)
    wait = acme.dns.rfc2136.wait if acme.dns and acme.dns.rfc2136 else 0
    ran = process.run(argv, timeout=_SECONDS + wait, env=_environment(), stdin=b"")
    if _identity(file) == before:
        return ran, ""
    return ran, file.read_text(encoding="utf-8", errors="replace")


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file it is and when it was written; certbot begins a new one with every run."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _failure(
    ran: process.Ran, log: str, fqdn: str, acme: model.Acme, ca: acme_parts.Ca
) -> errors.NotObtained:
    said = certbot_words.essential_lines(f"{ran.out}\n{ran.err}")
    verdict = certbot_words.judge(
        said, log, fqdn=fqdn, acme=acme, directory=ca.directory, now=dt.datetime.now(dt.UTC)
    )
    return errors.NotObtained(
        f"no certificate for {fqdn} from {ca.directory}",
        words=said,
        hint=verdict.hint,
        cause=verdict.cause,
        retry_at=verdict.retry_at,
    )
