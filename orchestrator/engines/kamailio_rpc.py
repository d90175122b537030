"""Kamailio's JSON-RPC over a unix datagram socket and FIFOs; the only door to jsonrpclib.

What facts/engines.md section 1 found, and what follows from it here:

1. The file modes are the authentication; a caller makes a socket or a FIFO of its own, or there
   is no way for the answer. It lies in a directory of ours, where nobody else can put one in its
   place, and is given to whom the answer comes from: where Kamailio runs as a user of its own, it
   could not write to it. Its own FIFO lies in its directory, so what is opened there is looked at
   before it is written to: an engine that was taken over may have put something else there.
2. Over the socket a request is one datagram of at most 65,456 bytes, an answer one of at most
   131,072 (both generations, measured), and a larger answer is never sent. A question whose
   answer grows with the site goes to Kamailio's FIFO instead, and is answered there without a
   limit, by a process of its own: the RPC worker is not kept busy.
3. Some methods end the server (``core.kill``, ``modparam.list``): what is not on the list below
   is not sent.
4. Overlapping reloads corrupt memory: reloads hold a lock, and who asks at the FIFO shares it,
   so that nothing is listed while it is replaced. Kamailio refuses a second reload within five
   seconds ("ongoing reload"): waited for and tried again.
5. Every call has a time limit.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import select
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import jsonrpclib
from jsonrpclib import jsonrpc

from orchestrator import errors

LARGEST_DATAGRAM = 131_072
"""Bytes of the largest answer Kamailio sends over its socket."""

FIFO = "kamailio.fifo"
"""Kamailio's FIFO, beside its socket."""

_LARGEST_ANSWER = 1 << 27
_PIECE = 1 << 16

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
    "htable.delete",
    "htable.dump",
    "htable.get",
    "htable.listTables",
    "htable.seti",
    "htable.sets",
    "htable.stats",
    "permissions.addressDump",
    "permissions.subnetDump",
    "pkg.stats",
    "pv.shvGet",
    "pv.shvSet",
    "rtpengine.show",
    "stats.get_statistics",
    "system.listMethods",
    "tls.info",
    "tls.list",
    "tls.options",
    "tm.stats",
    "tm.t_uac_start",
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
        "tls.list",
        "uac.reg_dump",
    }
)
"""Methods whose answer grows with the site; they are asked at the FIFO."""

_RELOAD_PATIENCE = 12.0
_RELOAD_PAUSE = 0.5
_GROWING_PATIENCE = 10.0
_PATH_LIMIT = 107
_numbers = itertools.count(1)

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can hold."""


class _Transport:
    """What jsonrpclib wants of a transport beside ``request``."""

    def push_headers(self, headers: object) -> None:
        """There are no headers."""

    def pop_headers(self, headers: object) -> None:
        """There are no headers."""

    def close(self) -> None:
        """Each request closes what it opened."""


class _Datagram(_Transport):
    """One request, one answer, on a socket of our own."""

    def __init__(self, path: Path, folder: Path, timeout: float) -> None:
        self._path = path
        self._folder = folder
        self._timeout = timeout

    def request(self, host: object, handler: object, request_body: str, verbose: object) -> str:
        """Send the request and return the answer; OSError goes to the caller."""
        del host, handler, verbose
        own = self._folder / f".rpc-{os.getpid()}-{next(_numbers)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.settimeout(self._timeout)
            try:
                _afresh(own, lambda: asking.bind(str(own)))
                _hand_over(own, self._path)
                asking.connect(str(self._path))
                asking.send(request_body.encode())
                return asking.recv(LARGEST_DATAGRAM + 1).decode("utf-8", "replace")
            finally:
                with suppress(FileNotFoundError):
                    own.unlink()


class _Fifo(_Transport):
    """One request through Kamailio's FIFO, one answer of any size through a FIFO of our own."""

    def __init__(self, path: Path, folder: Path, timeout: float) -> None:
        self._path = path
        self._folder = folder
        self._timeout = timeout

    def request(self, host: object, handler: object, request_body: str, verbose: object) -> str:
        """Send the request and return the answer; OSError goes to the caller."""
        del host, handler, verbose
        # No dot: Kamailio opens no name that has one.
        own = self._folder / f"rpc-{os.getpid()}-{next(_numbers)}"
        end = time.monotonic() + self._timeout
        try:
            _afresh(own, lambda: os.mkfifo(own, 0o600))
            _hand_over(own, self._path)
            answering = os.open(own, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                self._send({**json.loads(request_body), "reply_name": own.name})
                return _read_all(answering, end).decode("utf-8", "replace")
            finally:
                os.close(answering)
        finally:
            with suppress(FileNotFoundError):
                own.unlink()

    def _send(self, question: dict[str, Json]) -> None:
        """Write it at once: below PIPE_BUF no other question gets in between."""
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            asking = os.open(self._path, flags)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ELOOP):
                raise ConnectionRefusedError(error.errno, error.strerror) from error
            raise
        try:
            if not stat.S_ISFIFO(os.fstat(asking).st_mode):
                raise ConnectionRefusedError(errno.ENXIO, "not a FIFO")
            os.write(asking, json.dumps(question).encode())
        except BlockingIOError as error:
            raise TimeoutError from error
        finally:
            os.close(asking)


