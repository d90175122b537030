"""The inside of a trial: the first process of its namespaces. Whatever it starts ends with it.

It reads what to start as JSON from stdin and writes what came of it as one line of JSON:
``message`` and ``words`` of a refusal, or a ``note``.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from pathlib import Path

from orchestrator import errors, observe
from orchestrator.engines import kamailio, words
from orchestrator.host import network, process, sandbox
from orchestrator.render import generation as generations
from orchestrator.render import views, wanted

_READY_SECONDS = 10.0
_HELD_SECONDS = 5.0
_POLL = 0.05
_NAMESERVER = "127.0.0.1"
_NOBODY = "127.0.0.2"
"""What Microsoft's names lead to in here: an address that refuses every connection."""
_UNITS = {"rtpengine": wanted.RTPENGINE_UNIT, "kamailio": wanted.KAMAILIO_UNIT}


def main() -> None:
    """Start both engines, ask them what they hold, and say what came of it."""
    order = json.load(sys.stdin)
    machine = observe.Machine(
        views.Paths(order["state"], order["run"]), order["root"], {}, tuple(order["read"])
    )
    stored = machine.store.load(order["name"])
    if stored is None:
        raise errors.HostError(f"the generation {order['name']} is gone")
    network.add_to_loopback(
        address
        for address in order["addresses"]
        if ":" not in address and not address.startswith("127.")
    )
    _put_in_place(machine, order["name"], order["certificate"])
    _answer_names(machine, stored.generation)
    began = time.monotonic()
    told = {"message": "", "words": "", "note": ""}
    try:
        _start(machine, stored.generation)
        told["note"] = f"both engines start ({time.monotonic() - began:.1f} s)"
    except errors.EngineRefused as refusal:
        told["message"], told["words"] = refusal.message, refusal.words
    except errors.EngineSilent as silent:
        told["note"] = f"nothing is known: {silent.message}"
    sys.stdout.write(f"{json.dumps(told)}\n")


def _put_in_place(machine: observe.Machine, name: str, certificate: str | None) -> None:
    """The staged files where the current ones are, and a run directory of our own."""
    sandbox.cover(machine.paths.run)
    behind = machine.run / "state"
    Path(machine.paths.kamailio_run).mkdir()
    behind.mkdir()
    process.run(("mount", "--bind", machine.paths.state, str(behind)), timeout=10, check=True)
    sandbox.cover(machine.paths.state)
    (machine.state / "certificates").mkdir()
    (machine.state / "current").symlink_to(behind / "generations" / name)
    if certificate:
        Path(machine.paths.certificate).symlink_to(behind / "certificates" / certificate)


def _start(machine: observe.Machine, generation: generations.Generation) -> None:
    """Start the engines and read them back.

    Raises:
        EngineRefused: One of them ended, or holds something else than what was written.
        EngineSilent: They did not come up in time.
    """
    pids = {}
    for name, unit in _UNITS.items():
        argv = wanted.start_command(generation, unit)
        pids[name] = process.start(argv, log=machine.run / f"{name}.log", root=machine.root)

    def check_alive() -> None:
        for name, pid in pids.items():
            if not process.alive(pid):
                said = (machine.run / f"{name}.log").read_text("utf-8", "replace")
                raise errors.EngineRefused(
                    f"{name} ends right after its start", words=words.complaints(said)
                )

    kamailio.wait_ready(
        machine.rpc, wanted.sockets(generation), seconds=_READY_SECONDS, check_alive=check_alive
    )
    end = time.monotonic() + _READY_SECONDS
    while True:
        check_alive()
        try:
            machine.media.ping(patience=_POLL)
            break
        except errors.EngineSilent:
            if time.monotonic() > end:
                raise
    # Kamailio reads its registrations a moment after it answers, and on a busy machine later.
    end = time.monotonic() + _HELD_SECONDS
    while differences := observe.read_back(machine, generation):
        check_alive()
        if time.monotonic() > end:
            raise errors.EngineRefused(
                "the engines do not hold what was written", words="\n".join(differences)
            )
        time.sleep(_POLL)
    check_alive()


# -- names ----------------------------------------------------------------------------------


def _answer_names(machine: observe.Machine, generation: generations.Generation) -> None:
    """Be the DNS server in here: every name exists, and only our own leads somewhere."""
    address, _, name = wanted.teams_listener(generation)
    answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    answering.bind((_NAMESERVER, 53))
    config = machine.run / "resolv.conf"
    config.write_text(f"nameserver {_NAMESERVER}\n", encoding="ascii")
    sandbox.replace_file("/etc/resolv.conf", str(config))

    def serve() -> None:
        while True:
            question, asker = answering.recvfrom(4096)
            if answer := _answer(question, name.lower(), address):
                answering.sendto(answer, asker)

    threading.Thread(target=serve, daemon=True).start()


def _answer(question: bytes, own: str, address: str) -> bytes:
    """The A record of a name, and nothing for whatever else is asked about it."""
    labels, place = [], 12
    try:
        while length := question[place]:
            labels.append(question[place + 1 : place + 1 + length].decode("ascii", "replace"))
            place += 1 + length
        (kind,) = struct.unpack_from("!H", question, place + 1)
    except (IndexError, struct.error):
        return b""
    asked = question[12 : place + 5]
    found = kind == 1
    head = question[:2] + struct.pack("!HHHHH", 0x8580, 1, int(found), 0, 0)
    if not found:
        return head + asked
    where = address if ".".join(labels).lower() == own else _NOBODY
    return head + asked + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(where)


if __name__ == "__main__":
    main()
