"""Dial the SBC by TLS again and again and send more at once than anybody should.

    flooder.py SOURCE KIND [PAIR]

KIND is junk (bytes without a line), header (one that never ends), many (hundreds of requests) or
halves (requests of half the SBC's buffer). PAIR is the path of a chain and a key without their
endings. Bounded: twenty connections, a fifth of a megabyte each.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time

TIMES = 20
AMOUNT = 200_000


def request(number: int, fill: int) -> bytes:
    lines = (
        "OPTIONS sip:sbc.example.com SIP/2.0",
        f"Via: SIP/2.0/TLS 192.0.2.66:5061;branch=z9hG4bK{number}",
        "From: <sip:a@flood.example.com>;tag=1",
        "To: <sip:sbc.example.com>",
        f"Call-ID: flood-{number}",
        "CSeq: 1 OPTIONS",
        "Contact: <sip:flood.example.com>",
        "Max-Forwards: 70",
        f"X-Fill: {'f' * fill}",
        "Content-Length: 0",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def flood(kind: str) -> bytes:
    if kind == "junk":
        return b"A" * AMOUNT
    if kind == "header":
        return b"OPTIONS sip:a SIP/2.0\r\nX: " + b"b" * AMOUNT
    fill = 10 if kind == "many" else 3800
    whole = b"".join(request(number, fill) for number in range(AMOUNT // (fill + 300)))
    return whole[:AMOUNT]


def main(source: str, kind: str, pair: str = "") -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair:
        context.load_cert_chain(f"{pair}.chain", f"{pair}.key")
    for _ in range(TIMES):
        with socket.socket() as plain:
            plain.bind((source, 0))
            plain.settimeout(2)
            try:
                plain.connect(("203.0.113.10", 5061))
                with context.wrap_socket(plain, server_hostname="sbc.example.com") as secured:
                    secured.sendall(flood(kind))
                    time.sleep(0.05)
            except OSError:
                continue  # the SBC closed it, which it may


if __name__ == "__main__":
    main(*sys.argv[1:])
