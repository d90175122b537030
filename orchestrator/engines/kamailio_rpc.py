"""Kamailio's JSON-RPC over its unix datagram socket; the only door to jsonrpclib.

What facts/engines.md section 1 found, and what follows from it here:

1. The socket's file mode is the authentication; a caller binds a path of its own, or there is no
   way for the answer. It lies in a directory of ours, and is given to whom the answer comes from:
   where Kamailio runs as a user of its own, it could not write to it.
2. A request is one datagram of at most 65,456 bytes, an answer one of at most 131,072 (both
   generations, measured). A larger answer is never sent, so every call has a time limit. Behind
   a question whose answer may grow a second, small one is sent; when only that is answered, the
   first answer was too large. One worker answers in order, so this tells "too large" from
   "silent" for sure and at once.
3. Some methods end the server (``core.kill``, ``modparam.list``): what is not on the list below
   is not sent.
4. One worker answers, and overlapping reloads corrupt memory: reloads hold a lock. Kamailio
   refuses a second reload within five seconds ("ongoing reload"): waited for and tried again.
"""

from __future__ import annotations

import fcntl
import itertools
import json
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

LARGEST_ANSWER = 131_072
"""Bytes of the largest answer Kamailio sends."""

RELOADS = frozenset(
    {"dispatcher.reload", "htable.reload", "permissions.addressReload", "tls.reload"}
)
"""Methods that make Kamailio read a data file again."""

ALLOWED = RELOADS | {
    "cfg.get",
    "core.shmmem",
    "core.sockets_list",
    "core.tcp_info",
    "core.uptime",
    "core.version",
    "dispatcher.list",
    "dispatcher.set_state",
    "htable.dump",
    "htable.get",
    "htable.listTables",
    "htable.stats",
    "permissions.addressDump",
    "permissions.subnetDump",
    "pkg.stats",
    "pv.shvSet",
    "stats.get_statistics",
    "system.listMethods",
    "tls.info",
    "tls.list",
    "tls.options",
    "tm.stats",
    "tm.t_uac_wait_block",
    "ul.dump",
    "uac.reg_add",
    "uac.reg_dump",
    "uac.reg_remove",
    "uac.reg_unregister",
}
"""Everything sbcctl ever asks of Kamailio."""

_GROWING = frozenset(
    {
        "dispatcher.list",
        "htable.dump",
        "permissions.addressDump",
        "permissions.subnetDump",
        "uac.reg_dump",
    }
)
"""Methods whose answer grows with the site."""

_FENCE = "sbcctl-fence"
_RELOAD_PATIENCE = 12.0
_RELOAD_PAUSE = 0.5
_PATH_LIMIT = 107
_numbers = itertools.count(1)

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can hold."""


class AnswerTooLarge(errors.EngineRefused):
    """Kamailio has an answer, but no datagram can carry it."""


class _Unsent(Exception):
    """The answer to the fence came, and none to the question before it."""


class _Datagram:
    """A transport for jsonrpclib: one request, one answer, on a socket of our own."""

    def __init__(self, path: Path, folder: Path, timeout: float, *, fenced: bool) -> None:
        self._path = path
        self._folder = folder
        self._timeout = timeout
        self._fenced = fenced

    def push_headers(self, headers: object) -> None:
        """There are no headers in a datagram."""

    def pop_headers(self, headers: object) -> None:
        """There are no headers in a datagram."""

    def close(self) -> None:
        """Each request closes its own socket."""

    def request(self, host: object, handler: object, request_body: str, verbose: object) -> str:
        """Send the request and return the answer; OSError, _Unsent go to the caller."""
        del host, handler, verbose
        own = self._folder / f".rpc-{os.getpid()}-{next(_numbers)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.settimeout(self._timeout)
            try:
                asking.bind(str(own))
                if (owner := self._path.lstat().st_uid) != os.geteuid():
                    os.chown(own, owner, -1)
                asking.connect(str(self._path))
                asking.send(request_body.encode())
                if self._fenced:
                    asking.send(_fence())
                answer = asking.recv(LARGEST_ANSWER + 1).decode("utf-8", "replace")
                if self._fenced:
                    if _is_fence(answer):
                        raise _Unsent
                    asking.recv(LARGEST_ANSWER + 1)
                return answer
            finally:
                with suppress(FileNotFoundError):
                    own.unlink()


def _fence() -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": "core.uptime", "id": _FENCE}).encode()


def _is_fence(answer: str) -> bool:
    try:
        told = json.loads(answer)
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("id") == _FENCE


class Rpc:
    """The JSON-RPC of one running Kamailio.

    Args:
        path: Its socket, for example ``/run/sbcctl/kamailio/kamailio.sock``.
        folder: Where our own sockets are made; nobody but us may write there.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, path: Path, folder: Path, timeout: float = 2.0) -> None:
        self.path = path
        self.folder = folder
        self.timeout = timeout

    def call(self, method: str, *parameters: str | int, timeout: float | None = None) -> Json:
        """Call a method and return its result; a reload waits for its turn.

        Raises:
            ValueError: The method is not on the list: a fault of ours.
            EngineRefused: Kamailio answered no; its words and code are kept.
            AnswerTooLarge: It has an answer that does not fit a datagram.
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
        if max(len(str(self.path)), len(str(self.folder)) + 24) > _PATH_LIMIT:
            raise errors.HostError(
                f"the path {self.path} is too long for a unix socket",
                hint="use a shorter --run-dir, such as /run/sbcctl",
            )
        fenced = method in _GROWING
        transport = _Datagram(self.path, self.folder, timeout, fenced=fenced)
        proxy = jsonrpclib.ServerProxy("http://kamailio", transport=transport)
        try:
            result: Json = getattr(proxy, method)(*parameters)
        except jsonrpc.ProtocolError as error:
            raise _refused(method, error) from error
        except _Unsent as error:
            raise AnswerTooLarge(
                f"Kamailio's answer to {method} is larger than {LARGEST_ANSWER} bytes",
                hint="Kamailio goes on, but this cannot be read back; the site is very large",
            ) from error
        except (FileNotFoundError, ConnectionError) as error:
            raise errors.EngineSilent(
                f"Kamailio does not listen on {self.path}",
                hint="it is not running, or runs with another --run-dir",
            ) from error
        except TimeoutError as error:
            raise errors.EngineSilent(
                f"Kamailio did not answer {method} within {timeout:g} s",
                hint=f"it is busy or hangs; see its log ({self.path})",
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
        path = self.folder / "reload.lock"
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


def unexpected(name: str, told: object) -> errors.EngineRefused:
    """An answer that lacks a number it must have."""
    return errors.EngineRefused(
        f"Kamailio's answer has no number {name}",
        words=str(told)[:200],
        hint="this Kamailio answers otherwise than the ones sbcctl knows; please report it",
    )


def _refused(method: str, error: Exception) -> errors.EngineRefused:
    """Kamailio's error object as ours: jsonrpclib hands over ``(code, words, ...)``."""
    said = error.args[0] if error.args else ""
    words = f"{said[0]} {said[1]}" if isinstance(said, tuple) and len(said) > 1 else str(said)
    return errors.EngineRefused(f"Kamailio refused {method}", words=words)
