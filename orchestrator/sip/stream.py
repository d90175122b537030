"""Cut a TCP or TLS byte stream into SIP messages; sans I/O (RFC 3261 18.3, RFC 5626 3.5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.sip import grammar, message

_MAX_HEAD = 32768


class KeepAlive(StrEnum):
    """Keep-alive of RFC 5626: a double CRLF asks, a single one answers."""

    PING = "ping"
    PONG = "pong"


Event = message.Request | message.Response | KeepAlive


@dataclass
class StreamParser:
    """Collects bytes until whole messages are there.

    After a SipError the stream cannot be followed any more; close the connection.
    """

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> tuple[Event, ...]:
        """Take bytes as they came and return what became complete, in order.

        Raises:
            SipError: No message can come of these bytes: not SIP, no Content-Length, or too long.
        """
        self._buffer += data
        events: list[Event] = []
        while (event := self._next()) is not None:
            events.append(event)
        return tuple(events)

    def _next(self) -> Event | None:
        if self._buffer.startswith((b"\r", b"\n")):
            return self._blank()
        end = self._buffer.find(b"\r\n\r\n", 0, _MAX_HEAD)
        if end < 0:
            if len(self._buffer) >= _MAX_HEAD:
                raise grammar.SipError(f"no end of headers within {_MAX_HEAD} bytes")
            return None
        length = message.body_length(bytes(self._buffer[:end]))
        if length is None:
            raise grammar.SipError("a message on a stream without Content-Length")
        whole = end + 4 + length
        if whole > message.MAX_BYTES:
            raise grammar.SipError(f"a message of {whole} bytes is too long")
        if len(self._buffer) < whole:
            return None
        raw = bytes(self._buffer[:whole])
        del self._buffer[:whole]
        return message.parse(raw)

    def _blank(self) -> KeepAlive | None:
        # A double CRLF that arrives in two pieces reads as a PONG first; RFC 5626 sends it whole.
        for mark, event in ((b"\r\n\r\n", KeepAlive.PING), (b"\r\n", KeepAlive.PONG)):
            if self._buffer.startswith(mark):
                del self._buffer[: len(mark)]
                return event
        if self._buffer == b"\r":
            return None
        raise grammar.SipError("a line end that is none between two messages")
