"""A machine for one test: network, mounts and processes of its own, which vanish with it.

Inside are the addresses of a small SBC, a DNS server and SIP peers that answer OPTIONS. Whatever
a test starts in there ends with the first process, also after ``kill -9``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import certs

HERE = Path(__file__).parent
TEAMS = ("198.51.100.11", "198.51.100.12", "198.51.100.13")
NAMES = {
    "sip.pstnhub.microsoft.com": TEAMS[0],
    "sip2.pstnhub.microsoft.com": TEAMS[1],
    "sip3.pstnhub.microsoft.com": TEAMS[2],
    "sbc.example.com": "203.0.113.10",
    "pbx.example.com": "192.0.2.20",
    "acme.example.net": "198.51.100.80",
    "acme2.example.net": "198.51.100.81",
}
ADDRESSES = (
    *TEAMS,
    *("203.0.113.10", "192.0.2.10", "192.0.2.20", "192.0.2.21", "198.51.100.80", "198.51.100.81"),
    *("127.0.0.53", "198.51.100.53"),
)
TIED = ("setpriv", "--pdeathsig", "KILL")
"""What runs behind these words dies with us, however we end."""

SITE = """
version: 1
site: fra1
node: {{public_address: 203.0.113.10, trunk_address: 192.0.2.10}}
teams:
  fqdn: sbc.example.com
  networks: [198.51.100.0/24]
  trusted_roots: {folder}/ca.pem
certificate:
  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}
trunks:
  office: {{kind: pbx, gateways: ["sip:192.0.2.20:5060;transport=udp"]}}
