"""Peers of the SBC that make it shake hands: run on the machine of the bench.

    python storm.py FOLDER PLAN

PLAN is a JSON object: ``seconds``, ``dialled`` (handshakes that the SBC shall do as the one who
dials), ``at_once`` (calls under way), ``inbound`` (threads that dial the SBC), ``caller`` and
``gateways`` (addresses), ``teams`` (addresses of Microsoft's names), ``version`` (newest TLS,
as Python names it). What was counted comes out as JSON.

A carrier calls over UDP, and every call is refused by the gateway or the datacentre it is sent
to, which then closes the connection: the next call there is another handshake. Meanwhile
Microsoft dials the SBC, asks OPTIONS and closes.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

sys.path.insert(0, str(Path(__file__).parents[1] / "calls"))

import sip

PATIENCE = 8.0
"""Seconds after which a call without an answer is given up: the SBC tries others meanwhile."""
IDLE = 5.0


def read_head(lines: BinaryIO) -> str:
    """The lines of a message before its body, without the empty one; nothing at the end."""
    head = b""
    while (line := lines.readline()) != b"\r\n":
        if not line:
            return ""
        head += line
    return head.decode()


class Counts:
    """What happened, counted by several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.found: dict[str, Counter[str]] = {"dialled": Counter(), "taken": Counter()}

    def add(self, role: str, what: str) -> None:
        with self.lock:
            self.found[role][what] += 1

    def shaken(self, role: str) -> int:
        return self.found[role]["done"]


class Peers:
    """Gateways and datacentres: they take a connection, refuse a call, and close."""

    def __init__(self, folder: Path, plan: dict, counts: Counts) -> None:
        self.counts = counts
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "peer.chain", folder / "peer.key")
        self.context.load_verify_locations(folder / "ca.pem")
        self.context.verify_mode = ssl.CERT_REQUIRED
        # A ticket would spare the SBC the signature.
        self.context.num_tickets = 0
        self.context.maximum_version = ssl.TLSVersion[plan["version"]]
        self.threads = ThreadPoolExecutor(max_workers=64)
        self.doors = selectors.DefaultSelector()
        for address in (*plan["gateways"], *plan["teams"]):
            door = socket.create_server((address, 5061), backlog=128)
            self.doors.register(door, selectors.EVENT_READ)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            for key, _ in self.doors.select():
                plain, _ = key.fileobj.accept()  # type: ignore[union-attr]
                self.threads.submit(self._serve, plain)

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(IDLE)
        try:
            with plain, self.context.wrap_socket(plain, server_side=True) as wire:
                self.counts.add("dialled", "done")
                self._answer(wire)
        except ssl.SSLError as failure:
            self.counts.add("dialled", failure.reason or str(failure))
        except OSError as failure:
            self.counts.add("dialled", f"broken off: {type(failure).__name__}")

    @staticmethod
    def _answer(wire: ssl.SSLSocket) -> None:
        """Refuse a call and wait for its ACK, or answer OPTIONS; then the connection ends."""
        with contextlib.suppress(OSError), wire.makefile("rb") as lines:
            while head := read_head(lines):
                lines.read(int(sip.header(head, "Content-Length") or 0))
                if head.startswith("ACK"):
                    return
                refused = head.startswith("INVITE")
                code = 486 if refused else 200
                wire.sendall(sip.answer(f"{head}\r\n", code, own_tag="x").encode())
                if not refused:
                    return


