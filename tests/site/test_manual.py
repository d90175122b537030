"""explain's words about a field are the model's, and its examples are what the model takes."""

from __future__ import annotations

import pydantic
import pytest
import yaml

from orchestrator.site import manual, model, problems

PATHS = manual.every_path()


def read(text: str) -> object:
    """Scalars stay text, as the loader hands them to the model."""
    return yaml.load(text, Loader=yaml.BaseLoader)


def place(path: tuple[str, ...], example: object) -> tuple[tuple[str | int, ...], object]:
    """Where the field stands in its own example, and its value there."""
    where: list[str | int] = []
    here = example
    for step in path:
        if isinstance(here, list):
            where.append(0)
            here = here[0]
        key = next(iter(here)) if step == manual.ANY else step
        where.append(key)
        here = here[key]
    return tuple(where), here


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_the_model_takes_the_value_of_every_example(path):
    """The rest of the site is missing there; the field itself and what is below it must fit."""
    entry = manual.describe(path)
    example = read(entry.example)
    where, value = place(path, example)
    try:
        model.Site.model_validate(example)
        wrong = []
    except pydantic.ValidationError as error:
        wrong = [each for each in error.errors() if each["loc"][: len(where)] == where]

    assert value not in ("", None)
    assert wrong == []


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_every_path_is_understood_as_it_is_listed(path):
    assert manual.parse(".".join(path)) == path
    entry = manual.describe(path)
    assert entry.kind
    assert entry.meaning or path[-1] in ("first", "last")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("trunks.office.gateways", "trunks.*.gateways"),
        ("trunks.office.gateways[0].port", "trunks.*.gateways.port"),
        ("trunks.office.gateways.1.port", "trunks.*.gateways.port"),
        ("trunks.*.gateways[*].port", "trunks.*.gateways.port"),
        ("routes.help.from", "routes.*.from"),
        ("phones.users.reception.password.file", "phones.users.*.password.file"),
    ],
)
def test_a_path_of_a_message_is_understood(text, path):
    assert ".".join(manual.parse(text)) == path


@pytest.mark.parametrize(
    "text", ["", ".", "colour", "teams.prot", "trunks.office.gatewys", "teams.port.low", "site.x"]
)
def test_what_is_no_field_is_none(text):
    assert manual.parse(text) is None


def test_the_files_of_tenants_are_explained():
    """The one key the model does not know."""
    entry = manual.describe(manual.parse("tenants.include"))

    assert (entry.path, entry.kind) == ("tenants.include", "glob or list of globs")
    assert read(entry.example) == {"tenants": {"include": "tenants.d/*.yaml"}}
    assert manual.parse("tenants.acme.fqdn") == ("tenants", "*", "fqdn")


def test_what_may_be_meant_is_offered():
    assert manual.near("teams.prot")[0] == "teams.port"
    assert manual.near("gateways") == ("trunks.*.gateways",)
    assert manual.near("qqqqqqqq") == ()


def test_a_field_says_what_it_takes_by_default_and_at_most():
    port = manual.describe(("teams", "port"))
    cloud = manual.describe(("teams", "cloud"))
    gateways = manual.describe(("trunks", "*", "gateways"))

    assert (port.kind, port.default, port.required) == ("whole number, 1 to 65535", "5061", False)
    assert cloud.choices == tuple(model.Cloud)
    assert (gateways.kind, gateways.required) == (
        "list of SIP URI or mapping, 1 to 32 entries",
        True,
    )


def test_no_field_has_the_name_of_a_problem():
    """One argument is both, so they must differ."""
    assert not {".".join(path) for path in PATHS} & set(problems.KINDS)