def _afresh(own: Path, make: Callable[[], None]) -> None:
    """Make what has our process id in its name; one that was killed may have left it.

    In a container the same few process ids come again and again.
    """
    try:
        make()
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EEXIST):
            raise
        own.unlink()
        make()


def _hand_over(own: Path, theirs: Path) -> None:
    """Give what we made for an answer to whom the answer comes from."""
    if (owner := theirs.lstat().st_uid) != os.geteuid():
        os.chown(own, owner, -1)


def _read_all(answering: int, end: float) -> bytes:
    """Read until the other side has closed; nobody having opened it yet is waited for."""
    waiting = select.poll()
    waiting.register(answering, select.POLLIN)
    told = bytearray()
    while waiting.poll(max(0.0, end - time.monotonic()) * 1000):
        piece = os.read(answering, _PIECE)
        if not piece:
            return bytes(told)
        told += piece
        if len(told) > _LARGEST_ANSWER:
            raise ValueError(f"it is larger than {_LARGEST_ANSWER} bytes")
    raise TimeoutError


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
            EngineSilent: Nobody listens there, or no answer came in time.
            HostError: The socket may not be used by us.
        """
        if method not in ALLOWED:
            raise ValueError(f"{method} is not on the list of allowed methods")
        if method in _GROWING:
            with self._lock(fcntl.LOCK_SH, time.monotonic() + _RELOAD_PATIENCE):
                return self._ask(method, parameters, timeout or _GROWING_PATIENCE)
        if method not in RELOADS:
            return self._ask(method, parameters, timeout or self.timeout)
        end = time.monotonic() + _RELOAD_PATIENCE
        with self._lock(fcntl.LOCK_EX, end):
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
        path = self.path.with_name(FIFO) if method in _GROWING else self.path
        transport = (_Fifo if method in _GROWING else _Datagram)(path, self.folder, timeout)
        proxy = jsonrpclib.ServerProxy("http://kamailio", transport=transport)
        try:
            result: Json = getattr(proxy, method)(*parameters)
        except jsonrpc.ProtocolError as error:
            raise _refused(method, error) from error
        except (FileNotFoundError, ConnectionError) as error:
            raise _not_there(path) from error
        except TimeoutError as error:
            raise errors.EngineSilent(
                f"Kamailio did not answer {method} within {timeout:g} s",
                hint=f"it is busy or hangs; see its log ({path})",
            ) from error
        except OSError as error:
            raise errors.HostError(
                f"cannot ask Kamailio through {path}: {error.strerror}",
                hint="run sbcctl as root, or as a member of the socket's group",
            ) from error
        except (ValueError, TypeError) as error:
            raise errors.EngineRefused(
                f"Kamailio's answer to {method} is not JSON-RPC", words=str(error)
            ) from error
        return result

    @contextmanager
    def _lock(self, how: int, end: float) -> Iterator[None]:
        path = self.folder / "reload.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except FileNotFoundError as error:
            raise _not_there(self.path) from error
        except OSError as error:
            raise errors.HostError(
                f"cannot write {path}: {error.strerror}", hint="run sbcctl as root"
            ) from error
        try:
            while True:
                try:
                    fcntl.flock(handle, how | fcntl.LOCK_NB)
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


def _not_there(path: Path) -> errors.EngineSilent:
    return errors.EngineSilent(
        f"Kamailio does not listen on {path}",
        hint="it is not running, or runs with another --run-dir",
    )


def _refused(method: str, error: Exception) -> errors.EngineRefused:
    """Kamailio's error object as ours: jsonrpclib hands over ``(code, words, ...)``."""
    said = error.args[0] if error.args else ""
    words = f"{said[0]} {said[1]}" if isinstance(said, tuple) and len(said) > 1 else str(said)
    return errors.EngineRefused(f"Kamailio refused {method}", words=words)
