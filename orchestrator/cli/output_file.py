"""Files that an operator asks a verb for: written whole or not at all, over nothing unasked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator import console, errors

_MODE = 0o644


def write(out: str, text: str, *, replaces: Callable[[Path], bool], hint: str) -> None:
    """Write *text* to the file *out* by rename; everybody may read it.

    Args:
        out: The path as the operator wrote it.
        text: The whole content.
        replaces: Whether the file that is there may be replaced.
        hint: What to do when it may not be.

    Raises:
        errors.UsageError: The file has the name of an output, and was hardly meant.
        errors.HostError: There is another file, or this one cannot be written.
    """
    from orchestrator.host import access, files  # noqa: PLC0415 - verbs are cheap to import

    if out in list(console.Output):
        raise errors.UsageError(
            f"a file is named here, and {out} is an output",
            hint=f"write --output {out}, or ./{out} for a file of that name",
        )
    path = Path(out)
    try:
        if (path.is_symlink() or path.exists()) and not replaces(path):
            raise errors.HostError(f"{path} exists, nothing was written", hint=hint)
        files.write(path, text.encode(), access.Access(mode=_MODE))
    except OSError as error:
        raise errors.HostError(
            f"{path} cannot be written: {error.strerror}",
            hint="name a file in a directory that you may write to",
        ) from error
