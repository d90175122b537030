"""What the servers of the lab's internet read and say: BIND, DNS and HTTP; pure but one.

``private_named`` copies a program; everything else turns values into text and back.
"""

from __future__ import annotations

import http.client
import ipaddress
import secrets
import shutil
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from orchestrator.host import process
from orchestrator.lab import addresses

ZONES = ("example.com", "example.net", "pstnhub.microsoft.com", "teams.microsoft.us")
"""The zones the lab's DNS answers for; every other question is refused."""

TSIG_KEY = "sbc.example.com"
"""The key that may write records for the SBC's proofs (DNS-01), and nothing else."""

CHALLENGE_ZONES = (
    "_acme-challenge.sbc.example.com",
    "_acme-challenge.customers.example.com",
)
"""Zones that take updates: those of the proofs alone, so that the key opens no other name."""

_CHALLENGE_ZONE = """$TTL 5
@ SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 5
@ NS ns.example.com.
"""

_A = 1
_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")


def bind_files(folder: str) -> dict[str, str]:
    """The files BIND reads, by name: its configuration and one for each zone.

    No control channel, no recursion, no file outside *folder*, and short lives of the records,
    so that a changed answer is seen soon (EP-10). Updates signed by ``TSIG_KEY`` are taken in
    ``CHALLENGE_ZONES``, for TXT records only.
    """
    options = f"""options {{
  directory "{folder}";
  listen-on port 53 {{ {addresses.DNS_ADDRESS}; }};
  listen-on-v6 {{ none; }};
  pid-file none;
  session-keyfile "{folder}/session.key";
  recursion no;
  dnssec-validation no;
  allow-query {{ any; }};
  notify no;
}};
controls {{ }};
"""
    zones = "".join(
        f'zone "{zone}" {{ type primary; file "{folder}/{zone}"; }};\n' for zone in ZONES
    )
    key = f"""key "{TSIG_KEY}" {{
  algorithm hmac-sha256;
  secret "{addresses.TSIG_SECRET}";
}};
"""
    zones += "".join(
        f'zone "{zone}" {{ type primary; file "{folder}/{zone}"; '
        f'update-policy {{ grant "{TSIG_KEY}" zonesub TXT; }}; }};\n'
        for zone in CHALLENGE_ZONES
    )
    return {
        "named.conf": options + key + zones,
        **zone_files(names_of_everybody(), serial=1),
        **dict.fromkeys(CHALLENGE_ZONES, _CHALLENGE_ZONE),
    }


def names_of_everybody() -> dict[str, tuple[str, ...]]:
    """Every name with its addresses, while nobody has changed any."""
    return {name: (address,) for name, address in addresses.HOSTS.items()}


def zone_files(names: Mapping[str, tuple[str, ...]], *, serial: int) -> dict[str, str]:
    """BIND's file for each zone, by the zone's name; a name without addresses does not exist."""
    return {zone: _zone(zone, names, serial) for zone in ZONES}


def _zone(zone: str, names: Mapping[str, tuple[str, ...]], serial: int) -> str:
    lines = [
        "$TTL 5",
        f"@ SOA ns.{zone}. hostmaster.{zone}. {serial} 3600 600 86400 5",
        f"@ NS ns.{zone}.",
        f"ns A {addresses.DNS_ADDRESS}",
    ]
    lines += [
        f"{name}. A {address}"
        for name, known in names.items()
        if name.endswith(f".{zone}")
        for address in known
    ]
    return "\n".join(lines) + "\n"


def private_named(folder: Path) -> str:
    """Copy BIND's program into *folder* and return the copy's path.

    Debian confines /usr/sbin/named with AppArmor to its own directories, which are not ours to
    write to; the profile goes by the program's path.

    Raises:
        HostError: BIND is not installed.
    """
    copy = folder / "named"
    shutil.copy(process.find_program("named"), copy)
    return str(copy)


def get(connected: socket.socket, host: str, path: str) -> str:
    """GET *path* over a connected (TLS) socket and return the body of a 200 answer.

    Raises:
        OSError: Any other answer, or none.
    """
    connection = http.client.HTTPConnection(host)
    connection.sock = connected
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode("utf-8")
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer from {host}: {error}") from error
    if answer.status != 200:
        raise OSError(f"{host} answered {answer.status} to GET {path}")
    return body


def dns_question(name: str) -> bytes:
    """A DNS query for the A records of *name* (RFC 1035 section 4)."""
    labels = b"".join(bytes([len(part)]) + part.encode("ascii") for part in name.split("."))
    header = _HEADER.pack(secrets.randbits(16), 0x0100, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack("!HH", _A, 1)


def dns_addresses(answer: bytes) -> tuple[str, ...]:
    """The IPv4 addresses in a DNS answer; none when the name has none.

    Raises:
        OSError: This is not an answer.
    """
    try:
        _, flags, questions, answers, _, _ = _HEADER.unpack_from(answer)
        at = _HEADER.size
        for _ in range(questions):
            at = _after_name(answer, at) + 4
        found = []
        for _ in range(answers):
            at = _after_name(answer, at)
            kind, _, _, length = _RECORD.unpack_from(answer, at)
            at += _RECORD.size
            if kind == _A:
                found.append(str(ipaddress.IPv4Address(answer[at : at + length])))
            at += length
    except (struct.error, IndexError, ValueError) as error:
        raise OSError("this is no DNS answer") from error
    if not flags & 0x8000:
        raise OSError("this is no DNS answer")
    return tuple(found)


def _after_name(message: bytes, at: int) -> int:
    """Where the name that begins at *at* ends; a pointer ends it (RFC 1035 section 4.1.4)."""
    while True:
        length = message[at]
        if length >= 0xC0:
            return at + 2
        at += 1 + length
        if length == 0:
            return at
