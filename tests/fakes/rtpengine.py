"""A small ng daemon on a real UDP socket, with state and with bad weather.

Built from the library's own bencode and messages, so it proves the clients, not the encoding;
the encoding is proven against real daemons in tests/ng/test_daemon.py. It keeps the two habits
that matter to a client: a known cookie gets the old answer and executes nothing, and a datagram
without cookie gets no answer at all (engines.md section 6).
"""

from __future__ import annotations

import socket
import threading
from collections import Counter, deque
from enum import StrEnum
from typing import Self

import rtpengine_ng as ng
from rtpengine_ng import bencode, messages


class Fate(StrEnum):
    """What becomes of one datagram that arrives; without a fate it is answered."""

    LOSE_QUESTION = "lose question"
    LOSE_ANSWER = "lose answer"
    DUPLICATE = "duplicate"
    LATE = "late: the answer goes out before the one of the next datagram"
    FOREIGN = "foreign: an answer with another cookie comes first"
    GARBLE = "garble: the answer's payload is damaged"
    EMPTY = "empty: the answer has no payload"


class FakeRtpengine:
    """Answers on 127.0.0.1 in a thread of its own; a context manager."""

    def __init__(self, *fates: Fate) -> None:
        self.executed: Counter[str] = Counter()
        self.heard: list[bytes] = []
        self.calls: dict[str, str] = {}
        self._fates = deque(fates)
        self._answers: dict[bytes, bytes] = {}
        self._held: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            datagram, sender = self._socket.recvfrom(65_536)
            if not datagram:
                return
            self.heard.append(datagram)
            for answer in self._datagrams(datagram):
                self._socket.sendto(answer, sender)

    def _datagrams(self, datagram: bytes) -> tuple[bytes, ...]:
        fate = self._fates.popleft() if self._fates else None
        cookie, space, payload = datagram.partition(b" ")
        if not space or fate is Fate.LOSE_QUESTION:
            return ()
        if cookie not in self._answers:
            self._answers[cookie] = self._execute(payload)
        answer = cookie + b" " + self._answers[cookie]
        held, self._held = tuple(self._held), []
        if fate is Fate.LATE:
            self._held.append(answer)
        by_fate: dict[Fate | None, tuple[bytes, ...]] = {
            Fate.LOSE_ANSWER: (),
            Fate.LATE: (),
            Fate.DUPLICATE: (answer, answer),
            Fate.FOREIGN: (b"not-" + answer, b"nospace", b"", answer),
            Fate.GARBLE: (answer[:-3],),
            Fate.EMPTY: (cookie + b" ",),
        }
        return held + by_fate.get(fate, (answer,))

    def _execute(self, payload: bytes) -> bytes:
        try:
            request = messages.read_request(payload)
        except ng.RemoteProtocolError as error:
            return bencode.encode({b"result": b"error", b"error-reason": str(error).encode()})
        self.executed[request.command] += 1
        return bencode.encode(self._reply(request))

    def _reply(self, request: messages.AnyRequest) -> dict[bytes, bencode.Encodable]:
        reply: dict[bytes, bencode.Encodable] = {b"result": b"ok"}
        match request:
            case ng.Ping():
                reply = {b"result": b"pong"}
            case ng.Offer() if request.call_id == "one too many":
                reply = {b"result": b"load limit"}
            case ng.Offer() | ng.Answer():
                self.calls[request.call_id] = request.sdp
                reply[b"sdp"] = request.sdp.encode()
            case ng.List():
                reply[b"calls"] = tuple(call.encode() for call in self.calls)
            case ng.Query() if request.call_id not in self.calls:
                reply = {b"result": b"error", b"error-reason": b"Unknown call-id"}
            case ng.Delete() if self.calls.pop(request.call_id, None) is None:
                reply[b"warning"] = b"Call-ID not found"
        return reply
