"""One GET over HTTPS: the JSON that came, and the time the other side has on its clock."""

from __future__ import annotations

import datetime as dt
import email.utils
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

SECONDS = 3.0
_MOST_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """What a web server answered.

    Attributes:
        off: How far our clock is ahead of its clock (the header Date); None when it has none.
        content: The JSON object in the answer.
        failure: Why there is none.
        retry_after: Seconds until it may be asked again, from the header of that name.
    """

    off: dt.timedelta | None = None
    content: Mapping[str, object] = field(default_factory=dict)
    failure: str = ""
    retry_after: float | None = None


def get(url: str, *, trusted: str) -> Answer:
    """GET *url*; blocks for a few seconds at most.

    Args:
        url: An https URL.
        trusted: PEM file of the CAs to believe.
    """
    parts = urllib.parse.urlsplit(url)
    try:
        context = ssl.create_default_context(cafile=trusted)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, timeout=SECONDS, context=context
        )
        try:
            connection.request("GET", f"{parts.path or '/'}", headers={"User-Agent": "sbcctl"})
            answer = connection.getresponse()
            body = answer.read(_MOST_BYTES)
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as error:
        return Answer(failure=f"its own certificate was refused: {error.verify_message}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(failure=str(error) or type(error).__name__)
    off = _off(answer.getheader("Date"))
    wait = _seconds(answer.getheader("Retry-After"))
    if answer.status != http.HTTPStatus.OK:
        return Answer(off, failure=f"it answered {answer.status}", retry_after=wait)
    try:
        content = json.loads(body)
    except ValueError:
        return Answer(off, failure="what it answered is no JSON")
    if not isinstance(content, dict):
        return Answer(off, failure="what it answered is no JSON object")
    return Answer(off, content, retry_after=wait)


def _seconds(text: str | None) -> float | None:
    """The header Retry-After, in one of its two forms."""
    if text is not None and text.strip().isdecimal():
        return float(text)
    off = _off(text)
    return None if off is None else max(-off.total_seconds(), 0.0)


def _off(text: str | None) -> dt.timedelta | None:
    try:
        found = email.utils.parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return dt.datetime.now(dt.UTC) - (found if found.tzinfo else found.replace(tzinfo=dt.UTC))
