"""A small program that lives in a sandbox: what test_world.py starts and ends.

``python inside.py world`` prints what it finds in a world as JSON; ``hold`` prints ``up`` and
stays until it is ended; ``sandbox CODE`` has no world and ends with that code; ``deaf`` has none
either and does not listen to Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from orchestrator.host import network, process, sandbox
from orchestrator.lab import addresses, world


class Quiet:
    """Takes note of the steps and shows nothing."""

    def note(self, text: str) -> None:
        """Not interested."""

    @contextlib.contextmanager
    def step(self, name: str, text: str) -> Iterator[Quiet]:
        yield self


def look(made: world.World) -> dict[str, object]:
    """What can be seen from the namespaces of a world."""
    acme = (addresses.ACME_ADDRESS, 443)
    directory = made.fetch("sbc", acme, addresses.ACME_HOST, "/dir")
    return {
        "names": {
            name: made.resolve(place, name)
            for place, name in (
                ("sbc", addresses.SBC_FQDN),
                ("sbc", "sip3.pstnhub.microsoft.com"),
                ("teams", addresses.ACME_HOST),
                ("sbc", "nobody.example.com"),
            )
        },
        "getaddrinfo": in_sbc(
            "import socket; print(socket.gethostbyname('sip.pstnhub.microsoft.com'))"
        ),
        "https": in_sbc(
            "import urllib.request, ssl; c = ssl.create_default_context("
            "cafile='/etc/ssl/certs/ca-certificates.crt');"
            f"print(urllib.request.urlopen('{addresses.ACME_DIRECTORY}', context=c).status)"
        ),
        "new_order": "newOrder" in json.loads(directory),
        "trusted": made.acme_root.read_text(encoding="ascii").strip()
        in Path(world.TRUST_STORE).read_text(encoding="utf-8"),
        "lan_from_internet": reach(made, "internet", (addresses.PBX_ADDRESS, 9)),
        "datagram": datagram(made),
        "stream_again": stream_twice(made),
        "spare": make_and_remove(),
    }


def in_sbc(code: str) -> str:
    """What a Python program on the SBC's machine prints."""
    ran = process.run([sys.executable, "-c", code], timeout=20, netns="sbc")
    return (ran.out or ran.err).strip()


def reach(made: world.World, place: str, address: tuple[str, int]) -> str:
    with made.socket(place) as asking:
        try:
            asking.connect(address)
        except OSError as error:
            return str(error.strerror)
    return "reachable"


def datagram(made: world.World) -> str:
    """One datagram from the PBX's machine to the SBC's."""
    with (
        made.socket("sbc", bind=(addresses.SBC_LAN, 7000)) as here,
        made.socket("pbx", bind=(addresses.PBX_ADDRESS, 0)) as there,
    ):
        here.settimeout(2)
        there.sendto(b"hello", (addresses.SBC_LAN, 7000))
        data, source = here.recvfrom(100)
        return f"{data.decode()} from {source[0]}"


def stream_twice(made: world.World) -> bool:
    """A port can be taken again right after it was closed."""
    for _ in range(2):
        place = (addresses.SBC_LAN, 7001)
        with made.socket("sbc", kind=socket.SOCK_STREAM, bind=place) as listener:
            listener.listen()
            with made.socket("pbx", kind=socket.SOCK_STREAM) as dialler:
                dialler.settimeout(2)
                dialler.connect(place)
                listener.settimeout(2)
                listener.accept()[0].close()
    return True


def make_and_remove() -> list[bool]:
    """A namespace can be made, removed and made again; what is not there can be removed."""
    place = network.NAMESPACES / "spare"
    seen = []
    for _ in range(2):
        network.create_namespace("spare")
        seen.append(place.exists())
        network.remove_namespace("spare")
        network.remove_namespace("spare")
        seen.append(place.exists())
    return seen


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    wanted = sys.argv[1]
    if not sandbox.inside():
        return sandbox.rerun([sys.executable, *sys.argv], env=os.environ)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sandbox.enter()
    try:
        if wanted == "sandbox":
            return int(sys.argv[2])
        if wanted == "deaf":
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            say("up")
            threading.Event().wait()
        with world.World(progress=Quiet()) as made:
            if wanted == "hold":
                say("up")
                threading.Event().wait()
            say(json.dumps(look(made)))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
