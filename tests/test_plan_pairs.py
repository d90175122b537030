"""Generated pairs of sites: a plan cut after any step and made again reaches the goal."""

from __future__ import annotations

import random

import random_sites
import test_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import changes, plan
from orchestrator.render import generation as generations
from orchestrator.render import views, wanted
from orchestrator.site import model

SEEDS = st.integers(0, 2**32)
FACTS = st.sampled_from((views.DEBIAN_12, views.DEBIAN_13))


def rendered(facts: views.EngineFacts, site: model.Site) -> generations.Generation:
    return generations.render_site(
        site, facts=facts, paths=test_plan.PATHS, secrets=test_plan.SECRETS
    )


@settings(max_examples=60, deadline=None)
@given(FACTS, SEEDS, SEEDS)
def test_every_prefix_leads_on_to_the_goal(facts, one, other):
    """And the dispatcher never routes to a gateway whose address is not let in yet."""
    before = rendered(facts, random_sites.site_from(random.Random(one)))
    goal = rendered(facts, random_sites.site_from(random.Random(other)))
    seen = test_plan.serving(facts, before)
    steps = plan.make_plan(goal, seen).steps
    read = set()
    for index, step in enumerate(steps):
        again = plan.make_plan(goal, seen).steps
        assert [(left.kind, left.path) for left in again] == [
            (left.kind, left.path) for left in steps[index:]
        ]
        if step.kind is plan.Kind.RELOAD_DISPATCHER:
            stale = {path for path, digest in seen.kamailio.loaded} & {
                left.path for left in steps[index + 1 :]
            }
            assert not stale, "tables are read before the dispatcher routes by them"
        read.add(step.path)
        seen = test_plan.after(step, seen, goal)
    assert plan.make_plan(goal, seen).steps == ()
    restarted = plan.Kind.RESTART_KAMAILIO in {step.kind for step in steps}
    differing = {
        file.path
        for file in wanted.data_files(goal)
        if file.digest != dict(seen_files(before)).get(file.path)
    }
    assert restarted or differing <= read


def seen_files(generation: generations.Generation) -> list[tuple[str, str]]:
    return [(file.path, file.digest) for file in generation.files]


@settings(max_examples=60, deadline=None)
@given(SEEDS, SEEDS)
def test_changes_name_every_file_that_differs(one, other):
    """What the changes are blamed for is what differs, and no change means no difference."""
    before = random_sites.site_from(random.Random(one))
    after = random_sites.site_from(random.Random(other))
    found = changes.find_changes(before, after)
    assert bool(found) == (before != after)
    assert changes.find_changes(after, after) == ()
    again = model.Site.model_validate(changes.as_tree(after))
    assert again == after
