"""Kamailio's JSON-RPC over its unix datagram socket; the only door to jsonrpclib.

What facts/engines.md section 1 found, and what follows from it here:

1. The socket's file mode is the authentication; a caller binds a path of its own, beside
   Kamailio's, or there is no way for the answer.
2. Request and answer are one datagram of at most 65,456 bytes. A larger answer is never sent,
   so every call has a time limit.
3. Some methods end the server (``core.kill``, ``modparam.list``): what is not on the list below
   is not sent.
4. One worker answers, and overlapping reloads corrupt memory: reloads hold a lock. Kamailio
   refuses a second reload within five seconds ("ongoing reload"): waited for and tried again.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import jsonrpclib
from jsonrpclib import jsonrpc

from orchestrator import errors

LARGEST_DATAGRAM = 65_456
"""Bytes of the largest request or answer (engines.md 1.1)."""

RELOADS = frozenset(
    {"dispatcher.reload", "htable.reload", "permissions.addressReload", "tls.reload"}
)
"""Methods that make Kamailio read a data file again."""

ALLOWED = RELOADS | {
    "cfg.get",
    "core.sockets_list",
    "core.uptime",
    "core.version",
    "dispatcher.list",
    "dispatcher.set_state",
    "htable.get",
    "htable.listTables",
    "htable.stats",
    "permissions.addressDump",
    "permissions.subnetDump",
    "stats.get_statistics",
    "system.listMethods",
    "tls.info",
    "tls.list",
    "tls.options",
    "tm.stats",
    "tm.t_uac_wait_block",
    "ul.dump",
}
"""Everything sbcctl ever asks of Kamailio."""

_RELOAD_PATIENCE = 12.0
_RELOAD_PAUSE = 0.5
_PATH_LIMIT = 107
_numbers = itertools.count(1)

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can hold."""


class _Datagram:
    """A transport for jsonrpclib: one request, one answer, on a socket of our own."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout

    def push_headers(self, headers: object) -> None:
        """There are no headers in a datagram."""

    def pop_headers(self, headers: object) -> None:
        """There are no headers in a datagram."""

    def close(self) -> None:
        """Each request closes its own socket."""

    def request(self, host: object, handler: object, request_body: str, verbose: object) -> str:
        """Send the request and return the answer; OSError and TimeoutError go to the caller."""
        del host, handler, verbose
        own = self._path.with_name(f".rpc-{os.getpid()}-{next(_numbers)}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.settimeout(self._timeout)
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * LARGEST_DATAGRAM)
            try:
                asking.bind(str(own))
                asking.connect(str(self._path))
                asking.send(request_body.encode())
                return asking.recv(LARGEST_DATAGRAM + 1).decode("utf-8", "replace")
            finally:
                with suppress(FileNotFoundError):
                    own.unlink()


class Rpc:
    """The JSON-RPC of one running Kamailio.

    Args:
        path: Its socket, for example ``/run/sbcctl/kamailio.sock``.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, path: Path, timeout: float = 2.0) -> None:
        self.path = path
        self.timeout = timeout

    def call(self, method: str, *parameters: str | int, timeout: float | None = None) -> Json:
        """Call a method and return its result; a reload waits for its turn.

        Raises:
            ValueError: The method is not on the list: a fault of ours.
            EngineRefused: Kamailio answered no; its words and code are kept.
            EngineSilent: Nobody listens there, or no answer came in time.
            HostError: The socket may not be used by us.
        """
        if method not in ALLOWED:
            raise ValueError(f"{method} is not on the list of allowed methods")
        if method not in RELOADS:
            return self._ask(method, parameters, timeout or self.timeout)
        end = time.monotonic() + _RELOAD_PATIENCE
        with self._reload_lock(end):
            while True:
                try:
                    return self._ask(method, parameters, timeout or _RELOAD_PATIENCE)
                except errors.EngineRefused as refusal:
                    if "ongoing reload" not in refusal.words.lower() or time.monotonic() > end:
                        raise
                time.sleep(_RELOAD_PAUSE)

    def _ask(self, method: str, parameters: tuple[str | int, ...], timeout: float) -> Json:
        if len(str(self.path)) + 24 > _PATH_LIMIT:
            raise errors.HostError(
                f"the path {self.path} is too long for a unix socket",
                hint="use a shorter --run-dir, such as /run/sbcctl",
            )
        proxy = jsonrpclib.ServerProxy("http://kamailio", transport=_Datagram(self.path, timeout))
        try:
            result: Json = getattr(proxy, method)(*parameters)
        except jsonrpc.ProtocolError as error:
            raise _refused(method, error) from error
        except (FileNotFoundError, ConnectionError) as error:
            raise errors.EngineSilent(
                f"Kamailio does not listen on {self.path}",
                hint="it is not running, or runs with another --run-dir",
            ) from error
        except TimeoutError as error:
            raise errors.EngineSilent(
                f"Kamailio did not answer {method} within {timeout:g} s",
                hint=f"it is busy or hangs; see its log, and try: sbcctl status ({self.path})",
            ) from error
        except OSError as error:
            raise errors.HostError(
                f"cannot ask Kamailio through {self.path}: {error.strerror}",
                hint="run sbcctl as root, or as a member of the socket's group",
            ) from error
        except (ValueError, TypeError) as error:
            raise errors.EngineRefused(
                f"Kamailio's answer to {method} is not JSON-RPC", words=str(error)
            ) from error
        return result

    @contextmanager
    def _reload_lock(self, end: float) -> Iterator[None]:
        path = self.path.with_name("reload.lock")
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise errors.HostError(
                f"cannot write {path}: {error.strerror}", hint="run sbcctl as root"
            ) from error
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise errors.LockHeld(
                            "another process reloads Kamailio", hint="try again when it is done"
                        ) from None
                    time.sleep(_RELOAD_PAUSE)
                else:
                    break
            yield
        finally:
            os.close(handle)


def _refused(method: str, error: Exception) -> errors.EngineRefused:
    """Kamailio's error object as ours: jsonrpclib hands over ``(code, words, ...)``."""
    said = error.args[0] if error.args else ""
    words = f"{said[0]} {said[1]}" if isinstance(said, tuple) and len(said) > 1 else str(said)
    return errors.EngineRefused(f"Kamailio refused {method}", words=words)
