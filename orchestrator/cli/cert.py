"""``sbcctl cert``: the certificate Teams sees; shown, renewed, and put in by hand."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator import errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator import certificates, observe, renewal
    from orchestrator.apply import renew


_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
"""Let's Encrypt's CA for tests; nobody trusts it, and its limits are generous."""


@click.group("cert")
def command() -> None:
    """The certificate that Teams sees: what there is, and what happens next.

    These verbs work on what was applied on this machine, not on what site.yaml says by now.
    """


@command.command("list")
@click.pass_context
def list_all(ctx: click.Context) -> None:
    """Show the certificates on disk against the one on the wire; exit 1 when that needs somebody.

    Nothing is changed, no CA is asked, and no lock is needed.
    """
    from orchestrator import certificates  # noqa: PLC0415 - --help must not wait for it

    options: settings.Settings = ctx.obj
    now = dt.datetime.now(dt.UTC)
    seen = certificates.look(_machine(options), now)
    code = errors.ExitCode.DONE if seen.well else errors.ExitCode.FAILED
    fields = {
        **_fields(seen),
        "certificates": [_held_fields(each, seen, now) for each in seen.held],
        "own_certificates": [_own_fields(each, seen, now) for each in seen.own],
    }
    options.console().result("cert-list", _list_text(seen, now), fields, exit_code=code)
    ctx.exit(code)


@command.command("show")
@click.argument("name", metavar="[NAME]", required=False)
@click.pass_obj
def show(options: settings.Settings, name: str | None) -> None:
    """Show one certificate with its chain: the one in use, or NAME as `cert list` calls it."""
    from orchestrator import certificates  # noqa: PLC0415 - --help must not wait for it

    now = dt.datetime.now(dt.UTC)
    seen = certificates.look(_machine(options), now)
    held = _chosen(seen, name)
    fields = {**_fields(seen), "certificate": _held_fields(held, seen, now)}
    options.console().result("cert-show", _show_text(held, seen, now), fields)


@command.command("renew")
@settings.lock_timeout_option
@click.option(
    "--force",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Renew although it is not due: teams.fqdn's, or that of a tenant by its name.",
)
@click.option(
    "--staging",
    is_flag=False,
    flag_value=_STAGING,
    metavar="[DIRECTORY]",
    help="Try the whole way at a CA for tests (Let's Encrypt's) and install nothing.",
)
@click.pass_obj
def renew_now(
    options: settings.Settings, lock_timeout: float, force: str | None, staging: str | None
) -> None:
    """Renew each certificate when it is time; says nothing when nothing is due.

    Meant for cron or a timer, twice a day. A new pair is proven, installed, and seen on the wire,
    or the old one is put back. New files of site.yaml are taken as well.
    """
    from orchestrator.apply import renew  # noqa: PLC0415 - --help must not wait for it

    console = options.console()
    if staging is not None:
        serial = renew.rehearse(_machine(options), console, staging, lock_timeout=lock_timeout)
        said = (
            f"{staging} gave a certificate that could serve (serial {serial}); it is thrown away"
        )
        console.result("cert-renew", said, {"changed": False, "serial": serial})
        return
    machine = _machine(options)
    if force == "":
        force = renew.applied(machine).site.teams.fqdn
    done = renew.renew(machine, console, lock_timeout=lock_timeout, force=force)
    for warning in done.warnings:
        console.say(f"warning: {warning}")
    if done.steps or options.output != "text":
        console.result("cert-renew", _done_text(done), _done_fields(done))


@command.command("deploy")
@click.argument("files", metavar="[CHAIN KEY]", nargs=-1)
@settings.lock_timeout_option
@click.option("--test", "only", is_flag=True, help="Prove the pair and change nothing.")
@click.pass_obj
def deploy(
    options: settings.Settings, files: tuple[str, ...], lock_timeout: float, *, only: bool
) -> None:
    """Prove the pair in the files that site.yaml names, and install it.

    With --test any pair can be proven: CHAIN and KEY are two PEM files.
    """
    from orchestrator import observe, proof  # noqa: PLC0415 - --help must not wait for it
    from orchestrator.apply import renew  # noqa: PLC0415

    machine, console = _machine(options), options.console()
    site = renew.applied(machine).site
    named = site.certificate.files
    if len(files) not in (0, 2) or (files and not only):
        raise errors.UsageError(
            "CHAIN and KEY are two files, and are proven with --test only",
            hint="what is installed are the files that certificate.files names",
        )
    if not files and named is None:
        raise errors.UsageError(
            "this site obtains its certificate by ACME, so there are no files to install",
            hint="sbcctl cert renew renews it; certificate.files in site.yaml names files",
        )
    if not only:
        done = renew.renew(machine, console, lock_timeout=lock_timeout)
        console.result("cert-deploy", _done_text(done), _done_fields(done))
        return
    chain, key = files or (named.chain, named.key) if named else files
    offer = observe.Offer(_read(chain), _read(key))
    if faults := renew.prove(site, offer):
        raise errors.EngineRefused(
            f"{chain} cannot serve {site.teams.fqdn}",
            words="\n".join(faults),
            hint="nothing was changed; the certificate in use goes on",
        )
    remarks = proof.find_remarks(offer.chain, roots=observe.known_roots())
    for remark in remarks:
        console.say(f"warning: {remark}")
    serial = renew.serial_of(offer)
    said = f"{chain} can serve {site.teams.fqdn} (serial {serial}); nothing was changed"
    console.result("cert-deploy", said, {"serial": serial, "remarks": list(remarks)})


def _machine(options: settings.Settings) -> observe.Machine:
    from orchestrator import observe  # noqa: PLC0415 - --help must not wait for it
    from orchestrator.render import views  # noqa: PLC0415

    return observe.Machine(
        paths=views.Paths(state=options.state_dir, run=options.run_dir),
        engine_root=options.engine_root,
        env=os.environ,
    )


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise errors.HostError(
            f"cannot read {path}: {error.strerror}", hint="name two PEM files, the chain first"
        ) from error


def _chosen(seen: certificates.Seen, name: str | None) -> certificates.Held:
    fitting = [each for each in seen.held if (each.name.startswith(name) if name else each.in_use)]
    if len(fitting) == 1:
        return fitting[0]
    raise errors.UsageError(
        f"there is no one certificate {name}" if name else "no certificate is in use",
        hint="sbcctl cert list shows those that are there",
    )


# -- for humans -------------------------------------------------------------------------------


def _days(held: certificates.Held, now: dt.datetime) -> int:
    return (held.end - now).days


def _state(held: certificates.Held, seen: certificates.Seen) -> str:
    if not held.in_use:
        return "kept"
    return "served" if held.serial == seen.served else "not served"


def _list_text(seen: certificates.Seen, now: dt.datetime) -> str:
    head = f"{'NAME':<12}  {'STATE':<10}  {'DAYS':>4}  {'UNTIL':<10}  {'KEY':<8}"
    lines = [f"{head}  ISSUER, USAGE, NAMES"]
    for held in seen.held:
        rest = f"{held.chain[0].issuer}, {' '.join(held.usages)}, {' '.join(held.names)}"
        lines.append(
            f"{held.name:<12}  {_state(held, seen):<10}  {_days(held, now):>4}"
            f"  {held.end:%Y-%m-%d}  {held.key:<8}  {rest}"
        )
    for own in seen.own:
        state = "served" if own.serial == seen.wire.get(own.name) else "not served"
        lines.append(
            f"{'tenant':<12}  {state:<10}  {_days(own, now):>4}  {own.end:%Y-%m-%d}  {own.key:<8}"
            f"  {own.chain[0].issuer}, {' '.join(own.usages)}, {' '.join(own.names)}"
        )
    lines += _verdict(seen, now)
    return "\n".join(lines)


def _verdict(seen: certificates.Seen, now: dt.datetime) -> list[str]:
    used = seen.held[0] if seen.held and seen.held[0].in_use else None
    same = "yes" if used and used.serial == seen.served else "no"
    why = f" ({seen.silence})" if seen.silence else ""
    lines = [f"disk = wire: {same}{why}", f"next: {seen.next_step}"]
    lines += [
        f"next for {own.name}: {seen.next_of(own, now)}"
        for own in seen.own
        if own.name in seen.decisions
    ]
    lines += [f"! {fault}" for fault in (used.faults if used else ("no certificate is in use",))]
    lines += [f"! {name} cannot be read" for name in seen.broken]
    lines += [f"! {own.name}: {fault}" for own in seen.own for fault in own.faults]
    return lines


def _show_text(held: certificates.Held, seen: certificates.Seen, now: dt.datetime) -> str:
    days = _days(held, now)
    valid = f"{held.begin:%Y-%m-%d %H:%M}Z to {held.end:%Y-%m-%d %H:%M}Z"
    lines = [
        f"certificate {held.name}  {_state(held, seen)}",
        f"  names        {', '.join(held.names)}",
        f"  valid        {valid} ({days} days left)",
        f"  key          {held.key}",
        f"  usage        {', '.join(held.usages)}",
        f"  serial       {held.serial}",
        f"  root         {held.root or 'none that this machine knows'}",
        f"  source       {', '.join(seen.source)}",
    ]
    for number, link in enumerate(held.chain):
        begins = "chain" if number == 0 else ""
        until = f"{link.key}, until {link.end:%Y-%m-%d}, by {link.issuer}"
        lines += [
            f"  {begins:<12} {link.subject}, {until}",
            f"               SHA-256 {link.fingerprint}",
        ]
    if held.in_use:
        lines.append(f"  next         {seen.next_step}")
    lines += [f"  ! {each}" for each in (*held.faults, *held.remarks)]
    return "\n".join(lines)


def _done_text(done: renew.Renewed) -> str:
    if not done.steps:
        return "nothing to do: the certificate in use is the one there is"
    kinds = ", ".join(str(step.kind) for step in done.steps)
    return f"a new certificate serves ({kinds})"


# -- for programs -----------------------------------------------------------------------------


def _fields(seen: certificates.Seen) -> dict[str, object]:
    return {
        "fqdn": seen.fqdn,
        "source": list(seen.source),
        "served": seen.served or None,
        "well": seen.well,
        "next": seen.next_step,
        "decision": _decision_fields(seen.decision),
        "unreadable": list(seen.broken),
    }


def _decision_fields(decided: renewal.Decision | None) -> dict[str, str] | None:
    if decided is None:
        return None
    return {"do": str(decided.do), "at": decided.at.isoformat(), "why": decided.why}


def _held_fields(
    held: certificates.Held, seen: certificates.Seen, now: dt.datetime
) -> dict[str, object]:
    fields = dataclasses.asdict(held)
    for part in (fields, *fields["chain"]):
        part["begin"], part["end"] = part["begin"].isoformat(), part["end"].isoformat()
    return {**fields, "days_left": _days(held, now), "on_wire": held.serial == seen.served}


def _own_fields(
    own: certificates.Held, seen: certificates.Seen, now: dt.datetime
) -> dict[str, object]:
    return {
        **_held_fields(own, seen, now),
        "on_wire": own.serial == seen.wire.get(own.name),
        "next": seen.next_of(own, now),
        "decision": _decision_fields(seen.decisions.get(own.name)),
    }


def _done_fields(done: renew.Renewed) -> dict[str, object]:
    from orchestrator.cli import plan_text  # noqa: PLC0415 - only for programs

    return {
        "changed": bool(done.steps),
        "steps": [plan_text.step_as_json(step) for step in done.steps],
        "warnings": list(done.warnings),
        "decision": _decision_fields(done.decision),
        "own_decisions": {name: _decision_fields(each) for name, each in done.own},
    }
