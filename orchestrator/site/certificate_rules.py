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
    asked = site.certificate.acme
    if asked and asked.fallback and asked.fallback.directory == asked.directory:
        yield errors.Problem(
            "fallback-same-ca",
            f"certificate.acme.fallback is the same CA as the first one, {asked.directory}",
            ("certificate", "acme", "fallback", "directory"),
            hint="name another CA, or leave fallback out",
        )


def find_hints(site: model.Site) -> Iterator[errors.Problem]:
    """CERT-6: a hint and not a refusal, because Microsoft's list for them may have grown."""
    asked, cloud = site.certificate.acme, site.teams.cloud
    if asked is None or cloud is model.Cloud.COMMERCIAL:
        return
    places = (("certificate", "acme", "directory"), ("certificate", "acme", "fallback"))
    for path, ca in zip(places, asked.authorities, strict=False):
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
