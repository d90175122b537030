"""``sbcctl route``: where calls go. Nothing but site.yaml is read, no engine is asked."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import click

from orchestrator import errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator.render import explain as explaining
    from orchestrator.render import routes as tables
    from orchestrator.site import model, routes, tree

_NUMBER = re.compile(r"\+?[0-9]+")
_DIALLED = re.compile(r"[A-Za-z0-9+*#._-]{1,64}(;ext=[0-9]{1,15})?")


@click.group("route")
def command() -> None:
    """Where calls go: the routes of site.yaml, and what phones and trunks imply."""


@command.command("explain")
@settings.site_argument
@click.option(
    "--from",
    "source",
    required=True,
    metavar="PARTY",
    help="Who calls: teams, phone, phone:USER or the name of a trunk.",
)
@click.option("--to", "dialled", required=True, metavar="NUMBER", help="What is dialled.")
@click.option(
    "--tenant",
    metavar="NAME",
    default="",
    help="Of a call from Teams: whose it is, by name or fqdn.",
)
@click.pass_obj
def explain_call(
    options: settings.Settings, site: str, source: str, dialled: str, tenant: str
) -> None:
    """Say where a call through the site in the file SITE (- is standard input) goes, and why.

    The answer comes from the same rows that Kamailio walks for each call.
    """
    from orchestrator.render import explain  # noqa: PLC0415 - the verb is cheap to import
    from orchestrator.site import load  # noqa: PLC0415

    wanted, places = load.read_site(site)
    party = _party(wanted, source)
    if not _DIALLED.fullmatch(dialled):
        raise errors.UsageError(
            f"{dialled!r} cannot be dialled",
            hint="a number is written without blanks: +493055500; a SIP user name is possible too",
        )
    tenant = _tenant(wanted, party, tenant)
    told = explain.explain(wanted, party, dialled, tenant=tenant)
    voice = options.console()
    voice.result("route-explain", _text(told, wanted, places), _fields(told, wanted, places))


def _party(site: model.Site, text: str) -> str:
    """The party the operator means by *text*.

    Raises:
        errors.UsageError: There is no such party.
    """
    from orchestrator.render import explain  # noqa: PLC0415
    from orchestrator.site import routes  # noqa: PLC0415

    parties = routes.parties_of(site)
    head, _, user = text.partition(":")
    is_phone = head in ("phone", "phones")
    if is_phone and site.phones and (not user or user in site.phones.users):
        return routes.PHONE
    if text in parties:
        return text
    if _NUMBER.fullmatch(text):
        if explain.phone_with(site, text) is not None:
            return routes.PHONE
        raise errors.UsageError(
            f"--from says who calls, and no phone has the number {text}",
            hint=f"a caller is known by where the call comes from: {', '.join(parties)}",
        )
    if is_phone and user and site.phones:
        known, what = [f"phone:{each}" for each in site.phones.users], f"there is no phone {user}"
    else:
        known, what = list(parties), f"nobody called {text} can call here"
    meant = difflib.get_close_matches(text, known, n=1)
    hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(known)}"
    raise errors.UsageError(what, hint=hint)


def _tenant(site: model.Site, party: str, tenant: str) -> str:
    """The tenant the operator means: a log and ``sbcctl status`` tell of it by its fqdn.

    Raises:
        errors.UsageError: It does not fit the site or the call.
    """
    if tenant and (party != "teams" or not site.tenants):
        raise errors.UsageError(
            "--tenant is for calls from Teams in a site with tenants",
            hint="whose call another one is follows from the number it is for",
        )
    if tenant in site.tenants or (party != "teams" or not site.tenants):
        return tenant
    for name, each in site.tenants.items():
        if each.fqdn == tenant.lower():
            return name
    known = list(site.tenants)
    meant = difflib.get_close_matches(tenant, known, n=1)
    few = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
    raise errors.UsageError(
        f"there is no tenant {tenant}" if tenant else "--tenant is missing: whose call it is",
        hint=f"did you mean {meant[0]}?" if meant else f"there are {few}",
    )


# -- for humans -------------------------------------------------------------------------------


def _text(told: explaining.Explanation, site: model.Site, places: tree.SourceMap) -> str:
    means = f", which is {told.number}" if told.number != told.dialled else ""
    whose = f", a call of {told.tenant}" if told.tenant else ""
    lines = [f"{told.source} dials {told.dialled}{means}{whose}"]
    if told.rule is None:
        lines.append("  takes    no route")
    else:
        lines += [
            f"  takes    {_rule_name(told.rule)}{_at(told.rule.path, places)}",
            f"  because  it is for {_callers(told.rule)} to {told.rule.match}",
        ]
    for place, step in enumerate(told.decision.steps):
        is_last = place == len(told.decision.steps) - 1
        who = f"{step.party}{_at(_path_of(site, step, told.number), places)}"
        lines.append(f"  {f'{place + 1}.':7}  {who}{_limits(step)}")
        if step.party == "phone" and _phone(site, told.number) is None:
            lines.append("           no phone has this number")
        if not is_last:
            lines.append(f"           next on {_codes(step)}")
    lines += [
        f"           {party} is left out, because {_why_left_out(told, party)}"
        for party in told.left_out
    ]
    if told.caller is not None:
        else_ = ", and the tenant's own numbers" if told.caller.own_pass else ""
        at = _at(told.caller.path, places)
        lines.append(f"  shows    {told.caller.number} to trunks{else_}{at}")
    lines.append(f"  else     {told.source} gets {told.answer}: {told.answer_why}")
    lines += [
        f"  not      {_rule_name(passed.rule)}, {passed.rule.match}"
        f"{_at(passed.rule.path, places)}: {passed.why}"
        for passed in told.passed
    ]
    return "\n".join(lines)


def _why_left_out(told: explaining.Explanation, party: str) -> str:
    if party == told.source:
        return "the call comes from there"
    return "the call is no tenant's" if party == "teams" else "it is another tenant's own"


def _rule_name(rule: routes.Rule) -> str:
    return f"route {rule.name}" if rule.is_route else f"the way to {rule.hops[0].party}"


def _callers(rule: routes.Rule) -> str:
    return f"calls from {' and '.join(rule.sources)}" if rule.sources else "all calls"


def _limits(step: tables.Step) -> str:
    said = []
    if step.ring_within is not None:
        said.append(f"must ring within {step.ring_within} s")
    if step.answer_within is not None:
        said.append(f"must be answered within {step.answer_within} s")
    return f"; {', '.join(said)}" if said else ""


def _codes(step: tables.Step) -> str:
    from orchestrator.site import routes  # noqa: PLC0415

    if step.codes == routes.EVERY_REFUSAL:
        return "silence and every refusal"
    return ", ".join(["silence", *map(str, step.codes)])


def _phone(site: model.Site, dialled: str) -> str | None:
    from orchestrator.render import explain  # noqa: PLC0415

    return explain.phone_with(site, dialled)


def _path_of(site: model.Site, step: tables.Step, dialled: str) -> tree.Path:
    """Where in site.yaml the party of a target is described."""
    if step.party == "phone":
        user = _phone(site, dialled)
        return ("phones", "users", user) if user else ("phones",)
    return ("teams",) if step.party == "teams" else ("trunks", step.party)


def _position(path: tree.Path, places: tree.SourceMap) -> errors.Position | None:
    if not path:
        return None
    return places.key_position(path) or places.position(path)


def _at(path: tree.Path, places: tree.SourceMap) -> str:
    position = _position(path, places)
    return f" ({position.file}:{position.line})" if position else ""


# -- for programs -----------------------------------------------------------------------------


def _fields(
    told: explaining.Explanation, site: model.Site, places: tree.SourceMap
) -> dict[str, object]:
    rule = told.rule
    return {
        "from": told.source,
        "to": told.dialled,
        "number": told.number,
        "decided_by": _rule_fields(rule, places) if rule else None,
        "tenant": told.tenant or None,
        "emergency": told.decision.emergency,
        "targets": [_target_fields(step, site, told, places) for step in told.decision.steps],
        "left_out": list(told.left_out),
        "shows": _caller_fields(told.caller, places) if told.caller else None,
        "when_all_fail": {"code": told.answer, "reason": told.answer_why},
        "passed_over": [
            {**_rule_fields(passed.rule, places), "reason": passed.why} for passed in told.passed
        ],
    }


def _rule_fields(rule: routes.Rule, places: tree.SourceMap) -> dict[str, object]:
    return {
        "route": rule.name if rule.is_route else None,
        "leads_to": [hop.party for hop in rule.hops],
        "callers": list(rule.sources),
        "match": rule.match.precision.name.lower(),
        "first": rule.match.first,
        "last": rule.match.last,
        "place": _place(rule.path, places),
    }


def _target_fields(
    step: tables.Step,
    site: model.Site,
    told: explaining.Explanation,
    places: tree.SourceMap,
) -> dict[str, object]:
    return {
        "party": step.party,
        "phone": _phone(site, told.number) if step.party == "phone" else None,
        "failover_on": list(step.codes),
        "ring_within": step.ring_within,
        "answer_within": step.answer_within,
        "place": _place(_path_of(site, step, told.number), places),
    }


def _caller_fields(caller: explaining.Caller, places: tree.SourceMap) -> dict[str, object]:
    return {
        "number": caller.number,
        "own_numbers_pass": caller.own_pass,
        "place": _place(caller.path, places),
    }


def _place(path: tree.Path, places: tree.SourceMap) -> dict[str, object] | None:
    position = _position(path, places)
    if position is None:
        return None
    return {
        "path": list(path),
        "file": position.file,
        "line": position.line,
        "column": position.column,
    }
