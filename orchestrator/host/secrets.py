"""Turn the references to secrets in site.yaml into the secrets; no message ever shows one."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from orchestrator import errors
from orchestrator.host import process
from orchestrator.site import model

_COMMAND_SECONDS = 20.0


def resolve(secret: model.Secret, *, what: str, env: Mapping[str, str]) -> str:
    """Return the secret that a reference stands for: the first line of what it names.

    Args:
        secret: The reference.
        what: Where it stands in site.yaml, for messages: ``phones.users.reception.password``.
        env: The environment, as given to the command line.

    Raises:
        HostError: It cannot be read, is empty or is open to others; the value is never shown.
    """
    if secret.env is not None:
        text = _of_environment(secret.env, what, env)
    elif secret.file is not None:
        text = _of_file(Path(secret.file), what)
    elif secret.credential is not None:
        text = _of_credential(secret.credential, what, env)
    else:
        text = _of_command(secret.command or (), what)
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise errors.HostError(
            f"the secret of {what} is empty", hint="its first line must hold the secret"
        )
    return line


def _of_environment(name: str, what: str, env: Mapping[str, str]) -> str:
    if name not in env:
        raise errors.HostError(
            f"{what} refers to the environment variable {name}, which is not set",
            hint=f"set it for this command, for example: {name}=... sbcctl apply site.yaml",
        )
    return env[name]


def _of_credential(name: str, what: str, env: Mapping[str, str]) -> str:
    folder = env.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise errors.HostError(
            f"{what} refers to the credential {name}, but systemd passed no credentials",
            hint=f"run sbcctl in a unit with LoadCredential={name}:..., or use file: or env:",
        )
    return _of_file(Path(folder) / name, what)


def _of_file(path: Path, what: str) -> str:
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise errors.HostError(
                f"{path} holds the secret of {what} and is open to others"
                f" (mode {stat.S_IMODE(mode):04o})",
                hint=f"chmod 600 {path}",
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise errors.HostError(
            f"cannot read {path}, which {what} refers to: {error.strerror}",
            hint="the path must exist and be readable by the user who runs sbcctl",
        ) from error
    except UnicodeDecodeError as error:
        raise errors.HostError(
            f"{path}, which {what} refers to, is not UTF-8 text",
            hint="the first line of the file is the secret",
        ) from error


def _of_command(argv: tuple[str, ...], what: str) -> str:
    ran = process.run(argv, timeout=_COMMAND_SECONDS)
    if ran.code != 0:
        said = ran.err.strip().splitlines()
        raise errors.HostError(
            f"the command of {what} ended with exit code {ran.code}"
            + (f": {said[-1]}" if said else ""),
            hint=f"run it by hand: {os.path.basename(argv[0])} ...",  # noqa: PTH119 - a word
        )
    return ran.out
