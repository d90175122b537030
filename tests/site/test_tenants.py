"""What a tenant may be: its numbers one by one, as ranges and as prefixes."""

from __future__ import annotations

import re
from pathlib import Path

import pydantic
import pytest

from orchestrator.site import premium, tenants

GUIDE = Path(__file__).parents[2] / "docs/guide/premium.md"


def tenant(**fields: object) -> tenants.Tenant:
    return tenants.Tenant.model_validate({"fqdn": "acme.sbc.example.com", **fields})


def test_the_texts_stay_as_they_were_written():
    numbers = ("+493055500", "+493056000-+493056999", "21", "100 - 199")

    assert tenant(numbers=list(numbers)).numbers == numbers
    assert [tenants.split(text) for text in numbers] == [
        ("+493055500", "+493055500"),
        ("+493056000", "+493056999"),
        ("21", "21"),
        ("100", "199"),
    ]


def test_a_tenant_has_numbers_or_prefixes():
    assert tenant(prefixes=["+4930558"]).numbers == ()
    with pytest.raises(pydantic.ValidationError, match="numbers, prefixes or both"):
        tenant()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "up to 15 digits"),
        ("+", "up to 15 digits"),
        ("+49 30", "up to 15 digits"),
        ("+4930\n", "up to 15 digits"),
        ("+4930\n+4931", "up to 15 digits"),
        ("٣", "up to 15 digits"),
        ("1" * 16, "up to 15 digits"),
        ("-", "FIRST-LAST"),
        ("1-", "FIRST-LAST"),
        ("1-2-3", "FIRST-LAST"),
        ("+1\n-+2", "FIRST-LAST"),
        ("+10-20", "written alike"),
        ("+1-+10", "written alike"),
        ("+20-+10", "lowest number"),
    ],
)
def test_a_wrong_entry_is_told_by_its_place(text, words):
    """Also among many that are right, which are checked together."""
    for number in (0, 1, 700):
        entries = ["+493055500"] * 700
        entries.insert(number, text)
        with pytest.raises(pydantic.ValidationError, match=words) as told:
            tenant(numbers=entries)
        assert [each["loc"] for each in told.value.errors()] == [("numbers", number)]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"policy": "main"}, "needs the main number"),
        ({"policy": "own"}, "needs the main number"),
        ({"main": "+493055500"}, "belongs to the policies"),
        ({"policy": "own", "main": "055500"}, "a plus and 7 to 15 digits"),
        ({"policy": "allowed", "main": "+493055500"}, "'pass', 'main' or 'own'"),
    ],
)
def test_what_a_caller_id_needs(said, words):
    with pytest.raises(pydantic.ValidationError, match=words):
        tenant(numbers=["+493055500"], caller_id=said)


def test_emergency_says_something():
    assert tenant(numbers=["+493055500"], emergency={"trunks": ["a"]}).emergency.caller is None
    for said in ({}, {"trunks": []}):
        with pytest.raises(pydantic.ValidationError, match="caller, trunks or both"):
            tenant(numbers=["+493055500"], emergency=said)


@pytest.mark.parametrize(
    ("number", "own"),
    [
        ("+493055500", True),
        ("+493055501", False),
        ("+4930556000", True),
        ("+4930556099", True),
        ("+4930556100", False),
        ("+493055605", False),
        ("+49305571", True),
        ("+4930557", True),
        ("+4930", False),
        ("4930556000", False),
    ],
)
def test_which_numbers_are_its_own(number, own):
    """As they are written, within a range of the same length, or below a prefix."""
    acme = tenant(numbers=["+493055500", "+4930556000-+4930556099"], prefixes=["+4930557"])
    assert tenants.has_number(acme, number) is own
    assert not tenants.has_number(tenant(numbers=["+493055502"]), number)


@pytest.mark.parametrize("value", ["+4930", None, {"a": "b"}, [["+4930"]], [None]])
def test_what_is_no_list_of_texts_is_refused(value):
    with pytest.raises(pydantic.ValidationError):
        tenant(numbers=value)


def test_the_guide_lists_the_premium_rate_numbers_that_are_barred():
    """Each once, none below another, and all of one country code in one row."""
    rows = re.findall(r"^\| `([+][0-9]+)` \| ([0-9 ]+) \|$", GUIDE.read_text(), re.MULTILINE)

    assert dict(rows) == premium.BEGINNINGS
    assert len(rows) == len(premium.BEGINNINGS)
    assert len(set(tenants.BARRED)) == len(tenants.BARRED)
    for each in tenants.BARRED:
        assert not any(each[:length] in tenants.BARRED for length in range(1, len(each)))
