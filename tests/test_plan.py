"""The plan: right order, cheapest step, nothing when nothing is to do, safe when cut anywhere."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest

from orchestrator import plan
from orchestrator.apply import check
from orchestrator.plan import Kind
from orchestrator.render import generation as generations
from orchestrator.render import trunks, views, wanted
from orchestrator.site import load, model

EXAMPLE = Path(__file__).parents[1] / "examples/01-one-pbx/site.yaml"
PATHS = views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl")
SECRETS = views.Secrets(contact_key="k" * 64, phones={"reception": "secret"})
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
OLD, NEW = (
    plan.Pair(serial, ("sbc.example.com",), BEGIN, BEGIN + dt.timedelta(days=90))
    for serial in (1, 2)
)


def rendered(facts: views.EngineFacts, *changes: tuple[str, str]) -> generations.Generation:
    text = EXAMPLE.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    site = load.load_site(text.encode(), "site.yaml")
    return generations.render_site(site, facts=facts, paths=PATHS, secrets=SECRETS)


def nothing(facts: views.EngineFacts) -> plan.Observed:
    """A bare machine."""
    return plan.Observed(
        committed="",
        drifted=(),
        units=None,
        certificate=plan.CertificateSeen(source="acme", installed=None),
        kamailio=plan.KamailioSeen(version=facts.kamailio),
        rtpengine=plan.RtpengineSeen(),
    )


def serving(
    facts: views.EngineFacts, generation: generations.Generation, pair: plan.Pair = OLD
) -> plan.Observed:
    """A machine on which everything is as *generation* asks."""
    return plan.Observed(
        committed=generation.digest,
        drifted=(),
        units=None,
        certificate=plan.CertificateSeen(source="acme", installed=pair),
        kamailio=plan.KamailioSeen(
            version=facts.kamailio,
            running=True,
            answering=True,
            command=wanted.start_command(generation, wanted.KAMAILIO_UNIT),
            skeleton=generation.skeleton,
            loaded=tuple(
                sorted((file.path, file.digest) for file in wanted.data_files(generation))
            ),
            destinations=wanted.destinations(generation),
            served=pair.serial,
        ),
        rtpengine=plan.RtpengineSeen(
            running=True,
            answering=True,
            command=wanted.start_command(generation, wanted.RTPENGINE_UNIT),
            config=generation.file(wanted.RTPENGINE_CONFIG).digest,
        ),
    )


def after(
    step: plan.Step, seen: plan.Observed, generation: generations.Generation
) -> plan.Observed:
    """What is observed when *step* has been done: a small world with the engines' habits."""
    facts = dataclasses.replace(views.DEBIAN_13, kamailio=seen.kamailio.version)
    pair = seen.certificate.installed or NEW
    whole = serving(facts, generation, pair)
    match step.kind:
        case Kind.OBTAIN_CERTIFICATE | Kind.INSTALL_CERTIFICATE:
            held = seen.certificate.offered or NEW
            certificate = plan.CertificateSeen(source="acme", installed=held)
            return dataclasses.replace(seen, certificate=certificate)
        case Kind.COMMIT:
            return dataclasses.replace(seen, committed=generation.digest, drifted=())
        case Kind.INSTALL_UNITS:
            return dataclasses.replace(seen, units=units(generation))
        case Kind.START_RTPENGINE | Kind.RESTART_RTPENGINE:
            return dataclasses.replace(seen, rtpengine=whole.rtpengine)
        case Kind.START_KAMAILIO | Kind.RESTART_KAMAILIO:
            return dataclasses.replace(seen, kamailio=whole.kamailio)
    loaded = dict(seen.kamailio.loaded) | {step.path: generation.file(step.path).digest}
    kamailio = dataclasses.replace(seen.kamailio, loaded=tuple(sorted(loaded.items())))
    if step.kind is Kind.RELOAD_TLS:
        kamailio = dataclasses.replace(kamailio, served=pair.serial)
    if step.kind is Kind.RELOAD_DISPATCHER:
        held = wanted.destinations(generation)
        kamailio = dataclasses.replace(kamailio, destinations=held)
    return dataclasses.replace(seen, kamailio=kamailio)


def units(generation: generations.Generation) -> tuple[tuple[str, str], ...]:
    paths = (wanted.KAMAILIO_UNIT, wanted.RTPENGINE_UNIT)
    return tuple((path, generation.file(path).digest) for path in paths)


