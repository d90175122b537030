"""The world of the lab: links, names, a CA, and the machine the SBC runs on.

To be used inside a sandbox (:mod:`orchestrator.host.sandbox`): everything made here (mounts,
namespaces, processes, files) hangs on it and vanishes with it, so :meth:`World.down` has little
to do. Nothing outside is touched; /run is covered by memory, and the lab lives below it.

Real servers stand for the internet: BIND answers for the names, pebble is the ACME CA. What
Microsoft, the PBX and the phone do is played by the actors, on sockets made here.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator import announce, errors
from orchestrator.host import network, process, sandbox
from orchestrator.lab import addresses, authority, ca, command, internet, music

HOME = Path("/run/sbcctl-lab")
"""Where the lab lives: in memory, below the covered /run."""

MICROSOFT_ROOT = HOME / "microsoft.pem"
"""The root above the lab's Microsoft; a site.yaml for the lab names it as trusted_roots."""

COMPANY_ROOT = HOME / "company.pem"
"""The root above the certificates of PBXs and carriers that speak TLS."""

MUSIC = HOME / "run" / "music.wav"
"""What held trunks hear; in the run directory, which engines of another Debian see as well."""

TRUST_STORE = "/etc/ssl/certs/ca-certificates.crt"
"""The distribution's bundle; inside the lab it also holds the lab's CAs."""

_NAT = f"""
table ip nat {{
  chain out {{
    type nat hook postrouting priority srcnat;
    ip saddr {addresses.NETWORKS[addresses.Link.HOME][0]} masquerade fully-random
  }}
}}
"""
"""The router of a home: one address for all, a port of its choice for each way (RFC 4787)."""

_APPLY_TIMEOUT = 120.0
_PATIENCE = 15.0
_POLL = 0.02


