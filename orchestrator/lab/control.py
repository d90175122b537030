"""Talk to a lab that runs: one question and one answer per connection.

There is one socket for each user, and for each name in SBCCTL_LAB where one wants several labs.
The socket's name is abstract: it is no file, so it vanishes with the lab, also after ``kill -9``.
It is made outside the lab's namespaces and handed in. Both ends look at the other one's user id.
A question and an answer are one JSON object on one line each.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable

from orchestrator import errors

Words = dict[str, object]
"""One question or answer: JSON values by name."""

Answerer = Callable[[Words], Awaitable[tuple[Words, bool]]]
"""From a question to its answer, and whether it is the last one."""

_LONGEST = 64 * 1024 * 1024
_POLL = 0.05
_NO_LAB = "no lab of yours is up"


def listen(lab: str) -> socket.socket:
    """Take the name of this user's lab *lab*; the usual one has no name.

    Raises:
        LockHeld: A lab of this user is up already.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(address_of(lab))
    except OSError as error:
        made.close()
        raise errors.LockHeld(
            "a lab of yours is up already", hint="sbcctl lab down ends it"
        ) from error
    made.listen()
    return made


async def serve(listener: socket.socket, answerer: Answerer) -> None:
    """Answer questions until *answerer* says that it was the last one."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _user_of(writer.get_extra_info("socket")) != os.getuid():
                return
            answer, last = await answerer(json.loads(await reader.readline()))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
            if last and not over.done():
                over.set_result(None)
        except (ValueError, ConnectionError):
            return  # who asked nonsense, or is gone, gets no answer
        finally:
            writer.close()

    server = await asyncio.start_unix_server(talk, sock=listener, limit=_LONGEST)
    try:
        await over
    finally:
        server.close()


def ask(lab: str, question: Words, *, timeout: float) -> Words:
    """Ask this user's lab and return what it answered.

    Raises:
        HostError: No lab is up.
        EngineSilent: It did not answer within *timeout* seconds.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(timeout)
        try:
            asking.connect(address_of(lab))
        except OSError as error:
            raise errors.HostError(_NO_LAB, hint="sbcctl lab up starts one") from error
        if _user_of(asking) != os.getuid():
            raise errors.HostError(_NO_LAB, hint="somebody else holds its name on this machine")
        try:
            asking.sendall(json.dumps(question).encode() + b"\n")
            with asking.makefile("rb") as lines:
                answer = json.loads(lines.readline(_LONGEST))
        except (OSError, ValueError) as error:
            raise errors.EngineSilent(
                "the lab did not answer", hint="sbcctl lab down, then sbcctl lab up"
            ) from error
    return answer if isinstance(answer, dict) else {}


def wait_until_gone(lab: str, *, timeout: float) -> None:
    """Wait until no process of the lab is left: each of them holds the socket.

    Raises:
        EngineSilent: It is still there after *timeout* seconds.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            try:
                asking.connect(address_of(lab))
            except ConnectionRefusedError:
                return
            except OSError:
                pass  # its queue is full: nobody takes connections any more, and it is there
        time.sleep(_POLL)
    raise errors.EngineSilent(
        f"the lab is still there after {timeout:g} s", hint="end its process unshare by hand"
    )


def address_of(lab: str) -> str:
    """The abstract address of this user's lab *lab*."""
    return f"\0sbcctl-lab-{os.getuid()}-{lab}"


def _user_of(connected: socket.socket) -> int:
    """The user id of the other end, as the kernel noted it."""
    size = struct.calcsize("3i")
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[1])
