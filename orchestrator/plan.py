"""(Generation, Observed) -> Plan: ordered Steps, each with its reason and its cost to calls.

The rules (DESIGN section 5):

1. Add before remove. A certificate is in place before a listener names it, media before
   signalling sends calls to it, allowed addresses and tables before the dispatcher routes by
   them; each data file is swapped whole by the engine that reads it.
2. The cheapest step that suffices: reload of one data file < restart of one engine. A restart
   makes reloads of the same engine needless, and says what it costs.
3. Nothing is committed that the engine's own checker has not accepted: COMMIT stages, checks and
   only then renames.
4. Every prefix of a plan is a working site. Cut after any step and planned again, the rest of
   the plan comes out.
5. Same Generation and same Observed give the same Plan; an observed site that is as asked gives
   the empty one.
6. On Kamailio before 6.0 TLS is never reloaded while it runs: a new certificate is a restart
   (engines2.md 1). So it is where shared memory could run out: it counts for every reload.
7. What runs is what the engine says runs. What was loaded is what was noted after the engine
   read it; a missing note means: load again.

Types live here because the planner says what it must know; ``observe`` fills it in.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from orchestrator.render import generation as generations
from orchestrator.render import wanted

TLS_RELOAD_IS_SAFE_FROM = (6, 0, 0)
"""Kamailio before this crashes when TLS is reloaded or under concurrent handshakes."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What must be known about a certificate.

    Attributes:
        serial: Its serial number; disk and wire are compared by it.
        names: DNS names it is for, in lower case, sorted.
        not_before: Start of its validity, UTC.
        not_after: End of its validity, UTC.
    """

    serial: int
    names: tuple[str, ...]
    not_before: dt.datetime
    not_after: dt.datetime


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """The certificate as observed.

    Attributes:
        source: Where site.yaml says it comes from.
        installed: The one in use on disk, or None.
        faults: Why the installed one cannot serve; empty when it can.
        offered: A proven pair that waits to be installed: files of site.yaml that changed, or
            one that certbot obtained before.
        own: The ones of tenants with a trunk of their own in use on disk, by name at Microsoft.
        changed: Names of tenants whose files hold another one than that, or that have gone.
        passed_over: What is wrong with files of tenants whose installed pairs go on.
        missing: Names of tenants who get theirs by ACME and have none yet.
        replaced: Names of tenants whose pair by ACME is to be another, and why.
    """

    source: Literal["acme", "files"]
    installed: Pair | None
    faults: tuple[str, ...] = ()
    offered: Pair | None = None
    own: tuple[tuple[str, Pair], ...] = ()
    changed: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """Shared memory as Kamailio counts it.

    Attributes:
        total: Bytes of the pool.
        used: Bytes of it in use; more than there are, when it miscounted for long enough.
    """

    total: int
    used: int

    @property
    def percent(self) -> int:
        """How much is in use, in percent."""
        return self.used * 100 // self.total


@dataclass(frozen=True, slots=True)
class KamailioSeen:
    """Kamailio as observed.

    Attributes:
        version: What is installed.
        running: Whether its process runs under our supervisor.
        answering: Whether it answers RPC.
        command: The words it was started with, from the program on.
        skeleton: What it says it was started with.
        loaded: Path and digest of each data file it was made to read, sorted.
        destinations: Dispatcher set and URI of each destination it holds, sorted; None when it
            has too many to tell.
        differing: Paths of tables and addresses of which it holds something else than what it
            was made to read, sorted.
        served: Serial of the certificate it presents on the wire, None when it could not be seen.
        served_own: The same for each tenant with a trunk of its own, by name at Microsoft.
        rows: How many rows each of its tables has, sorted; empty where nobody counted.
        memory: Its shared memory, where TLS is to be read again; else None.
    """

    version: tuple[int, int, int]
    running: bool = False
    answering: bool = False
    command: tuple[str, ...] = ()
    skeleton: str = ""
    loaded: tuple[tuple[str, str], ...] = ()
    destinations: tuple[tuple[int, str], ...] | None = ()
    differing: tuple[str, ...] = ()
    served: int | None = None
    served_own: tuple[tuple[str, int | None], ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class RtpengineSeen:
    """RTPEngine as observed.

    Attributes:
        running: Whether its process runs under our supervisor.
        answering: Whether it answers ng.
        command: The words it was started with, from the program on.
        config: Digest of the configuration it was started with; empty when unknown.
        calls: Calls it carries now.
    """

    running: bool = False
    answering: bool = False
    command: tuple[str, ...] = ()
    config: str = ""
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """What was found at one moment.

    Attributes:
        committed: Digest of the current generation; empty when there is none.
        drifted: Files of it that somebody edited or removed.
        units: Path and digest of the installed systemd units; None where no systemd runs.
        certificate: The certificate.
        kamailio: Kamailio.
        rtpengine: RTPEngine.
    """

    committed: str
    drifted: tuple[str, ...]
    units: tuple[tuple[str, str], ...] | None
    certificate: CertificateSeen
    kamailio: KamailioSeen
    rtpengine: RtpengineSeen


class Kind(StrEnum):
    """What a step does."""

    OBTAIN_CERTIFICATE = "obtain-certificate"
    INSTALL_CERTIFICATE = "install-certificate"
    COMMIT = "commit"
    INSTALL_UNITS = "install-units"
    START_RTPENGINE = "start-rtpengine"
    RESTART_RTPENGINE = "restart-rtpengine"
    START_KAMAILIO = "start-kamailio"
    RESTART_KAMAILIO = "restart-kamailio"
    RELOAD_TLS = "reload-tls"
    RELOAD_ADDRESSES = "reload-addresses"
    RELOAD_TABLE = "reload-table"
    RELOAD_DISPATCHER = "reload-dispatcher"
    RELOAD_REGISTRATIONS = "reload-registrations"


@dataclass(frozen=True, slots=True)
class Step:
    """One change.

    Attributes:
        kind: What is done.
        reason: Why, in the operator's words.
        cost: What calls notice; empty when nothing.
        subject: Which table, for RELOAD_TABLE; for OBTAIN_CERTIFICATE the name of a tenant's.
        path: The data file that is read again, relative in the generation.
    """

    kind: Kind
    reason: str
    cost: str = ""
    subject: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they are safe."""

    steps: tuple[Step, ...]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of the steps, in order."""
        return tuple(step.kind for step in self.steps)

    @property
    def only_reads_again(self) -> bool:
        """Whether running engines read data again and nothing else: the work of a moment."""
        return all(kind is Kind.COMMIT or kind in _RELOADS.values() for kind in self.kinds)


_RELOADS = {
    generations.Effect.TLS_RELOAD: Kind.RELOAD_TLS,
    generations.Effect.ADDRESSES_RELOAD: Kind.RELOAD_ADDRESSES,
    generations.Effect.TABLE_RELOAD: Kind.RELOAD_TABLE,
    generations.Effect.DISPATCHER_RELOAD: Kind.RELOAD_DISPATCHER,
    generations.Effect.REGISTRATIONS_RELOAD: Kind.RELOAD_REGISTRATIONS,
}
_MEMORY_FADES, _MEMORY_ENDS = 60, 75
"""Percent of the shared memory. Reloads of TLS on 6.0 are counted and not counted back; near the
end of the pool every handshake is refused (engines2.md 3)."""
_RESTART_COST = "calls that ring and TLS connections end; calls that talk go on (1 to 2 s)"

NO_CALL = "no call is on it now"
"""What a restart of RTPEngine costs then, to begin with."""


def make_plan(generation: generations.Generation, observed: Observed) -> Plan:
    """Decide what must be done so that *generation* is what runs."""
    certificate = _certificate_steps(observed.certificate)
    return Plan(
        steps=(
            *certificate,
            *_file_steps(generation, observed),
            *_rtpengine_steps(generation, observed.rtpengine),
            *_kamailio_steps(generation, observed, new_certificate=bool(certificate)),
        )
    )


def _certificate_steps(seen: CertificateSeen) -> tuple[Step, ...]:
    """An apply waits for no CA while something serves; that is renewed by ``cert renew``."""
    first = tuple(
        Step(Kind.OBTAIN_CERTIFICATE, f"there is none yet for {name}", subject=name)
        for name in seen.missing
    )
    if seen.offered is not None:
        if seen.installed is None:
            reason = "there is none yet"
        elif seen.changed and seen.offered == seen.installed:
            reason = f"certificates of tenants changed: {', '.join(seen.changed[:3])}"
        elif seen.source == "files":
            reason = "the files named in site.yaml hold another one"
        else:
            reason = "certbot has another one"
        return (*first, Step(Kind.INSTALL_CERTIFICATE, reason))
    if seen.installed is not None and not seen.faults:
        return first
    reason = "; ".join(seen.faults) or "there is none yet"
    return (Step(Kind.OBTAIN_CERTIFICATE, reason), *first)


def _file_steps(generation: generations.Generation, observed: Observed) -> tuple[Step, ...]:
    steps: list[Step] = []
    if not observed.committed:
        steps.append(Step(Kind.COMMIT, "nothing is installed yet"))
    elif observed.committed != generation.digest:
        steps.append(Step(Kind.COMMIT, f"site.yaml or the engines changed{_edited(observed)}"))
    elif observed.drifted:
        steps.append(Step(Kind.COMMIT, _edited(observed).removeprefix("; ")))
    if observed.units is not None:
        paths = (wanted.KAMAILIO_UNIT, wanted.RTPENGINE_UNIT)
        units = tuple((path, generation.file(path).digest) for path in paths)
        if tuple(sorted(observed.units)) != units:
            steps.append(Step(Kind.INSTALL_UNITS, "the systemd units are not the rendered ones"))
    return tuple(steps)


def _edited(observed: Observed) -> str:
    """Which files somebody edited, who is about to lose that; empty when nobody did."""
    names = ", ".join(observed.drifted)
    return f"; changed by somebody else: {names}" if names else ""


def _rtpengine_steps(generation: generations.Generation, seen: RtpengineSeen) -> tuple[Step, ...]:
    if not seen.running:
        return (Step(Kind.START_RTPENGINE, "it does not run"),)
    if not seen.answering:
        reason = "it runs but does not answer"
    elif seen.command != wanted.start_command(generation, wanted.RTPENGINE_UNIT):
        reason = "the way it is started changed"
    elif seen.config != generation.file(wanted.RTPENGINE_CONFIG).digest:
        reason = "its configuration changed"
    else:
        return ()
    cost = f"{seen.calls} calls lose their audio" if seen.calls else NO_CALL
    cost += "; new calls get 503 for some seconds"
    return (Step(Kind.RESTART_RTPENGINE, reason, cost),)


def _kamailio_steps(
    generation: generations.Generation, observed: Observed, *, new_certificate: bool
) -> tuple[Step, ...]:
    seen = observed.kamailio
    if not seen.running:
        return (Step(Kind.START_KAMAILIO, "it does not run"),)
    stale = new_certificate or is_stale(observed.certificate, seen.served, seen.served_own)
    reason = _restart_reason(generation, seen)
    reloads = _reload_steps(generation, seen, stale=stale, drifted=frozenset(observed.drifted))
    if not reason and any(step.kind is Kind.RELOAD_TLS for step in reloads):
        reason = _tls_restart_reason(seen)
    if reason:
        return (Step(Kind.RESTART_KAMAILIO, reason, _RESTART_COST),)
    return reloads


def is_stale(
    seen: CertificateSeen, served: int | None, served_own: tuple[tuple[str, int | None], ...] = ()
) -> bool:
    """Whether Kamailio, which shows certificates with these serials, must read other ones."""
    own = {name: pair.serial for name, pair in seen.own}
    if seen.offered or any(own.get(name) != serial for name, serial in served_own):
        return True
    return seen.installed is not None and served != seen.installed.serial


def _restart_reason(generation: generations.Generation, seen: KamailioSeen) -> str:
    if not seen.answering:
        return "it runs but does not answer"
    if seen.skeleton != generation.skeleton:
        return "listeners, parameters or routes changed"
    if seen.command != wanted.start_command(generation, wanted.KAMAILIO_UNIT):
        return "the way it is started changed"
    return ""


def _tls_restart_reason(seen: KamailioSeen) -> str:
    """Why the certificate cannot be reloaded (rule 6); empty when it can."""
    if seen.version < TLS_RELOAD_IS_SAFE_FROM:
        return "the certificate changed, and Kamailio before 6.0 must not reload TLS"
    if seen.memory is not None and seen.memory.percent >= _MEMORY_ENDS:
        used = f"{seen.memory.percent} % of its shared memory as used"
        return f"the certificate changed, and Kamailio counts {used}"
    return ""


def memory_warning(memory: Memory | None) -> str:
    """What to do when reloads of TLS have used up much of the shared memory; else empty."""
    if memory is None or memory.percent < _MEMORY_FADES:
        return ""
    return (
        f"Kamailio counts {memory.percent} % of its shared memory as used: restart it in a quiet"
        f" hour (systemctl restart sbcctl-kamailio); from {_MEMORY_ENDS} % on a new certificate"
        " does"
    )


def _reload_steps(
    generation: generations.Generation,
    seen: KamailioSeen,
    *,
    stale: bool,
    drifted: frozenset[str],
) -> tuple[Step, ...]:
    loaded = dict(seen.loaded)
    destinations = wanted.destinations(generation)
    steps: list[Step] = []
    for file in wanted.data_files(generation):
        kind = _RELOADS[file.effect]
        reason = "" if loaded.get(file.path) == file.digest else f"{file.path} changed"
        if kind is Kind.RELOAD_TLS and stale:
            reason = "the certificate changed"
        elif kind is Kind.RELOAD_DISPATCHER and seen.destinations not in (None, destinations):
            reason = reason or "Kamailio holds other destinations"
        elif file.path in seen.differing:
            reason = reason or f"Kamailio holds something else than {file.path}"
        elif wanted.DATABASE in drifted and wanted.seal(file):
            # All rows of a small one are read back; of this one only what it says of itself.
            reason = reason or f"it may have been started from a changed {wanted.DATABASE}"
        if reason:
            steps.append(Step(kind, reason, subject=file.table, path=file.path))
    return tuple(steps)
