"""Place random calls through a running SBC and compare what happens with what the tables say.

    python wire_calls.py FOLDER KIND FIRST SITES CALLS

runs inside a machine (ground.py) whose SBC serves ``universe()``. For each random site the tables
are written and read again by RPC, as ``apply`` does; then its calls are placed all at once: from
the gateway that calls, over the one TLS connection of Teams, or from a phone with its password.
Who was asked in which order, and what the caller got, goes against :func:`predict`. The outcome is
one JSON object on stdout.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import os
import random
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path

import random_sites
import wire

import rtpengine_ng
from orchestrator.engines import kamailio, kamailio_rpc
from orchestrator.render import generation, numbers, routes, views
from orchestrator.site import model

SILENCE = 250
"""Milliseconds after which Kamailio gives a silent gateway up here; 3,000 in production."""
BATCH = 50
"""Sites for which gateways and addresses are read once: Kamailio reads both every 5 s at most."""
NO = (404, 480, 486, 500, 501, 502, 503, 504, 600, 603)


def universe(choose: random.Random, folder: Path) -> dict:
    """The site that has every trunk; the random ones have some of them, at the same gateways."""
    tree = copy.deepcopy(random_sites.BASE)
    tree["teams"]["trusted_roots"] = f"{folder}/ca.pem"
    tree["teams"]["options_interval"] = "300"
    tree["certificate"] = {"files": {"chain": f"{folder}/sbc.chain", "key": f"{folder}/sbc.key"}}
    tree["engines"] = {"accept_risk": model.OLD_KAMAILIO_RISK}
    gateways = random_sites.gateways_from(choose)
    tree["trunks"] = {
        name: {"kind": "pbx", "gateways": uris, "numbers": [f"9{place}"]}
        for place, (name, uris) in enumerate(gateways.items())
    }
    users = {
        user: {"number": f"77{n}", "password": {"env": "PASSWORD"}}
        for n, user in enumerate(random_sites.PHONES)
    }
    tree["phones"] = {"realm": wire.FQDN, "users": users}
    return tree


def predict(
    site: model.Site, table: routes.RouteTable, call: wire.Call, registered: set[str]
) -> tuple[list[str], int]:
    """Who will be asked in which order, and what the caller will get (docs/guide/routes.md)."""
    number = numbers.read(call.dialled, numbers.of_party(site, call.source)).number
    decision = routes.decide(table, call.source, number)
    reached = partial(addresses_of, site, number, registered)
    return follow(decision, decision.steps, call, reached)


def follow(
    decision: routes.Decision,
    kept: tuple[routes.Step, ...],
    call: wire.Call,
    reached: Callable[[str], tuple[str, ...]],
) -> tuple[list[str], int]:
    """The same for a decision of whose steps only those that are *kept* may be taken.

    *reached* says at which addresses a party is.
    """
    asked: list[str] = []
    final = 503 if decision.route else 404
    for step in decision.steps:
        if step not in kept:
            final = 404 if step.party == "teams" else final
            continue
        addresses = reached(step.party)
        if not addresses:
            final = 480
            continue
        unable = {"teams": (503,), "phone": (503,)}.get(step.party, (500, 502, 503, 504))
        code = 0
        for address in addresses:
            asked.append(address)
            code = 200 if call.says[address] == wire.LATE else call.says[address]
            if code in (180, 100):
                break
            if code and code not in unable:
                break
        if code == 100 and step.ring_within:
            final = 503
        elif code in (100, 180) and step.answer_within:
            final = 408
        else:
            final = 503 if code == 0 or code in unable else code
        if code == 200 or (code >= 400 and code not in step.codes):
            break
    return asked, final


def addresses_of(
    site: model.Site, dialled: str, registered: set[str], party: str
) -> tuple[str, ...]:
    """Where a party is; a phone where it registered, if the number is its own."""
    if party == "teams":
        return wire.TEAMS
    if party == "phone":
        users = site.phones.users.items() if site.phones else ()
        here = [user for user, phone in users if phone.number == dialled]
        return tuple(wire.PHONES[user] for user in here if user in registered)
    return tuple(gateway.host for gateway in site.trunks[party].gateways)


# -- the SBC ----------------------------------------------------------------------------------


class Sbc:
    """The running SBC: what it reads, and the doors to make it read again."""

    def __init__(self, folder: Path, facts: views.EngineFacts) -> None:
        self.facts = facts
        self.paths = views.Paths(state=f"{folder}/state", run=f"{folder}/run")
        self.socket = folder / "run/kamailio/kamailio.sock"
        self.rpc = kamailio_rpc.Rpc(self.socket, folder / "run")
        self.media = rtpengine_ng.Client("127.0.0.1", model.NG_PORT)
        self.held = {}
        # db_text reads a file again when its time in whole seconds is another.
        self.times = itertools.count(int(time.time()) + 10)

    def render(self, site: model.Site) -> generation.Generation:
        secrets = views.Secrets(
            contact_key="0" * 64, phones=dict.fromkeys(random_sites.PHONES, wire.PASSWORD)
        )
        return generation.render_site(site, facts=self.facts, paths=self.paths, secrets=secrets)

    def load(self, site: model.Site, *effects: generation.Effect) -> None:
        """Write the files of these effects that changed and have them read."""
        for file in self.render(site).files:
            if file.effect not in effects or self.held.get(file.path) == file.text:
                continue
            target = Path(self.paths.current) / file.path
            target.write_text(file.text)
            moment = next(self.times)
            os.utime(target, (moment, moment))
            if file.effect is generation.Effect.TABLE_RELOAD:
                kamailio.reload_table(self.rpc, file.table)
            elif file.effect is generation.Effect.ADDRESSES_RELOAD:
                kamailio.reload_addresses(self.rpc)
            else:
                kamailio.reload_dispatcher(self.rpc)
            self.held[file.path] = file.text

    def hurry(self) -> None:
        """Let silence be short: nothing else of the skeleton is touched."""
        self.tell("cfg.set_now_int", "tm", "fr_timer", SILENCE)

    def tell(self, method: str, *params: str | int) -> None:
        """A question of the tests' own: sbcctl has a list of those that it may ask."""
        own = str(self.socket) + ".wire"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.bind(own)
            asking.connect(str(self.socket))
            question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            asking.send(json.dumps(question).encode())
            assert b"error" not in asking.recv(70000)
        Path(own).unlink()

    def forget(self, call: wire.Call) -> None:
        """Take an answered call out of RTPEngine, as its BYE would."""
        self.media.ask(rtpengine_ng.messages.requests.Delete(call_id=call.call_id, delete_delay=0))

    def sessions(self) -> int:
        """Calls RTPEngine still holds."""
        return len(self.media.ask(rtpengine_ng.messages.requests.List()).calls)


