"""Dial an SBC by TLS as Microsoft does, ask OPTIONS, and say what came of it.

    python dialler.py CALL

CALL is JSON: ``source`` (address), ``port`` (of ours, or 0), ``target`` (address), ``chain`` and
``key`` (files, or empty for no certificate), ``ciphers`` (OpenSSL's words, or empty), ``versions``
(lowest and highest, such as ``["TLSv1_2", "TLSv1_2"]``). JSON comes out: ``status`` (0 when the
connection ended without an answer), ``version``, ``cipher``, ``contact`` (of the answer) and
``failure``. ``name`` is whom it calls, by default sbc.example.com. With ``hold`` it
says so when it was answered and waits, silent, for the end of the connection, 20 seconds at most:
``ended`` is whether it came.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import warnings

warnings.simplefilter("ignore")  # old versions of TLS are asked for on purpose


def context_of(call: dict) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    low, high = call["versions"]
    made.minimum_version, made.maximum_version = ssl.TLSVersion[low], ssl.TLSVersion[high]
    if call["ciphers"]:
        made.set_ciphers(call["ciphers"])
    if call["chain"]:
        made.load_cert_chain(call["chain"], call["key"])
    return made


def options(called: str, source: str, port: int) -> bytes:
    name = "sip.pstnhub.microsoft.com"
    return (
        f"OPTIONS sip:{called}:5061;transport=tls SIP/2.0\r\n"
        f"Via: SIP/2.0/TLS {source}:{port};branch=z9hG4bK{port}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{name}:5061>;tag=1\r\nTo: <sip:{called}>\r\n"
        f"Call-ID: {port}@{name}\r\nCSeq: 1 OPTIONS\r\nContact: <sip:{name}:443>\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def hold(wire: ssl.SSLSocket) -> bool:
    """Say nothing more; whether the other side ends the connection."""
    sys.stdout.write("held\n")
    sys.stdout.flush()
    wire.settimeout(20)
    try:
        return wire.recv(4096) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def dial(call: dict) -> dict:
    told: dict = {"status": 0, "version": "", "cipher": "", "contact": "", "failure": ""}
    name = call.get("name", "sbc.example.com")
    try:
        plain = socket.create_connection(
            (call["target"], 5061), timeout=4, source_address=(call["source"], call["port"])
        )
        with plain, context_of(call).wrap_socket(plain, server_hostname=name) as wire:
            told |= {"version": wire.version(), "cipher": wire.cipher()[0]}
            wire.sendall(options(name, *wire.getsockname()))
            answer = wire.recv(4096)
            words = answer.split()
            told["status"] = int(words[1]) if words else 0
            lines = answer.decode().split("\r\n")
            told["contact"] = next((line for line in lines if line.startswith("Contact: ")), "")
            if call.get("hold"):
                told["ended"] = hold(wire)
    except OSError as failure:
        told["failure"] = str(failure)
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dial(json.loads(sys.argv[1]))))
