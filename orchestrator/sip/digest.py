"""Digest authentication, MD5 with ``qop=auth`` or none, as pure functions (RFC 2617, RFC 3261 22).

MD5 is what SIP phones speak; it is used as the protocol's checksum, not as protection of ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from orchestrator.sip import grammar


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a 401 or 407 asks for."""

    realm: str
    nonce: str
    qop: str = ""
    opaque: str = ""
    algorithm: str = "MD5"


@dataclass(frozen=True, slots=True)
class Account:
    """Who answers a challenge."""

    user: str
    password: str


def parse_challenge(value: str) -> Challenge:
    """Read WWW-Authenticate or Proxy-Authenticate.

    Raises:
        SipError: Not Digest, no nonce, or an algorithm that is not MD5.
    """
    scheme, _, rest = value.strip().partition(" ")
    fields = read_fields(rest)
    if scheme.lower() != "digest" or "nonce" not in fields:
        raise grammar.SipError(f"a challenge that is not Digest: {value[:60]!r}")
    algorithm = fields.get("algorithm", "MD5")
    if algorithm.upper() != "MD5":
        raise grammar.SipError(f"a challenge with algorithm {algorithm[:20]!r}")
    offered = [part.strip() for part in fields.get("qop", "").split(",")]
    qop = "auth" if "auth" in offered else ""
    return Challenge(fields.get("realm", ""), fields["nonce"], qop, fields.get("opaque", ""))


def authorisation(
    challenge: Challenge,
    account: Account,
    *,
    method: str,
    target: str,
    cnonce: str,
    count: int = 1,
) -> str:
    """The value of Authorization or Proxy-Authorization that answers *challenge*.

    Args:
        challenge: What was asked.
        account: Who answers.
        method: The method of the request that is sent again.
        target: Its Request-URI as written.
        cnonce: Fresh random text of the caller; letters and digits.
        count: How often this nonce was used, this time included.
    """
    proof = response(challenge, account, method=method, target=target, cnonce=cnonce, count=count)
    fields = [
        f'username="{account.user}"',
        f'realm="{challenge.realm}"',
        f'nonce="{challenge.nonce}"',
        f'uri="{target}"',
        f'response="{proof}"',
        "algorithm=MD5",
    ]
    if challenge.qop:
        fields += [f"qop={challenge.qop}", f'cnonce="{cnonce}"', f"nc={count:08x}"]
    if challenge.opaque:
        fields.append(f'opaque="{challenge.opaque}"')
    return "Digest " + ", ".join(fields)


def challenge_value(challenge: Challenge, *, stale: bool = False) -> str:
    """The value of WWW-Authenticate or Proxy-Authenticate that asks *challenge*.

    Args:
        challenge: What to ask for.
        stale: True when the nonce is new only because the one that was used is too old.
    """
    fields = [f'realm="{challenge.realm}"', f'nonce="{challenge.nonce}"']
    fields += [f'opaque="{challenge.opaque}"'] if challenge.opaque else []
    fields += ["stale=true"] if stale else []
    fields += [f"algorithm={challenge.algorithm}"]
    fields += [f'qop="{challenge.qop}"'] if challenge.qop else []
    return "Digest " + ", ".join(fields)


@dataclass(frozen=True, slots=True)
class Proof:
    """What an Authorization or Proxy-Authorization says, as it stands there.

    Attributes:
        user: The user's name.
        realm: Where that user is known.
        nonce: The nonce that is answered.
        target: The URI the proof is about.
        response: The proof itself.
        count: How often the nonce was used, this time included; 1 without ``qop``.
        cnonce: The other side's own random text; empty without ``qop``.
    """

    user: str
    realm: str
    nonce: str
    target: str
    response: str
    count: int = 1
    cnonce: str = ""


def parse_proof(value: str) -> Proof:
    """Read Authorization or Proxy-Authorization.

    Raises:
        SipError: Not Digest, a field is missing, or the count is no number.
    """
    scheme, _, rest = value.strip().partition(" ")
    fields = read_fields(rest)
    needed = ("username", "realm", "nonce", "uri", "response")
    if scheme.lower() != "digest" or any(name not in fields for name in needed):
        raise grammar.SipError(f"a proof that is not Digest, or not whole: {value[:60]!r}")
    try:
        count = int(fields.get("nc", "1"), 16)
    except ValueError as error:
        raise grammar.SipError(
            f"a nonce count that is no number: {fields['nc'][:20]!r}"
        ) from error
    user, realm, nonce, target, shown = (fields[name] for name in needed)
    return Proof(user, realm, nonce, target, shown, count, fields.get("cnonce", ""))


def proves(proof: Proof, challenge: Challenge, account: Account, *, method: str) -> bool:
    """True when *proof* answers *challenge* as only somebody with the account's password can."""
    if (proof.user, proof.realm, proof.nonce) != (account.user, challenge.realm, challenge.nonce):
        return False
    expected = response(
        challenge,
        account,
        method=method,
        target=proof.target,
        cnonce=proof.cnonce,
        count=proof.count,
    )
    return proof.response.lower() == expected


def response(
    challenge: Challenge,
    account: Account,
    *,
    method: str,
    target: str,
    cnonce: str,
    count: int = 1,
) -> str:
    """The proof itself, 32 hex digits (RFC 2617 section 3.2.2.1)."""
    secret = _md5(f"{account.user}:{challenge.realm}:{account.password}")
    asked = _md5(f"{method}:{target}")
    if not challenge.qop:
        return _md5(f"{secret}:{challenge.nonce}:{asked}")
    return _md5(f"{secret}:{challenge.nonce}:{count:08x}:{cnonce}:{challenge.qop}:{asked}")


def read_fields(text: str) -> dict[str, str]:
    """The ``name=value`` list of a Digest header, names in lower case, values without quotes."""
    pairs = (part.partition("=") for part in grammar.split(text, ",") if part)
    return {name.strip().lower(): grammar.unquote(value.strip()) for name, _, value in pairs}


def _md5(text: str) -> str:
    return hashlib.md5(grammar.encode(text), usedforsecurity=False).hexdigest()
