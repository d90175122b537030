"""The questions: one frozen class for each ng command of RTPEngine 10.5 to 26.0.

Field names are the ones of `keys.KEYS`, where their meaning and units stand. None and () mean
"leave the key out", which leaves the daemon at its default. Each class names its command, the
first generation that knows it, and the section of ng_control_protocol.md it was read from; all
were put to real daemons of the three generations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Generic, TypeVar

from rtpengine_ng import bencode, errors
from rtpengine_ng.messages import keys, replies

R = TypeVar("R", bound=replies.Reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[R]):
    """Anything that can be asked; R is the class of the answer."""

    command: ClassVar[str] = ""
    since: ClassVar[keys.Version] = (10, 5)

    def to_dict(self) -> dict[bytes, bencode.Encodable]:
        """Return the dictionary that goes over the wire, ``command`` first.

        Raises:
            LocalProtocolError: A value has not the form its key asks for, or a key that takes
                exactly two words (direction, received-from) has another number of them.
        """
        pairs: dict[bytes, bencode.Encodable] = {b"command": self.command.encode()}
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None or value == ():
                continue
            key = keys.KEYS[each.name]
            pairs[key.wire.encode()] = keys.write(key, value)
            if key.wire in ("direction", "received-from") and len(value) != 2:
                raise errors.LocalProtocolError(f"{key.wire} takes two words, not {value!r:.80}")
        return pairs

    def reply_of(self, values: Mapping[str, keys.Tree]) -> R:
        """Give an ``ok`` answer its type; RemoteProtocolError when a promised key is missing."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Request[replies.Pong]):
    """Ask whether the daemon is there (section ``ping``)."""

    command: ClassVar[str] = "ping"

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.Pong:
        """Return the Pong."""
        return replies.Pong(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class List(Request[replies.CallList]):
    """Ask for Call-IDs (section ``list``); a large limit may not fit into one datagram.

    ``limit=0`` yields an empty list on all generations.
    """

    command: ClassVar[str] = "list"
    limit: int | None = None

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.CallList:
        """Return the Call-IDs."""
        return replies.CallList(values, replies.words_of(values, "calls"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics(Request[replies.StatisticsReply]):
    """Ask for the daemon's counters (section ``statistics``); the groups differ by version."""

    command: ClassVar[str] = "statistics"

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.StatisticsReply:
        """Return the counters."""
        return replies.StatisticsReply(values, replies.mapping_of(values, "statistics"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest(Request[R]):
    """Anything about one call."""

    call_id: str


def _call_reply(values: Mapping[str, keys.Tree]) -> replies.CallReply:
    return replies.CallReply(
        values,
        created=replies.number_of(values, "created"),
        last_signal=replies.number_of(values, "last signal"),
        tags=replies.mapping_of(values, "tags"),
        totals=replies.mapping_of(values, "totals"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(CallRequest[replies.CallReply]):
    """Ask what is known of a call (section ``query``); Refused "Unknown call-id" when nothing."""

    command: ClassVar[str] = "query"
    from_tag: str | None = None
    to_tag: str | None = None

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.CallReply:
        """Return what is known."""
        return _call_reply(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(CallRequest[replies.CallReply]):
    """End a call, or one branch of it (section ``delete``).

    An unknown call is answered with ok and a warning; with the flag ``fatal`` it is Refused.
    The reply carries the final counters, with gaps: 10.5 sends none unless ``from_tag`` is
    given, 12.5 counts nothing when it is. To be sure, `Query` first.
    Without ``delete_delay=0`` the ports stay taken for the daemon's ``delete-delay``, 30
    seconds by default (engines.md section 14, point 2).
    """

    command: ClassVar[str] = "delete"
    from_tag: str | None = None
    to_tag: str | None = None
    via_branch: str | None = None
    delete_delay: int | None = None
    flags: tuple[str, ...] = ()

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.CallReply:
        """Return the final counters, if any, and the warning, if any."""
        return _call_reply(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRequest(CallRequest[R]):
    """Anything about a party: picked by tag, address or label, or everybody.

    Without any of them the whole call is meant, where the command allows that.
    """

    from_tag: str | None = None
    to_tag: str | None = None
    via_branch: str | None = None
    address: str | None = None
    label: str | None = None
    to_label: str | None = None
    set_label: str | None = None
    all: str | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPartyRequest(PartyRequest[replies.Reply]):
    """A request about a party that is answered by ok or by an error, nothing more."""

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.Reply:
        """Return the ok."""
        return replies.Reply(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecording(PlainPartyRequest):
    """Record the call (section ``start recording``): always the whole call, never one leg.

    The answer is ok also when the daemon was started without a recording method.
    """

    command: ClassVar[str] = "start recording"
    metadata: str | None = None
    output_destination: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecording(PlainPartyRequest):
    """End the recording (section ``stop recording``)."""

    command: ClassVar[str] = "stop recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRecording(PlainPartyRequest):
    """Pause the recording; 10.5 answers "Unrecognized command" (section ``pause recording``)."""

    command: ClassVar[str] = "pause recording"
    since: ClassVar[keys.Version] = (12, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDtmf(PlainPartyRequest):
    """Block DTMF events (section ``block DTMF``), dropping them or as ``dtmf_security`` says.

    12.5 and 26.0 say ok to a tag that does not exist; 10.5 refuses it.
    """

    command: ClassVar[str] = "block DTMF"
    dtmf_security: str | None = None
    dtmf_security_trigger: str | None = None
    dtmf_security_trigger_end: str | None = None
    dtmf_delay: int | None = None
    delay_buffer: int | None = None
    trigger: str | None = None
    trigger_end: str | None = None
    trigger_end_time: int | None = None
    trigger_end_digits: int | None = None
    frequency: tuple[str, ...] = ()
    code: str | None = None
    volume: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnblockDtmf(PlainPartyRequest):
    """Let DTMF events pass again (section ``block DTMF`` and ``unblock DTMF``)."""

    command: ClassVar[str] = "unblock DTMF"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMedia(PlainPartyRequest):
    """Drop media packets (section ``block media``); 26.0 says ok to an unknown tag."""

    command: ClassVar[str] = "block media"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnblockMedia(PlainPartyRequest):
    """Let media packets pass again (section ``block media`` and ``unblock media``)."""

    command: ClassVar[str] = "unblock media"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceMedia(PlainPartyRequest):
    """Replace audio by silence (section ``silence media``); G.711 and G.722 only."""

    command: ClassVar[str] = "silence media"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsilenceMedia(PlainPartyRequest):
    """Let audio pass unaltered again (section ``silence media`` and ``unsilence media``)."""

    command: ClassVar[str] = "unsilence media"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartForwarding(PlainPartyRequest):
    """Let the recording daemon forward PCM (section ``start forwarding``)."""

    command: ClassVar[str] = "start forwarding"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopForwarding(PlainPartyRequest):
    """End the forwarding (section ``start forwarding`` and ``stop forwarding``)."""

    command: ClassVar[str] = "stop forwarding"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayMedia(PartyRequest[replies.PlayReply]):
    """Play a media file to a party (section ``play media``): one of file, blob, db_id.

    Refused "Failed to start media playback from file" when it cannot be read.
    """

    command: ClassVar[str] = "play media"
    file: str | None = None
    blob: bytes | None = None
    db_id: int | None = None
    repeat_times: int | None = None
    repeat_duration: int | None = None
    start_pos: int | None = None

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.PlayReply:
        """Return how long it plays."""
        return replies.PlayReply(values, replies.number_of(values, "duration"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMedia(PartyRequest[replies.StopReply]):
    """Stop playing (section ``stop media``); Refused "Not currently playing media" otherwise."""

    command: ClassVar[str] = "stop media"

    def reply_of(self, values: Mapping[str, keys.Tree]) -> replies.StopReply:
        """Return where it stopped."""
        return replies.StopReply(values, replies.number_of(values, "last-frame-pos"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayDtmf(PlainPartyRequest):
    """Send one DTMF digit as if the party had pressed it (section ``play DTMF``).

    Offer and answer need the flag ``inject-DTMF``, and audio must have flowed: before, the
    daemon refuses.
    """

    command: ClassVar[str] = "play DTMF"
    code: str
    duration: int | None = None
    volume: int | None = None
    pause: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe(PlainPartyRequest):
    """End a subscription (section ``unsubscribe``).

    10.5 and 12.5 say ok to an unknown to-tag and *create* it; a ``subscribe answer`` for that
    tag then kills 12.5.1. Only unsubscribe what ``subscribe request`` returned.
    """

    command: ClassVar[str] = "unsubscribe"
    to_tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect(PlainPartyRequest):
    """Connect two parties without offer and answer (section ``connect``); 26.0 only."""

    command: ClassVar[str] = "connect"
    since: ClassVar[keys.Version] = (26, 0)
    from_tag: str
    to_tag: str
    to_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInject(PlainPartyRequest):
    """Mix the media of ``source_tag`` into ``to_tag``; command ``inject start``, 26.0 only.

    The source is a party that published its media; one that is in the dialogue already is
    Refused "Failed to start inject".
    """

    command: ClassVar[str] = "inject start"
    since: ClassVar[keys.Version] = (26, 0)
    to_tag: str
    source_tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopInject(PlainPartyRequest):
    """End the mixing; command ``inject stop``, 26.0 only (engines.md section 6)."""

    command: ClassVar[str] = "inject stop"
    since: ClassVar[keys.Version] = (26, 0)
    to_tag: str
    source_tag: str
