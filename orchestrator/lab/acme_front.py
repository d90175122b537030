"""What stands between the lab's CA and who asks it: ARI, profiles, and a bad day when told so.

    python -m orchestrator.lab.acme_front CONFIG

A real HTTPS server in front of pebble. Debian's pebble (2.4) knows neither renewal information
(RFC 9773) nor profiles, so both are added here; everything else is passed on as it came. CONFIG is
JSON (:class:`Config`). The file ``mood`` is read at every request, so that a test may change it:

    closed        true: hang up on everybody without an answer
    refuse        {"newOrder": {"status": 429, "type": "rateLimited", "retry_after": "3600"}}
                  by the name of the endpoint in the directory, or "*" for every signed request
    date_offset   seconds by which the Date of every answer is wrong
    renewal       {"start": ..., "end": ..., "retry_after": "21600"} instead of the usual window

Each request is a line of the file ``journal``: method, path, endpoint, and the payload that was
signed.
"""

from __future__ import annotations

import base64
import datetime as dt
import email.message
import email.utils
import http.client
import http.server
import json
import secrets
import ssl
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

PROFILES = {
    "classic": "https://acme.example.net/profiles#classic",
    "tlsserver": "https://acme.example.net/profiles#tlsserver",
    "shortlived": "https://acme.example.net/profiles#shortlived",
}
"""The profiles of Let's Encrypt by name; here they change nothing about the certificate."""

RENEWAL_PATH = "/renewal-info"
RETRY_AFTER = "21600"
"""Seconds until the window may be asked for again: Let's Encrypt says six hours."""

_PROBLEM = "application/problem+json"
_PASSED_ON = ("content-type", "user-agent", "accept")
_CHAIN = "application/pem-certificate-chain"
_PATIENCE = 20.0
_WINDOW = dt.timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Config:
    """Where it listens, whom it stands in front of, and its files.

    Attributes:
        listen: Address and port.
        upstream: Address and port of the CA.
        chain: Its own certificate and those above it.
        key: The key of that certificate.
        ca: PEM file of whom it trusts to vouch for the CA's own server.
        mood: What it is told to do; the file need not exist.
        journal: Where requests are noted.
    """

    listen: tuple[str, int]
    upstream: tuple[str, int]
    chain: str
    key: str
    ca: str
    mood: str
    journal: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header; empty when it is not there."""
        return next((value for key, value in self.headers if key.lower() == name), "")


def certificate_id(leaf: x509.Certificate) -> str:
    """How ARI names a certificate: key identifier of its issuer, and its serial (RFC 9773 4.1)."""
    issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    # DER: the serial is signed, so there is a zero byte in front when the first bit is set.
    serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
    return f"{_base64url(issuer.key_identifier or b'')}.{_base64url(serial)}"


def usual_window(leaf: x509.Certificate) -> tuple[dt.datetime, dt.datetime]:
    """Two days that begin when two thirds of the certificate's life are over."""
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    begin = leaf.not_valid_before_utc + life * 2 / 3
    return begin, min(begin + _WINDOW, leaf.not_valid_after_utc)


def signed_payload(body: bytes) -> dict[str, Any]:
    """What a signed request (JWS) says; nothing when it says nothing or is none."""
    try:
        text = json.loads(body)["payload"]
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def problem(status: int, kind: str, detail: str, *, retry_after: str = "") -> Reply:
    """A refusal as ACME writes it (RFC 8555 section 6.7)."""
    body = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status}
    headers = [("Content-Type", _PROBLEM), ("Replay-Nonce", secrets.token_urlsafe(16))]
    if retry_after:
        headers.append(("Retry-After", retry_after))
    return Reply(status, tuple(headers), json.dumps(body).encode())


