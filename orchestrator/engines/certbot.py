"""certbot: obtain a certificate by ACME HTTP-01, as a program with directories of its own.

It runs as a subprocess (in-process it leaves log handlers and an exception hook behind,
reliability.md 1.4) and is judged by the files it leaves, never by its exit code alone. Kamailio
never reads certbot's ``live/``: what is proven there is copied into the state directory.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from orchestrator import errors
from orchestrator.host import process
from orchestrator.site import model

_SECONDS = 300.0
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_CLUTTER = re.compile(
    r"^(Saving debug log|Account registered|Requesting a certificate|Some challenges have failed"
    r"|Ask for help|See the logfile|Certbot failed to authenticate|Plugins selected|Starting new"
    r"|Registering without|The Certificate Authority failed|Hint: The Certificate|- - -"
    r"|An unexpected error occurred)"
)
_SERVER = re.compile(r"^server\s*=\s*(\S+)\s*$", re.MULTILINE)
_TAKEN = (
    "port {port} is taken on this machine: end what listens there, or set"
    " certificate.acme.http_port and forward port 80 to it"
)
_UNTRUSTED = f"this machine does not trust the CA's own certificate; see {_CA_BUNDLE}"
_UNREACHABLE = (
    "the CA at {directory} cannot be reached from here: check DNS, the way out, and"
    " certificate.acme.directory"
)
_LIMITED = "the CA limits how often it is asked; wait for the time it names, then apply again"
_CHALLENGE = (
    "the CA must reach this machine on port 80 by the name {fqdn}: check its DNS record, the"
    " firewall and any port forwarding"
)
_NO_WAY = (
    "connection refused|max retries|name or service not known|failed to resolve|timed out"
    "|temporary failure in name|no route to host|network is unreachable|read timed"
)
_HINTS = (
    ("could not bind|address already in use|problem binding to port", _TAKEN),
    ("certificate verify failed|self.signed certificate in", _UNTRUSTED),
    ("too many|rate.?limit", _LIMITED),
    (r"type:\s*(dns|connection|unauthorized)|error:dns|error:connection|nxdomain", _CHALLENGE),
    (_NO_WAY, _UNREACHABLE),
)
"""What certbot's words tell about the cause, first match first, and what to do then."""


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


def obtain(directory: Path, fqdn: str, acme: model.Acme) -> Lineage:
    """Obtain a certificate for ``fqdn``; blocks for at most 300 seconds.

    Args:
        directory: The directory all of certbot's files live under, ``STATE/acme``.
        fqdn: The only name in the certificate.
        acme: The CA and where its challenge is answered.

    Raises:
        EngineRefused: No new certificate; the CA's words are kept and the hint says what to do.
        EngineSilent: certbot did not end in time.
        HostError: certbot is not installed.
    """
    before = read_lineage(directory, fqdn)
    for name in ("config", "work", "logs"):
        (directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    ran = process.run(
        _argv(directory, fqdn, acme), timeout=_SECONDS, env=_environment(), stdin=b""
    )
    after = read_lineage(directory, fqdn)
    if after is None or (before is not None and after.chain == before.chain):
        raise _failure(ran, fqdn, acme)
    return after


def find_certbot() -> str:
    """The certbot installed beside the Python that runs us, or the one on PATH."""
    beside = Path(sys.executable).with_name("certbot")
    return str(beside) if os.access(beside, os.X_OK) else process.find_program("certbot")


def _argv(directory: Path, fqdn: str, acme: model.Acme) -> list[str]:
    return [
        find_certbot(),
        "certonly",
        *("--config-dir", str(directory / "config")),
        *("--work-dir", str(directory / "work")),
        *("--logs-dir", str(directory / "logs")),
        *("--server", acme.directory),
        *("-n", "--agree-tos", "-m", acme.email, "--no-eff-email"),
        *("--standalone", "--preferred-challenges", "http"),
        *("--http-01-port", str(acme.http_port)),
        *("--key-type", "rsa", "--rsa-key-size", "2048"),
        *("--cert-name", fqdn, "-d", fqdn),
        # A lineage that is there but was found unfit is replaced, not kept.
        # It may be from another CA: what serves is our own copy, which stays until the new one
        # is proven, so a test certificate breaks nothing. Accounts are kept apart by CA.
        *("--force-renewal", "--break-my-certs"),
        *("--no-random-sleep-on-renew", "--no-directory-hooks"),
    ]


def _environment() -> dict[str, str]:
    """Our environment without what would change certbot's words or its trust."""
    kept = {k: v for k, v in os.environ.items() if k not in ("LANGUAGE", "SSL_CERT_FILE")}
    return {**kept, "LC_ALL": "C.UTF-8", "REQUESTS_CA_BUNDLE": _CA_BUNDLE}


def _failure(ran: process.Ran, fqdn: str, acme: model.Acme) -> errors.EngineRefused:
    words = essential_lines(f"{ran.out}\n{ran.err}")
    hint = "see the log in STATE/acme/logs/letsencrypt.log"
    for pattern, text in _HINTS:
        if re.search(pattern, words, re.IGNORECASE):
            hint = text.format(port=acme.http_port, directory=acme.directory, fqdn=fqdn)
            break
    return errors.EngineRefused(
        f"no certificate for {fqdn} from {acme.directory}", words=words, hint=hint
    )


def essential_lines(said: str, limit: int = 8) -> str:
    """What certbot said without its standing phrases: the CA's words and the error's end."""
    lines = [line.strip() for line in said.splitlines()]
    kept = [line for line in lines if line and not _CLUTTER.match(line)]
    return "\n".join(kept[-limit:])
