"""``sbcctl version``: what runs here, and which engines it would drive."""

from __future__ import annotations

import platform

import click

from orchestrator import console, errors
from orchestrator.cli import settings
from orchestrator.engines import kamailio, rtpengine
from orchestrator.host import process


@click.command("version")
@click.pass_obj
def command(options: settings.Settings) -> None:
    """Show the versions of sbcctl, of Python and of the engines.

    An engine that is missing is no failure: `apply` is the one that needs it.
    """
    python = platform.python_version()
    root = process.EngineRoot(options.engine_root) if options.engine_root else None
    found = {"kamailio": _kamailio(root), "rtpengine": _rtpengine(root)}
    lines = [f"sbcctl {console.VERSION} (Python {python})"]
    lines += [f"{name} {version or 'not found'}" for name, version in found.items()]
    options.console().result("version", "\n".join(lines), {"python": python, "engines": found})


def _kamailio(root: process.EngineRoot | None) -> str | None:
    try:
        program = kamailio.probe_facts(root)
    except errors.SbcctlError:
        return None
    return _dotted(program.version)


def _rtpengine(root: process.EngineRoot | None) -> str | None:
    try:
        return _dotted(rtpengine.probe_version(root))
    except errors.SbcctlError:
        return None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
