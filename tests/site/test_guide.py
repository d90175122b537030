"""docs/guide/site-yaml.md says of every field what the model says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orchestrator.site import (
    account_rules,
    acme,
    callers,
    certificate_rules,
    full_trunk_rules,
    load,
    model,
    parse,
    part,
    route_rules,
    rules,
    tenant_rules,
    tenants,
    trunk_rules,
)

GUIDE = Path(__file__).parents[2] / "docs/guide/site-yaml.md"

CHAPTERS = {
    "The site": model.Site,
    "node": model.Node,
    "teams": model.Teams,
    "certificate": model.Certificate,
    "certificate.acme": acme.Acme,
    "certificate.acme.dns": acme.Dns,
    "certificate.acme.dns.rfc2136": acme.Rfc2136,
    "certificate.acme.dns.hook": acme.DnsHook,
    "certificate.acme.eab": acme.Eab,
    "certificate.acme.fallback": acme.Ca,
    "certificate.files": model.CertificateFiles,
    "trunks.NAME": model.Trunk,
    "trunks.NAME.gateways": model.Gateway,
    "trunks.NAME.tls": model.TrunkTls,
    "trunks.NAME.limits": tenants.Limits,
    "trunks.NAME.digest": model.Digest,
    "trunks.NAME.numbering": callers.Numbering,
    "trunks.NAME.caller_id": callers.CallerId,
    "trunks.NAME.registration": model.Registration,
    "routes.NAME": model.Route,
    "routes.NAME.to": model.Target,
    "tenants.NAME": tenants.Tenant,
    "tenants.NAME.certificate": tenants.OwnCertificate,
    "tenants.NAME.certificate.acme": acme.OwnAcme,
    "tenants.NAME.limits": tenants.Limits,
    "tenants.NAME.caller_id": tenants.TenantCallerId,
    "tenants.NAME.emergency": tenants.Emergency,
    "tenants.NAME.destinations": tenants.Destinations,
    "phones": model.Phones,
    "phones.users.USER": model.Phone,
    "Secrets": model.Secret,
    "media": model.Media,
    "engines": model.Engines,
}


def default_of(field: FieldInfo) -> str:
    """The default as the guide writes it; a part of its own has a chapter instead."""
    value = field.default
    if value is PydanticUndefined:
        return "**required**"
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, model.PortRange):
        return f"`{value.first}-{value.last}`"
    return "" if isinstance(value, part.Part) else f"`{value}`"


def table_of(part: type[model.Part]) -> str:
    """The table of one part, as it must stand in the guide."""
    rows = [
        f"| `{name}` | {default_of(field)} | {' '.join((field.description or '').split())} |"
        for name, field in model.fields_of(part).items()
    ]
    return "\n".join(["| field | default | what it is |", "|---|---|---|", *rows]).replace(
        "|  |", "| |"
    )


@pytest.mark.parametrize(("chapter", "part"), CHAPTERS.items())
def test_each_chapter_has_the_fields_of_its_part(chapter, part):
    """Names, defaults and sentences are those of the model; to repair, paste what is shown."""
    text = GUIDE.read_text()
    body = re.split(r"^## ", text.partition(f"\n## {chapter}\n")[2], flags=re.MULTILINE)[0]
    assert table_of(part) in body


def test_no_part_is_left_out():
    """Every part an operator writes as a mapping has its chapter."""
    parts = set(model.Part.__subclasses__()) | set(part.Part.__subclasses__()) - {model.Part}
    parts |= {below for each in parts for below in each.__subclasses__()}
    written_as_text = {model.PortRange, model.NumberRange}
    assert set(CHAPTERS.values()) == parts - written_as_text


def test_the_sites_in_the_guide_are_sites():
    """What a reader copies is valid, and gives no hint either."""
    blocks = re.findall(
        r"^```yaml\n(version:.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 2
    for block in blocks:
        assert rules.find_hints(load.load_site(block.encode(), "guide")) == ()


def test_the_limits_in_the_guide_are_the_limits():
    """The bounds of a file are those of the program."""
    text = GUIDE.read_text()
    for bound in (parse.MOST_DEPTH, parse.MOST_ALIASES, parse.MOST_VALUES):
        assert f"{bound:,}" in text


def test_every_problem_of_the_rules_is_explained():
    """Each id a rule gives stands in the guide, and no other."""
    source = "".join(
        Path(module.__file__).read_text()
        for module in (
            rules,
            route_rules,
            trunk_rules,
            account_rules,
            certificate_rules,
            tenant_rules,
            full_trunk_rules,
        )
    )
    ids = set(re.findall(r'errors\.Problem\(\s*"([a-z-]+)"', source))
    chapter = GUIDE.read_text().partition("\n## What is checked across fields\n")[2]
    assert ids == set(re.findall(r"^\| `([a-z-]+)` \|", chapter, re.MULTILINE))
