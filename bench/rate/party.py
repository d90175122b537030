"""One end of all calls, as cheap as Python can: Microsoft over TLS, or a PBX over UDP.

    python party.py teams|office PLAN

It answers whatever is asked, and calls the other end on order. PLAN is a JSON object: ``teams``
and ``office`` (addresses), ``folder`` (certificates), ``processors``. An order is a line of JSON
on stdin: ``rate``, ``seconds``, ``sbc`` (for trunks, for Teams), ``fqdn``, ``dialled``,
``relayed`` (what the SDP of an answer must have). "ready" is said when the connections stand, a
line "go" starts it, and what became of the calls comes as a line of JSON.

A call is INVITE, 200, ACK, BYE, 200, and good when all of it came and neither 200 took longer than
T1, after which a UDP caller sends again. Nothing is ever sent again here: a call that lost a
message is a call that failed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "calls"))

import sip
import steps
import wires

CONNECTIONS = 6
FORCE_ROOM = 33
"""``SO_RCVBUFFORCE``, which socket does not have."""
KEY = "A" * 40
KEPT = (b"via", b"from", b"call-id", b"cseq", b"record-route")
Send = Callable[[bytes], None]


class Party:
    """What both ends have in common: calls, and their account."""

    def __init__(self, plan: dict) -> None:
        self.plan = plan
        self.epoll = select.epoll()
        self.ready: dict[int, Callable[[], None]] = {}
        self.step: steps.Step | None = None
        self.order: dict = {}
        self.watch(sys.stdin.fileno(), self.obey)
        self.is_over = False

    via = contact = sdp = b""

    def watch(self, handle: int, action: Callable[[], None]) -> None:
        self.ready[handle] = action
        self.epoll.register(handle, select.EPOLLIN)

    def forget(self, handle: int) -> None:
        self.epoll.unregister(handle)
        del self.ready[handle]

    def obey(self) -> None:
        line = sys.stdin.buffer.raw.readline()
        if not line.strip():
            self.is_over = not line
        elif line.strip() == b"go":
            self.step = steps.Step(self, self.order)
        else:
            self.order = json.loads(line)
            self.connect()
            say("ready")

    def connect(self) -> None:
        """Get ready for calls to the SBC of the order."""

    def disconnect(self) -> None:
        """The calls are over."""

    def send(self, data: bytes) -> None:
        """To the SBC of the order."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send what could not be sent before."""

    def target(self) -> bytes:
        """The URI that is called."""
        raise NotImplementedError

    def serve(self) -> None:
        """Until stdin ends."""
        while not self.is_over:
            wait = self.step.turn(time.monotonic()) if self.step else 1.0
            if self.step and wait is None:
                say(json.dumps(self.step.told()))
                self.step = None
                self.disconnect()
            for handle, _ in self.epoll.poll(wait):
                if action := self.ready.get(handle):
                    action()
            self.flush()

    def take(self, text: bytes, send: Send) -> None:
        """A message came."""
        if text.startswith((b"SIP/2.0 1", b"ACK")):
            return
        found = wires.headers(text)
        if text.startswith(b"SIP/2.0"):
            self._answered(text, found)
            return
        to = found[b"to"][0]
        if b";tag=" not in to:
            to += b";tag=x"
        kept = b"".join(
            b"%s: %s\r\n" % (name, value) for name in KEPT for value in found.get(name, ())
        )
        head = b"SIP/2.0 200 OK\r\n%sto: %s\r\n" % (kept, to)
        if text.startswith(b"INVITE"):
            send(head + self.contact + self.sdp)
        else:
            send(head + b"Content-Length: 0\r\n\r\n")

    def _answered(self, text: bytes, found: dict[bytes, list[bytes]]) -> None:
        call = found[b"call-id"][0]
        status = int(text[8:11])
        if found[b"cseq"][0].endswith(b"BYE"):
            if self.step:
                self.step.ended(call, status)
            return
        via = found[b"via"][0]
        same = (found[b"from"][0], found[b"to"][0], call)
        if status >= 300:
            self.send(
                b"ACK %s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\n"
                b"Call-ID: %s\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
                % (self.target(), via, *same)
            )
            if self.step:
                self.step.refused(call, str(status))
            return
        inside = found[b"contact"][0].partition(b"<")[2].partition(b">")[0]
        routes = b"".join(b"Route: %s\r\n" % each for each in found.get(b"record-route", ())[::-1])
        rest = (
            b" %s SIP/2.0\r\nMax-Forwards: 70\r\n%sFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\n"
            b"Content-Length: 0\r\nVia: %s;branch=z9hG4bK"
        ) % (inside, routes, *same, self.via)
        mark = call.partition(b"@")[0]
        self.send(b"ACK" + rest + b"%sa\r\nCSeq: 1 ACK\r\n\r\n" % mark)
        bye = b"BYE" + rest + b"%sb\r\nCSeq: 2 BYE\r\n\r\n" % mark
        if not (self.step and self.step.connected(call, text, bye)):
            self.send(bye)


