"""What is said about a call is what the tables decide, with a reason for every other rule."""

from __future__ import annotations

import random_sites
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.render import explain, numbers
from orchestrator.render import routes as tables
from orchestrator.site import routes


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=True))
def test_every_call_is_explained(choose):
    """The rule named decided; each other route for the number is named once, with its reason."""
    site = random_sites.site_from(choose)
    for source, dialled in random_sites.calls_from(choose, site, 20):
        told = explain.explain(site, source, dialled)
        meant = numbers.read(dialled, numbers.of_party(site, source)).number
        assert told.decision == tables.decide(tables.compile_site(site), source, meant)
        assert (told.rule.name if told.rule else "") == told.decision.route
        assert (told.answer == 404) == (told.rule is None)
        asked = [step.party for step in told.decision.steps]
        hops = [hop.party for hop in told.rule.hops] if told.rule else []
        assert sorted([*asked, *told.left_out]) == sorted(hops)
        assert set(told.left_out) <= {source}
        others = [
            rule
            for rule in routes.rules_of(site)
            if rule.is_route and rule.match.fits(meant) and rule != told.rule
        ]
        named = [passed.rule for passed in told.passed if passed.rule.is_route]
        assert sorted(map(str, named)) == sorted(map(str, others))
        assert all(passed.why for passed in told.passed)


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=True))
def test_who_lost_wins_without_the_winner(choose):
    """Take the route away that decided, and the first of the others decides."""
    site = random_sites.site_from(choose)
    for source, dialled in random_sites.calls_from(choose, site, 20):
        told = explain.explain(site, source, dialled)
        if told.rule is None or not told.rule.is_route:
            continue
        less = {name: route for name, route in site.routes.items() if name != told.rule.name}
        next_one = explain.explain(site.model_copy(update={"routes": less}), source, dialled)
        serving = [passed.rule for passed in told.passed if passed.rule.serves(source)]
        assert next_one.rule == (serving[0] if serving else None)
