"""``sbcctl doctor``: is this site ready for calls with Teams, as far as one can tell from here?"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
from typing import TYPE_CHECKING

import click

from orchestrator import console, errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator.doctor import finding
    from orchestrator.site import tree

_DNS_PORT = 53
_RESOLVER = re.compile(r"(?P<address>[0-9.]+)(?::(?P<port>[0-9]{1,5}))?")


class _Resolver(click.ParamType[tuple[str, int]]):
    """An IPv4 address, with a port or without."""

    name = "resolver"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Take ``192.0.2.53`` or ``192.0.2.53:5353`` apart."""
        if isinstance(value, tuple):
            return value
        found = _RESOLVER.fullmatch(str(value))
        try:
            address = str(ipaddress.IPv4Address(found["address"])) if found else ""
        except ValueError:
            address = ""
        port = int(found["port"] or _DNS_PORT) if found else 0
        if not address or not 0 < port < 65536:
            self.fail(f"{value} is no IPv4 address with or without a port", param, ctx)
        return address, port


@click.command("doctor")
@settings.site_argument
@click.option("--offline", is_flag=True, help="Ask nobody but this machine.")
@click.option(
    "--resolver",
    type=_Resolver(),
    metavar="ADDRESS[:PORT]",
    help="Ask this DNS server, not the machine's own: a public one sees what Microsoft sees.",
)
@click.option("--strict", is_flag=True, help="Exit 1 for warnings too.")
@click.option("--all", "whole", is_flag=True, help="Show what is in order as well.")
@click.pass_context
def command(
    ctx: click.Context,
    site: str,
    *,
    offline: bool,
    resolver: tuple[str, int] | None,
    strict: bool,
    whole: bool,
) -> None:
    """Check the names and certificates of SITE; exit 1 when calls with Teams would fail.

    Nothing is changed, and no lock is needed.
    """
    # Imported here: --help must not wait for pydantic, jinja2 and cryptography.
    from orchestrator import observe  # noqa: PLC0415
    from orchestrator.doctor import finding, judge, look  # noqa: PLC0415
    from orchestrator.render import views  # noqa: PLC0415
    from orchestrator.site import load  # noqa: PLC0415

    options: settings.Settings = ctx.obj
    if offline and resolver:
        raise errors.UsageError("--offline asks no resolver", hint="leave one of the two out")
    wanted, places = load.read_site(site)
    machine = observe.Machine(
        paths=views.Paths(state=options.state_dir, run=options.run_dir),
        engine_root=options.engine_root,
        env=os.environ,
    )
    seen = look.look(machine, wanted, look.Question(offline=offline, resolver=resolver))
    findings = judge.judge(wanted, seen, dt.datetime.now(dt.UTC))
    left = judge.not_checked(wanted, offline=offline, applied=seen.applied)
    failing = {finding.Level.PROBLEM, *([finding.Level.WARNING] if strict else [])}
    bad = any(each.level in failing for each in findings)
    code = errors.ExitCode.FAILED if bad else errors.ExitCode.DONE
    options.console().result(
        "doctor",
        _text(findings, places, left, whole=whole),
        {
            "level": str(finding.worst(findings)),
            "findings": [_as_json(each, places) for each in findings],
            "not_checked": list(left),
        },
        exit_code=code,
    )
    ctx.exit(code)


def _place(each: finding.Finding, places: tree.SourceMap) -> errors.Position | None:
    """Where in site.yaml it is decided: the value, or the nearest that was written above it."""
    if not each.path:
        return None
    found, node = places.find(each.path)
    if not found:
        return None
    return (places.key_position(found) if node.keys else None) or places.position(found)


def _text(
    findings: tuple[finding.Finding, ...],
    places: tree.SourceMap,
    left: tuple[str, ...],
    *,
    whole: bool,
) -> str:
    lines = []
    for each in findings:
        if each.level == "ok" and not whole:
            continue
        lines.append(f"  {each.level.upper():<8} {each.check:<10} {console.visible(each.seen)}")
        if each.do:
            lines.append(f"{'do:':>14}       {console.visible(each.do)}")
        if each.level != "ok" and (place := _place(each, places)):
            lines.append(f"{'at:':>14}       {console.visible(str(place))} {_dotted(each)}")
    lines += [f"not checked: {', '.join(left)}", _verdict(findings)]
    return "\n".join(lines)


def _dotted(each: finding.Finding) -> str:
    return ".".join(str(part) for part in each.path)


def _verdict(findings: tuple[finding.Finding, ...]) -> str:
    counts = {
        level: sum(1 for each in findings if each.level == level)
        for level in ("ok", "hint", "warning", "problem")
    }
    told = ", ".join(
        f"{count} {level}{'s' if count != 1 and level != 'ok' else ''}"
        for level, count in counts.items()
        if count
    )
    ready = "NOT READY for calls with Teams" if counts["problem"] else "nothing stands in the way"
    return f"{len(findings)} findings: {told}. {ready}."


def _as_json(each: finding.Finding, places: tree.SourceMap) -> dict[str, object]:
    place = _place(each, places)
    return {
        "check": each.check,
        "level": str(each.level),
        "seen": each.seen,
        "do": each.do,
        "path": list(each.path),
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
    }
