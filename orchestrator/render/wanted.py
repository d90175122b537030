"""Generation -> what the running engines must hold, for the way they are started and read back.

Everything is read from the rendered files themselves, so that it is the same for a generation
that was just rendered and for one that was loaded from disk on the way back. Pure.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network

from orchestrator.render import generation as generations
from orchestrator.render import tables, texts, trunks

KAMAILIO_UNIT = "systemd/sbcctl-kamailio.service"
RTPENGINE_UNIT = "systemd/sbcctl-rtpengine.service"
RTPENGINE_CONFIG = "rtpengine/rtpengine.conf"
DISPATCHER_LIST = "kamailio/dispatcher.list"
ADDRESSES_LIST = "kamailio/addresses.list"
KAMAILIO_CONFIG = "kamailio/kamailio.cfg"
TLS_CONFIG = "kamailio/tls.cfg"
TRUNK_TABLE = "kamailio/tables/trunk"
TENANT_TABLE = "kamailio/tables/tenant"
NUMBER_TABLE = "kamailio/tables/number"
OF_TENANTS = (TENANT_TABLE, NUMBER_TABLE)
"""The files that say whose numbers are whose (``hosting``), in the order in which they change."""
REGISTRATIONS = "kamailio/tables/uacreg"

DATABASE = "kamailio/tables.sqlite"
"""Made of the tables where Kamailio reads them from there."""

RELOADED = (
    generations.Effect.TLS_RELOAD,
    generations.Effect.ADDRESSES_RELOAD,
    generations.Effect.TABLE_RELOAD,
    generations.Effect.DISPATCHER_RELOAD,
    generations.Effect.REGISTRATIONS_RELOAD,
)
"""What Kamailio can read again while it runs, in the order in which that is safe."""

_LISTEN = re.compile(
    r"^listen=(?P<proto>udp|tcp|tls):(?P<host>\[[^]]+\]|[^:\s]+):(?P<port>\d+)"
    r"(?: advertise (?P<name>\S+):\d+)?(?: name \"(?P<nick>[\w.-]+)\")?",
    re.MULTILINE,
)

# One row of an htable as db_text writes it: key:0:0:value:0, with \\ and \: escaped. Older
# generations have a number in front, which moved with every row that came before.
_NUMBERED = "id("
_COLUMN = re.compile(r"((?:[^:\\]|\\.)*)(?::|$)")
_SEAL = re.compile(rf"{tables.SEAL}:0:0:([0-9a-f]+):0$", re.MULTILINE)
_UNESCAPED = re.compile(r"\\(.)")
_FR_TIMER = re.compile(r'^modparam\("tm", "fr_timer", (\d+)\)', re.MULTILINE)
_CA_LIST = re.compile(r"^ca_list = (/\S+)", re.MULTILINE)
_MUSIC = re.compile(r"/[A-Za-z0-9_./+@-]+\.wav")
_TABLE_COLUMNS = 5
_REGISTRATION_COLUMNS = (1, 4, 5, 6, 7, 8, 10, 11, 14, 15)
_DISPATCHER_COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Probe:
    """Somebody to ask by OPTIONS.

    Attributes:
        uri: The destination.
        socket: The socket to send from, or empty.
        identity: Our SIP URI towards it.
        party: ``teams``, the name of the trunk, or that at Microsoft of a tenant with a trunk of
            its own there.
        set_id: Its dispatcher set.
        trust: For a trunk over TLS: the name its certificate must have, and the file of CAs.
    """

    uri: str
    socket: str
    identity: str
    party: str
    set_id: int = 0
    trust: tuple[str, str] = ("", "")


def sockets(generation: generations.Generation) -> frozenset[str]:
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


def own_listeners(generation: generations.Generation) -> tuple[tuple[str, int, str], ...]:
    """The same of each that Teams dials for a tenant with a trunk of its own, by its name."""
    return tuple(
        sorted(
            ((found["host"], int(found["port"]), found["nick"]) for found in _own(generation)),
            key=lambda each: each[2],
        )
    )


def _own(generation: generations.Generation) -> Iterator[re.Match[str]]:
    """Those that Teams dials, but for the first one, which is everybody else's."""
    named = (found for found in _listeners(generation) if found["name"])
    return itertools.islice(named, 1, None)


