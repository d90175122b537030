"""The files of a certificate folder: the pair that Teams sees, and those of tenants beside it.

All lie in one folder, so that one link switches all of them at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

CHAIN, KEY = "chain.pem", "key.pem"

Pair = tuple[bytes, bytes]
"""Chain and key, PEM."""

NO_OTHERS: Mapping[str, Pair] = MappingProxyType({})
"""Where no tenant has one of its own."""


def digest(chain: bytes, own: Mapping[str, Pair]) -> str:
    """What the chains of a folder come to, in hex; of one alone its own digest."""
    told = hashlib.sha256(chain)
    for fqdn in sorted(own):
        told.update(f"\n{fqdn}\n".encode() + own[fqdn][0])
    return told.hexdigest()


def found(folder: Path) -> tuple[Path, ...]:
    """The files of pairs in a folder, whole ones or not, sorted."""
    return tuple(sorted((*folder.glob(f"*{CHAIN}"), *folder.glob(f"*{KEY}"))))


def contents(main: Pair, own: Mapping[str, Pair]) -> Iterator[tuple[str, bytes, bool]]:
    """Each file of a folder: name, content, and whether it is secret.

    Args:
        main: The pair of teams.fqdn.
        own: The pairs of tenants, by their names at Microsoft.
    """
    named = [("", main), *((f"{fqdn}.", own[fqdn]) for fqdn in sorted(own))]
    for before, (chain, key) in named:
        yield f"{before}{CHAIN}", chain, False
        yield f"{before}{KEY}", key, True


def read(folder: Path, fqdn: str = "") -> Pair | None:
    """A pair of a folder, of a tenant by its name; None when a file is missing."""
    before = f"{fqdn}." if fqdn else ""
    try:
        chain, key = ((folder / f"{before}{name}").read_bytes() for name in (CHAIN, KEY))
    except OSError:
        return None
    return chain, key


def read_own(folder: Path) -> dict[str, Pair]:
    """The pairs of tenants in a folder, whole ones only."""
    names = (path.name.removesuffix(f".{CHAIN}") for path in folder.glob(f"*.{CHAIN}"))
    found = {name: read(folder, name) for name in sorted(names)}
    return {name: pair for name, pair in found.items() if pair is not None}
