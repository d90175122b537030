"""``sbcctl status``: how the site is doing now."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from typing import TYPE_CHECKING

import click

from orchestrator import errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator import plan, status, use


_MOST_USE = 20
"""Lines about customers and trunks with limits; ten thousand may have some."""


@click.command("status")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show engines, trunks, the certificate and drift; exit 0 when all is well, else 1.

    Nothing is changed, and no lock is needed.
    """
    # Imported here: --help must not wait for pydantic, jinja2 and cryptography.
    from orchestrator import observe, status  # noqa: PLC0415
    from orchestrator.render import views  # noqa: PLC0415

    options: settings.Settings = ctx.obj
    machine = observe.Machine(
        paths=views.Paths(state=options.state_dir, run=options.run_dir),
        engine_root=options.engine_root,
        env=os.environ,
    )
    now = dt.datetime.now(dt.UTC)
    seen = status.look(machine)
    verdict = status.judge(seen, now)
    well = verdict.health is status.Health.HEALTHY
    code = errors.ExitCode.DONE if well else errors.ExitCode.FAILED
    options.console().result(
        "status", _text(seen, verdict, now), _fields(seen, verdict), exit_code=code
    )
    ctx.exit(code)


def _text(seen: status.Seen, verdict: status.Verdict, now: dt.datetime) -> str:
    lines = [_head(seen, verdict)]
    lines += [f"  ! {reason}" for reason in verdict.reasons]
    if seen.observed is None:
        return "\n".join(lines)
    lines += ["", f"{'TRUNK':<20}  {'STATE':<9}  ADDRESS"]
    lines += [f"{each.party:<20}  {each.condition:<9}  {each.uri}" for each in seen.reached]
    lines += ["", _engines(seen.observed)]
    held, shown = seen.observed.certificate.installed, seen.observed.kamailio
    if held is not None:
        lines.append(_certificate(held, shown.served, now))
    wire = dict(shown.served_own)
    lines += [_certificate(pair, wire.get(fqdn), now) for fqdn, pair in _own(seen.observed)]
    if seen.refused:
        lines += ["", f"{'REFUSED':<7}  {'BY':<16}  WHOSE"]
        lines += [f"{count:<7}  {why:<16}  {whose}" for whose, why, count in seen.refused]
    if seen.used:
        lines += ["", *use_lines(seen.used)]
    return "\n".join(lines)


def use_lines(found: tuple[use.Use, ...]) -> list[str]:
    """Who has least room, and how much the others have."""
    lines = [f"{'CALLS':<12}  {'MINUTES TODAY':<16}  WHOSE"]
    for each in found[:_MOST_USE]:
        limit, talked = each.limit, "-" if each.seconds is None else each.seconds // 60
        calls = _of(each.calls, limit.calls)
        lines.append(f"{calls:<12}  {_of(talked, limit.minutes):<16}  {limit.whose}")
    if rest := found[_MOST_USE:]:
        percent = f"{rest[0].share * 100:.0f} %"
        fullest = f"the fullest of them at {percent}" if rest[0].share else "all idle"
        lines.append(f"and {len(rest):,} more with limits, {fullest}; --output json tells all")
    return lines


def _of(used: object, most: int | None) -> str:
    return f"{used}" if most is None else f"{used} of {most}"


def _own(observed: plan.Observed) -> list[tuple[str, plan.Pair]]:
    """The certificates of tenants that a listener is there for."""
    shown = dict(observed.kamailio.served_own)
    return [(fqdn, pair) for fqdn, pair in observed.certificate.own if fqdn in shown]


def _certificate(held: plan.Pair, served: int | None, now: dt.datetime) -> str:
    days, same = (held.not_after - now).days, "yes" if served == held.serial else "no"
    return (
        f"CERTIFICATE  {', '.join(held.names)}, until {held.not_after:%Y-%m-%d}"
        f" ({days} days), disk = wire: {same}"
    )


def _head(seen: status.Seen, verdict: status.Verdict) -> str:
    what = f"generation {seen.name}" if seen.name else "no generation"
    since = f", {seen.last.command} {seen.last.time} by {seen.last.by}" if seen.last else ""
    return f"{seen.fqdn or 'this machine'}  {verdict.health.upper()}  {what}{since}"


def _engines(observed: plan.Observed) -> str:
    version = ".".join(map(str, observed.kamailio.version))
    kamailio = "answers" if observed.kamailio.answering else "does not answer"
    media = f"{observed.rtpengine.calls} calls" if observed.rtpengine.answering else "no answer"
    return f"ENGINES  Kamailio {version} {kamailio}; RTPEngine {media}"


def _fields(seen: status.Seen, verdict: status.Verdict) -> dict[str, object]:
    fields: dict[str, object] = {
        "health": str(verdict.health),
        "reasons": list(verdict.reasons),
        "generation": seen.name or None,
        "last_known_good": seen.good,
        "destinations": [dataclasses.asdict(each) for each in seen.reached],
        "drift": [
            {"kind": str(step.kind), "subject": step.subject, "reason": step.reason}
            for step in seen.drift
        ],
        "refused": [
            {"whose": whose, "by": why, "calls": count} for whose, why, count in seen.refused
        ],
        "use": [_use_fields(each) for each in seen.used],
        "unfinished": dataclasses.asdict(seen.unfinished) if seen.unfinished else None,
        "last_change": dataclasses.asdict(seen.last) if seen.last else None,
    }
    observed = seen.observed
    if observed is not None:
        held = observed.certificate.installed
        memory = seen.memory
        fields["kamailio"] = {
            "version": list(observed.kamailio.version),
            "running": observed.kamailio.running,
            "answering": observed.kamailio.answering,
            "shared_memory_percent": memory.percent if memory else None,
        }
        fields["rtpengine"] = {
            "running": observed.rtpengine.running,
            "answering": observed.rtpengine.answering,
            "calls": observed.rtpengine.calls,
        }
        fields["certificate"] = held and _certificate_fields(held, observed.kamailio.served)
        wire = dict(observed.kamailio.served_own)
        fields["own_certificates"] = {
            fqdn: _certificate_fields(pair, wire.get(fqdn)) for fqdn, pair in _own(observed)
        }
    return fields


def _use_fields(each: use.Use) -> dict[str, object]:
    return {
        "whose": each.limit.whose,
        "name": each.limit.name,
        "calls": each.calls,
        "most_calls": each.limit.calls,
        "minutes": None if each.seconds is None else round(each.seconds / 60, 1),
        "most_minutes": each.limit.minutes,
    }


def _certificate_fields(held: plan.Pair, served: int | None) -> dict[str, object]:
    return {
        "serial": f"{held.serial:x}",
        "names": list(held.names),
        "not_after": held.not_after.isoformat(),
        "served": held.serial == served,
    }