FACTS = pytest.mark.parametrize("facts", [views.DEBIAN_12, views.DEBIAN_13])
GATEWAY = ("sip:192.0.2.20:5060;transport=udp", "sip:192.0.2.21:5060;transport=udp")
NUMBERS = ("kind: pbx", 'kind: pbx\n    numbers: ["+4930"]')
PORTS = ("engines:  ", "media: {ports: 31000-31999}\nengines:  ")
INTERVAL = ("fqdn: sbc.example.com ", "fqdn: sbc.example.com\n  options_interval: 7 ")
MEMORY = ("  accept_risk", "  shared_memory: 512\n  accept_risk")


@FACTS
def test_a_bare_machine_is_built_from_the_ground_up(facts):
    """Certificate, files, media, signalling."""
    made = plan.make_plan(rendered(facts), nothing(facts))
    assert made.kinds == (
        Kind.OBTAIN_CERTIFICATE,
        Kind.COMMIT,
        Kind.START_RTPENGINE,
        Kind.START_KAMAILIO,
    )


@FACTS
def test_as_asked_means_nothing_to_do(facts):
    """Same generation, same observed: the empty plan."""
    generation = rendered(facts)
    assert plan.make_plan(generation, serving(facts, generation)).steps == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((GATEWAY,), (Kind.COMMIT, Kind.RELOAD_ADDRESSES, Kind.RELOAD_DISPATCHER)),
        ((NUMBERS,), (Kind.COMMIT, Kind.RELOAD_TABLE)),
        (
            (GATEWAY, NUMBERS),
            (Kind.COMMIT, Kind.RELOAD_ADDRESSES, Kind.RELOAD_TABLE, Kind.RELOAD_DISPATCHER),
        ),
        ((PORTS,), (Kind.COMMIT, Kind.RESTART_RTPENGINE)),
        ((INTERVAL,), (Kind.COMMIT, Kind.RESTART_KAMAILIO)),
        ((INTERVAL, GATEWAY, NUMBERS), (Kind.COMMIT, Kind.RESTART_KAMAILIO)),
        ((MEMORY,), (Kind.COMMIT, Kind.RESTART_KAMAILIO)),
    ],
)
def test_the_cheapest_step_that_suffices(changes, expected):
    """Data is reloaded, only the skeleton restarts, and a restart makes reloads needless."""
    facts = views.DEBIAN_13
    made = plan.make_plan(rendered(facts, *changes), serving(facts, rendered(facts)))
    assert made.kinds == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [(views.DEBIAN_12, Kind.RESTART_KAMAILIO), (views.DEBIAN_13, Kind.RELOAD_TLS)],
)
def test_a_new_certificate_never_reloads_tls_on_an_old_kamailio(facts, expected):
    """engines2.md section 1: tls.reload crashes 5.6.3, so it is a restart there."""
    generation = rendered(facts)
    seen = serving(facts, generation)
    offered = plan.CertificateSeen(source="acme", installed=OLD, offered=NEW)
    seen = dataclasses.replace(seen, certificate=offered)
    assert plan.make_plan(generation, seen).kinds == (Kind.INSTALL_CERTIFICATE, expected)
    # Installed but not served yet: what a crash between the two steps leaves.
    seen = dataclasses.replace(
        seen, certificate=plan.CertificateSeen(source="acme", installed=NEW)
    )
    assert plan.make_plan(generation, seen).kinds == (expected,)


