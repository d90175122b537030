"""Kamailio in its own words: what it is, whether it takes a config, what it runs, what it sees.

``ok`` is no proof (engines.md section 0): after every reload the running server is asked what it
holds now. Letters of dispatcher states and names of RPC methods stay in this file.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator import errors
from orchestrator.engines import kamailio_rpc, words
from orchestrator.host import process

_VERSION = re.compile(r"version: kamailio (\d+)\.(\d+)\.(\d+)")
_CHECK_SECONDS = 30.0
_CHECK_MEBIBYTES = 64
"""Of its own memory for a check: what a site with tenants runs with. Without -M it is 8, and the
routes of such a site fill that."""
_CONDITIONS = {"A": "active", "I": "inactive", "T": "trying", "D": "disabled"}
_READY_POLL = 0.05
_UAC_MARGIN = 1.5
_NOBODY = frozenset({0, 408, 477, 502, 503, 504})
"""No answer: tm says 408, 477 and 503 in the peer's place when nobody was reached, and the
dispatcher takes none of these for a gateway that is up (ds_ping_reply_codes)."""


@dataclass(frozen=True, slots=True)
class Program:
    """Which Kamailio is installed.

    Attributes:
        version: For example ``(6, 0, 1)``.
        module_path: Directory of its modules.
    """

    version: tuple[int, int, int]
    module_path: str


@dataclass(frozen=True, slots=True, order=True)
class Destination:
    """One destination as Kamailio holds it; ``state`` in its letters, such as ``AP``."""

    set_id: int
    uri: str
    state: str = ""

    @property
    def condition(self) -> str:
        """The state in a word: active, inactive, trying or disabled."""
        return _CONDITIONS.get(self.state[:1].upper(), "unknown")


@dataclass(frozen=True, slots=True, order=True)
class Allowed:
    """One row of the allowed source addresses; ``network`` as ``192.0.2.20/32``."""

    group: int
    network: str
    port: int
    tag: str


def probe_facts(root: process.EngineRoot | None) -> Program:
    """Find out which Kamailio is installed, on this machine or in an engine root.

    Raises:
        HostError: It, or its TLS module, is missing; the hint names the package.
    """
    ran = process.run(["kamailio", "-v"], timeout=10, root=root)
    match = _VERSION.search(ran.out)
    if match is None:
        raise errors.HostError(
            "kamailio -v did not tell its version",
            hint=f"run it by hand: it said {(ran.out or ran.err).strip()[:200]!r}",
        )
    top = Path(root.path) if root else Path("/")
    folders = sorted(top.glob("usr/lib/*/kamailio/modules"))
    folders += [path for path in (top / "usr/lib/kamailio/modules",) if path.is_dir()]
    for folder in folders:
        if (folder / "tls.so").exists():
            path = f"/{folder.relative_to(top)}"
            version = (int(match[1]), int(match[2]), int(match[3]))
            return Program(version=version, module_path=path)
    raise errors.HostError(
        "Kamailio's TLS module is not installed",
        hint="install it: apt-get install kamailio-tls-modules",
    )


def check_config(config: Path, root: process.EngineRoot | None) -> None:
    """Let Kamailio check a config file and what it includes, without starting.

    Raises:
        EngineRefused: It does not take it; its complaints, with file and line, are the words.
    """
    memory = ("-M", str(_CHECK_MEBIBYTES))
    # Even for a check it makes its run-time directory where it is missing: let it have one.
    ran = process.run(
        ["kamailio", "-c", "-E", "-f", str(config), "-Y", str(config.parent), *memory],
        timeout=_CHECK_SECONDS,
        root=root,
    )
    said = f"{ran.err}\n{ran.out}"
    if ran.code != 0:
        fault = "this is a fault of sbcctl; please report it with your site.yaml"
        raise words.refusal(
            "Kamailio does not accept the configuration",
            said,
            hint=fault,
            quoted=tuple(_line_of(Path(file), line) for file, line in words.named_lines(said)),
            memory=f"{_CHECK_MEBIBYTES} MiB of its own memory do not suffice; {fault}",
        )


def _line_of(file: Path, number: int) -> str:
    """A line of a rendered file, from 1; empty where there is none."""
    try:
        return file.read_text(encoding="utf-8").splitlines()[number - 1]
    except (OSError, ValueError, IndexError):
        return ""


def wait_ready(
    rpc: kamailio_rpc.Rpc,
    sockets: frozenset[str],
    *,
    seconds: float,
    check_alive: Callable[[], None],
) -> None:
    """Wait until Kamailio answers and holds the sockets that were asked for.

    5.6.3 drops a listener it cannot resolve and starts all the same (engines.md 14.1), so the
    sockets are read back. ``check_alive`` is called at each turn and raises when it has died.

    Raises:
        EngineSilent: It did not answer in time.
        EngineRefused: It runs without some of the sockets; they are named.
    """
    end = time.monotonic() + seconds
    while True:
        check_alive()
        try:
            held = read_sockets(rpc)
            break
        except errors.EngineSilent:
            if time.monotonic() > end:
                raise
        time.sleep(_READY_POLL)
    missing = sockets - held
    if missing:
        raise errors.EngineRefused(
            f"Kamailio runs, but does not listen on {', '.join(sorted(missing))}",
            words="it listens on " + ", ".join(sorted(held)),
            hint="see whether the address is on this host and teams.fqdn resolves (engines log)",
        )


def read_sockets(rpc: kamailio_rpc.Rpc) -> frozenset[str]:
    """The sockets Kamailio listens on, each as ``udp:192.0.2.10:5060``."""
    result = rpc.call("core.sockets_list")
    entries = result if isinstance(result, list) else [result]
    found: set[str] = set()
    for entry in entries:
        held = entry.get("socket", entry) if isinstance(entry, dict) else None
        if isinstance(held, dict) and "proto" in held:
            address = str(held.get("address", "")).strip("[]")
            found.add(f"{held['proto']}:{_bracketed(address)}:{held.get('port')}")
    return frozenset(found)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def running_skeleton(rpc: kamailio_rpc.Rpc, *, timer: float | None = None) -> str:
    """Which skeleton the running Kamailio was started with; empty when it is not ours.

    Args:
        rpc: The running Kamailio.
        timer: Where it may still be busy: tm's ``fr_timer`` in seconds. Somebody may have ended
            an sbcctl while Kamailio's one RPC worker waits for an answer to OPTIONS.
    """
    patience = None if timer is None else max(rpc.timeout, timer + _UAC_MARGIN)
    try:
        return str(rpc.call("cfg.get", "sbc", "skeleton", timeout=patience))
    except errors.EngineRefused:
        return ""


def reload_dispatcher(rpc: kamailio_rpc.Rpc) -> None:
    """Read dispatcher.list again; calls go on, states set by RPC are lost (engines2.md 5)."""
    rpc.call("dispatcher.reload")


def reload_table(rpc: kamailio_rpc.Rpc, name: str) -> None:
    """Read one htable again; calls go on."""
    rpc.call("htable.reload", name)


def reload_addresses(rpc: kamailio_rpc.Rpc) -> None:
    """Read the allowed source addresses again; calls go on."""
    rpc.call("permissions.addressReload")


def take_no_calls(rpc: kamailio_rpc.Rpc, seconds: int) -> None:
    """Have it refuse new calls from now on for *seconds*, 60 at most; 0: take them again.

    By the clock of this machine, which is Kamailio's as well.

    Raises:
        EngineSilent: It does not answer.
        EngineRefused: It was started with a configuration that knows nothing of this.
    """
    rpc.call("pv.shvSet", "drain", "int", int(time.time()) + seconds if seconds else 0)


def destinations(rpc: kamailio_rpc.Rpc) -> tuple[Destination, ...]:
    """Every destination Kamailio holds, sorted; none is an empty tuple.

    The short answer leaves the attributes out.
    """
    try:
        result = rpc.call("dispatcher.list", "short")
    except errors.EngineRefused as refusal:
        if "no destination" in refusal.words.lower():
            return ()
        raise
    return tuple(sorted(_flattened(result)))


def _flattened(result: kamailio_rpc.Json) -> Iterator[Destination]:
    for record in _parts(result, "RECORDS"):
        for group in _parts(record, "SET"):
            set_id = int(str(group.get("ID", 0)))
            for target in _parts(group, "TARGETS"):
                for held in _parts(target, "DEST"):
                    yield Destination(set_id, str(held.get("URI")), str(held.get("FLAGS", "")))


def _parts(value: kamailio_rpc.Json, key: str) -> Iterator[dict[str, kamailio_rpc.Json]]:
    """The structures below a key: Kamailio writes one as an object, several as an array."""
    below = value.get(key) if isinstance(value, dict) else None
    for part in below if isinstance(below, list) else [below]:
        if isinstance(part, dict):
            yield part


def table_rows(rpc: kamailio_rpc.Rpc, table: str) -> dict[str, str] | None:
    """Every key and value of an htable; None when there is no such table."""
    try:
        result = rpc.call("htable.dump", table)
    except errors.EngineRefused:
        return None
    return {
        str(held.get("name")): str(held.get("value"))
        for entry in (result if isinstance(result, list) else [result])
        for held in _parts(entry, "slot")
    }


def allowed_addresses(rpc: kamailio_rpc.Rpc) -> frozenset[Allowed]:
    """The source addresses Kamailio lets in.

    It keeps single addresses and networks apart, and this puts them together again.
    """
    found: set[Allowed] = set()
    for method in ("permissions.addressDump", "permissions.subnetDump"):
        result = rpc.call(method)
        for entry in result if isinstance(result, list) else [result]:
            for held in _parts(entry, "item"):
                assert isinstance(entry, dict)
                address = str(held.get("ip")).strip("[]")
                whole = f"{address}/{held['mask']}" if "mask" in held else address
                network = ipaddress.ip_network(whole, strict=False)
                port, tag = int(str(held.get("port", 0))), str(held.get("tag") or "")
                found.add(Allowed(int(str(entry.get("group"))), str(network), port, tag))
    return frozenset(found)


def table_value(rpc: kamailio_rpc.Rpc, table: str, key: str) -> str | None:
    """The value an htable holds for a key; None when it holds none."""
    try:
        result = rpc.call("htable.get", table, key)
    except errors.EngineRefused:
        return None
    for held in _parts(result, "item"):
        return str(held.get("value"))
    return None


def send_options(
    rpc: kamailio_rpc.Rpc, uri: str, *, identity: str, socket: str, timer: float
) -> int | None:
    """Send OPTIONS through the running Kamailio and wait for the final answer.

    Blocks for at most tm's ``fr_timer`` and a little more, because Kamailio's one RPC worker
    cannot be called off: it waits until that timer ends.

    Args:
        rpc: The running Kamailio.
        uri: Where to, for example ``sip:sip.pstnhub.microsoft.com:5061;transport=tls``.
        identity: Our SIP URI, for From.
        socket: The socket to send from, ``tls:203.0.113.10:5061``; Kamailio's choice when empty.
        timer: tm's ``fr_timer`` in seconds, as the running skeleton sets it.

    Returns:
        The status code, or None when nobody answered, it could not be sent, or the peer takes no
        calls (502, 503, 504).
    """
    try:
        result = rpc.call(
            "tm.t_uac_wait_block",
            "OPTIONS",
            uri,
            ".",
            socket or ".",
            _headers(uri, identity),
            timeout=timer + _UAC_MARGIN,
        )
    except errors.EngineRefused:
        return None
    code = int(str(result.get("code", 0))) if isinstance(result, dict) else 0
    return None if code in _NOBODY else code


def begin_options(
    rpc: kamailio_rpc.Rpc, uri: str, *, identity: str, socket: str, call_id: str
) -> bool:
    """Send OPTIONS through the running Kamailio and do not wait; False when it cannot be sent.

    Its answer is noted under *call_id*, which begins with ``sbcctl-``: :func:`options_answers`.
    """
    headers = f"{_headers(uri, identity)}Call-ID: {call_id}\r\n"
    try:
        rpc.call("tm.t_uac_start", "OPTIONS", uri, ".", socket or ".", headers)
    except errors.EngineRefused:
        return False
    return True


def options_answers(rpc: kamailio_rpc.Rpc) -> dict[str, int | None] | None:
    """What each OPTIONS was answered by its Call-ID, None for 502 to 504 (no calls there).

    None altogether where the running Kamailio keeps no note, as one of an earlier sbcctl.
    """
    rows = table_rows(rpc, "asked")
    if rows is None:
        return None
    return {call_id: None if int(code) in _NOBODY else int(code) for call_id, code in rows.items()}


def _headers(uri: str, identity: str) -> str:
    # No tag: tm adds its own, and two make the header one that no grammar knows.
    return f"From: <{identity}>\r\nTo: <{uri}>\r\nMax-Forwards: 70\r\n"
