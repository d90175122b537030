"""Ask RTPEngine over its ng control protocol: typed questions, typed answers, typed refusals.

This is a library of its own: standard library only, usable without the rest of this project. It
speaks bencode over UDP, the transport all generations from 10.5 to 26.0 share. It is *not* a
media proxy, no SDP parser, no pool of daemons and no policy: which words an offer needs is for
the caller to know, and which daemon to ask as well.

    >>> import rtpengine_ng as ng
    >>> with ng.Client("127.0.0.1", 2223) as client:  # doctest: +SKIP
    ...     client.ask(ng.Ping())
    Pong(values={'result': 'pong'})

Floors, imports go down only: ``client | aio`` (sockets) > ``exchange`` (resend, give up) >
``messages`` (questions and answers) > ``bencode`` (bytes) > ``errors``. Everything below the
first floor is free of I/O and clock; write another transport on top of `Exchange`,
`write_request` and `read_reply` if UDP does not suit.

Source of the protocol: RTPEngine's own ng_control_protocol.md, and real daemons of 10.5, 12.5
and 26.0 where that is silent or wrong.
"""

from typing import TYPE_CHECKING

from rtpengine_ng.client import Client
from rtpengine_ng.errors import (
    EncodingError,
    LoadLimit,
    LocalProtocolError,
    NgError,
    NoAnswer,
    ProtocolError,
    Refused,
    RemoteProtocolError,
)
from rtpengine_ng.exchange import PAUSES, Exchange, make_cookie
from rtpengine_ng.messages import COMMANDS, read_reply, read_request, write_request
from rtpengine_ng.messages.keys import KEYS, Key, Kind
from rtpengine_ng.messages.replies import (
    CallList,
    CallReply,
    PlayReply,
    Pong,
    Reply,
    SdpReply,
    StatisticsReply,
    StopReply,
)
from rtpengine_ng.messages.requests import (
    BlockDtmf,
    BlockMedia,
    Connect,
    Delete,
    List,
    PauseRecording,
    Ping,
    PlayDtmf,
    PlayMedia,
    Query,
    Request,
    SilenceMedia,
    StartForwarding,
    StartInject,
    StartRecording,
    Statistics,
    StopForwarding,
    StopInject,
    StopMedia,
    StopRecording,
    UnblockDtmf,
    UnblockMedia,
    UnsilenceMedia,
    Unsubscribe,
)
from rtpengine_ng.messages.sessions import (
    Answer,
    Create,
    CreateAnswer,
    Offer,
    Publish,
    SubscribeAnswer,
    SubscribeRequest,
)

if TYPE_CHECKING:
    from rtpengine_ng.aio import AsyncClient


def __getattr__(name: str) -> object:
    """Import the asyncio client when somebody asks for it: asyncio costs 50 ms at the start."""
    if name == "AsyncClient":
        from rtpengine_ng.aio import AsyncClient  # noqa: PLC0415

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "COMMANDS",
    "KEYS",
    "PAUSES",
    "Answer",
    "AsyncClient",
    "BlockDtmf",
    "BlockMedia",
    "CallList",
    "CallReply",
    "Client",
    "Connect",
    "Create",
    "CreateAnswer",
    "Delete",
    "EncodingError",
    "Exchange",
    "Key",
    "Kind",
    "List",
    "LoadLimit",
    "LocalProtocolError",
    "NgError",
    "NoAnswer",
    "Offer",
    "PauseRecording",
    "Ping",
    "PlayDtmf",
    "PlayMedia",
    "PlayReply",
    "Pong",
    "ProtocolError",
    "Publish",
    "Query",
    "Refused",
    "RemoteProtocolError",
    "Reply",
    "Request",
    "SdpReply",
    "SilenceMedia",
    "StartForwarding",
    "StartInject",
    "StartRecording",
    "Statistics",
    "StatisticsReply",
    "StopForwarding",
    "StopInject",
    "StopMedia",
    "StopRecording",
    "StopReply",
    "SubscribeAnswer",
    "SubscribeRequest",
    "UnblockDtmf",
    "UnblockMedia",
    "UnsilenceMedia",
    "Unsubscribe",
    "make_cookie",
    "read_reply",
    "read_request",
    "write_request",
]