@pytest.mark.parametrize(
    ("used", "expected", "warned"),
    [
        (59, Kind.RELOAD_TLS, False),
        (60, Kind.RELOAD_TLS, True),
        (74, Kind.RELOAD_TLS, True),
        (75, Kind.RESTART_KAMAILIO, True),
        (130, Kind.RESTART_KAMAILIO, True),
    ],
)
def test_a_new_certificate_is_a_restart_before_shared_memory_runs_out(used, expected, warned):
    """engines2.md section 3: reloads add up, and near the end of the pool nobody gets in."""
    generation = rendered(views.DEBIAN_13)
    seen = serving(views.DEBIAN_13, generation)
    memory = plan.Memory(total=1 << 28, used=used * (1 << 28) // 100 + 1)
    seen = dataclasses.replace(
        seen,
        certificate=plan.CertificateSeen(source="acme", installed=OLD, offered=NEW),
        kamailio=dataclasses.replace(seen.kamailio, memory=memory),
    )

    assert plan.make_plan(generation, seen).kinds == (Kind.INSTALL_CERTIFICATE, expected)
    assert bool(plan.memory_warning(memory)) is warned
    # Without a new certificate there is nothing to do.
    idle = dataclasses.replace(seen, certificate=serving(views.DEBIAN_13, generation).certificate)
    assert plan.make_plan(generation, idle).kinds == ()


@pytest.mark.parametrize(
    ("part", "values", "expected"),
    [
        ("kamailio", {"running": False}, Kind.START_KAMAILIO),
        ("kamailio", {"answering": False}, Kind.RESTART_KAMAILIO),
        ("kamailio", {"skeleton": "other"}, Kind.RESTART_KAMAILIO),
        ("kamailio", {"command": ("kamailio",)}, Kind.RESTART_KAMAILIO),
        ("kamailio", {"served": 99}, Kind.RELOAD_TLS),
        ("kamailio", {"destinations": ()}, Kind.RELOAD_DISPATCHER),
        ("kamailio", {"destinations": None}, None),
        ("kamailio", {"differing": ("kamailio/addresses.list",)}, Kind.RELOAD_ADDRESSES),
        ("kamailio", {"differing": ("kamailio/tables/trunk",)}, Kind.RELOAD_TABLE),
        ("rtpengine", {"running": False}, Kind.START_RTPENGINE),
        ("rtpengine", {"answering": False}, Kind.RESTART_RTPENGINE),
        ("rtpengine", {"config": ""}, Kind.RESTART_RTPENGINE),
    ],
)
def test_what_the_engines_say_decides(part, values, expected):
    """One difference, one step; nothing is committed that is committed already.

    More destinations than it can tell are no difference.
    """
    facts = views.DEBIAN_13
    generation = rendered(facts)
    seen = serving(facts, generation)
    seen = dataclasses.replace(seen, **{part: dataclasses.replace(getattr(seen, part), **values)})
    assert plan.make_plan(generation, seen).kinds == ((expected,) if expected else ())


def test_missing_notes_load_everything_again_in_safe_order():
    """After a reboot the notes are gone: TLS, addresses, tables, and the dispatcher last."""
    facts = views.DEBIAN_13
    generation = rendered(facts)
    seen = serving(facts, generation)
    seen = dataclasses.replace(seen, kamailio=dataclasses.replace(seen.kamailio, loaded=()))
    kinds = plan.make_plan(generation, seen).kinds
    assert kinds[:2] == (Kind.RELOAD_TLS, Kind.RELOAD_ADDRESSES)
    assert set(kinds[2:-1]) == {Kind.RELOAD_TABLE}
    assert kinds[-1] is Kind.RELOAD_DISPATCHER


def test_the_cost_names_the_calls():
    """An operator reads what a restart does to calls before it is done."""
    facts = views.DEBIAN_13
    seen = serving(facts, rendered(facts))
    seen = dataclasses.replace(seen, rtpengine=dataclasses.replace(seen.rtpengine, calls=7))
    step = plan.make_plan(rendered(facts, PORTS), seen).steps[-1]
    cost = "7 calls lose their audio; new calls get 503 for some seconds"
    assert (step.kind, step.cost) == (Kind.RESTART_RTPENGINE, cost)


def test_units_are_installed_where_systemd_runs():
    """Before the engines start, and only when they differ."""
    facts = views.DEBIAN_13
    generation = rendered(facts)
    seen = dataclasses.replace(nothing(facts), units=())
    kinds = plan.make_plan(generation, seen).kinds
    assert kinds.index(Kind.INSTALL_UNITS) < kinds.index(Kind.START_RTPENGINE)
    seen = dataclasses.replace(serving(facts, generation), units=units(generation))
    assert plan.make_plan(generation, seen).steps == ()


def test_a_certificate_that_expired_is_replaced():
    """The faults of the installed one are the reason."""
    facts = views.DEBIAN_13
    generation = rendered(facts)
    faulty = plan.CertificateSeen(source="acme", installed=OLD, faults=("it expired",))
    seen = dataclasses.replace(serving(facts, generation), certificate=faulty)
    made = plan.make_plan(generation, seen)
    assert (made.kinds[0], made.steps[0].reason) == (Kind.OBTAIN_CERTIFICATE, "it expired")


@FACTS
@pytest.mark.parametrize("changes", [(), (GATEWAY, NUMBERS), (PORTS, INTERVAL), (MEMORY, NUMBERS)])
@pytest.mark.parametrize("bare", [True, False])
def test_cut_after_any_step_the_rest_comes_out(facts, changes, bare):
    """Rule 4: planned again after each step, the same steps remain, down to none."""
    goal = rendered(facts, *changes)
    seen = nothing(facts) if bare else serving(facts, rendered(facts))
    steps = plan.make_plan(goal, seen).steps
    for index, step in enumerate(steps):
        assert plan.make_plan(goal, seen).kinds == tuple(left.kind for left in steps[index:])
        seen = after(step, seen, goal)
    assert plan.make_plan(goal, seen).steps == ()


def test_the_risk_of_an_old_kamailio_is_accepted_in_words_or_not_at_all():
    """The hint is the very line that makes it pass."""
    text = EXAMPLE.read_text().partition("engines:")[0].encode()
    site = load.load_site(text, "site.yaml")
    (problem,) = check.find_refusals(site, (5, 6, 3))
    line = problem.hint.partition("site.yaml: ")[2]
    accepted = load.load_site(text + f"\n{line}\n".encode(), "site.yaml")
    assert accepted.engines.accept_risk == model.OLD_KAMAILIO_RISK
    assert check.find_refusals(accepted, (5, 6, 3)) == ()
    assert check.find_refusals(site, (6, 0, 0)) == ()


def test_what_is_asked_of_the_engines_is_read_from_the_files():
    """Sockets, destinations, tables and timers, as the files say them."""
    generation = rendered(views.DEBIAN_13)
    assert wanted.sockets(generation) == {
        "tls:203.0.113.10:5061",
        "udp:192.0.2.10:5060",
        "tcp:192.0.2.10:5060",
    }
    assert wanted.teams_listener(generation) == ("203.0.113.10", 5061, "sbc.example.com")
    asked = dict(reversed(pair) for pair in wanted.destinations(generation))
    assert asked["sip:192.0.2.20:5060;transport=udp"] >= trunks.FIRST_TRUNK_SET
    allowed = {(1, "198.51.100.0/24", 0, "teams"), (2, "192.0.2.20/32", 0, "office")}
    assert wanted.addresses(generation) == allowed
    assert len(wanted.probes(generation)) == 4
    assert wanted.probes(generation)[0].socket == "tls:203.0.113.10:5061"
    assert 1 <= wanted.answer_seconds(generation) <= 10
    rows = dict(wanted.table_rows(generation.file("kamailio/tables/phone")))
    assert rows == {"+493055500": "reception"}


def test_a_table_of_an_older_generation_is_read_back():
    """It has a number in front of each row; the way back to it leads through its rows."""
    text = "id(int,auto) key_name(string)\n1:a\\:b:0:0:c:0\n"
    file = generations.File("t", text, generations.Effect.TABLE_RELOAD, table="t")
    assert wanted.table_rows(file) == (("a:b", "c"),)
    assert wanted.changed_rows(text, file, most=9) is None


def test_what_is_different_between_two_tables():
    """Rows to set and keys to take away; too much of it is nothing to do by the row."""
    before = "key_name(string)\na:0:0:1:0\nb:0:0:2:0\nc\\:d:0:0:3:0\n"
    after = "key_name(string)\na:0:0:1:0\nb:0:0:9:0\ne:0:0:4:0\n"
    file = generations.File("t", after, generations.Effect.TABLE_RELOAD, table="t")
    assert wanted.changed_rows(before, file, most=4) == ({"b": "9", "e": "4"}, {"c:d"})
    assert wanted.changed_rows(before, file, most=3) is None


def test_a_table_value_with_colons_and_backslashes_is_read_back():
    """db_text escapes both; the rows compared with the running table are the plain ones."""
    text = "header\n" + "a\\:b:0:0:c\\\\:0\n"
    file = generations.File("t", text, generations.Effect.TABLE_RELOAD, table="t")
    assert wanted.table_rows(file) == (("a:b", "c\\"),)
