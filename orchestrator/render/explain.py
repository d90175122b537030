"""Where one call goes and why: what the tables decide, put beside every rule that could have.

Pure. The decision is the one of :func:`routes.decide`, which walks the rows that Kamailio walks;
the reasons are those of ``site.routes``.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.render import hosting, numbers
from orchestrator.render import routes as tables
from orchestrator.site import model, routes, tenants


@dataclass(frozen=True, slots=True)
class Passed:
    """A rule for the dialled number that did not decide, and why."""

    rule: routes.Rule
    why: str


@dataclass(frozen=True, slots=True)
class Caller:
    """What trunks see of who calls.

    Attributes:
        number: The tenant's number that they see.
        path: Where that stands in site.yaml.
        own_pass: Whether they see other numbers of the tenant as they are.
    """

    number: str
    path: routes.Path
    own_pass: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything there is to say about one call.

    Attributes:
        source: The party that calls.
        dialled: The user part of the request URI.
        number: The number it means: E.164 where the trunk's numbering says so.
        decision: What the tables say.
        rule: The rule that decided, or None when there is none and the caller gets 404.
        left_out: Targets of that rule that would lead back to the caller.
        passed: The rules for this number that did not decide, those that came closest first.
        answer: What the caller gets when every target fails.
        answer_why: In words.
        tenant: The name of the tenant whose call it is; empty when it is nobody's.
        caller: What the tenant lets trunks see of the caller, or None when that is the caller's.
    """

    source: str
    dialled: str
    number: str
    decision: tables.Decision
    rule: routes.Rule | None
    left_out: tuple[str, ...]
    passed: tuple[Passed, ...]
    answer: int
    answer_why: str
    tenant: str = ""
    caller: Caller | None = None


def explain(site: model.Site, source: str, dialled: str, *, tenant: str = "") -> Explanation:
    """Say where a call of *source* to *dialled* goes.

    Args:
        site: The site.
        source: A party: ``teams``, ``phone`` or the name of a trunk.
        dialled: The user part of the request URI: a number or a name.
        tenant: Of a call from Teams, the tenant that makes it.
    """
    number = numbers.read(dialled, numbers.of_party(site, source)).number
    verdict = _decide(site, source, number, tenant)
    fqdn, decision = verdict.fqdn, verdict.decision
    rules = () if verdict.refusal else routes.rules_of(site)
    own = routes.own_rule(site, tenant) if tenant and source == routes.TEAMS else None
    if own is not None and not verdict.refusal:
        rules = (own, *rules)
    fitting = routes.fitting(rules, source, number)
    if tenant and fitting and (helping := routes.helping_rule(site, tenant, fitting[0])):
        fitting = [helping, *fitting]
    winner = fitting[0] if fitting else None
    asked = [step.party for step in decision.steps]
    back = [hop.party for hop in winner.hops if hop.party not in asked] if winner else []
    # What phones and trunks imply for other callers says nothing about this one.
    others = [
        rule
        for rule in rules
        if rule.match.fits(number)
        and not rule.serves(source)
        and (rule.is_route or not rule.sources)
    ]
    passed = [Passed(rule, _why_later(fitting[0], rule)) for rule in fitting[1:]]
    passed += [
        Passed(rule, _why_not(rule, source)) for rule in sorted(others, key=lambda each: each.rank)
    ]
    answer, why = _answer(site, decision, source, number)
    if "teams" in back and site.tenants and not asked:
        holder = hosting.Hosted(site).owner_of(number)
        mine = f"{source} carries no calls of {holder}" if source != routes.TEAMS else ""
        answer = 404
        why = (mine or f"it is a number of {holder}") if holder else "no tenant has this number"
    if verdict.refusal:
        answer, why = verdict.refusal, "the tenant's destinations leave this number out"
    return Explanation(
        source=source,
        dialled=dialled,
        number=number,
        decision=decision,
        rule=winner,
        left_out=tuple(back),
        passed=tuple(passed),
        answer=answer,
        answer_why=why,
        tenant=fqdn,
        caller=_caller(site, tenant, decision) if set(asked) & set(site.trunks) else None,
    )


def _decide(site: model.Site, source: str, number: str, tenant: str) -> hosting.Verdict:
    """Whose call it is, and what the tables say of it."""
    table = tables.compile_site(site)
    if not site.tenants:
        return hosting.Verdict("", 0, tables.decide(table, source, number))
    name = site.tenants[tenant].fqdn if tenant else ""
    return hosting.Hosted(site).decide(table, hosting.Call(source, number, name))


def _caller(site: model.Site, tenant: str, decision: tables.Decision) -> Caller | None:
    """What trunks see in calls that this tenant makes in Teams."""
    if not tenant:
        return None
    policy, own = site.tenants[tenant].caller_id, site.tenants[tenant].emergency
    if decision.emergency and own is not None and own.caller is not None:
        return Caller(own.caller, ("tenants", tenant, "emergency", "caller"), own_pass=False)
    if policy is None or policy.main is None:
        return None
    own_pass = policy.policy is tenants.Shown.OWN
    return Caller(policy.main, ("tenants", tenant, "caller_id"), own_pass=own_pass)


def phone_with(site: model.Site, number: str) -> str | None:
    """The user of the phone that has *number*, or None."""
    for user, phone in site.phones.users.items() if site.phones else ():
        if phone.number == number:
            return user
    return None


def _why_later(winner: routes.Rule, rule: routes.Rule) -> str:
    """The first difference that counts (docs/guide/routes.md)."""
    if winner.own and winner.match.precision is routes.Precision.EMERGENCY is rule.match.precision:
        return "its targets come after the tenant's trunks for such calls"
    if winner.own and winner.match.precision is not routes.Precision.EMERGENCY:
        return "the tenant has trunks of its own"
    if winner.is_route != rule.is_route:
        return "routes come before what phones and trunks imply"
    mine, other = winner.match, rule.match
    if mine.precision is not other.precision:
        return f"{_kind(mine)} comes before {_kind(other)}"
    if len(mine.first) != len(other.first):
        return f"{mine.first} is longer than {other.first}"
    return "a route that names the caller comes before one for anybody"


def _kind(match: routes.Match) -> str:
    return {
        routes.Precision.EMERGENCY: "an emergency number",
        routes.Precision.NUMBER: "one number",
        routes.Precision.RANGE: "a range",
        routes.Precision.PREFIX: "a prefix",
        routes.Precision.EVERYTHING: "everything",
    }[match.precision]


def _why_not(rule: routes.Rule, source: str) -> str:
    if rule.sources:
        return f"it is for calls from {' and '.join(rule.sources)}, not from {source}"
    return f"it would only lead back to {source}"


def _answer(
    site: model.Site, decision: tables.Decision, source: str, dialled: str
) -> tuple[int, str]:
    if not decision.steps:
        return 404, "no route is for this call"
    last = decision.steps[-1].party
    if last == routes.PHONE and phone_with(site, dialled) is None:
        return 480, "no phone has this number"
    if last == routes.PHONE:
        return 480, "the phone is not registered"
    if source == routes.TEAMS:
        return 503, "nobody can be reached, so Teams tries its next SBC (SIG-26)"
    return 503, "nobody can be reached"
