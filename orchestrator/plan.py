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
   (engines2.md 1).
7. What runs is what the engine says runs. What was loaded is what was noted after the engine
   read it; a missing note means: load again.

Types live here because the planner says what it must know; ``observe`` fills it in.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from orchestrator import errors
from orchestrator.render import generation as generations
from orchestrator.site import model

TLS_RELOAD_IS_SAFE_FROM = (6, 0, 0)
"""Kamailio before this crashes when TLS is reloaded or under concurrent handshakes."""

KAMAILIO_UNIT = "systemd/sbcctl-kamailio.service"
RTPENGINE_UNIT = "systemd/sbcctl-rtpengine.service"
RTPENGINE_CONFIG = "rtpengine/rtpengine.conf"
DISPATCHER_LIST = "kamailio/dispatcher.list"
KAMAILIO_CONFIG = "kamailio/kamailio.cfg"

_LISTEN = re.compile(
    r"^listen=(?P<proto>udp|tcp|tls):(?P<host>\[[^]]+\]|[^:\s]+):(?P<port>\d+)"
    r"(?: advertise (?P<name>\S+):\d+)?(?: name \"(?P<nick>\w+)\")?",
    re.MULTILINE,
)

# One row of an htable as db_text writes it: id:key:0:0:value:0, with \\ and \: escaped.
_COLUMN = re.compile(r"((?:[^:\\]|\\.)*)(?::|$)")
_UNESCAPED = re.compile(r"\\(.)")
_FR_TIMER = re.compile(r'^modparam\("tm", "fr_timer", (\d+)\)', re.MULTILINE)
_TABLE_COLUMNS = 6
_DISPATCHER_COLUMNS = 5


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
    """

    source: Literal["acme", "files"]
    installed: Pair | None
    faults: tuple[str, ...] = ()
    offered: Pair | None = None


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
        destinations: Dispatcher set and URI of each destination it holds, sorted.
        served: Serial of the certificate it presents on the wire, None when it could not be seen.
    """

    version: tuple[int, int, int]
    running: bool = False
    answering: bool = False
    command: tuple[str, ...] = ()
    skeleton: str = ""
    loaded: tuple[tuple[str, str], ...] = ()
    destinations: tuple[tuple[int, str], ...] = ()
    served: int | None = None


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


@dataclass(frozen=True, slots=True)
class Probe:
    """Somebody to ask by OPTIONS.

    Attributes:
        uri: The destination.
        socket: The socket to send from, or empty.
        identity: Our SIP URI towards it.
    """

    uri: str
    socket: str
    identity: str


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


