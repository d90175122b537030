"""The addresses and namespaces of this machine; the only door to pyroute2.

pyroute2 takes a quarter of a second to import, so it is imported where it is used: an apply with
nothing to do never gets there.

Namespaces are named as iproute2 names them, by a file below /run/netns, so that ``ip netns exec``
and ``nsenter --net=`` find them. Cards are veth pairs: one end in the namespace, the other one
in a bridge of the namespace that we live in.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from orchestrator import errors

NAMESPACES = Path("/run/netns")
"""Where iproute2 keeps named network namespaces."""

_LONGEST_CARD = 15
_CLONE_NEWNET = 0x40000000
_Answer = TypeVar("_Answer")


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


def add_to_loopback(addresses: Iterable[str]) -> None:
    """Switch the loopback on in the network namespace we live in, with more IPv4 addresses on it.

    Raises:
        HostError: The kernel refuses.
    """
    from pyroute2 import IPRoute  # noqa: PLC0415 - see the module docstring

    with _refusal("cannot put addresses on the loopback"), IPRoute() as route:
        route.link("set", index=1, state="up")
        for address in addresses:
            route.addr("add", index=1, address=address, prefixlen=32)


def create_namespace(name: str) -> None:
    """Create the named network namespace *name* with its loopback up.

    Raises:
        HostError: There is one of that name, or the kernel refuses.
    """
    from pyroute2 import IPRoute, netns  # noqa: PLC0415 - see the module docstring

    if (NAMESPACES / name).exists():
        raise errors.HostError(f"there is a network namespace {name} already")
    NAMESPACES.mkdir(parents=True, exist_ok=True)

    def make() -> None:
        _unshare_network()
        netns.attach(name, "thread-self")

    def prepare() -> None:
        _forget_duplicate_detection()
        with IPRoute() as route:
            route.link("set", index=1, state="up")

    with _refusal(f"the network namespace {name} cannot be created"):
        # In threads and not by netns.create or IPRoute(netns=...): those fork a copy of us and end
        # it by SIGTERM, whereupon the copy would wind up our business.
        _in_thread(make)
        within(name, prepare)


def remove_namespace(name: str) -> None:
    """Remove the named network namespace; one that is gone already is no error.

    Its cards vanish with it as soon as no process lives there any more.
    """
    from pyroute2 import netns  # noqa: PLC0415 - see the module docstring

    with suppress(FileNotFoundError):
        netns.remove(name)


def create_bridge(name: str) -> None:
    """Create the bridge *name* in the namespace we live in, and switch it on.

    Raises:
        HostError: It exists already, or the kernel refuses.
    """
    from pyroute2 import IPRoute  # noqa: PLC0415 - see the module docstring

    with _refusal(f"the bridge {name} cannot be created"), IPRoute() as route:
        route.link("add", ifname=name, kind="bridge")
        # Without spanning tree a port forwards at once; there are no loops here.
        route.link("set", index=_card(route, name), state="up")


def plug(
    namespace: str,
    bridge: str,
    *,
    addresses: Iterable[str],
    networks: Iterable[str],
    router: str = "",
) -> None:
    """Plug *namespace* into *bridge* by a card that is named like the bridge.

    Args:
        namespace: A named network namespace.
        bridge: A bridge of the namespace we live in.
        addresses: IPv4 addresses of the card; the first one is the source by default.
        networks: IPv4 networks that are reached over the card without a router.
        router: The address that leads to everything else; without one nothing does.

    Raises:
        HostError: The kernel refuses, or the name would be longer than the kernel takes.
    """
    from pyroute2 import IPRoute  # noqa: PLC0415 - see the module docstring

    outer = f"{bridge[:7]}-{namespace}"[:_LONGEST_CARD]

    def configure() -> None:
        own = tuple(addresses)
        with IPRoute() as route:
            card = _card(route, bridge)
            for address in own:
                route.addr("add", index=card, address=address, prefixlen=32)
            route.link("set", index=card, state="up")
            for network in networks:
                route.route("add", dst=network, oif=card, scope="link", prefsrc=own[0])
            if router:
                route.route("add", dst="default", gateway=router, prefsrc=own[0])

    with _refusal(f"the namespace {namespace} cannot be plugged into {bridge}"):
        with IPRoute() as route:
            peer = {"ifname": bridge, "net_ns_fd": namespace}
            route.link("add", ifname=outer, kind="veth", peer=peer)
            port = _card(route, outer)
            route.link("set", index=port, master=_card(route, bridge))
            route.link("set", index=port, state="up")
        within(namespace, configure)


def tune(namespace: str, name: str, value: str) -> str:
    """Set one of the kernel's switches below net/ for *namespace*; returns what it was before.

    Args:
        namespace: A named network namespace.
        name: For example ``ipv4/ip_forward``.
        value: As text.

    Raises:
        HostError: There is no such namespace or no such switch, or the kernel refuses.
    """
    switch = Path("/proc/sys/net", name)

    def turn() -> str:
        before = switch.read_text(encoding="ascii").strip()
        switch.write_text(value, encoding="ascii")
        return before

    with _refusal(f"{name} cannot be set in the namespace {namespace}"):
        return within(namespace, turn)


def within(namespace: str, action: Callable[[], _Answer]) -> _Answer:
    """Call *action* in a thread that lives in *namespace*, and return what it returns.

    A socket keeps the namespace it was made in, so this is how a process gets sockets in many.

    Raises:
        HostError: There is no such namespace, or the kernel refuses to enter it.
    """
    from pyroute2 import netns  # noqa: PLC0415 - see the module docstring

    def visit() -> _Answer:
        place = os.open(NAMESPACES / namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            netns.setns(place)
        finally:
            os.close(place)
        return action()

    if not (NAMESPACES / namespace).exists():
        raise errors.HostError(f"there is no network namespace {namespace}")
    return _in_thread(visit)


def socket_in(
    namespace: str, family: socket.AddressFamily, kind: socket.SocketKind
) -> socket.socket:
    """Make a socket that lives in *namespace*; it is the caller's to bind and close."""
    return within(namespace, lambda: socket.socket(family, kind))


def _in_thread(action: Callable[[], _Answer]) -> _Answer:
    """Call *action* in a thread of its own, which takes its namespace with it when it ends."""
    answers: list[_Answer] = []
    failures: list[BaseException] = []

    def call() -> None:
        try:
            answers.append(action())
        except BaseException as error:  # noqa: BLE001 - it is raised again by who waits for us
            failures.append(error)

    thread = threading.Thread(target=call, name="namespace", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return answers[0]


def _unshare_network() -> None:
    """Give this thread, and nobody else, a network namespace of its own (unshare(2)).

    Raises:
        OSError: The kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _forget_duplicate_detection() -> None:
    """IPv6 addresses are usable at once: nobody else lives on these links."""
    for words in ("accept_dad", "dad_transmits"):
        # A kernel without IPv6 has no such file, and then nothing to wait for either.
        with suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/default/{words}").write_text("0", encoding="ascii")


def _card(route: object, name: str) -> int:
    found = route.link_lookup(ifname=name)  # type: ignore[attr-defined]
    if not found:
        raise errors.HostError(f"there is no network card {name}")
    return int(found[0])


class _refusal:  # noqa: N801 - reads as a sentence where it is used
    """Translate what the kernel says into a HostError that begins with *sentence*."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415

        if isinstance(error, OSError | NetlinkError):
            raise errors.HostError(
                f"{self._sentence}: {error}",
                hint="this needs CAP_NET_ADMIN and CAP_SYS_ADMIN: run it as root",
            ) from error
