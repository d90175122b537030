"""Random sites whose customers share an SBC, and the numbers that calls through them are about."""

from __future__ import annotations

import random

import random_sites

from orchestrator import changes
from orchestrator.site import model, rules


def site_from(choose: random.Random, universe: dict | None = None) -> model.Site:
    """A valid site with two to five tenants, some with trunks of their own, some sharing one."""
    while True:
        site = random_sites.site_from(choose, universe)
        tree = changes.as_tree(site)
        count = choose.randint(2, 5)
        tree["tenants"] = {f"t{place}": _tenant(choose, place, tree) for place in range(count)}
        _say_of_emergencies(choose, tree)
        made = model.Site.model_validate(tree)
        if not rules.find_problems(made):
            return made


def _tenant(choose: random.Random, place: int, tree: dict) -> dict:
    trunks = choose.sample(sorted(tree["trunks"]), choose.randint(0, min(2, len(tree["trunks"]))))
    numbers = [f"+4930{place}{choose.randint(0, 9)}"]
    if choose.random() < 0.5:
        numbers.append(f"+4930{place}50-+4930{place}69")
    found = {"fqdn": f"t{place}.sbc.example.com", "numbers": numbers, "trunks": trunks}
    if choose.random() < 0.5:
        found["prefixes"] = [f"+4931{place}"]
    if choose.random() < 0.7:
        policy = choose.choice(["main", "own"])
        found["caller_id"] = {"policy": policy, "main": f"+4930{place}0000"}
        found["numbers"].append(found["caller_id"]["main"])
    if choose.random() < 0.5:
        found["destinations"] = choose.choice(
            [
                {"barred": ["+44"]},
                {"allowed": ["+8811", "+4998"]},
                {"barred": ["+441"], "allowed": ["+44"]},
            ]
        )
    return found


def _say_of_emergencies(choose: random.Random, tree: dict) -> None:
    """Some tenants have a number to be called back at, and trunks that may be theirs."""
    owned = {trunk for each in tree["tenants"].values() for trunk in each["trunks"]}
    for each in tree["tenants"].values():
        may = sorted((set(tree["trunks"]) - owned) | set(each["trunks"]))
        trunks = choose.sample(may, choose.randint(0, min(2, len(may))))
        if choose.random() < 0.5:
            each["emergency"] = {"caller": each["numbers"][0] + "00", "trunks": trunks}
            each["numbers"].append(each["emergency"]["caller"])


def numbers_of(choose: random.Random, site: model.Site) -> list[str]:
    """Numbers of tenants, and others."""
    found = [text.partition("-")[0] for each in site.tenants.values() for text in each.numbers]
    found += [prefix + "7" for each in site.tenants.values() for prefix in each.prefixes]
    return [
        *found,
        "112",
        "+4411",
        "+88112",
        "+88199",
        choose.choice(("+4490123", "+4498012", "+4498512", "+499003", "+499004", "+4499")),
        f"+4930{choose.randint(0, 9)}{choose.randint(0, 99)}",
    ]
