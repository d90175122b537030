"""Whatever ends a call, and whatever comes at the same moment: nothing is counted for ever."""

from __future__ import annotations

import random

import lanes
import pytest
import test_tenants_on_the_wire as tenants
import wire_tenants

pytestmark = [pytest.mark.engine, pytest.mark.slow]

FQDN = "t0.sbc.example.com"


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
    assert told["crossing"] == {"answers": [200], "talking": both(1), "after": {}}
