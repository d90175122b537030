"""The certificates of tenants with a trunk of their own: what there is for them, and what serves.

They come from files, or by ACME; certbot keeps one for each name beside the site's own. A pair
that is installed already goes on, whatever has become of it: who forgot to renew keeps no
other customer from being changed. ``status`` and ``doctor`` tell about it. Nor do new files that
do not fit keep the site's own certificate from being renewed: ``cert renew`` passes over them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator import errors, proof
from orchestrator.engines import certbot
from orchestrator.host import pairs
from orchestrator.site import model


@dataclass(slots=True)
class Offered:
    """What there is for tenants, by their names at Microsoft.

    Attributes:
        pairs: What may serve: a new pair that is proven, else the installed one.
        wrong: What is wrong with files.
        missing: For whom there is none yet, and a CA is to be asked.
        replaced: Whose installed pair is to be another one of another CA, and why.
    """

    pairs: dict[str, pairs.Pair] = field(default_factory=dict)
    wrong: list[errors.Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    replaced: list[tuple[str, str]] = field(default_factory=list)


def read_offered(
    site: model.Site,
    held: Mapping[str, pairs.Pair],
    now: dt.datetime,
    *,
    roots: bytes,
    lineages: Path,
) -> Offered:
    """Read the files that tenants name and what certbot has for them; new pairs are proven.

    Args:
        site: What is wanted.
        held: The installed ones.
        now: When they must serve.
        roots: The roots this machine knows, PEM.
        lineages: The directory of certbot's files.
    """
    offered = Offered()
    for name, trunk in site.full_trunks.items():
        installed = held.get(trunk.fqdn)
        if trunk.files is not None:
            pair, found = _read(name, trunk.files)
            if pair is not None and pair != installed:
                found = list(_find_faults(name, trunk, pair, now, roots))
            offered.wrong += found
            pair = None if found else pair
        else:
            pair, strange = _obtained(trunk, lineages, installed, now, roots)
            if pair is None and installed is None:
                offered.missing.append(trunk.fqdn)
            elif strange:
                offered.replaced.append((trunk.fqdn, strange))
        if (kept := pair or installed) is not None:
            offered.pairs[trunk.fqdn] = kept
    return offered


def _read(
    name: str, files: model.CertificateFiles
) -> tuple[pairs.Pair | None, list[errors.Problem]]:
    """The pair in the files of a tenant; None when one cannot be read, and why."""
    read, silent = [], []
    for key, path in (("chain", files.chain), ("key", files.key)):
        try:
            read.append(Path(path).read_bytes())
        except OSError as error:
            said = f"cannot read {path} of tenant {name}: {error.strerror}"
            where = ("tenants", name, "certificate", "files", key)
            hint = "put the file there, readable by the user who runs sbcctl, and apply again"
            silent.append(errors.Problem("unfit-certificate", said, where, hint=hint))
    return (None, silent) if silent else ((read[0], read[1]), [])


def _find_faults(
    name: str, trunk: model.FullTrunk, pair: pairs.Pair, now: dt.datetime, roots: bytes
) -> Iterator[errors.Problem]:
    assert trunk.files is not None
    for fault in proof.find_faults(*pair, names=(trunk.fqdn,), now=now, roots=roots):
        yield errors.Problem(
            "unfit-certificate",
            f"{trunk.files.chain} of tenant {name}: {fault}",
            ("tenants", name, "certificate", "files", "chain"),
            hint="nothing was changed; put a pair there that fits and apply again",
        )


def _obtained(
    trunk: model.FullTrunk,
    lineages: Path,
    installed: pairs.Pair | None,
    now: dt.datetime,
    roots: bytes,
) -> tuple[pairs.Pair | None, str]:
    """What certbot has for a tenant, if it can serve; and why that is to be another one."""
    assert trunk.acme is not None
    lineage = certbot.read_lineage(lineages, trunk.fqdn)
    if lineage is None:
        return None, ""
    if lineage.directory not in ("", *(ca.directory for ca in trunk.acme.authorities)):
        return None, f"it is from {lineage.directory}, and site.yaml names another CA"
    pair = (lineage.chain, lineage.key)
    if pair != installed and proof.find_faults(*pair, names=(trunk.fqdn,), now=now, roots=roots):
        return None, ""
    return pair, ""
