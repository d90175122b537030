"""Random calls of customers through a running SBC, and what the tables of tenants say of them.

    python wire_tenants.py FOLDER KIND FIRST SITES CALLS

Like ``wire_calls.py``, with tenants: whose call it is and whether it is refused, who is asked, the
number and the name that they see. Then the minutes of a day: what two calls talked is counted, and
the next one is refused. The outcome is one JSON object on stdout.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import random_hosting
import wire
import wire_calls

from orchestrator import use
from orchestrator.engines import kamailio
from orchestrator.render import hosting, numbers, routes, views, wanted
from orchestrator.site import model
from orchestrator.site import routes as meaning

NOBODY = "nobody.sbc.example.com"
MOST = 2
"""Seconds that a call talks here."""


def universe(choose: random.Random, folder: Path) -> dict:
    """The site that Kamailio is started with; it has a tenant, and every trunk."""
    tree = wire_calls.universe(choose, folder)
    tree["tenants"] = {"t0": {"fqdn": "t0.sbc.example.com", "numbers": ["+49301"]}}
    return tree


def load(sbc: wire_calls.Sbc, site: model.Site) -> None:
    """Make the tables what *site* wants, by the row."""
    for file in wanted.tables_of(sbc.render(site)):
        rows, held = dict(wanted.table_rows(file)), sbc.held.get(file.table)
        if held is None:
            held = kamailio.table_rows(sbc.rpc, file.table) or {}
        for key in held.keys() - rows.keys():
            sbc.rpc.call("htable.delete", file.table, key)
        for key in rows.keys() - {key for key, value in held.items() if rows.get(key) == value}:
            sbc.rpc.call("htable.sets", file.table, key, rows[key])
        sbc.held[file.table] = rows


def calls_of(
    choose: random.Random, site: model.Site, count: int, places: Iterator[int]
) -> list[wire.Call]:
    """Random calls; everybody who is asked answers at once, most of them with 200."""
    names = [*(each.fqdn for each in site.tenants.values()), wire.FQDN, NOBODY]
    known = random_hosting.numbers_of(choose, site)
    everybody = (*wire.TEAMS, *wire.GATEWAYS, *wire.PHONES.values())
    found = []
    for _ in range(count):
        said = tuple(choose.choice(known) for _ in range(choose.randint(1, 2)))
        mood = choose.choice(((200,), wire_calls.NO))
        call = wire.Call(
            *(next(places), choose.choice(meaning.parties_of(site)), choose.choice(known)),
            {address: choose.choice(mood) for address in everybody},
        )
        if call.source == "teams":
            call.name, call.callers = choose.choice(names), said
        found.append(call)
    return found


def predict(site: model.Site, table: routes.RouteTable, call: wire.Call) -> dict:
    """What becomes of a call: asked, final, and per address the caller and name that it sees."""
    number = numbers.read(call.dialled, numbers.of_party(site, call.source)).number
    name = call.name if call.source == "teams" else ""
    asking = hosting.Call(call.source, number, name, call.callers)
    verdict = hosting.Hosted(site).decide(table, asking)
    if verdict.refusal:
        return {"asked": [], "final": verdict.refusal}
    row = {row.key: row.value for row in hosting.tenant_table(site).rows}.get(name, "")
    ways = dict(part.partition("=")[::2] for part in row.split(";"))
    own, helping = ways.get("r", ""), ways.get("hw", "")
    whole = routes.decide(table, call.source, number, own=own, helping=helping)
    reached = partial(wire_calls.addresses_of, site, number, set(wire.PHONES))
    asked, final = wire_calls.follow(whole, verdict.decision.steps, call, reached)
    found: dict = {"asked": asked, "final": final}
    if call.source == "teams":
        found["callers"] = verdict.callers[0]
    found["name"] = verdict.fqdn
    return found


def differences(site: model.Site, call: wire.Call, code: int, told: dict) -> list[str]:
    """What went otherwise than predicted, as words."""
    wrong = []
    if (call.asked, code) != (told["asked"], told["final"]):
        wrong.append(f"asked {call.asked}, answered {code}")
    plain = {
        gateway.host
        for trunk in site.trunks.values()
        if trunk.numbering is None
        for gateway in trunk.gateways
    }
    for address, (caller, name) in call.shown.items():
        if address in wire.TEAMS and name != told["name"]:
            wrong.append(f"Teams saw the name {name}")
        if address in plain and "callers" in told and caller != told["callers"]:
            wrong.append(f"{address} saw the caller {caller}")
    return wrong


async def compare(
    world: wire.World, sbc: wire_calls.Sbc, site: model.Site, calls: list[wire.Call]
) -> list[dict]:
    """Place calls through one site; what went otherwise than predicted."""
    table = routes.compile_site(site)
    world.calls = {call.call_id: call for call in calls}
    world.seen.clear()
    codes = await asyncio.gather(*(world.place(call, site) for call in calls))
    wrong = []
    for call, code in zip(calls, codes, strict=True):
        told = predict(site, table, call)
        if words := differences(site, call, code, told):
            said = {"source": call.source, "dialled": call.dialled, "name": call.name}
            said |= {"callers": call.callers, "says": [call.says[each] for each in call.asked]}
            wrong.append({"call": said, "predicted": told, "happened": words})
        if code == 200:
            sbc.forget(call)
    return wrong


# -- minutes ----------------------------------------------------------------------------------


async def minutes(
    world: wire.World, sbc: wire_calls.Sbc, tree: dict, places: Iterator[int]
) -> dict:
    """Two calls of a tenant's talk at once and end; what is counted, and who is refused then."""
    fqdn = "t0.sbc.example.com"
    tree["tenants"] = {
        "t0": {"fqdn": fqdn, "numbers": ["+49301"], "limits": {"minutes_per_day": 1}}
    }
    tree["routes"] = {"all": {"to": ["office"]}, "help": {"emergency": ["112"], "to": ["office"]}}
    site = model.Site.model_validate(tree)
    load(sbc, site)
    says = dict.fromkeys(wire.GATEWAYS, 200)

    async def place(dialled: str, source: str = "teams") -> tuple[wire.Call, int]:
        call = wire.Call(next(places), source, dialled, says, name=fqdn, callers=("+49301",))
        world.calls[call.call_id] = call
        return call, await world.place(call, site)

    day = int(time.time()) // 86400
    (one, first), (two, second) = await place("+4411"), await place("+4411")
    # From another datacentre, because the connection was lost (SIG-27): still one call.
    again = await world.place_again(one, site)
    await asyncio.sleep(MOST)
    told = {"answers": [first, second, again]}
    told["talking"] = kamailio.table_value(sbc.rpc, "talking", fqdn)
    told["used"] = [(each.calls, each.seconds) for each in use.look(sbc.rpc, sbc.render(site))]
    for call in (one, two):
        await world.hang_up(call)
    told["talked"] = int(kamailio.table_value(sbc.rpc, "talked", f"{fqdn}/{day}") or 0)
    told["after"] = kamailio.table_value(sbc.rpc, "talking", fqdn)
    told["unused"] = [(each.calls, each.seconds) for each in use.look(sbc.rpc, sbc.render(site))]
    # Two seconds are left of the minute: the third call may begin, and uses them up.
    sbc.rpc.call("htable.seti", "talked", f"{fqdn}/{day}", 58)
    _, told["third"] = await place("+4411")
    await asyncio.sleep(MOST + 1)
    _, told["fourth"] = await place("+4411")
    _, told["help"] = await place("112")
    told["refused"] = kamailio.table_rows(sbc.rpc, "refused")
    return told


