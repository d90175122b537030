"""What a tenant may be: its numbers one by one, as ranges and as prefixes."""

from __future__ import annotations

import pydantic
import pytest

from orchestrator.site import tenants


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


@pytest.mark.parametrize("value", ["+4930", None, {"a": "b"}, [["+4930"]], [None]])
def test_what_is_no_list_of_texts_is_refused(value):
    with pytest.raises(pydantic.ValidationError):
        tenant(numbers=value)
