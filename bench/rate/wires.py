"""Messages and connections of bench/rate/party.py, with as little work as can be."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "calls"))

import sip

HEADERS = re.compile(
    rb"^(via|from|to|call-id|cseq|record-route|contact):[ \t]*(.*?)\r$",
    re.MULTILINE | re.IGNORECASE,
)
LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)", re.MULTILINE | re.IGNORECASE)


def headers(text: bytes) -> dict[bytes, list[bytes]]:
    """The values of the headers that a dialog needs, by their names in small letters."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in HEADERS.findall(text.partition(b"\r\n\r\n")[0] + b"\r\n"):
        found.setdefault(name.lower(), []).append(value)
    return found


def whole(held: bytes) -> tuple[list[bytes], bytes]:
    """Messages of a stream, and what is left of the next one."""
    found = []
    while (end := held.find(b"\r\n\r\n")) >= 0:
        length = LENGTH.search(held, 0, end)
        size = end + 4 + (int(length[1]) if length else 0)
        if len(held) < size:
            break
        found.append(held[:size])
        held = held[size:]
    return found, held


def described(uri: str, sdp: str) -> tuple[bytes, bytes]:
    """The Contact, and the end of a message with this SDP."""
    contact = f"Contact: <{uri}>\r\n{sip.ALLOW}\r\n"
    body = f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"
    return contact.encode(), body.encode()


class Tls:
    """A connection; what does not fit into it now goes later."""

    def __init__(self, made: ssl.SSLSocket) -> None:
        made.settimeout(0)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = made
        self.held = b""
        self.unsent = b""

    def send(self, data: bytes) -> None:
        self.unsent += data
        self.flush()

    def flush(self) -> None:
        with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def read(self) -> Iterator[bytes]:
        """Messages that came; EOFError at the end."""
        with contextlib.suppress(ssl.SSLWantReadError):
            while True:
                data = self.socket.recv(65_536)
                if not data:
                    raise EOFError
                found, self.held = whole(self.held + data)
                yield from found
