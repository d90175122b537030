"""A generation: quoting, effects, digests, and diffs as small as the change in site.yaml."""

from __future__ import annotations

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import errors
from orchestrator.render import generation, trunks, views
from orchestrator.site import model

PATHS = views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl")
SECRETS = views.Secrets(contact_key="0" * 64, phones={"reception": "a", "lobby": "b"})
TEXT = """
version: 1
site: test
node: {public_address: 203.0.113.10, trunk_address: 192.0.2.10}
teams: {fqdn: sbc.example.com}
certificate: {acme: {email: ops@example.com}}
trunks:
  office: {kind: pbx, gateways: ["sip:192.0.2.20"]}
phones:
  realm: sbc.example.com
  users:
    reception: {number: "+493055500", password: {env: A}}
"""


def site(text: str = TEXT) -> model.Site:
    return model.Site.model_validate(yaml.load(text, Loader=yaml.BaseLoader))


def render(wanted: model.Site, facts=views.DEBIAN_13) -> generation.Generation:
    return generation.render_site(wanted, facts=facts, paths=PATHS, secrets=SECRETS)


def changed(before: generation.Generation, after: generation.Generation) -> dict[str, str]:
    old = {file.path: file.text for file in before.files}
    return {f.path: f.effect for f in after.files if old.get(f.path) != f.text}


def test_a_changed_gateway_changes_data_only():
    """A trunk that moves is a line of the dispatcher's list and one of the addresses."""
    after = site(TEXT.replace("192.0.2.20", "192.0.2.21"))

    assert changed(render(site()), render(after)) == {
        "kamailio/addresses.list": "addresses-reload",
        "kamailio/dispatcher.list": "dispatcher-reload",
    }


def test_a_new_phone_changes_four_tables():
    """A phone more is a row of `phone`, `caller`, `auth` and `route`; the skeleton stays."""
    lobby = '    lobby: {number: "+493055501", password: {env: B}}\n'
    before, after = render(site()), render(site(TEXT + lobby))

    assert changed(before, after) == {
        "kamailio/tables/auth": "table-reload",
        "kamailio/tables/caller": "table-reload",
        "kamailio/tables/phone": "table-reload",
        "kamailio/tables/route": "table-reload",
    }
    assert before.skeleton == after.skeleton


def test_a_new_trunk_leaves_the_skeleton_alone():
    """A second trunk with its numbers is data."""
    more = TEXT.replace(
        "phones:\n",
        '  carrier: {kind: carrier, gateways: ["sip:192.0.2.40"], numbers: ["+4989"]}\nphones:\n',
        1,
    )

    assert "kamailio-restart" not in changed(render(site()), render(site(more))).values()


def test_a_new_trunk_moves_no_other_to_another_set():
    """While Kamailio reads one file after the other, no set may change its owner."""
    before = trunks.trunk_sets(["b", "c"])
    after = trunks.trunk_sets(["a", "b", "c"])

    assert {name: after[name] for name in before} == before
    assert len(set(after.values())) == 3
    assert min(after.values()) >= trunks.FIRST_TRUNK_SET


def test_a_new_port_changes_the_skeleton_and_its_digest():
    """A listener is part of what Kamailio reads at its start only."""
    after = render(site(TEXT.replace("example.com}", "example.com, port: 5065}", 1)))

    assert changed(render(site()), after)["kamailio/kamailio.cfg"] == "kamailio-restart"
    assert render(site()).skeleton != after.skeleton
    assert f'"{after.skeleton}"' in after.file("kamailio/kamailio.cfg").text


def test_secrets_stand_only_in_secret_files():
    """Neither the key nor a digest of a password is in a file that others may read."""
    result = generation.render_site(
        site(),
        facts=views.DEBIAN_12,
        paths=PATHS,
        secrets=views.Secrets(contact_key="canary-key", phones={"reception": "canary-password"}),
    )

    ha1 = "fd29a29fcd3ff5d0e9d4bd2b1dbdcb1e"
    for file in result.files:
        assert "canary-password" not in file.text
        if not file.secret:
            assert "canary-key" not in file.text
            assert ha1 not in file.text
    assert "canary-key" in result.file("kamailio/tables/secret").text


def test_clouds_have_their_names_and_networks():
    """EP-1, EP-2, EP-4: each cloud's own names, in order, and its own networks."""
    gov = render(site(TEXT.replace("example.com}", "example.com, cloud: gcc-high}", 1)))
    com = render(site())

    teams = [
        line.split()[1]
        for line in com.file("kamailio/dispatcher.list").text.splitlines()
        if line.startswith("1 ")
    ]
    assert teams == [
        "sip:sip.pstnhub.microsoft.com:5061;transport=tls",
        "sip:sip2.pstnhub.microsoft.com:5061;transport=tls",
        "sip:sip3.pstnhub.microsoft.com:5061;transport=tls",
    ]
    assert "1 52.112.0.0 14 0 teams" in com.file("kamailio/addresses.list").text
    assert "1 52.122.0.0 15 0 teams" in com.file("kamailio/addresses.list").text
    assert "sip.pstnhub.gov.teams.microsoft.us" in gov.file("kamailio/dispatcher.list").text
    assert "1 52.127.88.0 21 0 teams" in gov.file("kamailio/addresses.list").text