def destinations(generation: generations.Generation) -> tuple[tuple[int, str], ...]:
    """Dispatcher set and URI of each destination Kamailio must hold, sorted."""
    lines = generation.file(DISPATCHER_LIST).text.splitlines()
    words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return tuple(sorted((int(parts[0]), parts[1]) for parts in words))


def probes(generation: generations.Generation) -> tuple[Probe, ...]:
    """Who is to be asked by OPTIONS whether they answer: every destination, in list order."""
    named = {found["nick"]: found for found in _listeners(generation)}
    own = {found["nick"] for found in _own(generation)}
    parties = _parties(generation)
    roots = ("", *_CA_LIST.findall(generation.file(TLS_CONFIG).text))[-1]
    asked = []
    for line in generation.file(DISPATCHER_LIST).text.splitlines():
        words = line.split()
        if len(words) < _DISPATCHER_COLUMNS or line.startswith("#"):
            continue
        told = dict(part.partition("=")[::2] for part in words[4].split(";"))
        nick = told.get("sockname", "")
        found = named.get(nick)
        socket = f"{found['proto']}:{found['host']}:{found['port']}" if found else ""
        party, name = (nick, "") if nick in own else parties.get(words[0], ("", ""))
        secure = socket.startswith("tls:") and party != trunks.TEAMS and nick not in own
        asked.append(
            Probe(
                uri=words[1],
                socket=socket,
                identity=told.get("ping_from", ""),
                party=party,
                set_id=int(words[0]),
                trust=(name, roots) if secure else ("", ""),
            )
        )
    return tuple(asked)


def _parties(generation: generations.Generation) -> dict[str, tuple[str, str]]:
    """Who is behind each dispatcher set, and the name its certificate must have, if any.

    Teams, or the trunk whose row names the set.
    """
    found = {str(trunks.TEAMS_SET): (trunks.TEAMS, "")}
    for party, row in table_rows(generation.file(TRUNK_TABLE)):
        told = dict(part.partition("=")[::2] for part in row.split(";"))
        found[told.get("set", "")] = (party, told.get("name", ""))
    return found


def answer_seconds(generation: generations.Generation) -> float:
    """How long Kamailio waits for an answer to a request: tm's ``fr_timer``, 30 s by default."""
    found = _FR_TIMER.search(generation.file(KAMAILIO_CONFIG).text)
    return int(found[1]) / 1000 if found else 30.0


def table_rows(file: generations.File) -> tuple[tuple[str, str], ...]:
    """Key and value of each row in a rendered htable, in the order of the file."""
    first = 1 if file.text.startswith(_NUMBERED) else 0
    rows = []
    for line in file.text.splitlines()[1:]:
        columns = _columns(line)[first:]
        if len(columns) >= _TABLE_COLUMNS:
            rows.append((columns[0], columns[3]))
    return tuple(rows)


def _columns(line: str) -> list[str]:
    """The columns of a row; there may be a million, and few of them have anything escaped."""
    if "\\" not in line:
        return line.split(":")
    return [_UNESCAPED.sub(r"\1", part) for part in _COLUMN.findall(line)]


def reads_database(generation: generations.Generation) -> bool:
    """Whether Kamailio reads its tables from :data:`DATABASE` instead of from the texts."""
    return f'/{DATABASE}")' in generation.file(KAMAILIO_CONFIG).text


def tables_of(generation: generations.Generation) -> tuple[generations.File, ...]:
    """The rendered htables."""
    wished = generations.Effect.TABLE_RELOAD
    return tuple(file for file in generation.files if file.effect is wished)