async def rooms(world: wire.World, sbc: wire_calls.Sbc, tree: dict, places: Iterator[int]) -> dict:
    """A trunk that was left for the next target, or is refused, has its room again."""
    fqdn = "t0.sbc.example.com"
    tree["tenants"] = {"t0": {"fqdn": fqdn, "numbers": ["+49301"]}}
    tree["trunks"]["office"]["limits"] = {"calls": 1000, "minutes_per_day": 1}
    tree["routes"] = {
        "in": {"number": "+49301", "to": ["office", "teams"]},
        "all": {"to": ["office"]},
    }
    site = model.Site.model_validate(tree)
    load(sbc, site)

    async def place(source: str, dialled: str, says: int) -> int:
        answers = dict.fromkeys(wire.GATEWAYS, says) | dict.fromkeys(wire.TEAMS, 200)
        call = wire.Call(*(next(places), source, dialled, answers), name=fqdn, callers=("+49301",))
        world.calls[call.call_id] = call
        return await world.place(call, site)

    told: dict = {"before": kamailio.table_value(sbc.rpc, "busy", "office")}
    told["next"] = await place("carrier", "+49301", 503)
    told["left"] = kamailio.table_value(sbc.rpc, "busy", "office")
    day = int(time.time()) // 86400
    sbc.rpc.call("htable.seti", "talked", f"office/{day}", 60)
    told["spent"] = await place("teams", "+4411", 200)
    told["full"] = kamailio.table_value(sbc.rpc, "busy", "office")
    return told


async def main(folder: Path, facts: views.EngineFacts, seeds: range, count: int) -> dict:
    """Place *count* calls through each of the sites of these *seeds*."""
    world = wire.World(folder)
    sbc = await wire_calls.begin(world, folder, facts)
    sbc.hurry()
    await world.dial()
    tree = universe(random.Random(seeds[0]), folder)
    whole = model.Site.model_validate(tree)
    load(sbc, whole)
    for user in wire.PHONES:
        await world.register(user)
    wrong, places, total = [], itertools.count(1), 0
    for seed in seeds:
        choose = random.Random(seed)
        site = random_hosting.site_from(choose, {k: v for k, v in tree.items() if k != "tenants"})
        load(sbc, site)
        calls = calls_of(choose, site, count, places)
        total += len(calls)
        wrong += [{"seed": seed, **each} for each in await compare(world, sbc, site, calls)]
    talked = await minutes(world, sbc, tree, places)
    return {
        "calls": total,
        "disagreements": len(wrong),
        "wrong": wrong[:10],
        "minutes": talked,
        "rooms": await rooms(world, sbc, tree, places),
    }


if __name__ == "__main__":
    wire_calls.run(main)
