"""The state directory: lock, generations, certificates, keys. The only place that writes it.

Its rules:

1. One holder at a time: an flock that the kernel frees when its holder dies; the file names the
   holder, for the sentence the next one prints.
2. A generation is written beside, file by file with fsync, its ``manifest.json`` last. What has
   no manifest was never finished and is never used.
3. ``current``, ``last-known-good`` and ``certificates/current`` are symbolic links, changed by
   renaming a new link over the old one: a crash leaves the old or the new one, nothing between.
4. Files are read back by their digests; a file somebody edited is drift and never goes unseen.
5. Writing what is there already writes nothing.
6. Who may read what is decided in ``access`` and put right under the lock, also for what an
   earlier sbcctl wrote.

The rendered text refers to files as ``STATE/current/...`` and
``STATE/certificates/current/{chain,key}.pem``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator import errors
from orchestrator.host import access, files, pairs, staging
from orchestrator.host import manifest as manifests
from orchestrator.render import generation as generations
from orchestrator.render import wanted

_NAME_LENGTH, _LOCK_POLL = 12, 0.05
_MANIFEST, _TABLES = manifests.NAME, "kamailio/tables"


@dataclass(frozen=True, slots=True)
class Stored:
    """A generation as found on disk.

    Attributes:
        name: Its directory's name, the first 12 digits of its digest.
        digest: Digest of what was written.
        generation: What lies there now.
        drifted: Paths of files that are no longer what was written, sorted.
        missing: Those of them that are not there at all, or cannot be read.
        written: Path and digest of every file as it was written.
    """

    name: str
    digest: str
    generation: generations.Generation
    drifted: tuple[str, ...]
    missing: tuple[str, ...] = ()
    written: tuple[tuple[str, str], ...] = ()


class Store:
    """One state directory.

    Every method that writes raises HostError, which names the path and what to do.

    Args:
        state: The directory.
        accounts: The engines' users, who are let in; None where engines run as we do.
    """

    def __init__(self, state: Path, accounts: access.Accounts | None) -> None:
        self.state = state
        self._writer = staging.Writer(state, accounts)

    def prepare(self) -> None:
        """Make the directories that are missing, and put right who may enter them."""
        with files.translated(self.state, "write"):
            for name in ("", "generations", "certificates", "keys", "acme", "log"):
                self._writer.make_folder(self.state / name)
                if not os.access(self.state, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, "Permission denied", str(self.state))

    @contextmanager
    def lock(self, *, timeout: float, command: str) -> Iterator[None]:
        """Hold the lock; blocks for at most ``timeout`` seconds.

        Raises:
            LockHeld: Another process holds it; the message names it.
        """
        path = self.state / "lock"
        with files.translated(path, "write"):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        try:
            self._acquire(handle, timeout)
            with files.translated(path, "write"):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()} {command}\n".encode(), 0)
            yield
        finally:
            os.close(handle)

    def _acquire(self, handle: int, timeout: float) -> None:
        end = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    pid, _, command = os.pread(handle, 400, 0).decode().strip().partition(" ")
                    # The holder writes its name once, when it gets the lock.
                    written = time.gmtime(os.fstat(handle).st_mtime)
                    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", written)
                    raise errors.LockHeld(
                        f"another sbcctl works on {self.state}: process {pid or '?'}"
                        f" ({command or 'unknown'}), since {since}",
                        hint="wait for it to end, or use --lock-timeout SECONDS",
                    ) from None
                time.sleep(_LOCK_POLL)
            else:
                return

    def put_right(self) -> None:
        """Put right who may read what lies here; what is right already is not touched."""
        with files.translated(self.state, "set who may read"):
            for folder in sorted((self.state / "generations").iterdir()):
                if (manifest := self._manifest(folder.name)) is None:
                    continue
                self._writer.put_right(folder / _MANIFEST, secret=True)
                for entry in manifest.files:
                    self._writer.put_right(folder / entry.path, secret=entry.secret)
                self._writer.put_right(folder / wanted.DATABASE, secret=True)
                if manifest.source:
                    origin = manifests.origin_path(folder, manifest.source)
                    self._writer.put_right(origin, secret=True)
            for folder in sorted((self.state / "certificates").iterdir()):
                for path in () if folder.is_symlink() else pairs.found(folder):
                    self._writer.put_right(path, secret=path.name.endswith(pairs.KEY))

    # -- generations ------------------------------------------------------------------------

    def stage(
        self, generation: generations.Generation, origin: str = "", last: Stored | None = None
    ) -> str:
        """Write a generation beside the others and return its name; nothing uses it yet.

        Its manifest remembers *origin*, a text about where it came from. *last* is one that lies
        here, from which what is the same may be taken.

        Where the same generation lies already, only its drifted files are put right, each by
        rename, so that a current one is never without a file. A new one that comes to nothing
        leaves nothing.
        """
        name = generation.digest[:_NAME_LENGTH]
        folder = self.state / "generations" / name
        with files.translated(folder, "write"), files.removed_unless_whole(folder, self.current()):
            known = self._manifest(name)
            if known is not None:
                staging.mend(self._writer, folder, generation, origin, known)
            else:
                base = None
                if last is not None and not last.drifted:
                    base = staging.base_of(folder.with_name(last.name), last.generation)
                staging.write(self._writer, folder, generation, origin, base)
        return name

    def load(self, name: str) -> Stored | None:
        """Read a generation back; None when it is not there or was never finished."""
        manifest = self._manifest(name)
        if manifest is None:
            return None
        found = manifests.look(self.state / "generations" / name, manifest)
        return Stored(
            name=name,
            digest=manifest.digest,
            generation=found.generation,
            drifted=found.drifted,
            missing=found.missing,
            written=tuple((entry.path, entry.sha256) for entry in manifest.files),
        )

    def origin(self, name: str) -> str:
        """What was said about where a generation came from; empty when nothing is known."""
        manifest = self._manifest(name)
        folder = self.state / "generations" / name
        return manifests.read_origin(folder, manifest) if manifest else ""

    def names(self) -> tuple[str, ...]:
        """Names of all generations, finished or not, sorted."""
        with files.translated(self.state, "read"):
            return tuple(sorted(path.name for path in (self.state / "generations").iterdir()))

    def current(self) -> str | None:
        """Name of the committed generation."""
        return _target(self.state / "current")

    def last_known_good(self) -> str | None:
        """Name of the generation that was last observed to work."""
        return _target(self.state / "last-known-good")

    def commit(self, name: str | None) -> None:
        """Make a staged generation the current one; None leaves no current one.

        Its tables become newer, in whole seconds, than those of the generation before: Kamailio's
        db_text reads one again only then, also on the way back to an older generation.
        """
        if name is not None:
            self._stamp(self.state / "generations" / name)
        self._link("current", None if name is None else f"generations/{name}")

    def mark_good(self, name: str | None) -> None:
        """Remember that this generation was observed to work; None: that none was."""
        if self.last_known_good() != name:
            self._link("last-known-good", None if name is None else f"generations/{name}")

    def discard(self, name: str) -> None:
        """Remove a staged generation that came to nothing; one in use stays."""
        if name not in (self.current(), self.last_known_good()):
            shutil.rmtree(self.state / "generations" / name, ignore_errors=True)

    # -- certificates and keys --------------------------------------------------------------

    def install_certificate(
        self, chain: bytes, key: bytes, own: Mapping[str, pairs.Pair] = pairs.NO_OTHERS
    ) -> str:
        """Lay a certificate and those of tenants beside the others, unused yet; its name."""
        name = pairs.digest(chain, own)[:_NAME_LENGTH]
        folder = self.state / "certificates" / name
        with (
            files.translated(folder, "write"),
            files.removed_unless_whole(folder, self.certificate()),
        ):
            for file, content, secret in pairs.contents((chain, key), own):
                if not (folder / file).exists() or (folder / file).read_bytes() != content:
                    self._writer.write(folder / file, content, secret=secret)
            files.sync(folder)
            files.sync(folder.parent)
        return name

    def certificate(self) -> str | None:
        """Name of the certificate in use."""
        return _target(self.state / "certificates" / "current")

    def certificates(self) -> tuple[str, ...]:
        """Names of all certificates that lie here, sorted."""
        with files.translated(self.state, "read"):
            folders = (self.state / "certificates").iterdir()
            return tuple(sorted(path.name for path in folders if not path.is_symlink()))

    def read_certificate(self, name: str) -> tuple[bytes, bytes] | None:
        """Chain and key of an installed certificate; None when a file is missing."""
        return pairs.read(self.state / "certificates" / name)

    def own_certificates(self, name: str) -> dict[str, pairs.Pair]:
        """Chain and key of each tenant that has its own beside an installed certificate."""
        return pairs.read_own(self.state / "certificates" / name)

    def commit_certificate(self, name: str | None) -> None:
        """Make an installed certificate the one to serve; None leaves none.

        The one before is stamped with the moment, because the last one in use is kept.
        """
        if (before := self.certificate()) not in (None, name):
            with suppress(FileNotFoundError), files.translated(self.state, "stamp"):
                os.utime(self.state / "certificates" / str(before))
        self._link("certificates/current", name)

    def contact_key(self) -> str:
        """The key that signs hidden Contacts: made once, then always the same."""
        path = self.state / "keys" / "contact"
        with files.translated(path, "write"):
            if not path.exists():
                self._writer.write(path, f"{secrets.token_hex(32)}\n".encode(), secret=True)
                files.sync(path.parent)
            return path.read_text(encoding="ascii").strip()

    def known_contact_key(self) -> str | None:
        """The key that signs hidden Contacts; None before it was made."""
        try:
            return (self.state / "keys" / "contact").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise errors.HostError(
                f"{self.state}/keys/contact cannot be read", hint="run sbcctl as root"
            ) from error

    # -- doing ------------------------------------------------------------------------------

    def _stamp(self, folder: Path) -> None:
        before = self.state / "current" / _MANIFEST
        with files.translated(folder, "stamp"):
            newest = int(before.stat().st_mtime) if before.exists() else 0
            stamp = max(int(time.time()), newest + 1)
            for path in (*(folder / _TABLES).glob("*"), folder / _MANIFEST):
                os.utime(path, (stamp, stamp))

    def _manifest(self, name: str) -> manifests.Manifest | None:
        return manifests.read(self.state / "generations" / name / _MANIFEST)

    def _link(self, name: str, target: str | None) -> None:
        path = self.state / name
        with files.translated(path, "switch"):
            if target is None:
                path.unlink(missing_ok=True)
            else:
                beside = path.with_name(f".{path.name}.new")
                beside.unlink(missing_ok=True)
                beside.symlink_to(target)
                beside.replace(path)
            files.sync(path.parent)


def _target(link: Path) -> str | None:
    try:
        return os.path.basename(os.readlink(link))  # noqa: PTH115, PTH119 - a word, not a path
    except OSError:
        return None
