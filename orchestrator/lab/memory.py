"""What Microsoft remembers: of each call, and of all OPTIONS and broken rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.lab import bodies, call, evidence, journal
from orchestrator.sip import message


@dataclass(frozen=True, slots=True)
class Ping:
    """OPTIONS that passed: to or from which of Microsoft's names, and how it was answered."""

    host: str
    status: int
    seconds: float = 0.0


@dataclass(slots=True)
class Known:
    """What Microsoft remembers of one Call-ID; ``fqdn`` is the trunk it goes by."""

    call: call.Call
    contact: str
    routes: tuple[str, ...]
    offer: bytes = b""
    earlier: bytes = b""
    tag: str = ""
    number: int = 0
    transfers: tuple[tuple[str, str], ...] = ()
    fqdn: str = ""

    def learn(self, parsed: message.Request | message.Response) -> None:
        """Remember what the next message is compared with."""
        self.earlier = bodies.sdp_of(parsed) or self.earlier
        if isinstance(parsed, message.Request) and parsed.to.tag is not None:
            self.number = max(self.number, parsed.cseq.number)
        if isinstance(parsed, message.Response) and parsed.cseq.method == "INVITE":
            shown = parsed.to.tag if 100 < parsed.status < 300 else None
            self.tag = self.tag or shown or ""


@dataclass(slots=True)
class Books:
    """What happened so far."""

    broken: journal.Journal[evidence.Broken] = field(default_factory=journal.Journal)
    came: journal.Journal[Ping] = field(default_factory=journal.Journal)
    sent: journal.Journal[Ping] = field(default_factory=journal.Journal)
