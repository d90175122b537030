"""What no single field can know, rule by rule."""

from __future__ import annotations

import copy

import pytest

from orchestrator.site import model, rules

GOOD = {
    "version": "1",
    "site": "fra1",
    "node": {"public_address": "203.0.113.10", "trunk_address": "192.0.2.10"},
    "teams": {"fqdn": "sbc.example.com"},
    "certificate": {"acme": {"email": "ops@example.com"}},
    "trunks": {
        "office": {"kind": "pbx", "gateways": ["sip:192.0.2.20"]},
        "colt": {"kind": "carrier", "gateways": ["sip:192.0.2.30"], "numbers": ["+49"]},
    },
    "phones": {
        "realm": "sbc.example.com",
        "users": {
            "anna": {"number": "+49301", "password": {"env": "A"}},
            "bert": {"number": "+49302", "password": {"env": "B"}},
        },
    },
}


def site_with(**changes: object) -> model.Site:
    """GOOD with values set at dotted paths, written with two underscores."""
    tree = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        here: dict = tree
        for key in parents:
            here = here.setdefault(key, {})
        here[last] = value
    return model.Site.model_validate(tree)


GATEWAYS = "trunks__office__gateways"

PBX = {"kind": "pbx", "gateways": ["sip:192.0.2.40"], "numbers": ["+1"]}

CASES = [
    # parties that are no trunks
    ({"trunks__teams": PBX}, "reserved-name", ("trunks", "teams")),
    ({"trunks__colt__transfer": "refer"}, "transfer-by-carrier", ("trunks", "colt", "transfer")),
    ({"trunks__phones": PBX}, "reserved-name", ("trunks", "phones")),
    (
        {"trunks__office__transcode": "true"},
        "transcode-to-what",
        ("trunks", "office", "transcode"),
    ),
    # the node
    ({"node__public_address": "127.0.0.1"}, "unusable-address", ("node", "public_address")),
    ({"node__public_address": "0.0.0.0"}, "unusable-address", ("node", "public_address")),
    ({"node__public_address": "224.0.0.1"}, "unusable-address", ("node", "public_address")),
    ({"node__public_address": "255.255.255.255"}, "unusable-address", ("node", "public_address")),
    ({"node__private_address": "169.254.1.1"}, "unusable-address", ("node", "private_address")),
    ({"node__trunk_address": "0.0.0.0"}, "unusable-address", ("node", "trunk_address")),
    ({"node__private_address": "2001:db8::1"}, "ipv6", ("node", "private_address")),
    ({"node__public_address": "2001:db8::1"}, "ipv6", ("node", "public_address")),
    ({"teams__networks": ["2001:db8::/32"]}, "ipv6", ("teams", "networks", 0)),
    ({GATEWAYS: ["sip:[2001:db8::1]"]}, "ipv6", ("trunks", "office", "gateways", 0)),
    (
        {"node__trunk_address": None, "node__sip_port": "5061"},
        "port-clash",
        ("node", "sip_port"),
    ),
    (
        {"certificate__acme__http_port": "5060"},
        "port-clash",
        ("certificate", "acme", "http_port"),
    ),
    ({"media__ports": "5000-5100"}, "port-clash", ("media", "ports")),
    ({"media__ports": "2200-2300"}, "port-clash", ("media", "ports")),
    ({"teams__cloud": "gcc-high", "teams__port": "5067"}, "cloud-port", ("teams", "port")),
    ({"teams__cloud": "dod", "teams__port": "5067"}, "cloud-port", ("teams", "port")),
    # trunks
    (
        {GATEWAYS: ["sip:pbx.example.net"]},
        "gateway-by-name",
        ("trunks", "office", "gateways", 0),
    ),
    (
        {GATEWAYS: ["sip:192.0.2.20", "sip:192.0.2.21;transport=tcp"]},
        "gateway-transports",
        ("trunks", "office", "gateways", 1),
    ),
    ({GATEWAYS: ["sip:0.0.0.0"]}, "unusable-address", ("trunks", "office", "gateways", 0)),
    ({GATEWAYS: ["sip:192.0.2.10"]}, "gateway-is-this-node", ("trunks", "office", "gateways", 0)),
    (
        {GATEWAYS: ["sip:203.0.113.10:5061"]},
        "gateway-is-this-node",
        ("trunks", "office", "gateways", 0),
    ),
    (
        {GATEWAYS: ["sip:SBC.example.com"]},
        "gateway-is-this-node",
        ("trunks", "office", "gateways", 0),
    ),
    ({GATEWAYS: ["sip:52.114.1.1"]}, "gateway-is-microsoft", ("trunks", "office", "gateways", 0)),
    (
        {GATEWAYS: ["sip:sip.pstnhub.microsoft.com"]},
        "gateway-is-microsoft",
        ("trunks", "office", "gateways", 0),
    ),
    (
        {"teams__networks": ["192.0.2.16/29"]},
        "gateway-is-microsoft",
        ("trunks", "office", "gateways", 0),
    ),
    (
        {GATEWAYS: ["sip:192.0.2.20", "sip:192.0.2.20:5060;transport=udp"]},
        "gateway-twice",
        ("trunks", "office", "gateways", 1),
    ),
    (
        {GATEWAYS: ["sip:192.0.2.30:5070"]},
        "gateway-shared",
        ("trunks", "colt", "gateways", 0),
    ),
    ({"trunks__colt__numbers": None}, "two-default-trunks", ("trunks", "colt")),
    ({"trunks__office__numbers": ["+49"]}, "number-twice", ("trunks", "colt", "numbers", 0)),
    (
        {"trunks__office__numbers": ["+48", "+48"]},
        "number-twice",
        ("trunks", "office", "numbers", 1),
    ),
    # phones
    (
        {"phones__users__bert__number": "+49301"},
        "number-twice",
        ("phones", "users", "bert", "number"),
    ),
    (
        {"phones__users__ANNA": {"number": "+4933", "password": {"env": "C"}}},
        "user-twice",
        ("phones", "users", "ANNA"),
    ),
]