def test_kamailio_before_6_gets_one_tls_worker_and_eleven_refusals():
    """engines2.md 1 and MED-3: the old engines need what the new ones do not know."""
    old = render(site(), views.DEBIAN_12)
    new = render(site(), views.DEBIAN_13)

    assert "\ntcp_children=1\n" in old.file("kamailio/kamailio.cfg").text
    assert "tls_threads_mode" not in old.file("kamailio/kamailio.cfg").text
    assert old.file("kamailio/tables/media").text.count("SDES-no-NULL_HMAC_SHA1_80") == 2
    assert "SDES-only-AES_CM_128_HMAC_SHA1_80" in new.file("kamailio/tables/media").text
    assert "tls_threads_mode=2" in new.file("kamailio/kamailio.cfg").text
    assert '"rtpengine", "ping_interval"' not in old.file("kamailio/kamailio.cfg").text
    assert '"rtpengine", "ping_interval", 1' in new.file("kamailio/kamailio.cfg").text


def test_behind_nat_rtpengine_binds_the_private_and_names_the_public_address():
    """A 1:1 NAT: what is bound and what is advertised differ."""
    nat = site(TEXT.replace("203.0.113.10,", "203.0.113.10, private_address: 10.1.0.5,"))

    conf = render(nat).file("rtpengine/rtpengine.conf").text

    assert "interface = pub/10.1.0.5!203.0.113.10;lan/192.0.2.10\n" in conf
    assert "listen=tls:10.1.0.5:5061" in render(nat).file("kamailio/kamailio.cfg").text


@pytest.mark.parametrize(
    "template",
    ["{{ text }}", "{{ text ~ 'x' }}", "{{ number ~ text }}", "{{ flag }}", "{{ none }}"],
)
def test_text_without_a_filter_is_refused(template):
    """A template that forgets to quote does not render, whatever the text is."""
    environment = generation._environment()

    with pytest.raises(TypeError):
        environment.from_string(template).render(text="a", number=1, flag=True, none=None)


def test_a_missing_value_is_an_error():
    """StrictUndefined: a typo in a template is not empty text."""
    with pytest.raises(jinja2.UndefinedError):
        generation._environment().from_string("{{ nothing | word }}").render()


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (generation.word, "a b"),
        (generation.word, 'a"'),
        (generation.word, ""),
        (generation.host, "a_b"),
        (generation.host, "a\r\nb"),
        (generation.path, "relative"),
        (generation.path, "/a b"),
        (generation.path, '/a"'),
        (generation.regex, 'a"'),
        (generation.flags, 'a"'),
        (generation.interfaces, "pub/203.0.113.10 lan/192.0.2.10"),
        (generation.column, "a\nb"),
        (generation.column, "a\u2028b"),
    ],
)
def test_what_a_grammar_cannot_hold_is_refused(place, text):
    """Each filter refuses what would change the meaning of the file."""
    with pytest.raises(ValueError):
        place(text)


@given(st.text())
def test_a_column_never_ends_early(text):
    """No bare colon and no bare backslash is left in a column of a table."""
    try:
        placed = generation.column(text)
    except ValueError:
        return
    rest = placed.replace("\\\\", "").replace("\\:", "")

    assert ":" not in rest
    assert "\\" not in rest


def test_a_fault_in_rendering_is_one_sentence():
    """What a filter refuses ends as an error of ours, not as a traceback."""
    with pytest.raises(errors.SbcctlError) as caught:
        generation.render_site(
            site(),
            facts=views.DEBIAN_13,
            paths=views.Paths(state="/with space", run="/run/sbcctl"),
            secrets=SECRETS,
        )

    assert "with space" in caught.value.message


def unit(
    name: str, text: str = TEXT, facts=views.DEBIAN_13, run: str = "/run/sbcctl"
) -> list[str]:
    paths = views.Paths(state="/var/lib/sbcctl", run=run)
    made = generation.render_site(site(text), facts=facts, paths=paths, secrets=SECRETS)
    return made.file(f"systemd/sbcctl-{name}.service").text.splitlines()


def test_an_engine_runs_as_its_own_user_without_capabilities():
    """Only a port below 1024 takes one, and only for the engine that binds it."""
    for name in ("kamailio", "rtpengine"):
        lines = unit(name)
        assert {f"User={name}", f"Group={name}", "CapabilityBoundingSet="} <= set(lines)
        assert not any(line.startswith("AmbientCapabilities") for line in lines)

    low = unit("kamailio", TEXT.replace("{fqdn:", "{port: 443, fqdn:"))
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in low
    assert "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" in low
    media = TEXT + "media: {ports: 1000-1999}\n"
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in unit("rtpengine", media)
    assert "CapabilityBoundingSet=" in unit("kamailio", media)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("/run/sbcctl", {"RuntimeDirectory=sbcctl/kamailio", "RuntimeDirectoryMode=0750"}),
        ("/srv/run", {"ReadWritePaths=-/srv/run/kamailio"}),
        ("/runner", {"ReadWritePaths=-/runner/kamailio"}),
    ],
)
def test_what_is_gone_after_a_boot_is_made_by_systemd(run, expected):
    """Below /run systemd makes Kamailio's directory; elsewhere it is still there."""
    lines = unit("kamailio", run=run)
    assert {line for line in lines if line.startswith(("Runtime", "ReadWrite"))} == expected
    assert not any(line.startswith(("Runtime", "ReadWrite")) for line in unit("rtpengine"))


def test_kamailio_waits_for_the_names_it_would_do_without():
    """Both drop Microsoft's names that do not resolve; the old one its TLS listener as well."""

    def awaited(facts: views.EngineFacts) -> list[str]:
        lines = unit("kamailio", facts=facts)
        return [line.split()[4] for line in lines if line.startswith("ExecStartPre=")]

    assert awaited(views.DEBIAN_13) == ["sip.pstnhub.microsoft.com"]
    assert awaited(views.DEBIAN_12) == ["sbc.example.com", "sip.pstnhub.microsoft.com"]