def changed_rows(
    before: str, after: generations.File, *, most: int
) -> tuple[dict[str, str], frozenset[str]] | None:
    """What is different between two texts of a rendered htable: rows to set, and keys to delete.

    None when more than *most* lines are.
    """
    head = before.find("\n") + 1
    lines = texts.changed_lines(before, after.text, most)
    if lines is None or before.startswith(_NUMBERED) or before[:head] != after.text[:head]:
        return None
    gone, came = (dict(map(_row, each)) for each in lines)
    rows = {key: value for key, value in came.items() if gone.get(key) != value}
    return rows, frozenset(gone.keys() - came.keys())


def _row(line: str) -> tuple[str, str]:
    columns = _columns(line)
    return columns[0], columns[3]


def seal(file: generations.File) -> tuple[str, int] | None:
    """The digest that a large table carries, and its number of rows; None for all others."""
    return seal_of(file.text)


@lru_cache(maxsize=4)
def seal_of(text: str) -> tuple[str, int] | None:
    """The same of a text; it is asked for often, and the texts of an apply are there anyway."""
    place = text.find(f"\n{tables.SEAL}:0:0:")
    found = _SEAL.match(text, place + 1) if place >= 0 else None
    return (found[1], text.count("\n") - 1) if found else None


def count_rows(file: generations.File) -> int:
    """How many rows a rendered htable has, the seal among them."""
    sealed = seal(file)
    return sealed[1] if sealed else file.text.count("\n") - 1


def has_rows(file: generations.File) -> bool:
    """Whether there is a row in a rendered htable."""
    return file.text.find("\n") < len(file.text) - 1


def registrations(generation: generations.Generation) -> frozenset[tuple[str, ...]]:
    """What each registration at a carrier is told, as ``engines.kamailio_uac`` reads it back."""
    rows = set()
    for file in generation.files:
        if file.effect is generations.Effect.REGISTRATIONS_RELOAD:
            for line in file.text.splitlines()[1:]:
                columns = _columns(line)
                rows.add(tuple(columns[place] for place in _REGISTRATION_COLUMNS))
    return frozenset(rows)


def addresses(generation: generations.Generation) -> frozenset[tuple[int, str, int, str]]:
    """Group, network, port and tag of each allowed source address."""
    rows = set()
    for line in generation.file(ADDRESSES_LIST).text.splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            group, address, prefix, port, tag = words
            network = ip_network(f"{address.strip('[]')}/{prefix}", strict=False)
            rows.add((int(group), str(network), int(port), tag))
    return frozenset(rows)


def outside_files(generation: generations.Generation) -> tuple[str, ...]:
    """Files elsewhere that the engines read: CAs and music that site.yaml names, sorted."""
    found = set(_CA_LIST.findall(generation.file(TLS_CONFIG).text))
    for file in generation.files:
        if file.effect is generations.Effect.TABLE_RELOAD:
            found.update(_MUSIC.findall(file.text))
    return tuple(sorted(found))


def start_command(generation: generations.Generation, unit: str) -> tuple[str, ...]:
    """The words an engine is started with: ``ExecStart`` of its unit, the program by name only."""
    for line in generation.file(unit).text.splitlines():
        if line.startswith("ExecStart="):
            program, *rest = line.removeprefix("ExecStart=").split()
            return (program.rpartition("/")[2], *rest)
    raise ValueError(f"{unit} has no ExecStart")


def data_files(generation: generations.Generation) -> tuple[generations.File, ...]:
    """The files Kamailio can read again while it runs, in the order in which that is safe."""
    found = [file for file in generation.files if file.effect in RELOADED]
    return tuple(sorted(found, key=_safe_place))


def _safe_place(file: generations.File) -> tuple[int, bool, str]:
    """A number leads to its tenant, which has to be there."""
    return RELOADED.index(file.effect), file.path == NUMBER_TABLE, file.path


def _listeners(generation: generations.Generation) -> tuple[re.Match[str], ...]:
    return tuple(_LISTEN.finditer(generation.file(KAMAILIO_CONFIG).text))
