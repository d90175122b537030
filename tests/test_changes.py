"""What is different between two sites, and which change is why a file is."""

from __future__ import annotations

from pathlib import Path

from orchestrator import changes
from orchestrator.render import generation as generations
from orchestrator.render import views
from orchestrator.site import load, model

EXAMPLE = (Path(__file__).parents[1] / "examples/01-one-pbx/site.yaml").read_text()
GATEWAY = ("sip:192.0.2.20:5060;transport=udp", "sip:192.0.2.21:5060;transport=udp")
PORTS = ("engines:  ", "media: {ports: 31000-31999}\nengines:  ")


def site(*replaced: tuple[str, str]) -> model.Site:
    text = EXAMPLE
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    return load.load_site(text.encode(), "site.yaml")


def render(wanted: model.Site) -> generations.Generation:
    return generations.render_site(
        wanted,
        facts=views.DEBIAN_13,
        paths=views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl"),
        secrets=views.Secrets(contact_key="k" * 64, phones={}),
    )


def test_the_same_site_is_no_change_and_neither_is_a_default_written_out():
    assert changes.find_changes(site(), site()) == ()
    written = site(("fqdn: sbc.example.com ", "fqdn: sbc.example.com\n  options_interval: 60 "))
    assert changes.find_changes(site(), written) == ()


def test_a_gateway_moves_and_ports_change():
    found = changes.find_changes(site(), site(GATEWAY, PORTS))
    assert [(each.sign, each.noun, each.name) for each in found] == [
        ("~", "media", ""),
        ("~", "trunk", "office"),
    ]
    assert found[1].details == (changes.Detail("gateways", *GATEWAY),)
    assert found[1].path == ("trunks", "office")


def test_a_trunk_comes_and_goes():
    other = site(
        (
            "trunks:\n",
            'trunks:\n  lab: {kind: pbx, gateways: ["sip:192.0.2.9"], numbers: ["+49"]}\n',
        )
    )
    (added,) = changes.find_changes(site(), other)
    assert (added.sign, added.name) == ("+", "lab")
    assert changes.Detail("gateways", "", "sip:192.0.2.9:5060;transport=udp") in added.details
    (removed,) = changes.find_changes(other, site())
    assert (removed.sign, removed.name) == ("-", "lab")


def test_from_nothing_everything_is_added():
    assert {each.sign for each in changes.find_changes(None, site())} == {"+"}


def test_each_file_is_blamed_on_the_change_that_is_why():
    before, after = site(), site(GATEWAY, PORTS)
    causes = changes.find_causes(changes.find_changes(before, after), before, after, render)
    told = {path: [each.noun for each in found] for path, found in causes.items()}
    assert told["kamailio/dispatcher.list"] == ["trunk"]
    assert told["rtpengine/rtpengine.conf"] == ["media"]
    differing = {
        new.path
        for old, new in zip(render(before).files, render(after).files, strict=True)
        if old.digest != new.digest
    }
    assert set(told) == differing


def test_which_files_a_tenants_trunks_for_emergencies_change():
    """Rows of tenants are known without rendering; those about ways are not."""
    text = 'tenants: {acme: {fqdn: a.sbc.example.com, numbers: ["+493055500"]%s}}\nengines:  '
    route = 'routes: {help: {emergency: ["112"], to: [office]}}\n'
    before = site(("engines:  ", route + text % ""))
    for said, files in (
        ("{caller: '+493055500'}", []),
        ("{trunks: [office]}", ["kamailio/tables/target"]),
    ):
        after = site(("engines:  ", route + text % f", emergency: {said}"))
        causes = changes.find_causes(changes.find_changes(before, after), before, after, render)
        assert set(files) <= set(causes)
        assert "kamailio/tables/tenant" in causes
        assert ("kamailio/tables/target" in causes) == bool(files)
