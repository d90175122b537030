"""Sites with tenants in files of their own, written down and read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator import errors
from orchestrator.site import load

SITE = """\
version: 1
site: fra1
node:
  public_address: 203.0.113.10
teams:
  fqdn: sbc.example.com
certificate:
  files: {chain: /etc/ssl/sbc.pem, key: /etc/ssl/sbc.key}
trunks:
  carrier:
    kind: carrier
    gateways: ["sip:192.0.2.41"]
"""
YAML = "tenants:\n  include: tenants.d/*.yaml\n"
LINES = "tenants:\n  include: '*.jsonl'\n"


def tenant(name: str, number: str) -> str:
    return f'{name}:\n  fqdn: {name}.sbc.example.com\n  numbers: ["{number}"]\n'


def line(name: str, *numbers: object, **more: object) -> str:
    fqdn = f"{name}.sbc.example.com"
    return json.dumps({"name": name, "fqdn": fqdn, "numbers": numbers, **more}) + "\n"


def write(folder: Path, tail: str, **files: str | bytes) -> str:
    """A site with these files beside it: ``acme`` is tenants.d/acme.yaml."""
    (folder / "tenants.d").mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / "tenants.d" / f"{name}.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    site = folder / "site.yaml"
    site.write_text(SITE + tail)
    return str(site)


def problems_of(path: str) -> tuple[errors.Problem, ...]:
    with pytest.raises(errors.SiteError) as caught:
        load.read_site(path)
    return caught.value.problems


def told(path: str) -> list[tuple[str, str]]:
    """Ids with places, as ``acme.yaml:1:2``."""
    return [
        (each.id, str(each.position).removeprefix(f"{Path(path).parent}/"))
        for each in problems_of(path)
    ]