class Front:
    """The server's mind: which answer a request gets."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._endpoints: dict[str, str] = {}
        self._windows: dict[str, tuple[dt.datetime, dt.datetime]] = {}
        self._lock = threading.Lock()

    def mood(self) -> dict[str, Any]:
        """What it is told to do at this moment."""
        try:
            found = json.loads(Path(self.config.mood).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found if isinstance(found, dict) else {}

    def note(self, method: str, path: str, body: bytes) -> None:
        """Write a request into the journal."""
        line = {
            "method": method,
            "path": path,
            "endpoint": self._endpoints.get(path, ""),
            "payload": signed_payload(body),
        }
        with self._lock, Path(self.config.journal).open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")

    def answer(self, method: str, path: str, headers: email.message.Message, body: bytes) -> Reply:
        """The answer to a request."""
        mood, endpoint = self.mood(), self._endpoints.get(path, "")
        refusals = mood.get("refuse", {})
        told = refusals.get(endpoint) or (refusals.get("*") if method == "POST" else None)
        if told:
            detail = told.get("detail", "the lab was told to refuse this")
            wait = told.get("retry_after", "")
            return problem(told["status"], told["type"], detail, retry_after=wait)
        if path.startswith(f"{RENEWAL_PATH}/"):
            return self._renewal(path.removeprefix(f"{RENEWAL_PATH}/"), mood.get("renewal", {}))
        profile = signed_payload(body).get("profile") if endpoint == "newOrder" else None
        if profile is not None and profile not in PROFILES:
            return problem(400, "invalidProfile", f"there is no profile {profile}")
        reply = self._ask(method, path, headers, body)
        if path == "/dir" and reply.status == 200:
            return self._directory(reply, headers.get("Host", ""))
        if reply.header("content-type").startswith(_CHAIN):
            self._remember(reply.body)
        return reply

    def _ask(self, method: str, path: str, headers: email.message.Message, body: bytes) -> Reply:
        """Pass a request on to the CA, under the name it was sent to."""
        context = ssl.create_default_context(cafile=self.config.ca)
        context.check_hostname = False
        host, port = self.config.upstream
        upstream = http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=context)
        passed = {key: value for key, value in headers.items() if key.lower() in _PASSED_ON}
        try:
            upstream.request(
                method, path, body or None, {**passed, "Host": headers.get("Host", "")}
            )
            answer = upstream.getresponse()
            return Reply(answer.status, tuple(answer.getheaders()), answer.read())
        except (OSError, http.client.HTTPException) as error:
            return problem(502, "serverInternal", f"the CA behind the front: {error}")
        finally:
            upstream.close()

    def _directory(self, reply: Reply, host: str) -> Reply:
        """The CA's directory, with what is added here."""
        known = json.loads(reply.body)
        self._endpoints = {
            f"/{url.split('/', 3)[3]}": name
            for name, url in known.items()
            if isinstance(url, str) and url.count("/") > 2
        }
        known["renewalInfo"] = f"https://{host}{RENEWAL_PATH}"
        known["meta"] = {**known.get("meta", {}), "profiles": PROFILES}
        return Reply(reply.status, reply.headers, json.dumps(known).encode())

    def _remember(self, chain: bytes) -> None:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        self._windows[certificate_id(leaf)] = usual_window(leaf)

    def _renewal(self, name: str, told: dict[str, str]) -> Reply:
        if name not in self._windows:
            return problem(404, "malformed", f"no certificate {name} was given here")
        begin, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in self._windows[name])
        window = {"start": told.get("start", begin), "end": told.get("end", end)}
        headers = (
            ("Content-Type", "application/json"),
            ("Retry-After", told.get("retry_after", RETRY_AFTER)),
        )
        return Reply(200, headers, json.dumps({"suggestedWindow": window}).encode())


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    front: Front
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.front.note(self.command, self.path, body)
        mood = self.front.mood()
        self.close_connection = True
        if mood.get("closed"):
            return
        reply = self.front.answer(self.command, self.path, self.headers, body)
        self.send_response_only(reply.status)
        now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=mood.get("date_offset", 0))
        self.send_header("Date", email.utils.format_datetime(now, usegmt=True))
        for name, value in reply.headers:
            if name.lower() not in ("date", "content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_POST = do_HEAD = _serve  # noqa: N815 - the names http.server calls

    def log_message(self, *_said: object) -> None:
        """The journal says it all."""


class _Server(http.server.ThreadingHTTPServer):
    """TLS is begun in the thread of the connection, so that nobody waits for who says nothing."""

    daemon_threads = True

    def __init__(self, front: Front) -> None:
        kind = type("_Handler", (_Handler,), {"front": front})
        super().__init__(front.config.listen, kind)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(front.config.chain, front.config.key)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Speak TLS, then HTTP."""
        request.settimeout(_PATIENCE)
        with self._context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Say nothing: who hangs up, or does not trust us, is part of the tests."""


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode("ascii").rstrip("=")


def main(config: Path) -> None:
    """Serve until killed; ``ready`` goes to stdout."""
    told = json.loads(config.read_text(encoding="utf-8"))
    told["listen"], told["upstream"] = tuple(told["listen"]), tuple(told["upstream"])
    server = _Server(Front(Config(**told)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
