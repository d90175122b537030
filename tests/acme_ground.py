"""What a machine for a test needs for ACME beyond pebble: BIND that takes updates, and a front."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import ground
import yaml

from orchestrator.lab import addresses, internet

BIND = f"{addresses.DNS_ADDRESS}:53"
HOST = addresses.ACME_HOST
UPDATES = (
    "dns: {rfc2136: {server: 198.51.100.53, key_name: sbc.example.com, wait: 0,"
    " secret: {env: TSIG_SECRET}}}"
)
"""How site.yaml says that names are proven by updates of the lab's BIND."""


def start_bind(machine: ground.Ground) -> subprocess.Popen[bytes]:
    """Run the lab's BIND; it knows the lab's names and takes updates for the proofs."""
    folder = machine.folder / "names.bind"
    folder.mkdir(exist_ok=True)
    for name, text in internet.bind_files(str(folder)).items():
        (folder / name).write_text(text)
    program = internet.private_named(folder)
    named = machine.start(program, "-g", "-n", "1", "-c", f"{folder}/named.conf")
    assert named.stdout
    while b" running" not in named.stdout.readline():
        assert named.poll() is None
    return named


def txt_records(machine: ground.Ground) -> list[str]:
    """The TXT records that BIND has at the places of the proofs."""
    code = (
        "import dns.message, dns.query, sys\n"
        "for name in sys.argv[1:]:\n"
        "    asked = dns.message.make_query(name, 'TXT')\n"
        "    for line in dns.query.udp(asked, '198.51.100.53', 5).answer: print(line)\n"
    )
    ran = machine.run(sys.executable, "-c", code, *internet.CHALLENGE_ZONES)
    return ran.stdout.splitlines()


def start_front(machine: ground.Ground, host: str = HOST, **pebble: object) -> None:
    """Run pebble, and the lab's front before it at https://HOST/dir."""
    address = ground.NAMES[host]
    machine.start_acme(host, port=14000, **pebble)
    folder = machine.folder
    config = {
        "listen": [address, 443],
        "upstream": [address, 14000],
        "chain": f"{folder}/{host}.chain",
        "key": f"{folder}/{host}.key",
        "ca": f"{folder}/ca.pem",
        "mood": f"{folder}/{host}.mood",
        "journal": f"{folder}/{host}.journal",
    }
    (folder / f"{host}.front").write_text(json.dumps(config))
    words = (sys.executable, "-m", "orchestrator.lab.acme_front", f"{folder}/{host}.front")
    front = machine.start(*words)
    assert front.stdout
    assert front.stdout.readline() == b"ready\n"


def set_mood(machine: ground.Ground, host: str = HOST, **mood: object) -> None:
    """Tell the front what to do from now on."""
    beside = machine.folder / f"{host}.mood.new"
    beside.write_text(json.dumps(mood))
    beside.replace(machine.folder / f"{host}.mood")


def asked(machine: ground.Ground, endpoint: str, host: str = HOST) -> list[dict[str, Any]]:
    """What was asked of an endpoint of the CA, in order."""
    lines = (machine.folder / f"{host}.journal").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["endpoint"] == endpoint]


_OBTAIN = """
import dataclasses, json, sys, traceback
from pathlib import Path
from orchestrator import errors
from orchestrator.engines import certbot
from orchestrator.site import model
told = json.loads(sys.argv[1])
acme = model.Acme.model_validate(told["acme"])
ca = acme.authorities[told["ca"]]
try:
    got = certbot.obtain(Path(told["directory"]), told["name"], acme, ca=ca)
except errors.NotObtained as error:
    at = error.retry_at and error.retry_at.isoformat()
    print(json.dumps({"cause": error.cause, "retry_at": at, "hint": error.hint,
                      "words": error.words, "message": error.message}))
else:
    print(json.dumps({"cause": "", "chain": got.chain.decode(), "directory": got.directory}))
"""


def obtain_words(
    machine: ground.Ground,
    words: str,
    *,
    name: str = addresses.SBC_FQDN,
    ca: int = 0,
    folder: str = "acme",
) -> tuple[str, ...]:
    """A command that asks certbot for a certificate as *words* of certificate.acme say."""
    acme = yaml.load(f"{{email: ops@example.com, {words}}}", Loader=yaml.BaseLoader)
    acme.setdefault("directory", f"https://{HOST}/dir")
    told = {"acme": acme, "directory": str(machine.folder / folder), "name": name, "ca": ca}
    return (sys.executable, "-W", "error", "-c", _OBTAIN, json.dumps(told))


def obtain(
    machine: ground.Ground, words: str, *, env: dict[str, str] | None = None, **more: Any
) -> dict[str, str]:
    """Ask certbot for a certificate as *words* of certificate.acme say; what came of it."""
    secret = {addresses.TSIG_SECRET_VARIABLE: addresses.TSIG_SECRET, **(env or {})}
    return json.loads(machine.run(*obtain_words(machine, words, **more), env=secret).stdout)
