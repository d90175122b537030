"""No two of Kamailio's workers wait for each other for ever."""

from __future__ import annotations

import re

import yaml

from orchestrator.render import generation, views
from orchestrator.site import model

PATHS = views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl")
SECRETS = views.Secrets(contact_key="0" * 64, phones={})
TEXT = """
version: 1
site: test
node: {public_address: 203.0.113.10, trunk_address: 192.0.2.10}
teams: {fqdn: sbc.example.com}
certificate: {acme: {email: ops@example.com}}
trunks:
  office: {kind: pbx, gateways: ["sip:192.0.2.20"], limits: {calls: 2, minutes_per_day: 60}}
tenants:
  alpha: {fqdn: alpha.sbc.example.com, numbers: ["+4930"], trunks: [office]}
"""
_ROW = re.compile(r"(?:\$sht\(|\$shtinc\(|\$shtdec\(|\$shtex\(|\$shtcv\w+\()(\w+)=>")
_HELD = re.compile(r'sht_lock\("(\w+)=>.*?sht_unlock\("\1=>[^"]*"\)', re.DOTALL)


def routes() -> str:
    """Everything Kamailio carries out, without comments."""
    site = model.Site.model_validate(yaml.load(TEXT, Loader=yaml.BaseLoader))
    made = generation.render_site(site, facts=views.DEBIAN_13, paths=PATHS, secrets=SECRETS)
    files = [file.text for file in made.files if file.path.endswith(".cfg")]
    return re.sub(r"(?m)^\s*#.*$", "", "\n".join(files))


def test_a_table_that_is_locked_holds_nothing():
    """Rows of a table share locks: who holds one and needs another may meet its opposite."""
    text = routes()
    locked = set(re.findall(r'sht_lock\("(\w+)=>', text))
    assert locked == {"ending", "metering"}
    assert not locked & set(_ROW.findall(text))
    assert text.count("sht_lock(") == text.count("sht_unlock(") == len(_HELD.findall(text))


def test_locks_are_taken_in_one_order():
    """Under ``metering`` nothing else is locked and no route is taken that might."""
    held = [match[0] for match in _HELD.finditer(routes()) if match[1] == "metering"]
    assert len(held) == 3
    for each in held:
        assert each.count("sht_lock(") == 1
        assert "route(" not in each
