"""The lab's CA as files and command lines: pebble, and the front that stands before it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.lab import addresses, authority, command


@dataclass(frozen=True, slots=True)
class Program:
    """A server to start: the name of its log, its words, its environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


def lay(folder: Path, own: authority.Identity, roots: Path) -> tuple[Program, ...]:
    """Write what both servers read into *folder*; in this order they are started.

    Args:
        folder: An empty directory; the front looks for its mood there and keeps its journal.
        own: The certificate that both of them show.
        roots: PEM file of who vouches for it.
    """
    folder.mkdir()
    pebble, front = folder / "pebble.json", folder / "front.json"
    pebble.write_text(json.dumps(_pebble(own)), encoding="ascii")
    front.write_text(json.dumps(_front(folder, own, roots)), encoding="ascii")
    quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    dns = f"{addresses.DNS_ADDRESS}:53"
    return (
        Program("pebble", ("pebble", "-config", str(pebble), "-dnsserver", dns), quick),
        Program(
            "front",
            (sys.executable, "-m", "orchestrator.lab.acme_front", str(front)),
            command.environment(),
        ),
    )


def _pebble(own: authority.Identity) -> dict[str, object]:
    """It validates on port 80 (HTTP-01) and by the lab's DNS (DNS-01)."""
    host, port = addresses.ACME_MANAGEMENT
    address, behind = addresses.ACME_BEHIND
    return {
        "pebble": {
            "listenAddress": f"{address}:{behind}",
            "managementListenAddress": f"{host}:{port}",
            "certificate": str(own.chain),
            "privateKey": str(own.key),
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
    }


def _front(folder: Path, own: authority.Identity, roots: Path) -> dict[str, object]:
    """It listens like a public CA."""
    return {
        "listen": [addresses.ACME_ADDRESS, 443],
        "upstream": list(addresses.ACME_BEHIND),
        "chain": str(own.chain),
        "key": str(own.key),
        "ca": str(roots),
        "mood": str(folder / "mood"),
        "journal": str(folder / "journal"),
    }
