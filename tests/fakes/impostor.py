"""Pose as Microsoft: one INVITE that names Microsoft wherever a name can stand, from each caller.

    python impostor.py CALLERS

CALLERS is a JSON list: ``transport`` (udp, tcp or tls), ``source`` (address), and ``chain`` and
``key`` (files for tls, or empty for no certificate). They call at once. A JSON list comes out: the
status that each was answered, or 0 when nothing came within two seconds or the connection ended.
"""

from __future__ import annotations

import json
import socket
import sys
from concurrent import futures

import dialler

TEAMS = ("203.0.113.10", 5061)
TRUNK = ("192.0.2.10", 5060)
NAME = "sip.pstnhub.microsoft.com"


def invite(transport: str, here: tuple[str, int]) -> bytes:
    mark = f"{transport}-{here[0]}-{here[1]}"
    body = "".join(
        f"{line}\r\n"
        for line in (
            *("v=0", f"o=- 1 1 IN IP4 {here[0]}", "s=-", f"c=IN IP4 {here[0]}", "t=0 0"),
            "m=audio 49170 RTP/SAVP 8 0 101",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40,
            "a=rtpmap:101 telephone-event/8000",
        )
    )
    head = (
        "INVITE sip:+4930900100@sbc.example.com:5061;user=phone;transport=tls SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {NAME}:5061;branch=z9hG4bK{mark};rport",
        "Max-Forwards: 70",
        f"From: <sip:+4930900200@{NAME}:5061;user=phone>;tag={mark}",
        "To: <sip:+4930900100@sbc.example.com:5061;user=phone>",
        f"Call-ID: {mark}@{NAME}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:api-du-a-euwe.pstnhub.microsoft.com:443;x-i={mark};x-c=1/d/8>",
        f"Record-Route: <sip:{NAME}:5061;transport=tls;lr>",
        f"P-Asserted-Identity: <tel:+4930900200>,<sip:user@{NAME}>",
        "User-Agent: Microsoft.PSTNHub.SIPProxy v.2026.11.26.1 i.USWE2.0",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*head, "", body)).encode()


def answered(wire: socket.socket, transport: str) -> int:
    wire.settimeout(2)
    wire.sendall(invite(transport, wire.getsockname()))
    words = wire.recv(4096).split()
    return int(words[1]) if words else 0


def call(caller: dict) -> int:
    transport, source = caller["transport"], (caller["source"], 0)
    try:
        if transport == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
                plain.bind(source)
                plain.connect(TRUNK)
                return answered(plain, transport)
        target = TEAMS if transport == "tls" else TRUNK
        with socket.create_connection(target, timeout=4, source_address=source) as plain:
            if transport == "tcp":
                return answered(plain, transport)
            settings = {"versions": ["TLSv1_2", "TLSv1_3"], "ciphers": "", **caller}
            with dialler.context_of(settings).wrap_socket(plain, server_hostname=NAME) as wire:
                return answered(wire, transport)
    except OSError:
        return 0


if __name__ == "__main__":
    callers = json.loads(sys.argv[1])
    with futures.ThreadPoolExecutor(len(callers)) as pool:
        sys.stdout.write(json.dumps(list(pool.map(call, callers))))