def calls_of(
    choose: random.Random, site: model.Site, count: int, numbers: Iterator[int]
) -> list[wire.Call]:
    """Random calls with a random answer for each address; silence is rare."""
    everybody = (*wire.TEAMS, *wire.GATEWAYS, *wire.PHONES.values())
    found = []
    for source, dialled in random_sites.calls_from(choose, site, count):
        mood = choose.choice(((200,), NO, (*NO, 200, 503, 503, 503)))
        says = {
            address: 0 if choose.random() < 0.01 else choose.choice(mood) for address in everybody
        }
        found.append(wire.Call(next(numbers), source, dialled, says))
    return found


def limited(tree: dict, numbers: Iterator[int]) -> tuple[model.Site, list[wire.Call]]:
    """Calls whose targets only try or ring for ever, through routes that give them seconds."""
    ring = {"party": "office", "ring_within": "1"}
    picks_up = {"party": "office", "answer_within": "2"}
    both = {"party": "office", "ring_within": "1", "answer_within": "3"}
    tree["routes"] = {
        "quiet": {"number": "101", "to": [ring, "berlin"]},
        "last": {"number": "102", "to": [ring]},
        "unanswered": {"number": "103", "to": [picks_up, "berlin"]},
        "end": {"number": "104", "to": [picks_up]},
        "both": {"number": "105", "to": [both, "berlin"]},
        "each": {"number": "106", "to": [picks_up, {"party": "berlin", "answer_within": "3"}]},
    }
    site = model.Site.model_validate(tree)
    office, berlin = (
        [g.host for g in site.trunks[name].gateways] for name in ("office", "berlin")
    )
    wanted = (
        *(("101", 100, 200), ("102", 100, 200), ("103", 100, 200), ("103", 180, 200)),
        *(("104", 180, 200), ("105", 100, 200), ("105", 180, 200), ("105", wire.LATE, 200)),
        ("106", 180, wire.LATE),
    )
    calls = [
        wire.Call(
            *(next(numbers), source, number),
            dict.fromkeys(office, first) | dict.fromkeys(berlin, second),
        )
        for source in ("teams", "carrier", "phone")
        for number, first, second in wanted
    ]
    return site, calls


