"""Kamailio's RPC and its config checker, against the real one of each generation."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import ground
import lanes
import pytest

from orchestrator import errors
from orchestrator.engines import kamailio, kamailio_rpc, rtpengine, words
from orchestrator.host import process


@pytest.fixture(scope="module")
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine that serves; its RPC socket is a file, so it is reached from out here."""
    with ground.Ground(tmp_path_factory.mktemp("k"), lanes.root(lane)) as made:
        made.apply()
        yield made


@pytest.fixture
def rpc(machine: ground.Ground) -> kamailio_rpc.Rpc:
    return kamailio_rpc.Rpc(machine.run_dir / "kamailio/kamailio.sock", machine.run_dir)


@pytest.mark.engine
def test_answers_refusals_and_nothing_left_behind(rpc):
    """A result, Kamailio's own words, and no socket of ours in the run directory."""
    assert "kamailio" in str(rpc.call("core.version"))
    with pytest.raises(errors.EngineRefused) as caught:
        rpc.call("htable.get", "nothing", "x")
    assert caught.value.words == "500 No such htable"
    with pytest.raises(errors.EngineRefused) as caught:
        rpc.call("htable.dump", "nothing")
    assert caught.value.words == "500 No such htable"
    assert list(rpc.folder.glob("*rpc-*")) == []


@pytest.mark.engine
def test_what_a_killed_one_left_is_in_nobodys_way(rpc):
    """In a container process ids come again: the names a dead sbcctl used are used again."""
    number = next(kamailio_rpc._numbers)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(rpc.folder / f".rpc-{os.getpid()}-{number + 1}"))
    os.mkfifo(rpc.folder / f"rpc-{os.getpid()}-{number + 2}")
    assert "kamailio" in str(rpc.call("core.version"))
    assert rpc.call("dispatcher.list", "short")
    assert list(rpc.folder.glob("*rpc-*")) == []


@pytest.mark.engine
def test_what_is_no_fifo_of_kamailio_is_not_written_to(rpc, tmp_path):
    """A file, a link to one, or a FIFO nobody reads in its place: silence, and a file unharmed."""
    rpc = kamailio_rpc.Rpc(tmp_path / "kamailio.sock", tmp_path, timeout=0.2)
    fifo = tmp_path / kamailio_rpc.FIFO
    kept = tmp_path / "kept"
    kept.write_text("kept")
    for make in (lambda: fifo.symlink_to(kept), lambda: os.link(kept, fifo), lambda: mkfifo(fifo)):
        make()
        with pytest.raises(errors.EngineSilent, match=r"does not listen on \S+kamailio\.fifo"):
            rpc.call("dispatcher.list", "short")
        fifo.unlink()
    assert kept.read_text() == "kept"
    for method in ("dispatcher.list", "dispatcher.reload", "core.uptime"):
        with pytest.raises(errors.EngineSilent, match="does not listen on"):
            kamailio_rpc.Rpc(tmp_path / "no/kamailio.sock", tmp_path / "no").call(method)
    assert [path.name for path in tmp_path.glob("*rpc-*")] == []


@pytest.mark.engine
def test_who_is_asked_and_never_answers_is_not_waited_for_without_end(rpc, tmp_path):
    """A FIFO somebody holds open and does not answer: silence in time."""
    rpc = kamailio_rpc.Rpc(tmp_path / "kamailio.sock", tmp_path)
    mkfifo(tmp_path / kamailio_rpc.FIFO)
    held = os.open(tmp_path / kamailio_rpc.FIFO, os.O_RDWR)
    began = time.monotonic()
    try:
        with pytest.raises(errors.EngineSilent, match=r"did not answer htable\.dump within"):
            rpc.call("htable.dump", "route", timeout=0.3)
    finally:
        os.close(held)
    assert time.monotonic() - began < 2


def mkfifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.engine
def test_nothing_is_listed_while_it_is_replaced(rpc):
    """Who asks what grows waits for a reload's lock; those who only ask share it."""
    with (rpc.folder / "reload.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert kamailio.destinations(rpc)
        fcntl.flock(lock, fcntl.LOCK_EX)
        threading.Timer(0.7, lambda: fcntl.flock(lock, fcntl.LOCK_UN)).start()
        began = time.monotonic()
        assert kamailio.destinations(rpc)
        assert time.monotonic() - began > 0.6


@pytest.mark.engine
def test_what_could_end_the_server_is_not_sent(rpc):
    """The list of methods is closed."""
    for method in ("core.kill", "modparam.list", "cfg.sets"):
        with pytest.raises(ValueError, match="not on the list"):
            rpc.call(method)


@pytest.mark.engine
def test_every_method_on_the_list_exists(rpc):
    """Asked of the running Kamailio; a few belong to modules that a site may not load."""
    known = set(rpc.call("system.listMethods"))
    not_loaded = {name for name in kamailio_rpc.ALLOWED if name.startswith(("ul.", "uac."))}
    assert kamailio_rpc.ALLOWED - known <= not_loaded


@pytest.mark.engine
def test_a_reload_too_soon_is_waited_for(rpc):
    """Kamailio refuses a second reload within five seconds; both succeed here."""
    began = time.monotonic()
    kamailio.reload_dispatcher(rpc)
    kamailio.reload_dispatcher(rpc)
    assert 1 < time.monotonic() - began < 12


@pytest.mark.engine
def test_what_it_holds_is_read_back(rpc):
    """Sockets, destinations and table values of the running server."""
    assert "tls:203.0.113.10:5061" in kamailio.read_sockets(rpc)
    held = [(held.set_id, held.uri) for held in kamailio.destinations(rpc)]
    assert "sip:192.0.2.20:5060;transport=udp" in {uri for number, uri in held if number > 1}
    assert held == sorted(held)
    assert len(held) == 4
    rows = kamailio.table_rows(rpc, "party") or {}
    assert rows["office"] in {str(number) for number, _ in held}
    assert kamailio.running_skeleton(rpc)


@pytest.mark.engine
def test_options_are_sent_by_kamailio(rpc):
    """A code from who is there, None from who is not, within the time Kamailio waits."""
    place = {"identity": "sip:sbc.example.com", "socket": "udp:192.0.2.10:5060", "timer": 4.0}
    there = "sip:192.0.2.20:5060;transport=udp"
    assert kamailio.send_options(rpc, there, **place) == 200
    assert kamailio.send_options(rpc, "sip:192.0.2.20:5099;transport=udp", **place) is None
    assert kamailio.send_options(rpc, "sip:gone.example.com;transport=udp", **place) is None


@pytest.mark.engine
def test_a_worker_that_waits_for_a_peer_is_busy_and_not_dead(machine, rpc):
    """Whoever looks meanwhile waits as long as the peer may take; Kamailio has one worker."""
    code = "import socket as s;p=s.socket(2,2);p.bind(('192.0.2.20',5998));print(flush=True);"
    code += "p.recv(9999);print(flush=True);p.recv(1);p.recv(1);p.recv(1);p.recv(1)"
    peer = machine.start("python3", "-c", code)
    assert peer.stdout
    peer.stdout.readline()
    place = {"identity": "sip:sbc.example.com", "socket": "udp:192.0.2.10:5060", "timer": 4.0}
    there = "sip:192.0.2.20:5998;transport=udp"
    asking = threading.Thread(target=kamailio.send_options, args=(rpc, there), kwargs=place)
    asking.start()
    peer.stdout.readline()
    hasty = kamailio_rpc.Rpc(rpc.path, rpc.folder, timeout=0.2)
    with pytest.raises(errors.EngineSilent):
        kamailio.running_skeleton(hasty)
    assert kamailio.running_skeleton(hasty, timer=4.0)
    asking.join()


@pytest.mark.engine
def test_nobody_and_silence_are_told_apart(tmp_path: Path):
    """No socket: not running. A socket that says nothing: no answer in time."""
    silent = kamailio_rpc.Rpc(tmp_path / "s", tmp_path, timeout=0.2)
    with pytest.raises(errors.EngineSilent, match="does not listen"):
        silent.call("core.version")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mute:
        mute.bind(str(tmp_path / "s"))
        with pytest.raises(errors.EngineSilent, match=r"did not answer core.version within 0.2 s"):
            silent.call("core.version")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_path_too_long_for_a_unix_socket(tmp_path: Path):
    """The limit is 107 bytes; the way out is said."""
    with pytest.raises(errors.HostError, match="too long for a unix socket"):
        kamailio_rpc.Rpc(tmp_path / ("x" * 90), tmp_path).call("core.version")


@pytest.mark.engine
def test_the_checker_says_where_and_what(lane, tmp_path: Path):
    """A broken include is refused with its file and line."""
    tree = lanes.root(lane)
    root = process.EngineRoot(str(tree), write=(str(tmp_path),)) if tree else None
    (tmp_path / "routes").mkdir()
    config = tmp_path / "kamailio.cfg"
    config.write_text('#!KAMAILIO\nchildren=1\ninclude_file "routes/a.cfg"\n')
    (tmp_path / "routes/a.cfg").write_text("request_route {\n    exit;\n}\n")
    kamailio.check_config(config, root)
    (tmp_path / "routes/a.cfg").write_text("request_route {\n    exit\n}}\n")
    with pytest.raises(errors.EngineRefused) as caught:
        kamailio.check_config(config, root)
    assert "routes/a.cfg, line 3" in caught.value.words


@pytest.mark.engine
def test_a_long_config_is_checked_with_the_memory_it_runs_with(lane, tmp_path: Path):
    """More routes than the 8 MiB hold that Kamailio has when nothing is said."""
    tree = lanes.root(lane)
    root = process.EngineRoot(str(tree), write=(str(tmp_path),)) if tree else None
    routes = "".join(
        f"route[R{number}] {{\n" + "    $var(a) = $var(b) + 1;\n" * 100 + "}\n"
        for number in range(30)
    )
    modules = kamailio.probe_facts(root).module_path
    config = tmp_path / "kamailio.cfg"
    config.write_text(
        f'#!KAMAILIO\nmpath="{modules}"\nloadmodule "pv.so"\nchildren=1\n{routes}'
        "request_route {\n    exit;\n}\n"
    )
    kamailio.check_config(config, root)


@pytest.mark.engine
def test_which_engines_are_installed(lane):
    """Versions and modules come from the programs."""
    tree = lanes.root(lane)
    root = process.EngineRoot(str(tree)) if tree else None
    found = kamailio.probe_facts(root)
    assert Path(f"{tree or ''}{found.module_path}/tls.so").exists()
    assert found.version >= (5, 6, 0)
    assert rtpengine.probe_version(root) >= (10, 5)


def test_a_machine_without_engines_is_told_what_to_install(tmp_path: Path):
    """The Debian packages are named."""
    with pytest.raises(errors.HostError) as caught:
        kamailio.probe_facts(process.EngineRoot(str(tmp_path)))
    assert "apt-get install kamailio" in caught.value.hint


def test_the_log_is_boiled_down_to_what_matters():
    """Clutter goes, repeats go, the complaint and the taken port stay."""
    log = (
        " 0(9) INFO: tls [tls_mod.c:1]: mod_init(): fine\n"
        " 0(9) ERROR: <core> [core/udp_server.c:600]: udp_init(): bind(5, 0x7f, 16) on"
        " 192.0.2.10:5060 : Address already in use\n"
        " 0(9) ERROR: <core> [core/udp_server.c:600]: udp_init(): bind(5, 0x7f, 16) on"
        " 192.0.2.10:5060 : Address already in use\n"
    )
    assert words.complaints(log).count("Address already in use") == 1
    assert "fine" not in words.complaints(log)
    assert words.taken_port(log) == ("192.0.2.10", 5060)
    assert words.taken_port("all is well") is None


def test_what_a_peer_cut_is_not_why_a_start_failed():
    """The last words of the process before it stand in the same journal."""
    before = (
        "ERROR: jsonrpcs method callback not found [uac.reg_dump]\n"
        "ERROR: error reading: Connection reset by peer (104) ([203.0.113.10]:5 ->1)\n"
        "ERROR: ERROR: tcp_read_req: error reading - c: 0x7f r: 0x7f (-1)\n"
    )
    cause = 'ERROR: <core> [core/socket_info.c:9]: fix_hostname(): could not resolve hostname: "a"'
    assert words.complaints(before + cause) == 'ERROR: could not resolve hostname: "a"'
