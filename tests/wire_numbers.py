"""Send numbers through a running SBC and compare what trunks get with render/numbers.py.

    python wire_numbers.py FOLDER KIND FIRST SITES CALLS

as wire_calls.py does with routes: for each seed the trunks write numbers in other ways, and each
in turn is called by all the others. The outcome is one JSON object on stdout.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from pathlib import Path

import random_sites
import wire
import wire_calls

from orchestrator.render import generation, numbers, views
from orchestrator.site import callers, model

MAIN = "+493055500"
COUNTRIES = (
    {"country": "49"},
    {"country": "39", "national_prefix": ""},
    {"country": "47", "national_prefix": ""},
    {"country": "1", "national_prefix": "1", "international_prefix": "011"},
    {"country": "7", "national_prefix": "8", "international_prefix": "810"},
)
BEGINNINGS = ("", "", "0", "00", "011", "1", "8", "810", "+", "+49", "+39", "+1", "0049", "49")
ODD = ("112", "116117", "*21", "alice", "+", "0", "00", "+0123456789", "4" * 33, "+49305;ext=x")


class Listener(wire.World):
    """Everybody but the SBC; remembers each INVITE that came, by Call-ID."""

    heard: dict[str, str] = {}  # noqa: RUF012 - one for each process

    def take(self, address: str, text: str, send: wire.Send) -> None:
        if text.startswith("INVITE"):
            self.heard[wire.header(text, "Call-ID")] = text
        super().take(address, text, send)

    async def dial_as(self, call: wire.Call, site: model.Site, user: str) -> None:
        """Place *call* as *user* and wait for its refusal."""
        address = site.trunks[call.source].gateways[0].host
        sent = wire.invite(call, address, user)
        self.udp[address].send(sent)
        _, reply = await asyncio.wait_for(call.final, 20)
        self.udp[address].send(wire.acknowledgement(sent, reply))


def number_from(choose: random.Random) -> str:
    """A number as somebody may write it."""
    if choose.random() < 0.1:
        return choose.choice(ODD)
    digits = "".join(choose.choice("01234567899") for _ in range(choose.randint(1, 12)))
    extension = f";ext={digits[:3]}" if choose.random() < 0.2 else ""
    return _disguised(choose, choose.choice(BEGINNINGS) + digits) + extension


def _disguised(choose: random.Random, number: str) -> str:
    """The same number for whoever reads URIs, and another text, now and then."""
    if choose.random() > 0.2 or not number:
        return number
    place = choose.randrange(len(number))
    written = (f"%{ord(number[place]):02X}", f"{number[place]}-", f".{number[place]}")
    return number[:place] + choose.choice(written) + number[place + 1 :]


def site_from(choose: random.Random, tree: dict, target: str) -> model.Site:
    """The site with other forms for each trunk, and one trunk that all the others call."""
    for trunk in tree["trunks"].values():
        trunk.pop("numbering", None)
        trunk.pop("caller_id", None)
        if choose.random() < 0.85:
            trunk["numbering"] = {
                **choose.choice(COUNTRIES),
                "out": choose.choice(list(callers.Form)),
                "extension": choose.choice(list(callers.Extension)),
            }
        if choose.random() < 0.5:
            trunk["caller_id"] = {"policy": "allowed", "main": MAIN, "allowed": ["+49", "1"]}
    tree["routes"] = {"all": {"to": [target]}}
    return model.Site.model_validate(tree)


def predict(
    site: model.Site, source: str, target: str, dialled: str, caller: str
) -> tuple[str, str]:
    """The user parts of Request-URI and From that *target* will get."""
    own, theirs = (numbers.of_party(site, party) for party in (source, target))
    shown = numbers.read(caller, own)
    policy = site.trunks[target].caller_id
    if policy.allowed and not shown.number.startswith(policy.allowed):
        shown = numbers.Dialled(MAIN)
    return numbers.write(numbers.read(dialled, own), theirs), numbers.write(shown, theirs)


def happened(invite: str) -> tuple[str, str]:
    """The same out of the INVITE that came."""
    called = re.match(r"INVITE sip:([^@]*)@", invite)
    calling = re.search(r"sip:([^@]*)@", wire.header(invite, "From"))
    return (called[1] if called else invite[:60], calling[1] if calling else "nobody")


async def main(folder: Path, facts: views.EngineFacts, seeds: range, count: int) -> dict:
    """Place *count* calls to each trunk in each of the sites of these *seeds*."""
    world = Listener(folder)
    sbc = await wire_calls.begin(world, folder, facts)
    tree = wire_calls.universe(random.Random(seeds[0]), folder)
    for trunk in tree["trunks"].values():
        del trunk["gateways"][1:]
    effects = generation.Effect
    sbc.load(model.Site.model_validate(tree), effects.DISPATCHER_RELOAD)
    wrong, ids, placed = [], itertools.count(1), 0
    for seed, target in itertools.product(seeds, random_sites.TRUNKS):
        choose = random.Random(f"{seed} {target}")
        site = site_from(choose, tree, target)
        sbc.load(site, effects.TABLE_RELOAD)
        sources = [name for name in random_sites.TRUNKS if name != target]
        host = site.trunks[target].gateways[0].host
        calls = [
            (
                wire.Call(next(ids), choose.choice(sources), number_from(choose), {host: 486}),
                number_from(choose),
            )
            for _ in range(count)
        ]
        world.calls = {call.call_id: call for call, _ in calls}
        await asyncio.gather(*(world.dial_as(call, site, caller) for call, caller in calls))
        placed += len(calls)
        for call, caller in calls:
            wanted = predict(site, call.source, target, call.dialled, caller)
            got = happened(world.heard.get(call.call_id, ""))
            if got != wanted:
                forms = [site.trunks[party].numbering for party in (call.source, target)]
                wrong.append(
                    {"seed": seed, "dialled": call.dialled, "caller": caller}
                    | {"forms": [str(form) for form in forms]}
                    | {"predicted": wanted, "happened": got}
                )
    return {"calls": placed, "disagreements": len(wrong), "wrong": wrong[:10]}


if __name__ == "__main__":
    wire_calls.run(main)
