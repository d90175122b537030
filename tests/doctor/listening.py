"""Small real servers on this machine's loopback: one that shows certificates, one that is DNS."""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import certs

from orchestrator.lab import internet

DIRECTORY = {"newOrder": "https://localhost/order", "meta": {"caaIdentities": ["ca.example.net"]}}


@contextlib.contextmanager
def shower(
    folder: Path, chain: bytes, *, answer: bytes = b"", off: float = 0, demand: bool = False
) -> Iterator[int]:
    """A TLS listener that shows *chain* as it is; its port.

    With *answer* it speaks HTTP: that is its body, and its clock is *off* by so many seconds. With
    *demand* it takes nobody without a certificate.
    """
    (folder / "shown.pem").write_bytes(chain)
    (folder / "shown.key").write_bytes(certs.pem_key(certs.rsa_key()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "shown.pem", folder / "shown.key")
    if demand:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with plain, contextlib.suppress(OSError):
                    plain.settimeout(5)
                    with context.wrap_socket(plain, server_side=True) as wire:
                        if answer and wire.recv(4096):
                            wire.sendall(http(answer, off))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def http(body: bytes, off: float) -> bytes:
    date = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=off))
    head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def directory(off: float, folder: Path, ca: certs.Ca) -> contextlib.AbstractContextManager[int]:
    """What looks like an ACME CA at https://localhost, its clock off by so many seconds."""
    chain = ca.leaf("localhost") + ca.pem
    return shower(folder, chain, answer=json.dumps(DIRECTORY).encode(), off=off)


@contextlib.contextmanager
def dns(folder: Path, zones: dict[str, str]) -> Iterator[tuple[str, int]]:
    """BIND with these zones; where to ask it. A zone without text is one it cannot load."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = f"""options {{
  directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  pid-file none; session-keyfile "{folder}/session.key"; recursion no; dnssec-validation no;
  notify no; }};
controls {{ }};
"""
    for zone, text in zones.items():
        config += f'zone "{zone}" {{ type primary; file "{folder}/{zone}"; }};\n'
        (folder / zone).write_text(
            f"$TTL 5\n@ SOA ns.{zone}. a.{zone}. 1 3600 600 86400 5\n@ NS ns.{zone}.\n"
            f"ns A 127.0.0.1\n{text}"
            if text
            else "nonsense\n"
        )
    (folder / "named.conf").write_text(config)
    program = (internet.private_named(folder), "-f", "-c", str(folder / "named.conf"))
    with (folder / "named.log").open("wb") as log:
        named = subprocess.Popen([*program, "-g"], stderr=log, stdout=log)
    try:
        end = time.monotonic() + 20
        while b" running\n" not in (folder / "named.log").read_bytes():
            assert named.poll() is None, (folder / "named.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        yield "127.0.0.1", port
    finally:
        named.terminate()
        named.wait()