engines: {{accept_risk: kamailio before 6.0 can be crashed by concurrent TLS handshakes}}
"""


class Ground:
    """The machine; a context manager. ``folder`` is shared with the test."""

    def __init__(self, folder: Path, root: Path | None) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.run_dir = folder / "run"
        self.root = root
        self.ca = certs.Ca()
        self._holder: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __enter__(self) -> Self:
        (self.folder / "ca.pem").write_bytes(self.ca.pem)
        self.write_pair("peer", *list(NAMES)[:3], number=1)
        self.write_pair("sbc", "sbc.example.com", number=2)
        self.set_names(NAMES)
        self.write_site()
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.53\n")
        user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        isolate = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        self._hold("unshare", *user, *isolate, "sh", "-c", "echo; exec sleep 900")
        self.settle()
        return self

    def _hold(self, *argv: str) -> None:
        """Start the machine's first process; it says a line when it is there."""
        self._holder = subprocess.Popen([*TIED, *argv], stdout=subprocess.PIPE)
        assert self._holder.stdout
        self._holder.stdout.readline()
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self._init = int(children.read_text().split()[0])

    def settle(self) -> None:
        """Give the machine its addresses, and start DNS and the peers."""
        adds = "".join(f"ip addr add {address}/32 dev lo;" for address in ADDRESSES)
        mount = f"mount --bind {self.folder}/resolv.conf /etc/resolv.conf"
        self.run("sh", "-ec", f"ip link set lo up; {adds} {mount}")
        script = [sys.executable, str(HERE / "fakes/peers.py"), str(self.folder)]
        peers = self.start(*script, "127.0.0.53", *TEAMS, "--", "192.0.2.20", "192.0.2.21")
        assert peers.stdout
        assert peers.stdout.readline() == b"ready\n"

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """Kill the first process, and with it all others."""
        assert self._holder
        for child in (*self._started, self._holder):
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream:
                    stream.close()
        self._started.clear()

    @property
    def _started(self) -> list[subprocess.Popen[bytes]]:
        return self.__dict__.setdefault("_children", [])

    def _inside(self, argv: tuple[str, ...]) -> list[str]:
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        where = ("--net", "--mount", "--pid", f"--wd={HERE.parent}")
        return ["nsenter", f"--target={self._init}", *user, *where, "--", *argv]

    def start(self, *argv: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program inside; it ends with the machine."""
        child = subprocess.Popen(
            self._inside(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
        self._started.append(child)
        return child

    def run(
        self,
        *argv: str,
        code: int | None = 0,
        env: dict[str, str] | None = None,
        seconds: float = 90,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end and compare its exit code."""
        ran = subprocess.run(
            self._inside(argv),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env={**os.environ, **(env or {})},
        )
        assert code is None or ran.returncode == code, f"{argv}: {ran.stdout}{ran.stderr}"
        return ran

    def words(self, *arguments: str) -> tuple[str, ...]:
        """The argv of an sbcctl that works on this machine."""
        root = ("--engine-root", str(self.root)) if self.root else ()
        places = ("--state-dir", str(self.state), "--run-dir", str(self.run_dir))
        program = (sys.executable, "-W", "error", "-m", "orchestrator.cli")
        return (*program, *places, *root, *arguments)

    def apply(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """``sbcctl apply`` the site that was written last."""
        return self.run(
            *self.words("apply", str(self.folder / "site.yaml"), *arguments), code=code
        )

    def start_acme(
        self,
        host: str = "acme.example.net",
        *,
        port: int = 443,
        dns: str = "127.0.0.53:53",
        **more: object,
    ) -> None:
        """Run a real ACME CA (pebble) at https://HOST/dir, trusted by this machine."""
        address = NAMES[host]
        self.write_pair(host, host, number=4)
        bundle = Path("/etc/ssl/certs/ca-certificates.crt").read_bytes() + self.ca.pem
        (self.folder / "bundle.pem").write_bytes(bundle)
        config = {
            "pebble": {
                "listenAddress": f"{address}:{port}",
                "managementListenAddress": f"{address}:15000",
                "certificate": f"{self.folder}/{host}.chain",
                "privateKey": f"{self.folder}/{host}.key",
                "httpPort": 80,
                "tlsPort": 443,
                "ocspResponderURL": "",
                **more,
            }
        }
        (self.folder / f"{host}.json").write_text(json.dumps(config))
        self.run(
            *("mount", "--bind", f"{self.folder}/bundle.pem", "/etc/ssl/certs/ca-certificates.crt")
        )
        env = {
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": "0",
            # By default half of the proofs are taken over from an order before.
            "PEBBLE_AUTHZREUSE": "0",
        }
        words = ("-config", f"{self.folder}/{host}.json", "-dnsserver", dns)
        pebble = self.start("pebble", *words, env=env)
        assert pebble.stdout
        while b"ACME directory available" not in pebble.stdout.readline():
            assert pebble.poll() is None

    def write_site(self, *changes: tuple[str, str]) -> None:
        """Write site.yaml with some words replaced; each must be there."""
        text = SITE.format(folder=self.folder)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (self.folder / "site.yaml").write_text(text)

    def write_pair(self, name: str, *names: str, number: int) -> None:
        """Write NAME.chain and NAME.key."""
        key = certs.rsa_key(number)
        (self.folder / f"{name}.chain").write_bytes(self.ca.leaf(*names, key=key) + self.ca.pem)
        (self.folder / f"{name}.key").write_bytes(certs.pem_key(key))

    def set_names(self, names: dict[str, str]) -> None:
        """What DNS answers from now on."""
        beside = self.folder / "names.new"
        beside.write_text("".join(f"{name} {address}\n" for name, address in names.items()))
        beside.replace(self.folder / "names")

    def processes(self, name: str) -> tuple[str, ...]:
        """Command lines of the running engines of that name, zombies left out."""
        # A zombie has no command line any more; a minimal machine has no ps.
        ran = self.run(
            "sh", "-c", r"for f in /proc/[0-9]*/cmdline; do tr '\0' ' ' <$f; echo; done"
        )
        return tuple(line for line in ran.stdout.splitlines() if f"/{name} " in f"{line} ")

    def statuses(self, *names: str) -> tuple[dict[str, str], ...]:
        """What /proc says about the running processes of these names, zombies left out."""
        ran = self.run("sh", "-c", "grep . /proc/[0-9]*/status", code=None)
        found: dict[str, dict[str, str]] = {}
        for line in ran.stdout.splitlines():
            path, key, value = line.split(":", 2)
            found.setdefault(path, {})[key] = value.strip()
        return tuple(
            told
            for told in found.values()
            if told["Name"] in names and not told["State"].startswith("Z")
        )

    def wait_until(self, true, seconds: float = 10.0) -> None:
        """Wait for a condition; fails when it does not come true."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "the condition did not come true"
            time.sleep(0.02)

    def program_of(self, started: subprocess.Popen[bytes]) -> int:
        """The process id of what ``start`` runs: nsenter's one child, which may have others."""
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
        self.wait_until(children.read_text)
        return int(children.read_text().split()[0])
