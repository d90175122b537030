"""The certificates of tenants with a trunk of their own: what their files hold, and what serves.

A pair that is installed already goes on, whatever has become of it: who forgot to renew keeps no
other customer from being changed. ``status`` and ``doctor`` tell about it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator import errors, proof
from orchestrator.host import pairs
from orchestrator.site import model


def read_offered(
    site: model.Site, held: Mapping[str, pairs.Pair], now: dt.datetime, roots: bytes
) -> dict[str, pairs.Pair]:
    """The pairs in the files of tenants, by their names at Microsoft; new ones are proven.

    Args:
        site: What is wanted.
        held: The installed ones.
        now: When they must serve.
        roots: The roots this machine knows, PEM.

    Raises:
        SiteError: Files cannot be read or cannot serve; every reason is a Problem.
    """
    offered: dict[str, pairs.Pair] = {}
    problems: list[errors.Problem] = []
    for name, trunk in site.full_trunks.items():
        where = ("tenants", name, "certificate", "files")
        read, silent = {}, []
        for key, path in (("chain", trunk.files.chain), ("key", trunk.files.key)):
            try:
                read[key] = Path(path).read_bytes()
            except OSError as error:
                said = f"cannot read {path} of tenant {name}: {error.strerror}"
                hint = "put the file there, readable by the user who runs sbcctl, and apply again"
                silent.append(errors.Problem("unfit-certificate", said, (*where, key), hint=hint))
        problems += silent
        if silent:
            continue
        pair = read["chain"], read["key"]
        offered[trunk.fqdn] = pair
        if pair != held.get(trunk.fqdn):
            problems += _find_faults(name, trunk, pair, now, roots)
    if problems:
        raise errors.SiteError(tuple(problems))
    return offered


def _find_faults(
    name: str, trunk: model.FullTrunk, pair: pairs.Pair, now: dt.datetime, roots: bytes
) -> Iterator[errors.Problem]:
    for fault in proof.find_faults(*pair, names=(trunk.fqdn,), now=now, roots=roots):
        yield errors.Problem(
            "unfit-certificate",
            f"{trunk.files.chain} of tenant {name}: {fault}",
            ("tenants", name, "certificate", "files", "chain"),
            hint="nothing was changed; put a pair there that fits and apply again",
        )