class Office(Party):
    """A PBX."""

    def __init__(self, plan: dict) -> None:
        super().__init__(plan)
        address = plan["office"]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # What the SBC sends must not be lost here; Kamailio has what the system allows.
        self.socket.setsockopt(socket.SOL_SOCKET, FORCE_ROOM, 8 << 20)
        self.socket.bind((address, 5060))
        self.socket.settimeout(0)
        self.via = b"SIP/2.0/UDP %s:5060" % address.encode()
        self.contact, self.sdp = wires.described(
            f"sip:rate@{address}:5060", sip.sdp(address, 40_002)
        )
        self.watch(self.socket.fileno(), self._read)

    def target(self) -> bytes:
        return f"sip:{self.order['dialled']['office']}@{self.order['sbc'][0]}:5060".encode()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            self.socket.sendto(data, (self.order["sbc"][0], 5060))

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                data, sender = self.socket.recvfrom(65_536)
                self.take(data, lambda text, to=sender: self._reply(text, to))

    def _reply(self, text: bytes, to: tuple[str, int]) -> None:
        with contextlib.suppress(BlockingIOError):
            self.socket.sendto(text, to)


class Teams(Party):
    """Microsoft: listens at its names, and dials some connections for each step."""

    def __init__(self, plan: dict) -> None:
        super().__init__(plan)
        self.folder = plan["folder"]
        self.dialled: list[wires.Tls] = []
        self.taken: list[wires.Tls] = []
        self.turns = 0
        first = plan["teams"][0]
        self.via = b"SIP/2.0/TLS %s:5061" % first.encode()
        uri = f"sip:rate@{first}:5061;transport=tls"
        self.contact, self.sdp = wires.described(uri, sip.sdp(first, 40_002, key=KEY))
        self.serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.serving.load_cert_chain(f"{self.folder}/peer.chain", f"{self.folder}/peer.key")
        self.asking = ssl.create_default_context(cafile=f"{self.folder}/ca.pem")
        self.asking.load_cert_chain(f"{self.folder}/peer.chain", f"{self.folder}/peer.key")
        for address in plan["teams"]:
            listening = socket.create_server((address, 5061), backlog=64)
            self.watch(listening.fileno(), lambda at=listening: self._accept(at))

    def target(self) -> bytes:
        order = self.order
        return f"sip:{order['dialled']['teams']}@{order['fqdn']}:5061;transport=tls".encode()

    def _accept(self, listening: socket.socket) -> None:
        plain, _ = listening.accept()
        plain.settimeout(2)
        with contextlib.suppress(OSError):
            made = wires.Tls(self.serving.wrap_socket(plain, server_side=True))
            self.taken.append(made)
            self.watch(made.socket.fileno(), lambda: self._read(made))

    def connect(self) -> None:
        names = self.plan["teams"]
        for number in range(CONNECTIONS):
            place = (names[number % len(names)], 0)
            plain = socket.create_connection((self.order["sbc"][1], 5061), 5, place)
            made = wires.Tls(self.asking.wrap_socket(plain, server_hostname=self.order["fqdn"]))
            self.dialled.append(made)
            self.watch(made.socket.fileno(), lambda of=made: self._read(of))

    def disconnect(self) -> None:
        for made in self.dialled[:]:
            self._end(made)

    def _end(self, made: wires.Tls) -> None:
        self.forget(made.socket.fileno())
        for held in (self.dialled, self.taken):
            if made in held:
                held.remove(made)
        made.socket.close()

    def send(self, data: bytes) -> None:
        if self.dialled:
            self.turns += 1
            self.dialled[self.turns % len(self.dialled)].send(data)

    def flush(self) -> None:
        for made in (*self.dialled, *self.taken):
            if made.unsent:
                made.flush()

    def _read(self, made: wires.Tls) -> None:
        try:
            for text in made.read():
                self.take(text, made.send)
        except (EOFError, OSError):
            if made in self.dialled or made in self.taken:
                self._end(made)


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main(kind: str, told: str) -> None:
    plan = json.loads(told)
    os.sched_setaffinity(0, plan["processors"])
    gc.disable()
    party = {"teams": Teams, "office": Office}[kind](plan)
    say("ready")
    party.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