@dataclass(frozen=True, slots=True)
class Step:
    """One change.

    Attributes:
        kind: What is done.
        reason: Why, in the operator's words.
        cost: What calls notice; empty when nothing.
        subject: Which table, for RELOAD_TABLE.
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


_RELOADS = {
    generations.Effect.TLS_RELOAD: Kind.RELOAD_TLS,
    generations.Effect.ADDRESSES_RELOAD: Kind.RELOAD_ADDRESSES,
    generations.Effect.TABLE_RELOAD: Kind.RELOAD_TABLE,
    generations.Effect.DISPATCHER_RELOAD: Kind.RELOAD_DISPATCHER,
}
"""Reloads in the order in which they are safe (rule 1)."""

_RESTART_COST = "calls that ring and TLS connections end; calls that talk go on (1 to 2 s)"


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


def find_refusals(site: model.Site, kamailio: tuple[int, int, int]) -> tuple[errors.Problem, ...]:
    """What must not be done with this Kamailio; nothing means go on.

    A Teams listener on Kamailio < 6.0 can be crashed by anybody who reaches it; the operator may
    accept that in words.
    """
    if kamailio >= TLS_RELOAD_IS_SAFE_FROM or site.engines.accept_risk == model.OLD_KAMAILIO_RISK:
        return ()
    version = ".".join(map(str, kamailio))
    return (
        errors.Problem(
            id="unsafe-kamailio",
            message=f"Kamailio {version} is not safe as a TLS edge: concurrent handshakes crash"
            " it, and every call with it; Debian 13 has 6.0",
            path=("engines", "accept_risk"),
            hint=f"use Debian 13, or accept it in site.yaml:"
            f" engines: {{accept_risk: {model.OLD_KAMAILIO_RISK}}}",
        ),
    )


def wanted_sockets(generation: generations.Generation) -> frozenset[str]:
    """The sockets Kamailio must hold, each as ``udp:192.0.2.10:5060``."""
    return frozenset(
        f"{found['proto']}:{found['host']}:{found['port']}" for found in _listeners(generation)
    )


def teams_listener(generation: generations.Generation) -> tuple[str, int, str]:
    """Address, port and name of the listener Teams dials."""
    for found in _listeners(generation):
        if found["proto"] == "tls":
            return found["host"].strip("[]"), int(found["port"]), found["name"] or ""
    raise ValueError("the generation has no TLS listener")


def wanted_destinations(generation: generations.Generation) -> tuple[tuple[int, str], ...]:
    """Dispatcher set and URI of each destination Kamailio must hold, sorted."""
    lines = generation.file(DISPATCHER_LIST).text.splitlines()
    words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return tuple(sorted((int(parts[0]), parts[1]) for parts in words))


def probes(generation: generations.Generation) -> tuple[Probe, ...]:
    """Who is to be asked by OPTIONS whether they answer: every destination, in list order."""
    sockets = {found["nick"]: found for found in _listeners(generation)}
    asked = []
    for line in generation.file(DISPATCHER_LIST).text.splitlines():
        words = line.split()
        if len(words) < _DISPATCHER_COLUMNS or line.startswith("#"):
            continue
        told = dict(part.partition("=")[::2] for part in words[4].split(";"))
        found = sockets.get(told.get("sockname", ""))
        socket = f"{found['proto']}:{found['host']}:{found['port']}" if found else ""
        asked.append(Probe(uri=words[1], socket=socket, identity=told.get("ping_from", "")))
    return tuple(asked)


def answer_seconds(generation: generations.Generation) -> float:
    """How long Kamailio waits for an answer to a request: tm's ``fr_timer``, 30 s by default."""
    found = _FR_TIMER.search(generation.file(KAMAILIO_CONFIG).text)
    return int(found[1]) / 1000 if found else 30.0


def table_rows(file: generations.File) -> tuple[tuple[str, str], ...]:
    """Key and value of each row in a rendered htable, in the order of the file."""
    rows = []
    for line in file.text.splitlines()[1:]:
        columns = [_UNESCAPED.sub(r"\1", part) for part in _COLUMN.findall(line)]
        if len(columns) >= _TABLE_COLUMNS:
            rows.append((columns[1], columns[4]))
    return tuple(rows)


