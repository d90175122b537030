"""The questions that carry a session description or ask for one, with their many options.

Fields are the ones of `keys.KEYS`. The words recommended towards Microsoft Teams stand in
engines.md section 5.2; three of them depend on the generation: ``only-SUITE`` in ``sdes`` is
ignored by 10.5 (list eleven ``no-SUITE`` there), ``replace`` needs ``session-connection``
beside ``origin`` on 10.5 and 12.5, ``ice="remove"`` belongs on offers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rtpengine_ng import errors
from rtpengine_ng.messages import keys, replies, requests


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest(requests.CallRequest[requests.R]):
    """The options that all of these share (section ``offer``); commands ignore foreign ones."""

    from_tag: str | None = None
    to_tag: str | None = None
    via_branch: str | None = None
    label: str | None = None
    set_label: str | None = None
    flags: tuple[str, ...] = ()
    supports: tuple[str, ...] = ()
    template: str | None = None
    metadata: str | None = None
    replace: tuple[str, ...] = ()
    address_family: str | None = None
    direction: tuple[str, ...] = ()
    from_interface: str | None = None
    to_interface: str | None = None
    interface: str | None = None
    received_from: tuple[str, ...] = ()
    media_address: str | None = None
    transport_protocol: str | None = None
    sdp_attr: Mapping[str, keys.Tree] | None = None
    ice: str | None = None
    ice_lite: str | None = None
    dtls: str | None = None
    dtls_reverse: str | None = None
    dtls_fingerprint: str | None = None
    sdes: tuple[str, ...] = ()
    osrtp: tuple[str, ...] = ()
    rtcp_mux: tuple[str, ...] = ()
    endpoint_learning: str | None = None
    generate_rtcp: str | None = None
    codec: Mapping[str, tuple[str, ...]] | None = None
    ptime: int | None = None
    ptime_reverse: int | None = None
    t38: tuple[str, ...] = ()
    tos: int | None = None
    delay_buffer: int | None = None
    drop_traffic: str | None = None
    media_echo: str | None = None
    audio_player: str | None = None
    moh: Mapping[str, keys.Tree] | None = None
    record_call: str | None = None
    output_destination: str | None = None
    xmlrpc_callback: str | None = None
    dtmf_security: str | None = None
    dtmf_delay: int | None = None
    dtmf_log_dest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedRequest(SessionRequest[replies.SdpReply]):
    """A session request that is answered by a session description."""

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.SdpReply:
        """Return the description; RemoteProtocolError when the answer has none."""
        sdp = replies.text_of(values, "sdp")
        if not sdp:
            raise errors.RemoteProtocolError(f"the answer to {self.command!r} has no sdp")
        return replies.SdpReply(
            values,
            sdp=sdp,
            from_tag=replies.text_of(values, "from-tag"),
            from_tags=replies.words_of(values, "from-tags"),
            to_tag=replies.text_of(values, "to-tag"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(DescribedRequest):
    """Rewrite an offered description and take ports for it (section ``offer``).

    Refused "Failed to parse SDP", "Parallel session limit reached" (or LoadLimit) and others.
    """

    command: ClassVar[str] = "offer"
    from_tag: str
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(DescribedRequest):
    """Rewrite the answering description (section ``answer``).

    ``from_tag`` is the offerer's, as in the offer; ``to_tag`` the answerer's.
    """

    command: ClassVar[str] = "answer"
    from_tag: str
    to_tag: str
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish(DescribedRequest):
    """Send media to the daemon, for others to subscribe to (section ``publish``).

    ``sdp`` is sendonly, the answer recvonly and made by the daemon.
    """

    command: ClassVar[str] = "publish"
    from_tag: str
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest(DescribedRequest):
    """Ask for a copy of a party's media (section ``subscribe request``).

    The reply is a sendonly offer with the ``to_tag`` of the subscription. Asking again for the
    same ``to_tag`` replaces what it was subscribed to.
    """

    command: ClassVar[str] = "subscribe request"
    from_tags: tuple[str, ...] = ()
    all: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeAnswer(SessionRequest[replies.Reply]):
    """Accept the copy (section ``subscribe answer``); media flows from then on.

    Every offered codec must be accepted, or ``flags`` says ``allow-transcoding``.
    """

    command: ClassVar[str] = "subscribe answer"
    to_tag: str
    sdp: str

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.Reply:
        """Return the ok."""
        return replies.Reply(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(DescribedRequest):
    """Let the daemon make a party and an offer of its own; 26.0 only (engines.md section 6)."""

    command: ClassVar[str] = "create"
    since: ClassVar[keys.Version] = (26, 0)
    from_tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAnswer(SessionRequest[replies.Reply]):
    """Give the daemon the answer to the offer of `Create`; 26.0 only (engines.md section 6)."""

    command: ClassVar[str] = "create answer"
    since: ClassVar[keys.Version] = (26, 0)
    from_tag: str
    sdp: str

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.Reply:
        """Return the ok."""
        return replies.Reply(values)
