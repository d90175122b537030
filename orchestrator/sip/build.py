"""Make requests and responses out of values; pure: randomness and counters are arguments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.sip import grammar, message, uri

SDP_TYPE = "application/sdp"

REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    302: "Moved Temporarily", 405: "Method Not Allowed", 407: "Proxy Authentication Required",
    408: "Request Timeout",
    415: "Unsupported Media Type", 420: "Bad Extension", 422: "Session Interval Too Small",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
    500: "Server Internal Error",
    503: "Service Unavailable", 504: "Server Time-out", 603: "Decline",
}  # fmt: skip

Extra = Iterable[tuple[str, str]]
"""More headers: names and values, in order."""


def request(
    method: str,
    target: str,
    *,
    from_: uri.NameAddr,
    to: uri.NameAddr,
    call_id: str,
    number: int,
    routes: Iterable[str] = (),
    extra: Extra = (),
    body: bytes = b"",
) -> message.Request:
    """A request without a Via: the transport adds its own.

    Args:
        method: For example ``INVITE``.
        target: The Request-URI, verbatim.
        from_: Our side, with its tag.
        to: The other side, with a tag inside a dialog.
        call_id: The Call-ID.
        number: The CSeq number.
        routes: Route values, each with its angle brackets, topmost first.
        extra: More headers, in order.
        body: The body, an SDP unless *extra* names another Content-Type, or nothing.
    """
    headers = [
        *(message.Header("Route", route) for route in routes),
        message.Header("Max-Forwards", "70"),
        message.Header("From", str(from_)),
        message.Header("To", str(to)),
        message.Header("Call-ID", call_id),
        message.Header("CSeq", f"{number} {method}"),
        *(message.Header(name, value) for name, value in extra),
    ]
    if body and not any(header.key == "content-type" for header in headers):
        headers.append(message.Header("Content-Type", SDP_TYPE))
    return message.Request(tuple(headers), body, method=method, target=target)


def response(
    asked: message.Request,
    status: int,
    *,
    tag: str = "",
    front: Extra = (),
    extra: Extra = (),
    body: bytes = b"",
) -> message.Response:
    """The response to a request (RFC 3261 section 8.2.6).

    Args:
        asked: The request; its Via, From, To, Call-ID, CSeq and Record-Route are copied.
        status: 100 to 699; the reason phrase follows from it.
        tag: Our To tag, added when the request had none.
        front: Headers before the copied ones, such as one more Record-Route.
        extra: More headers, in order.
        body: The body, an SDP unless *extra* names another Content-Type, or nothing.
    """
    copied = {"via", "from", "call-id", "cseq"} | ({"record-route"} if status > 100 else set())
    headers = [message.Header(name, value) for name, value in front]
    headers += [header for header in asked.headers if header.key in copied]
    to = asked.to
    headers.append(message.Header("To", str(to.tagged(tag) if tag and to.tag is None else to)))
    headers.extend(message.Header(name, value) for name, value in extra)
    if body and not any(header.key == "content-type" for header in headers):
        headers.append(message.Header("Content-Type", SDP_TYPE))
    reason = REASONS.get(status, "Unknown")
    return message.Response(tuple(headers), body, status=status, reason=reason)


def with_via(asked: message.Request, via: str) -> message.Request:
    """The same request with this Via on top of the ones it has."""
    return replace(asked, headers=(message.Header("Via", via), *asked.headers), raw=b"")


def with_received(asked: message.Request, remote: tuple[str, int]) -> message.Request:
    """The same request with ``received`` and ``rport`` filled in (RFC 3581 section 4)."""
    top, *others = grammar.split(asked.need("Via"), ",")
    via = message.parse_via(top)
    kept = [param for param in via.params if param.name.lower() not in {"received", "rport"}]
    kept.append(grammar.Param("received", remote[0]))
    if via.param("rport") is not None:
        kept.append(grammar.Param("rport", str(remote[1])))
    value = ", ".join((str(replace(via, params=tuple(kept))), *others))
    at = next(index for index, header in enumerate(asked.headers) if header.key == "via")
    headers = list(asked.headers)
    headers[at] = message.Header("Via", value)
    return replace(asked, headers=tuple(headers))


def ack_of_refusal(invite: message.Request, refusal: message.Response) -> message.Request:
    """The ACK of a final answer other than 2xx: hop by hop (RFC 3261 section 17.1.1.3)."""
    return _hop_by_hop(invite, "ACK", refusal.need("To"))


def cancel_of(invite: message.Request) -> message.Request:
    """The CANCEL of an INVITE that has no final answer yet (RFC 3261 section 9.1)."""
    return _hop_by_hop(invite, "CANCEL", invite.need("To"))


def _hop_by_hop(invite: message.Request, method: str, to: str) -> message.Request:
    routes = (header for header in invite.headers if header.key == "route")
    headers = (
        message.Header("Via", str(invite.top_via)),
        *routes,
        message.Header("Max-Forwards", "70"),
        message.Header("From", invite.need("From")),
        message.Header("To", to),
        message.Header("Call-ID", invite.call_id),
        message.Header("CSeq", f"{invite.cseq.number} {method}"),
    )
    return message.Request(headers, method=method, target=invite.target)