class Carrier:
    """Who calls: so many calls are under way all the time."""

    def __init__(self, plan: dict, counts: Counts) -> None:
        self.plan = plan
        self.counts = counts
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((plan["caller"], 5060))
        self.socket.settimeout(0.05)
        self.under_way: dict[str, tuple[float, str]] = {}
        self.calls: Counter[str] = Counter()

    def _dial(self) -> None:
        number = self.calls["placed"]
        self.calls["placed"] += 1
        here, call = self.plan["caller"], f"h{number}"
        # Every other call goes to a trunk, the rest to Teams.
        user = "+4930555" if number % 2 else "+4989666"
        side = sip.Side(
            via=f"UDP {here}:5060",
            contact=f"sip:load@{here}:5060",
            local=f"<sip:+4930777@{here}>;tag=c{call}",
            remote=f"<sip:{user}@{sip.SBC}>",
            target=f"sip:{user}@{sip.SBC}:5060",
            routes=[],
        )
        text = side.request("INVITE", f"{call}@storm", call, sip.sdp(here, 40002))
        self.under_way[sip.branch(text)] = (time.monotonic(), text)
        self.socket.sendto(text.encode(), (sip.SBC, 5060))

    def run(self) -> None:
        end = time.monotonic() + self.plan["seconds"]
        while time.monotonic() < end:
            if self.counts.shaken("dialled") >= self.plan["dialled"]:
                return
            while len(self.under_way) < self.plan["at_once"]:
                self._dial()
            try:
                text = self.socket.recv(65536).decode()
            except TimeoutError:
                text = ""
            self._take(text)

    def _take(self, text: str) -> None:
        code, mark = sip.code(text), sip.branch(text)
        if code >= 200 and mark in self.under_way:
            _, asked = self.under_way.pop(mark)
            self.calls[str(code)] += 1
            self.socket.sendto(sip.refusal_ack(asked, text).encode(), (sip.SBC, 5060))
        now = time.monotonic()
        for mark, (since, _) in list(self.under_way.items()):
            if now - since < PATIENCE:
                break
            del self.under_way[mark]
            self.calls["no answer"] += 1


class Diallers:
    """Microsoft dials the SBC, asks OPTIONS, and closes."""

    def __init__(self, folder: Path, plan: dict, counts: Counts) -> None:
        self.counts = counts
        self.context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self.context.load_cert_chain(folder / "peer.chain", folder / "peer.key")
        self.over = False
        teams = plan["teams"]
        self.threads = [
            threading.Thread(target=self._run, args=(teams[number % len(teams)], number))
            for number in range(plan["inbound"])
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.over = True
        for thread in self.threads:
            thread.join()

    def _run(self, source: str, number: int) -> None:
        turn = 0
        while not self.over:
            turn += 1
            try:
                self._dial(source, f"d{number}n{turn}")
            except ssl.SSLError as failure:
                self.counts.add("taken", failure.reason or str(failure))
            except OSError as failure:
                self.counts.add("taken", f"broken off: {type(failure).__name__}")

    def _dial(self, source: str, mark: str) -> None:
        with (
            socket.create_connection(
                (sip.SBC_TEAMS, 5061), timeout=IDLE, source_address=(source, 0)
            ) as plain,
            self.context.wrap_socket(plain, server_hostname=sip.FQDN) as wire,
        ):
            side = sip.Side(
                via=f"TLS {source}:5061",
                contact=f"sip:{source}:5061;transport=tls",
                local=f"<sip:{source}>;tag={mark}",
                remote=f"<sip:{sip.FQDN}>",
                target=f"sip:{sip.FQDN}:5061;transport=tls",
                routes=[],
            )
            wire.sendall(side.request("OPTIONS", f"{mark}@storm", mark).encode())
            answered = sip.code(wire.recv(65536).decode()) == 200
            self.counts.add("taken", "done" if answered else "not answered")


def main(folder: Path, plan: dict) -> None:
    counts = Counts()
    Peers(folder, plan, counts)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    diallers = Diallers(folder, plan, counts)
    carrier = Carrier(plan, counts)
    carrier.run()
    diallers.stop()
    told = {name: dict(found) for name, found in counts.found.items()}
    told["calls"] = dict(carrier.calls)
    print(json.dumps({**told, "seconds": time.monotonic() - began}), flush=True)
    # Threads that wait for peers are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
