"""Whatever ends a call, and whatever comes at the same moment: nothing is counted for ever."""

from __future__ import annotations

import random

import lanes
import pytest
import test_tenants_on_the_wire as tenants
import wire_tenants

pytestmark = [pytest.mark.engine, pytest.mark.slow]

FQDN = "t0.sbc.example.com"
NOTHING = {"after": {}, "media": 0, "tags": 0}
"""What Kamailio and RTPEngine know of calls when all are over."""


@pytest.fixture(scope="module")
def told(lane: str, tmp_path_factory) -> dict:
    """What the program tells; each part begins with no call left by the one before."""
    folder = tmp_path_factory.mktemp("w")
    site = wire_tenants.universe(random.Random(1), folder)
    with tenants.TenantGround(folder, lanes.root(lane)) as machine:
        return machine.drive("wire_counts.py", lane, site, 1, 1, 1)


def both(count: int) -> dict[str, int]:
    """The tenant and its trunk have so many calls, and all of them talk."""
    rows = [f"{table}/{whose}" for table in ("busy", "talking") for whose in (FQDN, "office")]
    return dict.fromkeys(rows, count)


def test_a_call_id_is_no_place_in_a_table(told):
    """However a Call-ID is written, the call counts for itself and for nothing else."""
    names = told["names"]
    assert names["answers"] == [200] * 4
    assert (names["talking"], names["left"], names["after"]) == (both(4), both(1), {})


def test_both_sides_hang_up_at_once(told):
    """Two BYEs end a call once."""
    assert told["crossing"] == {"answers": [200], "talking": both(1), **NOTHING}


def test_of_two_invites_of_one_call_one_is_the_call(told):
    """The other is refused, even when it comes at the same moment, and nothing stays counted."""
    merged = told["merged"]
    answers = merged.pop("answers")
    # On a busy machine the one may be over before the other is read.
    assert [482, 486] in answers
    assert all(each in ([482, 486], [486, 486]) for each in answers)
    assert merged == NOTHING


def test_a_call_that_is_made_again_is_let_through_a_drain(told):
    """The one that Teams has forgotten is cancelled; the other one takes its place and room."""
    assert told["drained"] == {"answers": [487, 200], "talking": both(1), **NOTHING}


def test_a_call_that_is_made_again_and_refused_leaves_nothing(told):
    """The one that was there is over as well, with its media."""
    assert told["spent"] == {"answers": [487, 403], **NOTHING}


def test_a_call_of_a_trunk_that_goes_is_answered_as_any_other(told):
    """What site.yaml no longer has keeps its calls, those that ring among them."""
    answer = told["removed"]["answer"]
    assert told["removed"]["deleted"] == 2
    assert "o=- 1 1 IN IP4 192.0.2.10\r\n" in answer
    assert "c=IN IP4 192.0.2.10\r\n" in answer
    assert " RTP/AVP 8\r\n" in answer


def test_a_call_whose_end_is_never_told_is_forgotten_with_its_minutes(told):
    """It counts no more, what it talked is of no day, and an end that comes late ends nothing."""
    forgotten = told["forgotten"]
    assert forgotten.pop("answers") == [200, 200]
    assert len(set(forgotten.pop("talked"))) == 1
    assert forgotten == {"standing": both(1), "still": both(1), "metered": {}, **NOTHING}


def test_who_gives_up_says_nothing_of_a_datacentre(told):
    """A call that cannot go on because its caller gave up leaves Microsoft's names in use."""
    given_up = told["given up"]
    assert set(given_up.pop("answers")) <= {487, 500, 503}
    assert given_up == {"resting": {}, **NOTHING}
