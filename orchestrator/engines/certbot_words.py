"""Why certbot got no certificate: its words and its log, sorted into causes. Pure.

certbot's exit code says nothing, and its last words often leave out what matters: the time a CA
named (Retry-After) and the type of its refusal stand in the log only.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import itertools
import re
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.site import model

LARGEST_OFFSET = dt.timedelta(minutes=10)
"""Clocks that differ by more are what an operator must know first."""

_CLUTTER = re.compile(
    r"^(Saving debug log|Account registered|Requesting a certificate|Some challenges have failed"
    r"|Ask for help|See the logfile|Certbot failed to authenticate|Plugins selected|Starting new"
    r"|Registering without|The Certificate Authority failed|Hint: The Certificate|- - -"
    r"|An unexpected error occurred|Waiting \d+ seconds for DNS|Encountered exception during"
    r"|Renewing an existing certificate|Unsafe permissions on)"
)
_RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}:", re.MULTILINE)
_ANSWER = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3}:DEBUG:acme\.client:Received response:\n"
    r"HTTP (?P<status>\d{3})\n(?P<headers>.*?)\n\n(?P<body>.*)",
    re.DOTALL,
)


class Cause(StrEnum):
    """Why there is no certificate."""

    CA_DOWN = "ca-down"
    CA_UNTRUSTED = "ca-untrusted"
    CLOCK = "clock"
    LIMITED = "limited"
    NONCE = "nonce"
    ACCOUNT = "account"
    PROFILE = "profile"
    PORT_TAKEN = "port-taken"
    DNS_SILENT = "dns-silent"
    DNS_REFUSED = "dns-refused"
    DNS_ZONE = "dns-zone"
    HOOK = "hook"
    CHALLENGE = "challenge"
    CAA = "caa"
    BUSY = "busy"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be known about a failure.

    Attributes:
        cause: What it comes down to.
        hint: What to do about it.
        retry_at: Before this time the CA wants no further question; None when it named none.
    """

    cause: Cause
    hint: str
    retry_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the CA, as certbot noted it in its log (in UTC)."""

    time: dt.datetime
    status: int
    headers: dict[str, str]
    body: str


_NO_WAY = (
    "connection refused|max retries|name or service not known|failed to resolve|timed out"
    "|temporary failure in name|no route to host|network is unreachable|read timed"
    "|connection aborted|remote end closed|ssl: unexpected.eof|eof occurred"
)
_DNS_ERROR = r"encountered error (when making query|adding txt record|deleting txt record):"
_DNS_NO = (
    "know the key we used|like the signature|received response from server:|badkey|badsig|tsig"
)
_UNPROVEN = (
    r"type:\s*(dns|connection|unauthorized|tls|incorrectresponse)|error:dns|error:connection"
    "|nxdomain"
)
_CAUSES = (
    ("another instance of certbot is already running", Cause.BUSY),
    (r"reported error code|hook .* ran with error|unable to find .*hook command", Cause.HOOK),
    ("could not bind|address already in use|problem binding to port", Cause.PORT_TAKEN),
    (r"not yet valid|certificate has expired|like the time we sent|badtime", Cause.CLOCK),
    ("certificate verify failed|self.signed certificate in", Cause.CA_UNTRUSTED),
    ("unable to determine base domain", Cause.DNS_ZONE),
    (_DNS_NO, Cause.DNS_REFUSED),
    (f"{_DNS_ERROR}.*({_NO_WAY}|timeout|timed out|errno)", Cause.DNS_SILENT),
    (r"badnonce|bad nonce|anti-replay nonce", Cause.NONCE),
    (r"ratelimited|too many|rate.?limit|paused", Cause.LIMITED),
    (
        r"externalaccountrequired|external account|accountdoesnotexist|unable to register",
        Cause.ACCOUNT,
    ),
    ("invalidprofile|profile name", Cause.PROFILE),
    (r"error:caa|type:\s*caa|caa record", Cause.CAA),
    (_UNPROVEN, Cause.CHALLENGE),
    (_NO_WAY, Cause.CA_DOWN),
)
"""What the words tell about the cause, first match first."""

_HINTS = {
    Cause.CA_DOWN: "the CA at {directory} cannot be reached from here: check DNS, the way out, and"
    " certificate.acme.directory",
    Cause.CA_UNTRUSTED: "this machine does not trust the CA's own certificate; see"
    " /etc/ssl/certs/ca-certificates.crt",
    Cause.CLOCK: "compare this machine's clock with the true time (timedatectl): here it is"
    " {now:%Y-%m-%d %H:%M}Z{offset}",
    Cause.LIMITED: "the CA limits how often it is asked; {wait}",
    Cause.NONCE: "the CA at {directory} refuses its own nonces, mostly behind a load balancer of"
    " its own or a proxy on the way; try again later",
    Cause.ACCOUNT: "the CA at {directory} wants an account it knows: see certificate.acme.eab,"
    " kid and hmac as the CA gave them",
    Cause.PROFILE: "the CA at {directory} does not have the profile that certificate.acme.profile"
    " names",
    Cause.PORT_TAKEN: "port {port} is taken on this machine: end what listens there, or set"
    " certificate.acme.http_port and forward port 80 to it",
    Cause.DNS_SILENT: "the DNS server {server} does not answer: see"
    " certificate.acme.dns.rfc2136.server and port, TCP as well as UDP",
    Cause.DNS_REFUSED: "the DNS server {server} refuses the update: see key_name, algorithm and"
    " secret of certificate.acme.dns.rfc2136, and whether its policy lets the key {key} write TXT"
    " records at _acme-challenge",
    Cause.DNS_ZONE: "the DNS server {server} is not the primary of a zone for these names: see"
    " certificate.acme.dns.rfc2136.server",
    Cause.HOOK: "a program of certificate.acme.dns.hook failed; run it by hand with"
    " CERTBOT_DOMAIN={fqdn} and CERTBOT_VALIDATION=test",
    Cause.CAA: "a CAA record of the domain does not let this CA issue: add it there, or ask"
    " another CA",
    Cause.BUSY: "another certbot works in STATE/acme; wait until it ends",
    Cause.OTHER: "see the log in STATE/acme/logs/letsencrypt.log",
}
_CHALLENGE_BY_PORT = (
    "the CA must reach this machine on port 80 by the name {fqdn}: check its DNS record, the"
    " firewall and any port forwarding"
)
_CHALLENGE_BY_RECORD = (
    "the CA did not find the TXT record _acme-challenge of a name: check that the servers of the"
    " zone have it in time (rfc2136.wait), and that no CNAME leads elsewhere"
)


def judge(
    said: str, log: str, *, fqdn: str, acme: model.Acme, directory: str, now: dt.datetime
) -> Verdict:
    """Say what a run that ended without a certificate failed by.

    Args:
        said: What certbot wrote to its outputs.
        log: Its log of this run.
        fqdn: The first name of the certificate.
        acme: What was asked.
        directory: The CA that was asked.
        now: The present, in UTC.
    """
    answers = answers_of(log)
    last = answers[-1] if answers and answers[-1].status >= 400 else None
    retry_at = _retry_at(last) if last else None
    offset = _offset(answers[-1]) if answers else dt.timedelta()
    cause = _cause(f"{said}\n{last.body if last else ''}", last)
    if abs(offset) > LARGEST_OFFSET:
        cause = Cause.CLOCK
    text = _HINTS.get(cause) or (_CHALLENGE_BY_RECORD if acme.dns else _CHALLENGE_BY_PORT)
    dns = acme.dns.rfc2136 if acme.dns else None
    hint = text.format(
        fqdn=fqdn,
        directory=directory,
        port=acme.http_port,
        server=f"{dns.server}:{dns.port}" if dns else "",
        key=dns.key_name if dns else "",
        now=now,
        offset=_said_offset(offset),
        wait=_said_wait(retry_at),
    )
    return Verdict(cause, hint, retry_at)


def essential_lines(said: str, limit: int = 8) -> str:
    """What certbot said without its standing phrases: the CA's words and the error's end."""
    lines = [line.strip() for line in said.splitlines()]
    kept = [line for line in lines if line and not _CLUTTER.match(line)]
    return "\n".join(kept[-limit:])


def answers_of(log: str) -> tuple[Answer, ...]:
    """Every answer of the CA that the log holds, in order."""
    begins = [match.start() for match in _RECORD.finditer(log)]
    records = [log[a:b] for a, b in itertools.pairwise([*begins, len(log)])]
    return tuple(
        Answer(
            time=dt.datetime.fromisoformat(match["time"]).replace(tzinfo=dt.UTC),
            status=int(match["status"]),
            headers=_headers(match["headers"]),
            body=match["body"].strip(),
        )
        for match in map(_ANSWER.match, records)
        if match
    )


def _headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _cause(words: str, last: Answer | None) -> Cause:
    if last and last.status == 429:
        return Cause.LIMITED
    if last and last.status >= 500:
        return Cause.CA_DOWN
    for pattern, cause in _CAUSES:
        if re.search(pattern, words, re.IGNORECASE):
            return cause
    return Cause.OTHER


def _retry_at(answer: Answer) -> dt.datetime | None:
    """When the CA wants to be asked again: seconds or a date (RFC 9110 section 10.2.3)."""
    text = answer.headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return answer.time + dt.timedelta(seconds=int(text))
    return _date(text)


def _date(text: str) -> dt.datetime | None:
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(dt.UTC)
    except ValueError:
        return None


def _offset(answer: Answer) -> dt.timedelta:
    """How much this machine's clock is ahead of the CA's."""
    theirs = _date(answer.headers.get("date", ""))
    return answer.time - theirs if theirs else dt.timedelta()


def _said_offset(offset: dt.timedelta) -> str:
    if abs(offset) <= LARGEST_OFFSET:
        return ""
    minutes = round(abs(offset).total_seconds() / 60)
    word = "ahead of" if offset > dt.timedelta() else "behind"
    return f", {minutes // 60} h {minutes % 60:02} min {word} the CA's"


def _said_wait(retry_at: dt.datetime | None) -> str:
    if retry_at is None:
        return "wait for the time it names, then apply again"
    return f"it names {retry_at:%Y-%m-%d %H:%M}Z; apply again then"
