"""A machine with a real SBC, the rig beside it, and what the engines say of themselves."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import bad_input
import certs
import ground
import rig

HERE = Path(__file__).parent
ADDED = (rig.CARRIER, "192.0.2.66", "203.0.113.66", bad_input.ELSEWHERE)

LINE = """  line:
    kind: carrier
    numbers: ["+4411"]
    gateways: ["sip:192.0.2.21:5060;transport=tcp"]
engines:"""
PHONES = """phones:
  realm: sbc.example.com
  users: {reception: {number: "+493055500", password: {env: RECEPTION_PASSWORD}}}
engines:"""


@dataclass(frozen=True)
class Health:
    """What must be the same before and after: processes; and what must come back: state."""

    processes: frozenset[tuple[str, str]]
    transactions: int
    sessions: tuple[str, ...]
    memory: int
    connections: int


class Arena(ground.Ground):
    """The machine of one lane; a context manager."""

    def settle(self) -> None:
        """Addresses, names, sinks; no peers that answer everything."""
        addresses = dict.fromkeys((*ground.ADDRESSES, *ADDED))
        adds = "".join(f"ip addr add {address}/32 dev lo;" for address in addresses)
        mount = f"mount --bind {self.folder}/resolv.conf /etc/resolv.conf"
        self.run("sh", "-ec", f"ip link set lo up; {adds} {mount}")
        self.write_pair("peer", *list(ground.NAMES)[:3], number=1)
        stranger = certs.Ca(name="Nobody")
        key = certs.rsa_key(3)
        chain = stranger.leaf(*list(ground.NAMES)[:3], key=key) + stranger.pem
        (self.folder / "forged.chain").write_bytes(chain)
        (self.folder / "forged.key").write_bytes(certs.pem_key(key))
        dns = self.start(
            sys.executable,
            str(ground.HERE / "fakes/peers.py"),
            str(self.folder),
            "127.0.0.53",
            "--",
        )
        env = {"PYTHONPATH": str(ground.HERE.parent)}
        played = self.start(
            sys.executable, str(HERE / "rig.py"), str(self.folder), "2223", env=env
        )
        for program in (dns, played):
            assert program.stdout
            assert program.stdout.readline() == b"ready\n"

    def serve(self, *, phones: bool) -> None:
        """Apply a site with two trunks, and with a phone if wanted."""
        self.write_site(("engines:", LINE))
        if phones:
            text = (self.folder / "site.yaml").read_text()
            (self.folder / "site.yaml").write_text(text.replace("engines:", PHONES))
        os.environ["RECEPTION_PASSWORD"] = "for this test only"
        # The sinks answer no OPTIONS over TCP or not at all: what counts is what comes in.
        self.apply("--allow-down", "office", "--allow-down", "line")

    def ask(self, **asked: object) -> object:
        """Have the rig do something."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(60)
            asking.connect(str(self.folder / "rig"))
            asking.sendall(json.dumps(asked).encode() + b"\n")
            with asking.makefile() as answer:
                return json.loads(answer.readline())

    def rpc(self, method: str, *params: str) -> dict:
        """Ask Kamailio, also for what sbcctl never asks."""
        own = self.folder / "rpc"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.settimeout(5)
            asking.bind(str(own))
            try:
                asking.connect(str(self.run_dir / "kamailio/kamailio.sock"))
                question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                asking.send(json.dumps(question).encode())
                return json.loads(asking.recv(200_000))["result"]
            finally:
                own.unlink()

    def health(self) -> Health:
        """Everything at this moment."""
        running = self.statuses("kamailio", "rtpengine")
        stats = self.rpc("tm.stats")
        return Health(
            processes=frozenset((told["Name"], told["Pid"]) for told in running),
            transactions=int(stats["current"]),
            sessions=tuple(self.ask(do="media")),
            memory=int(self.rpc("core.shmmem")["used"]),
            connections=int(self.rpc("core.tcp_info")["opened_connections"]),
        )

    def rest(self, seconds: float = 20.0) -> Health:
        """Wait until timers have taken every transaction and session; the health then."""
        end = time.monotonic() + seconds
        while True:
            now = self.health()
            if (now.transactions, now.sessions) == (0, ()) or time.monotonic() > end:
                return now
            time.sleep(0.25)
