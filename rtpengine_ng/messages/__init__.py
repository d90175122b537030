"""Questions and answers of the ng protocol <-> payloads; no I/O, no clock, no cookie.

`keys` holds the one key table, `requests` and `sessions` the questions, `replies` the answers.
Here stands which command is which class, and how an answer is judged: ``ok`` and ``pong`` become
the reply of the question's type, ``error`` becomes Refused with the daemon's own words, ``load
limit`` becomes LoadLimit, and everything else is a RemoteProtocolError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from rtpengine_ng import bencode, errors
from rtpengine_ng.messages import keys, replies, requests, sessions

R = TypeVar("R", bound=replies.Reply)

AnyRequest: TypeAlias = requests.Request[Any]
"""A question whose answer's type is not known to the type checker."""

COMMANDS: Mapping[str, type[AnyRequest]] = MappingProxyType(
    {
        each.command: each
        for each in (
            requests.Ping,
            sessions.Offer,
            sessions.Answer,
            requests.Delete,
            requests.Query,
            requests.List,
            requests.Statistics,
            requests.StartRecording,
            requests.StopRecording,
            requests.PauseRecording,
            requests.BlockDtmf,
            requests.UnblockDtmf,
            requests.BlockMedia,
            requests.UnblockMedia,
            requests.SilenceMedia,
            requests.UnsilenceMedia,
            requests.StartForwarding,
            requests.StopForwarding,
            requests.PlayMedia,
            requests.StopMedia,
            requests.PlayDtmf,
            sessions.Publish,
            sessions.SubscribeRequest,
            sessions.SubscribeAnswer,
            requests.Unsubscribe,
            requests.Connect,
            sessions.Create,
            sessions.CreateAnswer,
            requests.StartInject,
            requests.StopInject,
        )
    }
)
"""Every command by its name on the wire."""


def write_request(request: AnyRequest) -> bytes:
    """Return the payload that asks *request*.

    Raises:
        LocalProtocolError: A value has not its key's form, or the payload is larger than a
            datagram (`bencode.MAX_SIZE`), as with a long ``blob``.
    """
    try:
        return bencode.encode(request.to_dict())
    except errors.EncodingError as error:
        raise errors.LocalProtocolError(f"{request.command!r} cannot be sent: {error}") from error


def read_reply(request: requests.Request[R], payload: bytes) -> R:
    """Judge the *payload* that came back for *request*.

    Raises:
        Refused: The daemon said ``error``; LoadLimit when it said ``load limit``.
        RemoteProtocolError: The payload is no bencode dictionary with a known ``result``, or a
            promised key is missing or of another form. 26.0 answers a payload it cannot read
            with an empty one (engines.md section 6); that ends here as well.
    """
    values = _dictionary(payload)
    result = values.get("result")
    if result == "error":
        raise errors.Refused(request.command, replies.text_of(values, "error-reason"))
    if result == "load limit":
        raise errors.LoadLimit(request.command, replies.text_of(values, "message") or result)
    if result != ("pong" if isinstance(request, requests.Ping) else "ok"):
        raise errors.RemoteProtocolError(f"result of {request.command!r} is {result!r:.80}")
    return request.reply_of(values)


def read_request(payload: bytes) -> AnyRequest:
    """Read a question, as a daemon does; keys we do not know are ignored, as a daemon does.

    Raises:
        RemoteProtocolError: No dictionary, no known command, a required key missing, or a
            value that has not its key's form.
    """
    values = _raw_dictionary(payload)
    wanted = values.get(b"command")
    kind = COMMANDS.get(wanted.decode("utf-8", "replace")) if isinstance(wanted, bytes) else None
    if kind is None:
        raise errors.RemoteProtocolError(f"Unrecognized command {wanted!r:.80}")
    spelled = {name.replace(b" ", b"-"): value for name, value in values.items()}
    found = {}
    for each in fields(kind):
        key = keys.KEYS[each.name]
        value = spelled.get(key.wire.encode())
        if value is not None:
            found[each.name] = keys.read(key, value)
    try:
        return kind(**found)
    except TypeError as error:
        raise errors.RemoteProtocolError(f"{kind.command!r}: {error}") from error


def _dictionary(payload: bytes) -> dict[str, keys.Tree]:
    return {
        name.decode("utf-8", "surrogateescape"): keys.text_tree(value)
        for name, value in _raw_dictionary(payload).items()
    }


def _raw_dictionary(payload: bytes) -> dict[bytes, bencode.Value]:
    if not payload:
        raise errors.RemoteProtocolError("the payload is empty")
    try:
        values = bencode.decode(payload)
    except errors.EncodingError as error:
        raise errors.RemoteProtocolError(f"the payload is no bencode: {error}") from error
    if not isinstance(values, dict):
        raise errors.RemoteProtocolError("the payload is no dictionary")
    return values
