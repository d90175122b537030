"""Kamailio's registrations at carriers: what it holds, whether they stand, taking them back."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from orchestrator import errors
from orchestrator.engines import kamailio_rpc

_ONLINE = 1 << 2
_POLL = 0.05
_TAKE_BACK_SECONDS = 2.0
_FIELDS = (
    "l_uuid", "r_username", "r_domain", "realm", "auth_username", "auth_password", "auth_proxy",
    "expires", "contact_addr", "socket",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Registration:
    """One registration as Kamailio holds it.

    Attributes:
        name: The user part of our Contact, by which it is known.
        row: What it was told: the columns of ``uacreg`` that matter, as text.
        stands: Whether the carrier took it, and it has not run out.
    """

    name: str
    row: tuple[str, ...]
    stands: bool


def held(rpc: kamailio_rpc.Rpc) -> tuple[Registration, ...]:
    """The registrations Kamailio holds, sorted; none where it has nothing to do with them."""
    try:
        result = rpc.call("uac.reg_dump")
    except errors.EngineRefused:
        return ()
    found = []
    for entry in result if isinstance(result, list) else [result]:
        if isinstance(entry, dict) and "l_uuid" in entry:
            row = tuple(_text(entry.get(key)) for key in _FIELDS)
            stands = bool(int(str(entry.get("flags", 0))) & _ONLINE)
            found.append(Registration(name=row[0], row=row, stands=stands))
    return tuple(sorted(found, key=lambda each: each.name))


def _text(value: kamailio_rpc.Json) -> str:
    return "" if value is None else str(value)


def wait_loaded(rpc: kamailio_rpc.Rpc, count: int, *, seconds: float) -> None:
    """Wait until Kamailio has read *count* registrations: it answers a little before."""
    end = time.monotonic() + seconds
    while len(held(rpc)) < count and time.monotonic() < end:
        time.sleep(_POLL)


def take_back(rpc: kamailio_rpc.Rpc, names: Iterable[str]) -> None:
    """Tell carriers that these registrations are over, and wait a moment for them to know.

    A carrier that does not answer is left alone: the registration runs out by itself.
    """
    waited = set(names)
    for name in waited:
        try:
            rpc.call("uac.reg_unregister", "l_uuid", name)
        except errors.EngineRefused:
            continue
    end = time.monotonic() + _TAKE_BACK_SECONDS
    while waited and time.monotonic() < end:
        time.sleep(_POLL)
        waited &= {each.name for each in held(rpc) if each.stands}


def set_all(rpc: kamailio_rpc.Rpc, rows: Collection[tuple[str, ...]]) -> None:
    """Make these the registrations that are held; those that were among them before stay as is.

    One by one, because ``uac.reg_reload`` drops those that stand, and 6.0 refuses a second one
    within 30 s.

    Args:
        rpc: The running Kamailio.
        rows: As in :attr:`Registration.row`.

    Raises:
        EngineRefused: One of them was not taken.
    """
    before = held(rpc)
    leaving = [each for each in before if each.row not in rows]
    take_back(rpc, [each.name for each in leaving if each.stands])
    for each in leaving:
        rpc.call("uac.reg_remove", each.name)
    for row in sorted(set(rows) - {each.row for each in before}):
        name, user, domain, realm, auth_user, password, proxy, expires, contact, socket = row
        account = (name, user, domain, user, domain, realm, auth_user, password, ".", proxy)
        rpc.call("uac.reg_add", *account, int(expires), 0, 0, socket, contact)


def wait(rpc: kamailio_rpc.Rpc, *, seconds: float) -> tuple[str, ...]:
    """Wait until every registration stands; the names of those that do not, sorted."""
    end = time.monotonic() + seconds
    while True:
        missing = tuple(each.name for each in held(rpc) if not each.stands)
        if not missing or time.monotonic() > end:
            return missing
        time.sleep(_POLL)
