"""Numbers between E.164 and the form of a trunk, and the rows that say which form that is."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import errors
from orchestrator.render import explain, numbers, trunks
from orchestrator.site import callers, load, model

GERMAN = {"country": "49"}
NORWEGIAN = {"country": "47", "national_prefix": ""}
AMERICAN = {"country": "1", "national_prefix": "1", "international_prefix": "011"}


def numbering(country: dict, out: str = "e164", extension: str = "keep") -> callers.Numbering:
    return callers.Numbering.model_validate({**country, "out": out, "extension": extension})


@pytest.mark.parametrize(
    ("country", "out", "written", "meant"),
    [
        (GERMAN, "national", "03055510", "+493055510"),
        (GERMAN, "national", "00441632960100", "+441632960100"),
        (GERMAN, "national", "+493055510", "+493055510"),
        (GERMAN, "plain", "493055510", "+493055510"),
        (GERMAN, "plain", "03055510", "+493055510"),
        (GERMAN, "national", "493055510", "493055510"),
        (GERMAN, "national", "3055510", "3055510"),
        (GERMAN, "national", "112", "112"),
        (GERMAN, "national", "0112", "0112"),
        (GERMAN, "national", "116117", "116117"),
        (GERMAN, "national", "000", "000"),
        (GERMAN, "national", "*21#", "*21#"),
        (GERMAN, "national", "alice", "alice"),
        (GERMAN, "national", "0" * 40, "0" * 40),
        (NORWEGIAN, "national", "22334455", "+4722334455"),
        (NORWEGIAN, "national", "116117", "116117"),
        (NORWEGIAN, "plain", "4722334455", "+4722334455"),
        (AMERICAN, "national", "12025550100", "+12025550100"),
        (AMERICAN, "national", "0114930555100", "+4930555100"),
        (AMERICAN, "national", "112", "112"),
    ],
)
def test_a_trunk_s_number_is_read(country, out, written, meant):
    """Whole numbers get their plus; services, extensions and names stay."""
    assert numbers.to_e164(written, numbering(country, out)) == meant


@pytest.mark.parametrize(
    ("out", "wanted"),
    [
        ("e164", ["+493055510", "+441632960100"]),
        ("plain", ["493055510", "441632960100"]),
        ("international", ["00493055510", "00441632960100"]),
        ("national", ["03055510", "00441632960100"]),
    ],
)
def test_a_number_is_written_as_the_trunk_wants_it(out, wanted):
    """The four forms of a number of the country and of a foreign one."""
    own = numbering(GERMAN, out)
    assert [numbers.from_e164(each, own) for each in ("+493055510", "+441632960100")] == wanted
    assert numbers.from_e164("112", own) == "112"


@given(
    digits=st.from_regex(r"[1-9][0-9]{9,14}", fullmatch=True),
    country=st.sampled_from((GERMAN, NORWEGIAN, AMERICAN)),
    out=st.sampled_from(tuple(callers.Form)),
)
def test_what_is_written_is_read_again(digits, country, out):
    """Who calls back the number it was shown reaches who called."""
    number = f"+{digits}"
    own = numbering(country, out)
    if out is callers.Form.NATIONAL and digits.startswith(own.country + "0"):
        return  # a national number that begins as the prefix of foreign ones does
    assert numbers.to_e164(numbers.from_e164(number, own), own) == number


def test_an_extension_is_kept_or_dropped():
    """SIG-21; routes never see it, and other parameters go nowhere."""
    dialled = numbers.read("03055520;x=1;ext=77", numbering(GERMAN))
    assert dialled == numbers.Dialled("+493055520", ";ext=77")
    assert numbers.write(dialled, numbering(GERMAN, "national")) == "03055520;ext=77"
    assert numbers.write(dialled, numbering(GERMAN, "plain", "drop")) == "493055520"
    assert numbers.write(dialled, None) == "+493055520;ext=77"
    assert numbers.read("03055520;ext=a", None) == numbers.Dialled("03055520")


TEXT = """
version: 1
site: test
node: {public_address: 203.0.113.10, trunk_address: 192.0.2.10}
teams: {fqdn: sbc.example.com}
certificate: {acme: {email: ops@example.com}}
trunks:
  office: {kind: pbx, gateways: ["sip:192.0.2.20"], numbers: ["+4930"]REST}
  carrier: {kind: carrier, gateways: ["sip:192.0.2.41"]}
"""


def site(rest: str = "") -> model.Site:
    tree = yaml.load(TEXT.replace("REST", rest), Loader=yaml.BaseLoader)
    return model.Site.model_validate(tree)


def test_the_rows_say_what_each_kind_may_know():
    """A PBX is trusted and hears who forwarded; a carrier only vouches for what it asserts."""
    rows = {row.key: row.value for row in trunks.trunk_table(site()).rows}
    assert rows["office"].endswith(";hist=pass;trust=1;vouch=1")
    assert rows["carrier"].endswith(";hist=drop;vouch=1")
    rows = {row.key: row.value for row in trunks.trunk_table(site(", trusted: false")).rows}
    assert rows["office"].endswith(";hist=pass")


def test_the_list_of_numbers_is_a_table():
    """One row for each beginning, so a long list costs a call no more than a short one."""
    policy = ', caller_id: {policy: allowed, main: "+493055500", allowed: ["+49", "110"]}'
    assert [row.key for row in trunks.allowed_table(site(policy)).rows] == [
        "office/+49",
        "office/110",
    ]


def test_explain_reads_a_number_as_the_trunk_means_it():
    """What the PBX dials as 030... is the number that routes know."""
    policy = ', numbering: {country: "49"}'
    told = explain.explain(site(policy), "carrier", "03055510")
    assert (told.number, told.decision.steps[0].party) == ("03055510", "teams")
    other = site(policy).model_copy(update={"routes": {}})
    told = explain.explain(other, "office", "0307;ext=3")
    assert told.number == "0307"
    assert explain.explain(other, "office", "03070000;ext=3").number == "+493070000"


@pytest.mark.parametrize(
    "rest",
    [
        ", caller_id: {policy: main}",
        ', caller_id: {main: "+493055500"}',
        ', caller_id: {policy: allowed, main: "+493055500"}',
        ', caller_id: {policy: main, main: "+493055500", allowed: ["+49"]}',
        ', caller_id: {policy: main, main: "030"}',
        ', numbering: {country: "049"}',
        ', numbering: {country: "49", international_prefix: ""}',
        ', numbering: {country: "49", national_prefix: "+"}',
        ", numbering: {}",
        ", history: yes",
        ", trusted: perhaps",
    ],
)
def test_what_contradicts_itself_is_a_problem(rest):
    """A sentence and a place, never a traceback."""
    with pytest.raises(errors.SiteError) as caught:
        load.load_site(TEXT.replace("REST", rest).encode(), "site.yaml")
    assert all(problem.path[:2] == ("trunks", "office") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("+49%3330-1", "+493301"),
        ("%2B881612", "+881612"),
        ("(030) 1", "(030) 1"),
        ("030.1;ext=5", "0301"),
        ("alice-b", "alice-b"),
        ("%31%312", "112"),
        ("1%00", "1%00"),
        ("1%zz", "1%zz"),
        ("", ""),
    ],
)
def test_escapes_and_separators_hide_no_number(written, meant):
    assert numbers.read(written, None).number == meant
