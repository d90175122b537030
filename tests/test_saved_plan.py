"""Of a saved plan: drift it did not tell of, and calls that came since, were not approved."""

from __future__ import annotations

import pytest

from orchestrator import errors, plan
from orchestrator.apply import saved
from orchestrator.render import views

FACTS = views.DEBIAN_13
COMMIT = "site.yaml or the engines changed"
SAVED = saved.Saved(
    begin="a" * 12,
    end="b" * 12,
    kamailio=".".join(map(str, FACTS.kamailio)),
    rtpengine=".".join(map(str, FACTS.rtpengine)),
    steps=(("commit", ""), ("restart-rtpengine", "")),
    commit=COMMIT,
    idle=True,
)


def todo(*, commit: str = COMMIT, cost: str = plan.NO_CALL) -> plan.Plan:
    restart = plan.Step(plan.Kind.RESTART_RTPENGINE, "its configuration changed", f"{cost}; so")
    return plan.Plan((plan.Step(plan.Kind.COMMIT, commit), restart))


def check(approved: saved.Saved, now: plan.Plan) -> None:
    saved.check(approved, FACTS, "a" * 12, "b" * 12, now)


def test_what_was_approved_is_carried_out() -> None:
    check(SAVED, todo())


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (todo(commit=f"{COMMIT}; changed by somebody else: kamailio/tls.cfg"), "tls.cfg now"),
        (todo(cost="3 calls lose their audio"), "and is 3 calls lose their audio now"),
    ],
)
def test_what_was_not_approved_makes_it_stale(now, said) -> None:
    with pytest.raises(errors.SbcctlError, match="the plan is stale") as stale:
        check(SAVED, now)
    assert said in stale.value.message


def test_more_calls_than_were_approved_are_not_other_calls() -> None:
    """Calls come and go: who approved that some lose their audio, approved that."""
    busy = saved.Saved(
        SAVED.begin, SAVED.end, SAVED.kamailio, SAVED.rtpengine, SAVED.steps, COMMIT
    )
    check(busy, todo(cost="991 calls lose their audio"))


def test_certificates_that_were_obtained_are_installed_as_one() -> None:
    """Of tenants' first ones each has a step, and what is left of all of them is one."""
    approved = saved.Saved(
        *("a" * 12, "b" * 12, SAVED.kamailio, SAVED.rtpengine),
        (("obtain-certificate", ""), ("obtain-certificate", "sbc.big.example"), *SAVED.steps),
        COMMIT,
        idle=True,
    )
    with pytest.raises(errors.SbcctlError, match="the plan is stale"):
        check(approved, todo())
    installed = plan.Step(plan.Kind.INSTALL_CERTIFICATE, "certbot has another one")
    check(saved.once_obtained(approved), plan.Plan((installed, *todo().steps)))
