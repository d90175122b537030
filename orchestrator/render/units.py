"""Site -> what systemd grants each engine: user, capabilities, directories.

An engine runs as the user Debian's package makes for it, with nothing but the rights of that
user; whatever it needs beyond them is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.site import microsoft, model

KAMAILIO_USER = "kamailio"
"""User and group Debian's package makes for Kamailio."""

RTPENGINE_USER = "rtpengine"
"""User and group Debian's package makes for RTPEngine."""

_FREE_PORTS = 1024
"""From this port on anybody may bind; below it takes a capability."""

_RUN = "/run/"
"""What lies below is gone after a boot."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What systemd grants one engine.

    Attributes:
        user: User and group it runs as.
        capabilities: What it needs beyond an ordinary user's rights; empty for nothing.
        runtime_directory: Directory below /run that systemd makes for it at every start, as
            systemd wants it: relative; empty for none.
        writable: Directory elsewhere that it may write; empty for none.
        awaited: Names that must resolve before it starts.
    """

    user: str
    capabilities: str
    runtime_directory: str = ""
    writable: str = ""
    awaited: tuple[str, ...] = ()


def kamailio_unit(site: model.Site, folder: str, *, needs_own_name: bool) -> Unit:
    """What Kamailio needs.

    It starts without the destinations that do not resolve, and never finds them again
    (facts/engines.md 4): a boot that is faster than DNS would leave no way to Teams.

    Args:
        site: The site.
        folder: Absolute path of the directory it writes.
        needs_own_name: Whether it drops the Teams listener when our own name does not resolve.
    """
    ports = [site.teams.port, site.node.sip_port]
    if any(trunk.transport is model.Transport.TLS for trunk in site.trunks.values()):
        ports.append(site.node.tls_port)
    below_run = folder.startswith(_RUN)
    own = (site.teams.fqdn,) if needs_own_name else ()
    return Unit(
        user=KAMAILIO_USER,
        capabilities=_capabilities(min(ports)),
        runtime_directory=folder.removeprefix(_RUN) if below_run else "",
        writable="" if below_run else folder,
        awaited=(*own, microsoft.names(site)[0]),
    )


def rtpengine_unit(site: model.Site) -> Unit:
    """What RTPEngine needs: it writes nothing, and has no kernel module to talk to."""
    return Unit(user=RTPENGINE_USER, capabilities=_capabilities(site.media.ports.first))


def _capabilities(lowest_port: int) -> str:
    return "CAP_NET_BIND_SERVICE" if lowest_port < _FREE_PORTS else ""
