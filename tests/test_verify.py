"""Whom an apply asks by OPTIONS afterwards, and who must answer: decided from values."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import plan
from orchestrator.apply import verify
from orchestrator.render import generation as generations
from orchestrator.render import views
from orchestrator.site import load

EXAMPLE = (Path(__file__).parents[1] / "examples/03-trunks/site.yaml").read_text()
RELOAD = plan.Plan((plan.Step(plan.Kind.RELOAD_TABLE, "changed"),))
RESTART = plan.Plan((plan.Step(plan.Kind.RESTART_KAMAILIO, "changed"),))


def rendered(*changes: tuple[str, str]) -> generations.Generation:
    text = EXAMPLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    site = load.load_site(text.encode(), "site.yaml")
    secrets = views.Secrets(contact_key="k" * 64, phones={})
    paths = views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl")
    return generations.render_site(site, facts=views.DEBIAN_13, paths=paths, secrets=secrets)


def parties(questions: verify.Questions) -> set[str]:
    return {probe.party for probe in questions.asked}


def test_at_the_first_apply_every_trunk_must_answer_and_teams_may_be_silent():
    found = verify.find_questions(None, rendered(), RESTART, teams_answered=False)
    assert parties(found) == {"teams", "carrier", "secure", "world"}
    assert found.needed == {"carrier", "secure", "world"}


def test_who_was_not_touched_is_not_asked():
    old, new = rendered(), rendered(("sip:192.0.2.50", "sip:192.0.2.51"))
    found = verify.find_questions(old, new, RELOAD, teams_answered=True)
    assert parties(found) == {"teams", "world"}
    assert found.needed == {"teams", "world"}


def test_after_a_restart_all_are_asked_and_those_of_before_may_be_silent():
    found = verify.find_questions(rendered(), rendered(), RESTART, teams_answered=False)
    assert parties(found) == {"teams", "carrier", "secure", "world"}
    assert found.needed == frozenset()


@pytest.mark.parametrize(
    "change", [("name: secure.example.com", "name: other.example.com"), ("company", "other")]
)
def test_a_trunk_over_tls_is_touched_by_its_name_and_by_its_cas(change):
    found = verify.find_questions(rendered(), rendered(change), RELOAD, teams_answered=False)
    assert "secure" in found.needed
