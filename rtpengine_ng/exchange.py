"""Ask one RTPEngine one question; no socket and no clock in here.

Rules:

1. Every send of one question carries the same bytes. RTPEngine knows a resend by its cookie and
   repeats its answer without executing the command again (engines.md section 6), so resending
   an offer or a delete is safe.
2. A cookie is never used for a second question, or the second would get the first one's answer.
   The caller makes the cookies; `make_cookie` says how they look.
3. What comes with another cookie is not ours: a late answer to an earlier question, or a
   forgery. It is passed over and changes nothing.
4. The caller owns the socket and says what time it is. Times are seconds of any steady clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rtpengine_ng import bencode, errors

PAUSES = (0.25, 0.5, 1.0, 1.0)
"""Seconds to wait after each send: four sends, giving up after 2.75 s.

RTPEngine answers in under a millisecond (engines.md section 14, point 14); what is not there
after a quarter of a second is lost.
"""

_FORBIDDEN = frozenset(b" \t\r\n\0")


def make_cookie(random: bytes, number: int) -> bytes:
    """Return the cookie of the caller's question *number*: ``HEX_NUMBER``.

    Args:
        random: Bytes that no other caller has; 8 are enough, and they keep guessers out.
        number: Any integer the caller uses once.
    """
    return b"%s_%d" % (random.hex().encode(), number)


@dataclass(slots=True)
class Exchange:
    """One question on its way to its answer.

    Attributes:
        cookie: What marks question and answer; not empty, no white space.
        payload: The question, as `messages.write_request` wrote it.
        pauses: Seconds to wait after each send; as many sends as pauses.
        sends: How often the question was sent so far.

    Raises:
        LocalProtocolError: The cookie is empty or has white space, there are no pauses, or the
            whole does not fit into one datagram.
    """

    cookie: bytes
    payload: bytes
    pauses: tuple[float, ...] = PAUSES
    sends: int = field(default=0, init=False)
    _due: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        if not self.cookie or not _FORBIDDEN.isdisjoint(self.cookie):
            raise errors.LocalProtocolError(f"{self.cookie!r:.80} is no cookie")
        if not self.pauses or min(self.pauses) < 0:
            raise errors.LocalProtocolError("an exchange needs pauses, none of them negative")
        size = len(self.cookie) + 1 + len(self.payload)
        if size > bencode.MAX_SIZE:
            raise errors.LocalProtocolError(f"{size} bytes do not fit into one datagram")

    def datagram_due(self, now: float) -> bytes | None:
        """Return the datagram to send at *now*, or None when none is due.

        Returning it counts as sending it.

        Raises:
            NoAnswer: The last pause is over.
        """
        if now < self._due:
            return None
        if self.sends == len(self.pauses):
            raise errors.NoAnswer(f"no answer after {self.sends} sends", sends=self.sends)
        self._due = now + self.pauses[self.sends]
        self.sends += 1
        return self.cookie + b" " + self.payload

    def timer(self) -> float:
        """Return when `datagram_due` wants to be asked again; minus infinity before the first."""
        return self._due

    def receive(self, datagram: bytes) -> bytes | None:
        """Return the payload of the answer, or None when *datagram* is not ours.

        A payload may be empty: 26.0 answers so what it cannot read.
        """
        cookie, space, payload = datagram.partition(b" ")
        return payload if space and cookie == self.cookie else None
