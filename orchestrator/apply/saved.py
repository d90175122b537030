"""A plan that was written down, and whether it is still what would be done."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator import errors, plan
from orchestrator.render import views


@dataclass(frozen=True, slots=True)
class Saved:
    """What a plan said when it was made.

    Attributes:
        begin: Name of the generation that served; empty when none did.
        end: Name of the generation it leads to; empty when it was not known yet.
        kamailio: Version of Kamailio, ``6.0.1``.
        rtpengine: Version of RTPEngine, ``12.5``.
        steps: Kind and subject of each step, in order.
        commit: Why files are committed: drift that it did not tell of is none that was approved.
        idle: Whether it said that the restart of RTPEngine meets no call.
    """

    begin: str
    end: str
    kamailio: str
    rtpengine: str
    steps: tuple[tuple[str, str], ...]
    commit: str = ""
    idle: bool = False


def once_obtained(saved: Saved) -> Saved:
    """The same plan when its certificates were obtained and lie beside: they are installed."""
    obtain, install = str(plan.Kind.OBTAIN_CERTIFICATE), str(plan.Kind.INSTALL_CERTIFICATE)
    steps = [(install, "") if step[0] == obtain else step for step in saved.steps]
    return dataclasses.replace(saved, steps=tuple(dict.fromkeys(steps)))


def check(
    saved: Saved, facts: views.EngineFacts, committed: str, name: str, todo: plan.Plan
) -> None:
    """Make sure that what would be done now is what the plan said.

    Args:
        saved: The plan.
        facts: The engines that are installed now.
        committed: Name of the generation that serves now.
        name: Name of the generation its site is rendered to now.
        todo: What would be done now.

    Raises:
        SbcctlError: It is something else; the message says what moved.
    """
    moved = [
        f"{what} was {then or 'nothing'}, and is {now or 'nothing'} now"
        for what, then, now in (
            ("the generation that serves", saved.begin, committed),
            ("Kamailio", saved.kamailio, ".".join(map(str, facts.kamailio))),
            ("RTPEngine", saved.rtpengine, ".".join(map(str, facts.rtpengine))),
            ("the result", saved.end, name if saved.end else ""),
            ("what is to do", _words(saved.steps), _words(_steps(todo))),
            ("why", saved.commit, reason_of_commit((s.kind, s.reason) for s in todo.steps)),
            ("what it costs", saved.idle and plan.NO_CALL, saved.idle and _media_cost(todo)),
        )
        if then != now
    ]
    if moved:
        raise errors.SbcctlError(
            f"the plan is stale and nothing was changed: {'; '.join(moved)}",
            hint="make it again with sbcctl plan, and look at what it says now",
        )


def reason_of_commit(steps: Iterable[tuple[str, str]]) -> str:
    """Of kinds and reasons, why files are committed; empty when none are."""
    return next((reason for kind, reason in steps if kind == str(plan.Kind.COMMIT)), "")


def _media_cost(todo: plan.Plan) -> str:
    """What the restart of RTPEngine costs now, up to the first semicolon."""
    for step in todo.steps:
        if step.kind is plan.Kind.RESTART_RTPENGINE:
            return step.cost.partition(";")[0]
    return plan.NO_CALL


def _steps(todo: plan.Plan) -> tuple[tuple[str, str], ...]:
    return tuple((str(step.kind), step.subject) for step in todo.steps)


def _words(steps: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(" ".join(filter(None, step)) for step in steps)
