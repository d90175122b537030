"""What no single field of ``certificate`` can know: wildcards, a second CA, the tenant's cloud.

Pure, like ``rules``, which asks each function here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator import errors
from orchestrator.site import acme, model


def _find_unprovable_wildcards(site: model.Site) -> Iterator[errors.Problem]:
    """RFC 8555 leaves it to CAs; none proves a wildcard by anything but DNS (CERT-5)."""
    asked = site.certificate.acme
    if asked is None or asked.dns is not None:
        return
    for number, name in enumerate(asked.names):
        if name.startswith(acme.WILDCARD):
            yield errors.Problem(
                "wildcard-needs-dns",
                f"the wildcard {name} can be proven by a record in DNS only, and"
                " certificate.acme.dns is not given",
                ("certificate", "acme", "names", number),
                hint="add certificate.acme.dns with rfc2136 or hook, or list the names one by one",
            )


def _find_same_fallback(site: model.Site) -> Iterator[errors.Problem]:
    for place, asked in site.by_acme.items():
        if asked.fallback and asked.fallback.directory == asked.directory:
            yield errors.Problem(
                "fallback-same-ca",
                f"{'.'.join(place)}.fallback is the same CA as the first one, {asked.directory}",
                (*place, "fallback", "directory"),
                hint="name another CA, or leave fallback out",
            )


def find_hints(site: model.Site) -> Iterator[errors.Problem]:
    """CERT-6: a hint and not a refusal, because Microsoft's list for them may have grown."""
    cloud = site.teams.cloud
    if cloud is model.Cloud.COMMERCIAL:
        return
    asked = (
        ((*place, key), ca)
        for place, acme_of_it in site.by_acme.items()
        for key, ca in zip(("directory", "fallback"), acme_of_it.authorities, strict=False)
    )
    for path, ca in asked:
        if ca.directory == model.LETS_ENCRYPT:
            yield errors.Problem(
                "cloud-ca",
                f"the cloud {cloud} takes certificates of DigiCert's roots, and these are of "
                "Let's Encrypt",
                path,
                hint="give certificate.files of such a CA, or another certificate.acme.directory",
            )


RULES: tuple[Callable[[model.Site], Iterator[errors.Problem]], ...] = (
    _find_unprovable_wildcards,
    _find_same_fallback,
)
"""Each finds Problems of one kind."""
