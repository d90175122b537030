"""What the engines read about a tenant with a trunk of its own, and what is read back of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from pathlib import Path

import pytest

from orchestrator import plan, status
from orchestrator.apply import verify
from orchestrator.render import generation, views, wanted
from orchestrator.site import load

SITE = """
version: 1
site: fra1
node: {public_address: 203.0.113.10, trunk_address: 192.0.2.10}
teams: {fqdn: sbc.example.com}
certificate: {files: {chain: /c, key: /k}}
trunks:
  office: {kind: pbx, gateways: ["sip:192.0.2.20"]}
  world:
    {kind: carrier, gateways: ["sip:192.0.2.30;transport=tls"], tls: {ca: /ca}, numbers: ["+1"]}
tenants:
  acme: {fqdn: acme.sbc.example.com, numbers: ["+4930"]}
"""
BIG = """\
  big:
    fqdn: sbc.big.example
    address: 203.0.113.11
    certificate: {files: {chain: /big.pem, key: /big.key}}
    numbers: ["+4989"]
    trunks: [office]
"""
PATHS = views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl")
OWN = ("203.0.113.11", 5061, "sbc.big.example")
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


def rendered(text: str, facts: views.EngineFacts = views.DEBIAN_13) -> generation.Generation:
    return generation.render_site(
        load.load_site(text.encode(), "site.yaml"),
        facts=facts,
        paths=PATHS,
        secrets=views.Secrets(contact_key="k" * 64, phones={}),
    )


@pytest.mark.parametrize("facts", [views.DEBIAN_12, views.DEBIAN_13])
def test_it_has_a_listener_a_profile_for_each_way_and_options_of_its_own(facts):
    made = rendered(SITE + BIG, facts)
    assert wanted.own_listeners(made) == (OWN,)
    assert wanted.teams_listener(made)[2] == "sbc.example.com"
    config = made.file(wanted.KAMAILIO_CONFIG).text
    assert "alias=sbc.big.example:5061\n" in config
    # A name would be looked up at the start, in the tenant's DNS.
    assert "\nlisten=tls:203.0.113.11:5061 advertise 203.0.113.11:5061 name" in config
    assert "\ntcp_children=1\n" in config
    tls = made.file(wanted.TLS_CONFIG).text
    settings = {
        each.partition("]")[0]: re.findall(r"^[a-z_]+ = .*$", each, re.MULTILINE)
        for each in tls.split("\n[")[1:]
    }
    assert len(settings) == 5
    pair = "/var/lib/sbcctl/certificates/current/sbc.big.example"
    for end, profile in (("server", "203.0.113.11:5061"), ("client", "203.0.113.11:0")):
        # As all others, but for the certificate.
        usual, shown = settings[f"{end}:default"], settings[f"{end}:{profile}"]
        assert {*shown} - {*usual} == {
            f"certificate = {pair}.chain.pem",
            f"private_key = {pair}.key.pem",
        }
        assert len(shown) == len(usual)
    lines = made.file(wanted.DISPATCHER_LIST).text.splitlines()
    own = [line for line in lines if line.startswith("100 ")]
    assert len(own) == 3
    assert all("sockname=sbc.big.example;ping_from=sip:sbc.big.example" in line for line in own)
    rows = dict(wanted.table_rows(made.file("kamailio/tables/tenant")))
    assert rows["sbc.big.example"].startswith("n=big;at=203.0.113.11;set=100;r=")
    # The CA of trunks is still the one that trunks are judged by.
    assert {probe.trust[1] for probe in wanted.probes(made) if probe.party == "world"} == {"/ca"}
    told = {probe for probe in wanted.probes(made) if probe.party == "sbc.big.example"}
    assert {probe.socket for probe in told} == {"tls:203.0.113.11:5061"}
    assert {probe.trust for probe in told} == {("", "")}


def test_sites_without_one_pay_nothing():
    text = "".join(file.text for file in rendered(SITE).files)
    assert "param.value,at" not in text
    assert wanted.own_listeners(rendered(SITE)) == ()


def test_it_is_asked_about_when_it_is_new_and_may_be_silent():
    old, new = rendered(SITE), rendered(SITE + BIG)
    restart = plan.Plan((plan.Step(plan.Kind.RESTART_KAMAILIO, "changed"),))
    asked = verify.find_questions(old, new, restart, teams_answered=True)
    assert [each.party for each in asked.asked].count("sbc.big.example") == 1
    assert "sbc.big.example" not in asked.needed
    again = verify.find_questions(new, new, restart, teams_answered=True)
    assert "sbc.big.example" not in {each.party for each in again.asked}


def pair(serial: int, days: int = 60) -> plan.Pair:
    begin = NOW - dt.timedelta(days=30)
    return plan.Pair(serial, ("x",), begin, NOW + dt.timedelta(days=days))


def serving(made: generation.Generation, **own: int) -> plan.Observed:
    """A machine on which all is as asked; *own* are serials on disk and on the wire."""
    held = plan.CertificateSeen("files", pair(1), own=(("sbc.big.example", pair(own["disk"])),))
    loaded = tuple(sorted((file.path, file.digest) for file in wanted.data_files(made)))
    kamailio = plan.KamailioSeen(
        version=(6, 0, 1),
        running=True,
        answering=True,
        command=wanted.start_command(made, wanted.KAMAILIO_UNIT),
        skeleton=made.skeleton,
        loaded=loaded,
        destinations=wanted.destinations(made),
        served=1,
        served_own=(("sbc.big.example", own["wire"]),),
    )
    media = plan.RtpengineSeen(
        running=True,
        answering=True,
        command=wanted.start_command(made, wanted.RTPENGINE_UNIT),
        config=made.file(wanted.RTPENGINE_CONFIG).digest,
    )
    return plan.Observed(made.digest, (), None, held, kamailio, media)


def test_another_certificate_on_the_wire_is_read_again():
    made = rendered(SITE + BIG)
    assert plan.make_plan(made, serving(made, disk=2, wire=2)).steps == ()
    todo = plan.make_plan(made, serving(made, disk=2, wire=3))
    assert set(todo.kinds) == {plan.Kind.RELOAD_TLS}


def test_new_files_of_a_tenant_say_whose_they_are():
    made = rendered(SITE + BIG)
    seen = serving(made, disk=2, wire=2)
    held = dataclasses.replace(seen.certificate, offered=pair(1), changed=("sbc.big.example",))
    todo = plan.make_plan(made, dataclasses.replace(seen, certificate=held))
    assert set(todo.kinds) == {plan.Kind.INSTALL_CERTIFICATE, plan.Kind.RELOAD_TLS}
    assert "sbc.big.example" in todo.steps[0].reason


def test_status_tells_when_it_ends_and_when_another_is_served():
    made = rendered(SITE + BIG)
    seen = status.Seen("abc", good=True, observed=serving(made, disk=2, wire=3))
    assert status.judge(seen, NOW).reasons == (
        "another certificate of sbc.big.example is served (serial 3) than the one on disk",
    )
    later = NOW + dt.timedelta(days=60)
    assert "the certificate of sbc.big.example ended" in str(status.judge(seen, later).reasons)


def test_the_example_of_the_guide_is_a_site():
    guide = (Path(__file__).parents[2] / "docs/guide/hosting.md").read_text()
    chapter = guide.partition("## A trunk of its own\n")[2]
    tenants = chapter.partition("```\n")[2].partition("```")[0]
    load.load_site((SITE.partition("tenants:")[0] + tenants).encode(), "site.yaml")
