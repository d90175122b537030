"""The certificates of tenants with a trunk of their own: what their files hold, and what serves.

A pair that is installed already goes on, whatever has become of it: who forgot to renew keeps no
other customer from being changed. ``status`` and ``doctor`` tell about it. Nor do new files that
do not fit keep the site's own certificate from being renewed: ``cert renew`` passes over them.
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
) -> tuple[dict[str, pairs.Pair], tuple[errors.Problem, ...]]:
    """The pairs in the files of tenants, by their names at Microsoft; new ones are proven.

    Where there is something wrong, the installed pair is the one; and what is wrong.

    Args:
        site: What is wanted.
        held: The installed ones.
        now: When they must serve.
        roots: The roots this machine knows, PEM.
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
        pair, found = (read.get("chain", b""), read.get("key", b"")), silent
        if not silent and pair != held.get(trunk.fqdn):
            found = list(_find_faults(name, trunk, pair, now, roots))
        if not found:
            offered[trunk.fqdn] = pair
        elif trunk.fqdn in held:
            offered[trunk.fqdn] = held[trunk.fqdn]
        problems += found
    return offered, tuple(problems)


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
