"""What Microsoft's side looks like, by cloud: names, networks, ciphers (facts/teams.md)."""

from __future__ import annotations

from orchestrator.site import model

_NAMES = {
    model.Cloud.COMMERCIAL: (
        "sip.pstnhub.microsoft.com",
        "sip2.pstnhub.microsoft.com",
        "sip3.pstnhub.microsoft.com",
    ),
    model.Cloud.GCC_HIGH: ("sip.pstnhub.gov.teams.microsoft.us",),
    model.Cloud.DOD: ("sip.pstnhub.dod.teams.microsoft.us",),
}
"""Microsoft's names in the order they are tried (EP-1, EP-2)."""

_NETWORKS = {
    model.Cloud.COMMERCIAL: ("52.112.0.0/14", "52.122.0.0/15"),
    model.Cloud.GCC_HIGH: ("52.127.88.0/21",),
    model.Cloud.DOD: ("52.127.64.0/21",),
}
"""Networks Microsoft signals from (EP-4)."""

DOMAINS = ("pstnhub.microsoft.com", "teams.microsoft.us")
"""Domains under which Microsoft's names are, in all clouds."""

CIPHERS = (
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES128-SHA256",
)
"""What Microsoft offers and accepts under TLS 1.2 (TLS-2)."""

ROOTS = {
    "A8985D3A65E5E5C4B2D7D66D40C6DD2FB19C5436": "DigiCert Global Root CA",
    "DF3C24F9BFD666761B268073FE06D1CC8D4F82A4": "DigiCert Global Root G2",
    "7E04DE896A3E666D00E687D33FFAD93BE83D349E": "DigiCert Global Root G3",
    "17F3DE5E9F0F19E98EF61F32266E20C407AE30EE": "DigiCert TLS ECC P384 Root G5",
    "A78849DC5D7C758C8CDE399856B3AAD0B2A57135": "DigiCert TLS RSA 4096 Root G5",
    "999A64C37FF47D9FAB95F14769891460EEC4C3C5": "Microsoft ECC Root Certificate Authority 2017",
    "73A5E64A3BFF8316FF0EDCCC618A906E4EAE4D74": "Microsoft RSA Root Certificate Authority 2017",
}
"""SHA-1 thumbprints of the roots in Microsoft's notice MC1213773 (TLS-9), by name."""

GOVERNMENT_ROOTS = {
    "A8985D3A65E5E5C4B2D7D66D40C6DD2FB19C5436": "DigiCert Global Root CA",
    "5FB7EE0633E259DBAD0C4C9AE6D38F1A61C7DC25": "DigiCert High Assurance EV Root CA",
}
"""SHA-1 thumbprints of the roots that GCC High and DoD take for an SBC, as of 2024 (CERT-6)."""

UNWANTED_SUITES = (
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_32",
    "F8_128_HMAC_SHA1_80",
    "F8_128_HMAC_SHA1_32",
    "NULL_HMAC_SHA1_80",
    "NULL_HMAC_SHA1_32",
)
"""What RTPEngine 10.5 must be told not to offer, one by one (MED-3)."""


def names(site: model.Site) -> tuple[str, ...]:
    """Return Microsoft's names for the site's cloud, in the order they are tried (EP-1, EP-2)."""
    return _NAMES[site.teams.cloud]


def networks(site: model.Site) -> tuple[str, ...]:
    """Return the networks Microsoft may call from: the site's own, or the cloud's (EP-4)."""
    if site.teams.networks is not None:
        return tuple(str(network) for network in site.teams.networks)
    return _NETWORKS[site.teams.cloud]


def all_networks() -> tuple[str, ...]:
    """Return the networks of all clouds."""
    return tuple(network for networks in _NETWORKS.values() for network in networks)


def peer_name_regex(site: model.Site) -> str:
    """Return an expression for the names a certificate of Microsoft bears (TLS-6)."""
    domains = sorted({name.partition(".")[2] for name in names(site)})
    joined = "|".join(domain.replace(".", "[.]") for domain in domains)
    return f"(^|[.])({joined})$"