class World:
    """One world, from :meth:`up` to :meth:`down`; also a context manager.

    Args:
        progress: Who is told about the steps.
        engine_root: A tree of another Debian release the SBC's engines come from, or None.

    Attributes:
        state: The SBC's state directory.
        run: The SBC's run directory.
        logs: Logs of the servers that stand for the internet.
        microsoft: The CA that stands for Microsoft's; actors let it issue their certificates.
        company: The CA of the PBXs and carriers that speak TLS.
        acme_root: PEM file of the root above the SBC's certificate; there after :meth:`up`.
    """

    def __init__(self, *, progress: announce.Progress, engine_root: str | None = None) -> None:
        self._progress = progress
        self._engine_root = engine_root
        self._servers: list[int] = []
        self.state = HOME / "state"
        self.run = HOME / "run"
        self.logs = HOME / "logs"
        self.certificates = HOME / "certificates"
        self.acme_root = HOME / "acme-root.pem"
        self._trust = HOME / "trust.pem"
        self._root: authority.Authority | None = None
        self._names: dict[str, tuple[str, ...]] = internet.names_of_everybody()
        self._serial = 1
        self.microsoft: authority.Authority
        self.company: authority.Authority

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def up(self) -> None:
        """Build the world; returns when every server of it answers.

        Raises:
            HostError: A program or a privilege is missing, or this is no sandbox.
            EngineSilent: A server did not come up; the hint shows the end of its log.
        """
        with self._progress.step("network", "links, namespaces") as step:
            self._cover()
            self._connect()
            step.note(f"{len(addresses.Namespace)} machines on {len(addresses.Link)} links")
            self._translate()
        with self._progress.step("names", f"BIND on {addresses.DNS_ADDRESS}") as step:
            self._start_dns()
            step.note(f"{len(addresses.HOSTS)} names")
        with self._progress.step("authority", f"pebble on https://{addresses.ACME_HOST}"):
            self._start_acme()

    def down(self) -> None:
        """Stop the servers. The sandbox takes the rest with it."""
        while self._servers:
            process.stop(self._servers.pop(), timeout=2.0)

    def socket(
        self,
        netns: str,
        family: socket.AddressFamily = socket.AF_INET,
        kind: socket.SocketKind = socket.SOCK_DGRAM,
        *,
        bind: tuple[str, int] | None = None,
    ) -> socket.socket:
        """Return a non-blocking socket that lives in namespace *netns*; the caller closes it.

        A TCP socket may be bound again at once after its predecessor was closed.

        Raises:
            HostError: There is no such namespace.
            OSError: The address is taken, or not one of the namespace.
        """
        made = network.socket_in(netns, family, kind)
        try:
            made.settimeout(0)
            if kind == socket.SOCK_STREAM:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if bind is not None:
                made.bind(bind)
        except OSError:
            made.close()
            raise
        return made

    def sbcctl(
        self, *words: str, env: Mapping[str, str] | None = None, timeout: float = _APPLY_TIMEOUT
    ) -> process.Ran:
        """Run the real ``sbcctl`` on the SBC's machine, with JSON output, and return what it said.

        Args:
            words: The verb and its arguments.
            env: Variables on top of our own environment.
            timeout: Seconds until it is killed.
        """
        argv = [
            *(*command.ARGV, "--output", "json"),
            *("--state-dir", str(self.state), "--run-dir", str(self.run)),
            *(("--engine-root", self._engine_root) if self._engine_root else ()),
            *words,
        ]
        everything = command.environment(env)
        return process.run(argv, timeout=timeout, env=everything, netns=addresses.Namespace.SBC)

    def apply(
        self, site: Path, env: Mapping[str, str] | None = None, *options: str
    ) -> dict[str, object]:
        """Run ``sbcctl apply SITE`` on the SBC's machine and return the JSON object it printed.

        Args:
            site: The file.
            env: Environment variables, for secrets.
            options: More words of the command line.

        Raises:
            EngineRefused: It failed; ``words`` says what it said.
        """
        ran = self.sbcctl("apply", str(site.resolve()), *options, env=env)
        said = _object(ran.out)
        if ran.code != 0:
            message = said.get("message") or "sbcctl apply failed"
            raise errors.EngineRefused(
                f"{message} (exit code {ran.code})",
                words=_failure(said, ran.err),
                hint=str(said.get("hint") or ""),
            )
        return said

    def fetch(self, netns: str, address: tuple[str, int], host: str, path: str) -> str:
        """GET https://host/path at *address* from namespace *netns* and return the body.

        The certificate is checked against the lab's trust store.

        Raises:
            OSError: No connection, or no trust (ssl.SSLError).
        """
        context = ssl.create_default_context(cafile=str(self._trust))
        with network.socket_in(netns, socket.AF_INET, socket.SOCK_STREAM) as plain:
            plain.settimeout(_PATIENCE)
            plain.connect(address)
            with context.wrap_socket(plain, server_hostname=host) as secured:
                return internet.get(secured, host, path)

    def nft(self, netns: str, commands: str) -> None:
        """Give commands to the packet filter of namespace *netns*; all of them or none.

        Raises:
            EngineRefused: It does not take them.
        """
        process.run(
            ("nft", "-f", "-"), timeout=10, stdin=commands.encode(), netns=netns, check=True
        )

    def rename(self, changes: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Let names lead elsewhere, a name without addresses nowhere; returns what they led to.

        Returns when the lab's DNS answers so; whoever has asked before may know the old answer
        for five seconds more.

        Raises:
            EngineSilent: BIND goes on to answer as before.
        """
        before = {name: self._names.get(name, ()) for name in changes}
        self._names |= changes
        self._serial += 1
        for name, text in internet.zone_files(self._names, serial=self._serial).items():
            (HOME / "names" / name).write_text(text, encoding="ascii")
        os.kill(self._servers[0], signal.SIGHUP)
        self._await("BIND", self.logs / "named.log", lambda: self._answers(changes))
        return before

    def resolve(self, netns: str, name: str) -> tuple[str, ...]:
        """Ask the lab's DNS from namespace *netns* for the IPv4 addresses of *name*.

        Raises:
            OSError: No answer within two seconds.
        """
        question = internet.dns_question(name)
        with network.socket_in(netns, socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(2.0)
            asking.connect((addresses.DNS_ADDRESS, 53))
            asking.send(question)
            return internet.dns_addresses(asking.recv(4096))

    # -- parts of up() ------------------------------------------------------------------------

    def _cover(self) -> None:
        """Cover /run, and show the lab's own resolver, hosts and trust store to everybody."""
        sandbox.cover("/run")
        for folder in (self.state, self.run, self.logs, self.certificates):
            folder.mkdir(parents=True)
        if self._engine_root is not None:
            # What bubblewrap needs as mount points below /run is made in memory, not in the tree.
            sandbox.cover(f"{self._engine_root}/run")
        self._root = authority.Authority("Lab Trust Services Root", folder=self.certificates)
        self.microsoft = authority.Authority(
            "Lab Trust Services TLS", folder=self.certificates, issuer=self._root
        )
        bundle = Path(TRUST_STORE)
        if not bundle.is_file():
            raise errors.HostError(
                f"there is no {bundle}", hint="install it: apt-get install ca-certificates"
            )
        self._trust.write_text(bundle.read_text(encoding="utf-8"), encoding="utf-8")
        self._add_trust(self._root.pem)
        MICROSOFT_ROOT.write_text(self._root.pem, encoding="ascii")
        self.company = authority.Authority(
            "Lab Company Root", folder=self.certificates, key="ecdsa"
        )
        COMPANY_ROOT.write_text(self.company.pem, encoding="ascii")
        music.write(MUSIC)
        self._add_trust(authority.buy(addresses.SBC_FQDN, HOME))
        sandbox.replace_file(TRUST_STORE, str(self._trust))
        own = {
            "/etc/resolv.conf": f"nameserver {addresses.DNS_ADDRESS}\n",
            "/etc/hosts": "127.0.0.1 localhost\n",
        }
        for target, text in own.items():
            if target == "/etc/hosts" and not Path(target).exists():
                continue  # then names come from the DNS alone, which is what we want
            source = HOME / Path(target).name
            source.write_text(text, encoding="ascii")
            sandbox.replace_file(target, str(source))

    def _add_trust(self, pem: str) -> None:
        """Add a CA; the file stays the same one, so everybody who has it mounted sees it."""
        with self._trust.open("a", encoding="utf-8") as store:
            store.write(f"\n{pem}")

    def _connect(self) -> None:
        for link in addresses.Link:
            network.create_bridge(link)
        for namespace in addresses.Namespace:
            network.create_namespace(namespace)
        for place in addresses.PLACES:
            network.plug(
                place.namespace,
                place.link,
                addresses=place.addresses,
                networks=addresses.NETWORKS[place.link],
                router=place.router,
            )

        ports = "{} {}".format(*addresses.TEAMS_MEDIA_PORTS)
        network.tune(addresses.Namespace.TEAMS, "ipv4/ip_local_port_range", ports)

    def _translate(self) -> None:
        """Make a router of the one at home: it hides the address and the port behind it."""
        network.tune(addresses.Namespace.ROUTER, "ipv4/ip_forward", "1")
        self.nft(addresses.Namespace.ROUTER, _NAT)

    def _start_dns(self) -> None:
        folder = HOME / "names"
        folder.mkdir()
        for name, text in internet.bind_files(str(folder)).items():
            (folder / name).write_text(text, encoding="ascii")
        argv = (internet.private_named(folder), "-g", "-n", "1", "-c", str(folder / "named.conf"))
        log = self._serve("named", argv)
        sbc = addresses.SBC_FQDN
        self._await("BIND", log, lambda: self._answers({sbc: self._names[sbc]}))

    def _answers(self, names: Mapping[str, tuple[str, ...]]) -> bool:
        """True when DNS answers as *names* say, in whatever order."""
        asker = addresses.Namespace.INTERNET
        return all(
            sorted(self.resolve(asker, name)) == sorted(known) for name, known in names.items()
        )

    def _start_acme(self) -> None:
        assert self._root is not None
        own = self._root.issue((addresses.ACME_HOST, addresses.ACME_MANAGEMENT[0]))
        for program in ca.lay(HOME / "ca", own, MICROSOFT_ROOT):
            log = self._serve(program.name, program.argv, program.env)
        self._await("the CA", log, self._fetch_acme_root)

    def _fetch_acme_root(self) -> bool:
        netns = addresses.Namespace.INTERNET
        self.fetch(netns, (addresses.ACME_ADDRESS, 443), addresses.ACME_HOST, "/dir")
        management = addresses.ACME_MANAGEMENT
        root = self.fetch(netns, management, management[0], "/roots/0")
        self.acme_root.write_text(root, encoding="ascii")
        self._add_trust(root)
        return True

    def _serve(
        self, name: str, argv: tuple[str, ...], env: Mapping[str, str] | None = None
    ) -> Path:
        log = self.logs / f"{name}.log"
        pid = process.start(
            argv, log=log, env={**os.environ, **(env or {})}, netns=addresses.Namespace.INTERNET
        )
        self._servers.append(pid)
        return log

    def _await(self, what: str, log: Path, answers: Callable[[], bool]) -> None:
        """Wait until *answers* is true; OSError means not yet."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and all(map(process.alive, self._servers)):
            try:
                if answers():
                    return
            except OSError:
                pass
            time.sleep(_POLL)
        words = log.read_text(encoding="utf-8", errors="replace").strip()
        raise errors.EngineSilent(
            f"{what} of the lab does not answer",
            hint=f"the end of its log: {words[-500:]}" if words else "its log is empty",
        )


def _object(text: str) -> dict[str, object]:
    """The JSON object a verb printed; an empty one when it printed something else."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _failure(said: Mapping[str, object], err: str) -> str:
    """Everything a failed verb said that its message does not say."""
    problems = said.get("problems")
    lines = [str(said.get("words") or "")]
    if isinstance(problems, list):
        lines += [f"{p.get('line')}: {p.get('message')}" for p in problems if isinstance(p, dict)]
    return "\n".join([*(line for line in lines if line), err.strip()]).strip()
