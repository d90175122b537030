"""Who may read what below the state and run directories, and the users the engines run as.

Where systemd runs, it starts each engine as a user of its own (the one Debian's package makes),
and that user may read what its engine needs and nothing else. Elsewhere (lab, containers, engine
roots) the engines run as whoever runs sbcctl, and nobody else may read anything:

======================================  =============  ===========================
what                                    one user       engines' own users
======================================  =============  ===========================
the state directory, generations, each  0750           0711, to pass through
kamailio/ of a generation               0750           0750, group kamailio
rtpengine/ of a generation              0750           0750, group rtpengine
certificates                            0750           0750, group kamailio
a secret file among these, key.pem      0600           0640, the same group
the run directory                       0750           0755, to pass through
kamailio/ of the run directory          0750           0750, owner kamailio
keys, acme, log, units, manifests       nobody else    nobody else
======================================  =============  ===========================

sbcctl writes nothing in a directory an engine owns: an engine that was taken over could turn
such a write against the rest of the machine.
"""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass
from pathlib import PurePath

from orchestrator import errors
from orchestrator.host import process
from orchestrator.render import units

_OURS = ("keys", "acme")
_ASKING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine with its group, as numbers."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Accounts:
    """The users the engines run as."""

    kamailio: Account
    rtpengine: Account


@dataclass(frozen=True, slots=True)
class Access:
    """What a file or directory gets.

    Attributes:
        mode: Permission bits.
        gid: Group; None leaves it as it is.
        uid: Owner; None leaves it as it is.
    """

    mode: int
    gid: int | None = None
    uid: int | None = None


def find_accounts() -> Accounts:
    """The users that the rendered units name.

    Raises:
        HostError: One is missing; the hint names the Debian package that makes it.
    """
    return Accounts(
        kamailio=find_account(units.KAMAILIO_USER), rtpengine=find_account(units.RTPENGINE_USER)
    )


def find_account(name: str) -> Account:
    """The user and the group of that name.

    Raises:
        HostError: One is missing; the hint names the Debian package that makes it.
    """
    try:
        return Account(uid=pwd.getpwnam(name).pw_uid, gid=grp.getgrnam(name).gr_gid)
    except KeyError as error:
        package = process.PACKAGES.get(name, name)
        raise errors.HostError(
            f"this machine has no user and group {name}, as which systemd would start it",
            hint=f"install it: apt-get install {package}",
        ) from error


def may_read(account: Account, path: str) -> bool:
    """Whether that user, without any privilege, can read a file; asked of the system itself."""
    become = (f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups")
    ran = process.run(["setpriv", *become, "test", "-r", path], timeout=_ASKING_SECONDS)
    return ran.code == 0


def of_folder(place: PurePath, accounts: Accounts | None) -> Access:
    """What the directory at *place*, relative to the state directory, gets."""
    if place.parts[:1] and place.parts[0] in _OURS:
        return Access(0o700)
    if accounts is None:
        return Access(0o750)
    reader = _reader(place, accounts)
    if reader is not None:
        return Access(0o750, gid=reader.gid)
    passage = place.parts[:1] in ((), ("generations",)) and len(place.parts) < 3
    return Access(0o711 if passage else 0o750)


def of_file(place: PurePath, *, secret: bool, accounts: Accounts | None) -> Access:
    """What the file at *place*, relative to the state directory, gets.

    A file that is no secret is protected by its directory.
    """
    if not secret:
        return Access(0o644)
    reader = _reader(place, accounts) if accounts else None
    return Access(0o600) if reader is None else Access(0o640, gid=reader.gid)


def of_run(accounts: Accounts | None) -> Access:
    """What the run directory gets."""
    return Access(0o750 if accounts is None else 0o755)


def of_kamailio_run(accounts: Accounts | None) -> Access:
    """What Kamailio's own directory in the run directory gets."""
    if accounts is None:
        return Access(0o750)
    return Access(0o750, uid=accounts.kamailio.uid, gid=accounts.kamailio.gid)


def _reader(place: PurePath, accounts: Accounts) -> Account | None:
    """Whose engine reads what lies at *place*."""
    match place.parts:
        case ("certificates", *_) | ("generations", _, "kamailio", *_):
            return accounts.kamailio
        case ("generations", _, "rtpengine", *_):
            return accounts.rtpengine
        case _:
            return None