def test_more_gateways_than_can_be_read_back():
    """The limit is for all trunks together, and said once."""
    many = {
        f"t{n}": {
            "kind": "pbx",
            "numbers": [f"+{n}"],
            "gateways": [f"sip:10.9.{n >> 8}.{n & 255}"],
        }
        for n in range(1, rules.MOST_GATEWAYS + 1)
    }
    one_more = {**many, "last": {"kind": "pbx", "numbers": ["0"], "gateways": ["sip:192.0.2.9"]}}

    assert rules.find_problems(site_with(trunks=many)) == ()
    assert [p.id for p in rules.find_problems(site_with(trunks=one_more))] == ["too-many-gateways"]


@pytest.mark.parametrize(("changes", "kind", "path"), CASES)
def test_each_rule(changes, kind, path):
    """One change breaks one rule, and is told with its id, its place, a sentence and a hint."""
    problems = rules.find_problems(site_with(**changes))
    assert [(p.id, p.path) for p in problems] == [(kind, path)]
    assert problems[0].message
    assert not problems[0].message.endswith(".")
    assert problems[0].hint


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"phones__realm": "sbc.example.com"},
        {"node__trunk_address": "127.0.0.1", GATEWAYS: ["sip:127.0.0.1:5080"]},
        {GATEWAYS: ["sip:192.0.2.10:5080"]},
        {GATEWAYS: ["sip:192.0.2.20", "sip:192.0.2.20:5062"]},
        {"trunks__office__numbers": ["+4930"]},
        {"node__sip_port": "5061"},
        {"teams__cloud": "dod"},
        {"phones__users__anna__number": "+49"},
    ],
)
def test_what_is_allowed(changes):
    """The edges of the rules: a PBX on this machine, nested prefixes, the same port elsewhere."""
    assert rules.find_problems(site_with(**changes)) == ()


def test_all_rules_at_once():
    """No rule hides another."""
    site = site_with(
        teams__cloud="dod",
        teams__port="5067",
        node__public_address="0.0.0.0",
        trunks__colt__numbers=None,
    )
    kinds = {problem.id for problem in rules.find_problems(site)}
    assert kinds == {"cloud-port", "unusable-address", "two-default-trunks"}


@pytest.mark.parametrize("address", ["10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1"])
def test_a_private_public_address_is_hinted_at(address):
    """It may be a lab, so it is allowed; behind NAT the hint names the other key."""
    hints = rules.find_hints(site_with(node__public_address=address))
    assert [hint.id for hint in hints] == ["private-public-address"]
    assert rules.find_hints(site_with()) == ()
    behind_nat = site_with(node__public_address="203.0.113.9", node__private_address=address)
    assert rules.find_hints(behind_nat) == ()


@pytest.mark.parametrize("cloud", ["gcc-high", "dod"])
def test_lets_encrypt_in_a_government_cloud_is_hinted_at(cloud):
    """CERT-6: Microsoft lists DigiCert's roots only for these; another CA or files say nothing."""
    hints = rules.find_hints(site_with(teams__cloud=cloud))
    assert [(hint.id, hint.path) for hint in hints] == [
        ("cloud-ca", ("certificate", "acme", "directory"))
    ]
    other = {"certificate__acme__directory": "https://acme.example.net/dir"}
    files = {"certificate": {"files": {"chain": "/a", "key": "/b"}}}
    assert rules.find_hints(site_with(teams__cloud=cloud, **other)) == ()
    assert rules.find_hints(site_with(teams__cloud=cloud, **files)) == ()
    assert rules.find_hints(site_with()) == ()
