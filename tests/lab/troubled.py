"""A small program that lives in a sandbox: it makes every trouble and says what it saw.

``python troubled.py`` prints one JSON object; test_trouble.py starts it and looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys

import inside

from orchestrator.host import sandbox
from orchestrator.lab import addresses, trouble, world

HOST = "sip.pstnhub.microsoft.com"
GATEWAY = (addresses.CARRIER_A, 5060)
OTHER = (addresses.CARRIER_B, 5060)
REGION = (addresses.TEAMS_HOSTS[HOST], 5061)


class BrokenOffError(Exception):
    """A story that failed."""


def ask(made: world.World, where: tuple[str, int]) -> str:
    """Whether a datagram gets to a place and an answer back, or what the kernel said."""
    netns = trouble.namespace_of(where[0])
    with made.socket(netns, bind=where) as there, made.socket("sbc") as here:
        there.settimeout(0.2)
        here.settimeout(0.2)
        here.connect(where)
        here.send(b"ask")
        with contextlib.suppress(TimeoutError):
            _, source = there.recvfrom(10)
            there.sendto(b"answer", source)
        try:
            return here.recv(10).decode()
        except TimeoutError:
            return "silence"
        except ConnectionRefusedError:
            return "refused"


def dial(made: world.World, where: tuple[str, int]) -> str:
    """The same with a connection."""
    netns, kind = trouble.namespace_of(where[0]), socket.SOCK_STREAM
    with made.socket(netns, kind=kind, bind=where) as there, made.socket("sbc", kind=kind) as here:
        there.listen()
        here.settimeout(0.3)
        try:
            here.connect(where)
        except TimeoutError:
            return "silence"
        except ConnectionRefusedError:
            return "refused"
        return "answer"


async def cut_off(made: world.World, makes: trouble.Trouble) -> dict[str, object]:
    seen: dict[str, object] = {"before": [ask(made, GATEWAY), dial(made, REGION)]}
    async with makes.silent(GATEWAY[0]), makes.silent(REGION[0]):
        seen["silent"] = [ask(made, GATEWAY), dial(made, REGION), ask(made, OTHER)]
    async with makes.refusing(GATEWAY[0]), makes.refusing(REGION[0]):
        seen["refusing"] = [ask(made, GATEWAY), dial(made, REGION), ask(made, OTHER)]
    with contextlib.suppress(BrokenOffError):
        async with makes.silent(GATEWAY[0]), makes.refusing(REGION[0]):
            raise BrokenOffError
    seen["after"] = [ask(made, GATEWAY), dial(made, REGION)]
    return seen


async def rename(made: world.World, makes: trouble.Trouble) -> dict[str, object]:
    seen: dict[str, object] = {}
    spare = addresses.TEAMS_SPARE
    async with makes.names({HOST: (spare, REGION[0]), addresses.ACME_HOST: ()}):
        seen["during"] = [
            sorted(made.resolve("sbc", HOST)),
            made.resolve("sbc", "acme.example.net"),
        ]
    with contextlib.suppress(BrokenOffError):
        async with makes.names({HOST: ()}):
            raise BrokenOffError
    seen["after"] = [made.resolve("sbc", HOST), made.resolve("sbc", addresses.ACME_HOST)]
    return seen


async def translate(made: world.World, makes: trouble.Trouble) -> dict[str, object]:
    """What the SBC sees of the phone at home, and when it can answer."""
    sbc = (addresses.SBC_LAN, 7000)
    with (
        made.socket("sbc", bind=sbc) as here,
        made.socket("sbc", bind=(sbc[0], 7001)) as stranger,
        made.socket("home", bind=(addresses.HOME_ADDRESS, 5060)) as phone,
    ):
        for each in (here, phone):
            each.settimeout(0.3)
        source = heard(phone, here)
        seen: dict[str, object] = {"source": source, "again": heard(phone, here) == source}
        here.sendto(b"answer", source)
        seen["answer"] = phone.recv(10).decode()
        stranger.sendto(b"uninvited", source)
        seen["uninvited"] = inbox(phone)
        async with makes.forgetful_router(1):
            source = heard(phone, here)
            await asyncio.sleep(2.5)
            here.sendto(b"late", source)
            seen["late"] = inbox(phone)
        seen["moved"] = heard(phone, here) != source
        try:
            here.sendto(b"direct", (addresses.HOME_ADDRESS, 5060))
            seen["direct"] = inbox(phone)
        except OSError as error:
            seen["direct"] = error.strerror
    return seen


def heard(phone: socket.socket, here: socket.socket) -> tuple[str, int]:
    phone.sendto(b"hello", (addresses.SBC_LAN, 7000))
    _, source = here.recvfrom(10)
    return source


def inbox(phone: socket.socket) -> str:
    try:
        return phone.recv(10).decode()
    except TimeoutError:
        return "silence"


async def play(made: world.World) -> dict[str, object]:
    makes = trouble.Trouble(made)
    return {
        "cut off": await cut_off(made, makes),
        "names": await rename(made, makes),
        "nat": await translate(made, makes),
    }


def main() -> int:
    if not sandbox.inside():
        return sandbox.rerun([sys.executable, *sys.argv], env=os.environ)
    sandbox.enter()
    with world.World(progress=inside.Quiet()) as made:
        inside.say(json.dumps(asyncio.run(play(made))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
