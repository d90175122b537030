"""Every error this library raises on purpose, drawn by whose move it is.

The tree::

    NgError
    |- EncodingError           bytes that are no bencode, or a value bencode cannot carry
    |- ProtocolError           abstract: somebody broke the ng protocol
    |  |- LocalProtocolError   the caller asked for something the protocol has no room for
    |  `- RemoteProtocolError  the daemon sent something that is no answer
    |- NoAnswer                nothing came back, however often the question was sent
    `- Refused                 the daemon answered: no; its own words are kept
       `- LoadLimit            ... because it is full; another one may still take the call

Nothing else leaves the library but what Python itself raises (`TypeError` for a wrong call,
`KeyboardInterrupt`); any other exception is a bug here.
"""

from __future__ import annotations


class NgError(Exception):
    """The root of all errors of this library."""


class EncodingError(NgError):
    """Bytes are not bencode within the bounds, or a value cannot be written as bencode."""


class ProtocolError(NgError):
    """Somebody broke the ng protocol; only the two children are ever raised."""

    def __init__(self, message: str) -> None:
        if type(self) is ProtocolError:
            raise TypeError("raise LocalProtocolError or RemoteProtocolError")
        super().__init__(message)


class LocalProtocolError(ProtocolError):
    """We tried to send what the protocol has no room for; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The daemon sent something that is no answer to the question."""


class NoAnswer(NgError):
    """Nothing came back in time.

    Attributes:
        sends: How often the question was sent; 0 when it could not be sent at all.
        reason: What the network said meanwhile ("Connection refused"), or an empty string.
            A refused port means: the machine is there, nobody listens.
    """

    def __init__(self, message: str, *, sends: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.sends = sends
        self.reason = reason


class Refused(NgError):
    """The daemon answered ``result: error``.

    Attributes:
        command: The ng command that was refused, as on the wire.
        words: The daemon's ``error-reason``, letter by letter.
    """

    def __init__(self, command: str, words: str) -> None:
        super().__init__(f"rtpengine refused {command!r}: {words}")
        self.command = command
        self.words = words


class LoadLimit(Refused):
    """The daemon answered ``result: load limit``: it takes no new call now.

    Only sent when the offer said ``supports=("load limit",)``; otherwise the same refusal
    comes as a plain `Refused` (ng_control_protocol.md, key ``supports``).
    """