def start_command(generation: generations.Generation, unit: str) -> tuple[str, ...]:
    """The words an engine is started with: ``ExecStart`` of its unit, the program by name only."""
    for line in generation.file(unit).text.splitlines():
        if line.startswith("ExecStart="):
            program, *rest = line.removeprefix("ExecStart=").split()
            return (program.rpartition("/")[2], *rest)
    raise ValueError(f"{unit} has no ExecStart")


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal, as :attr:`generation.File.digest` has it."""
    return hashlib.sha256(content).hexdigest()


def data_files(generation: generations.Generation) -> tuple[generations.File, ...]:
    """The files Kamailio can read again while it runs, in the order in which that is safe."""
    order = list(_RELOADS)
    found = [file for file in generation.files if file.effect in _RELOADS]
    return tuple(sorted(found, key=lambda file: (order.index(file.effect), file.path)))


def _listeners(generation: generations.Generation) -> tuple[re.Match[str], ...]:
    return tuple(_LISTEN.finditer(generation.file(KAMAILIO_CONFIG).text))


def _certificate_steps(seen: CertificateSeen) -> tuple[Step, ...]:
    if seen.offered is not None:
        if seen.installed is None:
            reason = "there is none yet"
        elif seen.source == "files":
            reason = "the files named in site.yaml hold another one"
        else:
            reason = "certbot has another one"
        return (Step(Kind.INSTALL_CERTIFICATE, reason),)
    if seen.installed is not None and not seen.faults:
        return ()
    reason = "; ".join(seen.faults) or "there is none yet"
    return (Step(Kind.OBTAIN_CERTIFICATE, reason),)


def _file_steps(generation: generations.Generation, observed: Observed) -> tuple[Step, ...]:
    steps: list[Step] = []
    if not observed.committed:
        steps.append(Step(Kind.COMMIT, "nothing is installed yet"))
    elif observed.committed != generation.digest:
        steps.append(Step(Kind.COMMIT, "site.yaml or the engines changed"))
    elif observed.drifted:
        edited = ", ".join(observed.drifted)
        steps.append(Step(Kind.COMMIT, f"changed by somebody else: {edited}"))
    if observed.units is not None:
        wanted = tuple((path, generation.file(path).digest) for path in _units())
        if tuple(sorted(observed.units)) != wanted:
            steps.append(Step(Kind.INSTALL_UNITS, "the systemd units are not the rendered ones"))
    return tuple(steps)


def _units() -> tuple[str, ...]:
    return (KAMAILIO_UNIT, RTPENGINE_UNIT)


def _rtpengine_steps(generation: generations.Generation, seen: RtpengineSeen) -> tuple[Step, ...]:
    if not seen.running:
        return (Step(Kind.START_RTPENGINE, "it does not run"),)
    if not seen.answering:
        reason = "it runs but does not answer"
    elif seen.command != start_command(generation, RTPENGINE_UNIT):
        reason = "the way it is started changed"
    elif seen.config != generation.file(RTPENGINE_CONFIG).digest:
        reason = "its configuration changed"
    else:
        return ()
    cost = f"{seen.calls} calls lose their audio" if seen.calls else "no call is on it now"
    return (Step(Kind.RESTART_RTPENGINE, reason, cost),)


def _kamailio_steps(
    generation: generations.Generation, observed: Observed, *, new_certificate: bool
) -> tuple[Step, ...]:
    seen = observed.kamailio
    if not seen.running:
        return (Step(Kind.START_KAMAILIO, "it does not run"),)
    installed = observed.certificate.installed
    stale = new_certificate or (installed is not None and seen.served != installed.serial)
    reason = _restart_reason(generation, seen)
    reloads = _reload_steps(generation, seen, stale_certificate=stale)
    if not reason and any(step.kind is Kind.RELOAD_TLS for step in reloads):
        reason = _tls_restart_reason(seen.version)
    if reason:
        return (Step(Kind.RESTART_KAMAILIO, reason, _RESTART_COST),)
    return reloads


def _restart_reason(generation: generations.Generation, seen: KamailioSeen) -> str:
    if not seen.answering:
        return "it runs but does not answer"
    if seen.skeleton != generation.skeleton:
        return "listeners, parameters or routes changed"
    if seen.command != start_command(generation, KAMAILIO_UNIT):
        return "the way it is started changed"
    return ""


def _tls_restart_reason(version: tuple[int, int, int]) -> str:
    """Why the certificate cannot be reloaded (rule 6); empty when it can."""
    if version >= TLS_RELOAD_IS_SAFE_FROM:
        return ""
    return "the certificate changed, and Kamailio before 6.0 must not reload TLS"


def _reload_steps(
    generation: generations.Generation, seen: KamailioSeen, *, stale_certificate: bool
) -> tuple[Step, ...]:
    loaded = dict(seen.loaded)
    wanted = wanted_destinations(generation)
    steps: list[Step] = []
    for file in data_files(generation):
        kind = _RELOADS[file.effect]
        reason = "" if loaded.get(file.path) == file.digest else f"{file.path} changed"
        if kind is Kind.RELOAD_TLS and stale_certificate:
            reason = "the certificate changed"
        elif kind is Kind.RELOAD_DISPATCHER and seen.destinations != wanted:
            reason = reason or "Kamailio holds other destinations"
        if reason:
            steps.append(Step(kind, reason, subject=file.table, path=file.path))
    return tuple(steps)
