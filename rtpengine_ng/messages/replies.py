"""What the daemon answers, typed where the protocol promises a form.

Every reply keeps the whole answer in ``values``: the groups of ``statistics`` and the leaves of
``query`` differ between 10.5, 12.5 and 26.0 (engines.md section 6), so only what all three send
has a field of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtpengine_ng import errors
from rtpengine_ng.messages import keys


@dataclass(frozen=True, slots=True)
class Reply:
    """The daemon said ``ok``."""

    values: Mapping[str, keys.Tree] = field(default_factory=dict)
    """Everything in the answer, ``result`` included, keys as the daemon spelled them."""

    @property
    def warning(self) -> str:
        """What the daemon did not like although it said ok, or an empty string."""
        return text_of(self.values, "warning")


@dataclass(frozen=True, slots=True)
class Pong(Reply):
    """The daemon is there (``result: pong``)."""


@dataclass(frozen=True, slots=True)
class SdpReply(Reply):
    """A session description to put into the SIP message."""

    sdp: str = ""
    """The rewritten or generated description, lines ended by CR LF."""
    from_tag: str = ""
    """The party subscribed to or created, when the daemon names one."""
    from_tags: tuple[str, ...] = ()
    """All parties subscribed to (``subscribe request``)."""
    to_tag: str = ""
    """The new party of a subscription; ``subscribe answer`` must repeat it."""


@dataclass(frozen=True, slots=True)
class CallList(Reply):
    """Which calls the daemon knows; at most ``limit`` of them, in no order."""

    calls: tuple[str, ...] = ()
    """Call-IDs."""


@dataclass(frozen=True, slots=True)
class CallReply(Reply):
    """What the daemon knows of one call (``query``), or knew at its end (``delete``).

    A delete may leave everything empty: with a warning when there was no such call, and in the
    cases that `requests.Delete` names.
    """

    created: int | None = None
    """When the call began, seconds since 1970 UTC."""
    last_signal: int | None = None
    """When it was last signalled, seconds since 1970 UTC."""
    tags: Mapping[str, keys.Tree] = field(default_factory=dict)
    """The parties by tag; one without a tag yet is called ``<untagged 1>`` by the daemon."""
    totals: Mapping[str, keys.Tree] = field(default_factory=dict)
    """``RTP`` and ``RTCP``: each packets, bytes, errors."""


@dataclass(frozen=True, slots=True)
class StatisticsReply(Reply):
    """The daemon's counters."""

    statistics: Mapping[str, keys.Tree] = field(default_factory=dict)
    """Groups such as ``currentstatistics``, ``totalstatistics``, ``interfaces``. Fractions and
    the uptime (seconds) come as text."""

    @property
    def sessions(self) -> int:
        """How many calls the daemon carries now."""
        current = self.statistics.get("currentstatistics")
        count = current.get("sessionstotal") if isinstance(current, Mapping) else None
        if not isinstance(count, int):
            raise errors.RemoteProtocolError("statistics without sessionstotal")
        return count


@dataclass(frozen=True, slots=True)
class PlayReply(Reply):
    """Playing began."""

    duration: int | None = None
    """Length of the media in milliseconds, when the daemon could tell."""


@dataclass(frozen=True, slots=True)
class StopReply(Reply):
    """Playing ended."""

    last_frame_pos: int | None = None
    """Where it stopped, in frames; 10.5 does not say."""


def text_of(values: Mapping[str, keys.Tree], name: str) -> str:
    """Return the text under *name*, or an empty string; RemoteProtocolError for other forms."""
    value = values.get(name, "")
    if not isinstance(value, str):
        raise errors.RemoteProtocolError(f"{name} is not text: {value!r:.80}")
    return value


def number_of(values: Mapping[str, keys.Tree], name: str) -> int | None:
    """Return the number under *name*, or None; RemoteProtocolError for other forms."""
    value = values.get(name)
    if value is not None and not isinstance(value, int):
        raise errors.RemoteProtocolError(f"{name} is no number: {value!r:.80}")
    return value


def words_of(values: Mapping[str, keys.Tree], name: str) -> tuple[str, ...]:
    """Return the words under *name*, or (); RemoteProtocolError for other forms."""
    value = values.get(name, ())
    words = [word for word in value if isinstance(word, str)] if isinstance(value, tuple) else []
    if not isinstance(value, tuple) or len(words) != len(value):
        raise errors.RemoteProtocolError(f"{name} is no list of words: {value!r:.80}")
    return tuple(words)


def mapping_of(values: Mapping[str, keys.Tree], name: str) -> Mapping[str, keys.Tree]:
    """Return the dictionary under *name*, or {}; RemoteProtocolError for other forms."""
    value = values.get(name, {})
    if not isinstance(value, Mapping):
        raise errors.RemoteProtocolError(f"{name} is no dictionary: {value!r:.80}")
    return value