async def compare(world: wire.World, sbc: Sbc, site: model.Site, calls: list[wire.Call]) -> list:
    """Place calls through one site; what went otherwise than predicted."""
    table = routes.compile_site(site)
    world.calls = {call.call_id: call for call in calls}
    world.seen.clear()
    codes = await asyncio.gather(*(world.place(call, site) for call in calls))
    wrong = []
    for call, code in zip(calls, codes, strict=True):
        asked, final = predict(site, table, call, set(wire.PHONES))
        if (call.asked, code) != (asked, final):
            said = {address: call.says[address] for address in (*asked, *call.asked)}
            wrong.append(
                {"source": call.source, "dialled": call.dialled, "says": said}
                | {"predicted": [asked, final], "happened": [call.asked, code]}
                | {"route": str(routes.decide(table, call.source, call.dialled))}
            )
        if code == 200:
            sbc.forget(call)
    return wrong


async def begin(world: wire.World, folder: Path, facts: views.EngineFacts) -> Sbc:
    """Be there, say so, and wait until the SBC serves."""
    await world.open()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    return Sbc(folder, facts)


def run(main: Callable[..., Coroutine[None, None, dict]]) -> None:
    """Give *main* what the command line says, and print what it tells."""
    _, where, kind, first, sites, each = sys.argv
    known = {"debian12": views.DEBIAN_12, "debian13": views.DEBIAN_13}[kind]
    seeds = range(int(first), int(first) + int(sites))
    told = asyncio.run(main(Path(where), known, seeds, int(each)))
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


async def main(folder: Path, facts: views.EngineFacts, seeds: range, count: int) -> dict:
    """Place *count* calls through each of the sites of these *seeds*."""
    world = wire.World(folder)
    sbc = await begin(world, folder, facts)
    sbc.hurry()
    await world.dial()
    wrong, numbers = [], itertools.count(1)
    began = time.monotonic()
    for place, seed in enumerate(seeds):
        if place % BATCH == 0:
            tree = universe(random.Random(seed), folder)
            whole = model.Site.model_validate(tree)
            effects = generation.Effect
            sbc.load(whole, *(effects.ADDRESSES_RELOAD, effects.DISPATCHER_RELOAD))
            sbc.load(whole, effects.TABLE_RELOAD)
            for user in wire.PHONES:
                await world.register(user)
        choose = random.Random(seed)
        site = random_sites.site_from(choose, tree)
        sbc.load(site, generation.Effect.TABLE_RELOAD)
        calls = calls_of(choose, site, count, numbers)
        found = await compare(world, sbc, site, calls)
        wrong += [{"seed": seed, **each} for each in found]
    seconds = time.monotonic() - began
    site, calls = limited(tree, numbers)
    sbc.load(site, generation.Effect.TABLE_RELOAD)
    wrong += [{"seed": "limits", **each} for each in await compare(world, sbc, site, calls)]
    return {
        "calls": len(seeds) * count + len(calls),
        "seconds": round(seconds, 1),
        "left": sbc.sessions(),
        "disagreements": len(wrong),
        "wrong": wrong[:10],
    }


if __name__ == "__main__":
    run(main)
