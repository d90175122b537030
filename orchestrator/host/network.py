"""The addresses and namespaces of this machine; the only door to pyroute2.

pyroute2 takes a quarter of a second to import, so it is imported where it is used: an apply with
nothing to do never gets there.
"""

from __future__ import annotations

import socket


def addresses() -> frozenset[str]:
    """Every IPv4 and IPv6 address of this network namespace, written canonically.

    Raises:
        OSError: The kernel refused the netlink socket.
    """
    from pyroute2 import IPRoute  # noqa: PLC0415 - see the module docstring

    found: set[str] = set()
    with IPRoute() as route:
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in route.get_addr(family=family):
                address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
                if address:
                    found.add(str(address))
    return frozenset(found)
