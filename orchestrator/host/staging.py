"""Write a generation beside the others, or put right one that lies there, its manifest last.

``store`` decides where, and is the only one who asks. What is made of the tables is made of those
of an earlier generation where that is quicker (``database``), and what is different is little.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

from orchestrator.host import access, database, files
from orchestrator.host import manifest as manifests
from orchestrator.render import generation as generations
from orchestrator.render import wanted


class Writer:
    """Whoever writes below the state directory: folders that are missing, and who may read.

    Args:
        state: The directory.
        accounts: The engines' users, who are let in; None where engines run as we do.
    """

    def __init__(self, state: Path, accounts: access.Accounts | None) -> None:
        self._state = state
        self._accounts = accounts

    def write(self, path: Path, content: bytes, *, secret: bool) -> None:
        """Write a whole file by rename, with the directories above it."""
        self._make_folders(path)
        files.write(path, content, self._of_file(path, secret=secret))

    def write_new(self, path: Path, content: bytes, *, secret: bool) -> None:
        """Write a file that is not there, in a folder that nobody looks at before it is whole."""
        self._make_folders(path)
        files.write_new(path, content, self._of_file(path, secret=secret))

    def put_right(self, path: Path, *, secret: bool) -> None:
        """Put right who may read a file, if it is there."""
        self._make_folders(path)
        with suppress(FileNotFoundError):
            files.put_right(path, self._of_file(path, secret=secret))

    def make_folder(self, path: Path) -> None:
        """Make a folder, or put right who may enter the one that is there."""
        place = path.relative_to(self._state)
        files.make_folder(path, access.of_folder(place, self._accounts))

    def _make_folders(self, path: Path) -> None:
        for folder in reversed(path.relative_to(self._state).parents):
            self.make_folder(self._state / folder)

    def _of_file(self, path: Path, *, secret: bool) -> access.Access:
        place = path.relative_to(self._state)
        return access.of_file(place, secret=secret, accounts=self._accounts)


def base_of(folder: Path, generation: generations.Generation) -> database.Base | None:
    """The tables of a generation that lies there as it was written; None when they do not.

    Args:
        folder: Where it lies.
        generation: Its files as they were read a moment ago, none of them drifted.
    """
    told = manifests.read(folder / manifests.NAME)
    try:
        content = (folder / wanted.DATABASE).read_bytes()
    except OSError:
        return None
    if told is None or hashlib.sha256(content).hexdigest() != told.database:
        return None
    return database.Base(wanted.tables_of(generation), content)


def write(
    writer: Writer,
    folder: Path,
    generation: generations.Generation,
    origin: str,
    base: database.Base | None,
) -> None:
    """Write a new one; its manifest, without which nobody looks at it, comes last."""
    if folder.exists():
        shutil.rmtree(folder)  # an earlier one that was never finished
    for file in generation.files:
        writer.write_new(folder / file.path, file.text.encode(), secret=file.secret)
    digests = (
        _write_origin(writer, folder, origin),
        _write_database(writer, folder, generation, base),
    )
    files.sync_directories(folder)
    told = manifests.as_json(generation, *digests)
    writer.write(folder / manifests.NAME, told, secret=True)
    files.sync(folder)
    files.sync(folder.parent)


def mend(
    writer: Writer,
    folder: Path,
    generation: generations.Generation,
    origin: str,
    known: manifests.Manifest,
) -> None:
    """Put its drifted files right, each by rename; where nothing drifted nothing is done."""
    drifted = [file for file in generation.files if _differs(folder / file.path, file)]
    for file in drifted:
        writer.write(folder / file.path, file.text.encode(), secret=file.secret)
    held = known.database
    # Of what an earlier sbcctl wrote nothing is known: its manifest has no digest of it.
    torn = wanted.reads_database(generation) and (
        bool(drifted) or not held or files.digest(folder / wanted.DATABASE) != held
    )
    if torn:
        held = _write_database(writer, folder, generation, None)
    # The one before stays until the manifest says another: a crash leaves the old or the new.
    told = _write_origin(writer, folder, origin or known.origin) or known.source, held
    if moved := told != (known.source, known.database):
        written = manifests.as_json(generation, *told)
        writer.write(folder / manifests.NAME, written, secret=True)
    if drifted or torn or moved:
        files.sync_directories(folder)
        files.sync(folder.parent)
    for path in folder.glob(f"{manifests.ORIGIN}*"):
        if path != manifests.origin_path(folder, told[0]):
            path.unlink()


def _write_origin(writer: Writer, folder: Path, origin: str) -> str:
    """Write down where a generation came from, unless that lies there; its digest."""
    if not origin:
        return ""
    content = origin.encode()
    digest = hashlib.sha256(content).hexdigest()
    path = manifests.origin_path(folder, digest)
    if files.digest(path) != digest:
        writer.write(path, content, secret=True)
    return digest


def _write_database(
    writer: Writer,
    folder: Path,
    generation: generations.Generation,
    base: database.Base | None,
) -> str:
    """What is made of the tables, where Kamailio reads that; its digest. It holds secrets."""
    content = database.made_of(generation, base)
    if content:
        writer.write(folder / wanted.DATABASE, content, secret=True)
    return hashlib.sha256(content).hexdigest() if content else ""


def _differs(path: Path, file: generations.File) -> bool:
    try:
        return path.read_bytes() != file.text.encode()
    except OSError:
        return True
