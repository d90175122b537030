"""Ask by OPTIONS whether those answer whom a change concerns; who must answer is decided here.

1. A trunk that is new, or whose gateways changed, must answer at one of them. If it does not,
   the change is undone: calls would go to somebody who is not there.
2. Teams must answer at one of its names where it answered before the change. Before its tenant
   knows this SBC it does not, and that is a warning.
   Nor does a tenant's own SBC, which is asked about at one name, once, when it is new.
3. Who was not touched is asked only where Kamailio was started anew, and may be silent: a
   trunk that was down before keeps nobody from changing another one.
4. ``allowed`` (``--allow-down``) makes silence of a party a warning.
5. Nobody is asked about rows that say whose numbers are whose: no peer sees a difference.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator import announce, errors, observe, plan
from orchestrator.engines import kamailio
from orchestrator.render import generation as generations
from orchestrator.render import trunks, wanted

_BUDGET = 20.0
"""Seconds after which nobody else is asked: names that cannot be looked up take their time."""
_MARGIN = 0.3
_POLL = 0.03
_LONGEST_POLL = 0.3

_STARTS = frozenset({plan.Kind.START_KAMAILIO, plan.Kind.RESTART_KAMAILIO})


@dataclass(frozen=True, slots=True)
class Questions:
    """Whom to ask after a change.

    Attributes:
        asked: Those who are asked, in the order of the list.
        needed: Parties one of whose addresses must answer.
    """

    asked: tuple[wanted.Probe, ...]
    needed: frozenset[str]


def find_questions(
    old: generations.Generation | None,
    new: generations.Generation,
    todo: plan.Plan,
    *,
    teams_answered: bool,
) -> Questions:
    """Decide whom to ask after *todo* led from *old* to *new*."""
    if concerns_nobody(todo):
        return Questions((), frozenset())
    known = frozenset(wanted.probes(old)) if old is not None else frozenset()
    probes = wanted.probes(new)
    own = {name for *_, name in wanted.own_listeners(new)}
    touched = {probe.party for probe in probes if probe not in known} - own - {trunks.TEAMS}
    anew = not _STARTS.isdisjoint(todo.kinds)
    first = {probe.party: probe for probe in reversed(probes) if probe.party in own}
    asked = tuple(
        probe
        for probe in probes
        if probe.party == trunks.TEAMS
        or probe.party in touched
        or (probe == first[probe.party] and probe not in known if probe.party in own else anew)
    )
    needed = touched | ({trunks.TEAMS} if teams_answered else set())
    return Questions(asked, frozenset(needed))


def concerns_nobody(todo: plan.Plan) -> bool:
    """Whether no peer can see a difference: tenants come, go and change, and nothing else does."""
    return all(
        step.kind is plan.Kind.COMMIT or step.path in wanted.OF_TENANTS for step in todo.steps
    )


def teams_answers(machine: observe.Machine, old: generations.Generation | None) -> bool:
    """Whether Teams answers now, before the change; no, where Kamailio does not serve *old*.

    The first name that Kamailio itself reaches is asked; where it reaches none nobody waits.
    """
    if old is None:
        return False
    try:
        held = {
            (each.set_id, each.uri): each.condition for each in kamailio.destinations(machine.rpc)
        }
    except errors.EngineError:
        return False
    for probe in wanted.probes(old):
        if probe.party == trunks.TEAMS and held.get((probe.set_id, probe.uri)) != "inactive":
            try:
                return _code(machine, old, probe) is not None
            except errors.EngineError:
                return False
    return False


def verify(
    machine: observe.Machine,
    progress: announce.Progress,
    generation: generations.Generation,
    questions: Questions,
    allowed: frozenset[str],
) -> tuple[str, ...]:
    """Ask everybody of *questions*.

    Returns:
        Who is silent and may be, as sentences.

    Raises:
        EngineRefused: A party that must answer is silent at all its addresses.
    """
    asking = Asking(machine, generation, questions.asked)
    answered: set[str] = set()
    warnings: list[str] = []
    for probe in questions.asked:
        with progress.step("verify", f"OPTIONS to {probe.uri}") as step:
            code, why = asking.answer(probe)
            step.note(f"answered {code}" if code else "no answer", bad=code is None)
        if code is None:
            warnings.append(why)
        else:
            answered.add(probe.party)
    asked = {probe.party for probe in questions.asked}
    if missing := sorted((questions.needed - allowed) & asked - answered):
        raise _not_there(missing, questions.asked)
    return tuple(warnings)


class Asking:
    """OPTIONS to many at once: begun one after the other, answered in whatever order.

    A Kamailio of an earlier sbcctl keeps no note of answers; there one is asked after the other.

    Args:
        machine: The running Kamailio.
        generation: What it runs.
        probes: Whom to ask.
    """

    def __init__(
        self,
        machine: observe.Machine,
        generation: generations.Generation,
        probes: tuple[wanted.Probe, ...],
    ) -> None:
        self._machine = machine
        self._generation = generation
        self._seconds = wanted.answer_seconds(generation)
        self._call_ids: dict[wanted.Probe, str] = {}
        self._ends: dict[wanted.Probe, float] = {}
        self._pause = _POLL
        self._answers = kamailio.options_answers(machine.rpc) if probes else None
        if self._answers is not None:
            self._begin(probes)

    def _begin(self, probes: tuple[wanted.Probe, ...]) -> None:
        token = secrets.token_hex(6)
        last = time.monotonic() + _BUDGET
        for number, probe in enumerate(probes):
            if time.monotonic() > last:
                return
            call_id = f"sbcctl-{token}-{number}"
            # Its own end counts from here: looking up a name may have taken a while.
            if kamailio.begin_options(
                self._machine.rpc,
                probe.uri,
                identity=probe.identity,
                socket=probe.socket,
                call_id=call_id,
            ):
                self._call_ids[probe] = call_id
                self._ends[probe] = time.monotonic() + self._seconds + _MARGIN

    def answer(self, probe: wanted.Probe) -> tuple[int | None, str]:
        """The code of the answer, waited for; else None, and what to say about the silence."""
        if self._answers is None:
            return _ask(self._machine, self._generation, probe)
        call_id = self._call_ids.get(probe)
        if call_id is None:
            return None, f"OPTIONS to {probe.uri} could not be sent in time"
        while call_id not in self._answers and time.monotonic() < self._ends[probe]:
            self._answers = kamailio.options_answers(self._machine.rpc) or {}
            if call_id not in self._answers:
                time.sleep(self._pause)
                self._pause = min(self._pause * 1.5, _LONGEST_POLL)
        return self._answers.get(call_id), f"{probe.uri} did not answer OPTIONS"


def _ask(
    machine: observe.Machine, generation: generations.Generation, probe: wanted.Probe
) -> tuple[int | None, str]:
    """The code of the answer; else None, and what to say about the silence."""
    try:
        code = _code(machine, generation, probe)
    except errors.EngineError as silent:
        return None, silent.message
    return code, f"{probe.uri} did not answer OPTIONS"


def _code(
    machine: observe.Machine, generation: generations.Generation, probe: wanted.Probe
) -> int | None:
    return kamailio.send_options(
        machine.rpc,
        probe.uri,
        identity=probe.identity,
        socket=probe.socket,
        timer=wanted.answer_seconds(generation),
    )


def _not_there(missing: Iterable[str], asked: tuple[wanted.Probe, ...]) -> errors.EngineRefused:
    sentences, options = [], []
    for party in missing:
        uris = ", ".join(probe.uri for probe in asked if probe.party == party)
        who = "Teams answered before and" if party == trunks.TEAMS else f"trunk {party}"
        sentences.append(f"{who} does not answer OPTIONS at {uris}")
        options.append(f"--allow-down {party}")
    return errors.EngineRefused(
        "; ".join(sentences),
        hint="see whether it is up and lets this SBC in; to go on although it is down: "
        + " ".join(options),
    )
