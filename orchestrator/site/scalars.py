"""The single values of a site: what a name, a host, a path or a port may be.

Scalars arrive as the text that was written; what is refused here is refused with the sentence an
operator reads (``sentences.py``).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE)
_SIP_USER = re.compile(r"[A-Za-z0-9+*#._-]{1,64}")
_DIGEST_USER = re.compile(r"[A-Za-z0-9+*#._@~!=-]{1,64}")
_REALM = re.compile(r"[^\x00-\x1f\"\\\x7f-\x9f]{1,128}")
_WHOLE = re.compile(r"[0-9]{1,9}")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./+@-]*")


def _checked_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name is 1 to 32 of a-z, 0-9, - and _, and begins with a letter")
    return text


def checked_host(text: str) -> str:
    """The host in small letters; ValueError when it is none."""
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError("this is not a host name or an address")
    if text.rsplit(".", 1)[-1].isdigit():
        # Names do not end in digits only, so this was meant as an address (RFC 1123 2.1).
        checked_address(text, ipaddress.IPv4Address)
    return text.lower()


def checked_address(text: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    """Nothing; ValueError when *text* is no address of that kind."""
    try:
        kind(text)
    except ValueError as error:
        raise ValueError("this is not a host name or an address") from error


def checked_fqdn(text: str) -> str:
    """The name in small letters; ValueError when Teams would not take it (CERT-4)."""
    host = checked_host(text)
    if "." not in host or host.rsplit(".", 1)[1].isdigit():
        raise ValueError("a full domain name is needed, such as sbc.example.com")
    if len(host) > 63:
        raise ValueError("Teams takes names of at most 63 characters (CERT-4)")
    if host.endswith(".onmicrosoft.com"):
        raise ValueError("Teams refuses names under onmicrosoft.com (CERT-4)")
    return host


def _checked_user(text: str) -> str:
    if not _SIP_USER.fullmatch(text):
        raise ValueError("a SIP user is 1 to 64 of letters, digits and + * # . _ -")
    return text


def _checked_digest_user(text: str) -> str:
    if not _DIGEST_USER.fullmatch(text):
        raise ValueError("a user is 1 to 64 of letters, digits and + * # . _ @ ~ ! = -")
    return text


def _checked_realm(text: str) -> str:
    if not _REALM.fullmatch(text):
        raise ValueError("a realm is up to 128 characters, without quotes and backslashes")
    return text


def _checked_path(text: str) -> str:
    if not _PLAIN_PATH.fullmatch(text):
        raise ValueError("an absolute path is needed, of letters, digits and _ . / + @ -")
    return text


def _plain_digits(value: object) -> object:
    # int() takes 5_060, 5060.0 and blanks as well; what an operator reads is what counts.
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError("a whole number is needed")
    return value


Name = Annotated[str, AfterValidator(_checked_name)]
Host = Annotated[str, AfterValidator(checked_host)]
Fqdn = Annotated[str, AfterValidator(checked_fqdn)]
SipUser = Annotated[str, AfterValidator(_checked_user)]
PlainPath = Annotated[str, AfterValidator(_checked_path)]
Whole = Annotated[int, BeforeValidator(_plain_digits)]
Port = Annotated[Whole, Field(ge=1, le=65535)]
DigestUser = Annotated[str, AfterValidator(_checked_digest_user)]
Realm = Annotated[str, AfterValidator(_checked_realm)]
