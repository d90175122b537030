"""Calls to which something else happens at the same moment, and what is left when all are over.

    python wire_counts.py FOLDER KIND

Like ``wire_tenants.py``. The outcome is one JSON object on stdout.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import wire
import wire_calls
import wire_tenants

from orchestrator.engines import kamailio
from orchestrator.render import views
from orchestrator.site import model

FQDN = "t0.sbc.example.com"
SETTLED = 1.0
"""Seconds after which everything is over."""

PAIRS = 500
"""How often both sides hang up at once; without a lock one of two runs of 1,000 counted wrong."""

MERGED = 100
"""How often an INVITE comes twice at once."""

GIVEN_UP = 200
"""How often a caller gives up while the next address is looked for; one in thirty is in time."""

LEAD = 0.0001
"""Seconds by which the first of two is sent earlier, and up to twenty times as many."""


@dataclass
class Call(wire.Call):
    """One whose Call-ID is chosen."""

    own_id: str = ""

    @property
    def call_id(self) -> str:
        return self.own_id or f"wire-{self.number}"


class World(wire.World):
    """It remembers the INVITEs that came, and every final answer by its branch."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.invites: dict[str, str] = {}
        self.asked: dict[str, asyncio.Event] = collections.defaultdict(asyncio.Event)
        self.finals: dict[str, asyncio.Future[str]] = collections.defaultdict(asyncio.Future)

    def take(self, address: str, text: str, send: wire.Send) -> None:
        if text.startswith("INVITE"):
            self.invites[wire.header(text, "Call-ID")] = text
            self.asked[wire.header(text, "Call-ID")].set()
        elif re.match(r"SIP/2.0 [2-6]", text) and "CANCEL" not in wire.header(text, "CSeq"):
            heard = self.finals[wire.header(text, "Via").rpartition("branch=")[2]]
            if not heard.done():
                heard.set_result(text)
        super().take(address, text, send)

    async def final(self, branch: str) -> int:
        """The final answer to what was sent with this branch."""
        text = await asyncio.wait_for(self.finals[branch], 10)
        return int(text.split()[1])


def bye(invite: str, call: wire.Call) -> str:
    """The BYE of who answered this INVITE."""
    address, contact = call.asked[-1], re.search("<(.*)>", wire.header(invite, "Contact"))
    assert contact
    ways = re.findall(r"^Record-Route:[ \t]*(.*?)\r$", invite, re.MULTILINE)
    lines = [
        f"BYE {contact[1]} SIP/2.0",
        f"Via: SIP/2.0/UDP {address}:5060;branch=z9hG4bK-{call.number}-bye-too",
        "Max-Forwards: 70",
        f"From: {wire.header(invite, 'To')};tag={address}",
        f"To: {wire.header(invite, 'From')}",
        f"Call-ID: {call.call_id}",
        "CSeq: 1 BYE",
        *(f"Route: {way}" for way in ways),
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""])


def cancel(invite: str) -> str:
    """The CANCEL of an INVITE."""
    head = re.sub(r"(?m)^(Content-Type|Contact):.*\r\n", "", invite.partition("\r\n\r\n")[0])
    head = re.sub(r"Content-Length: \d+", "Content-Length: 0", head)
    return re.sub(r"\bINVITE\b", "CANCEL", head) + "\r\n\r\n"


class Counts:
    """A tenant and a trunk with limits that nobody reaches, and what Kamailio counts of them."""

    def __init__(self, world: World, sbc: wire_calls.Sbc, tree: dict) -> None:
        self.world, self.sbc = world, sbc
        self.places: Iterator[int] = itertools.count(1)
        limits = {"calls": 1000, "minutes_per_day": 600}
        tree["tenants"] = {"t0": {"fqdn": FQDN, "numbers": ["+49301"], "limits": limits}}
        tree["trunks"]["office"]["limits"] = limits
        tree["routes"] = {"all": {"from": ["teams"], "to": ["office"]}}
        self.site = model.Site.model_validate(tree)
        wire_tenants.load(sbc, self.site)

    def now(self) -> dict[str, int]:
        """Calls of each that Kamailio knows of, and how many of them talk."""
        found = {}
        for table in ("busy", "talking"):
            rows = kamailio.table_rows(self.sbc.rpc, table) or {}
            found |= {f"{table}/{key}": int(value) for key, value in rows.items() if int(value)}
        return {key: value for key, value in found.items() if not key.endswith("/since")}

    def call(self, source: str, says: int, own_id: str = "") -> Call:
        """A call of the tenant's that everybody answers by *says*."""
        everybody = dict.fromkeys((*wire.GATEWAYS, *wire.TEAMS), says)
        dialled = "+4411" if source == "teams" else "+49301"
        found = Call(*(next(self.places), source, dialled, everybody), own_id=own_id)
        found.name, found.callers = FQDN, ("+49301",)
        self.world.calls[found.call_id] = found
        return found

    async def names(self) -> dict:
        """A Call-ID that looks like another call's place in a table is a call of its own."""
        calls = [self.call("teams", 200, own_id) for own_id in ("a", "a/to", "to/a", "a/from")]
        answers = [await self.world.place(call, self.site) for call in calls]
        talking = self.now()
        for call in calls[1:]:
            await self.world.hang_up(call)
        left = self.now()
        await self.world.hang_up(calls[0])
        return {"answers": answers, "talking": talking, "left": left, "after": self.now()}

    async def merged(self) -> dict:
        """An INVITE that comes by two ways has two branches (RFC 3261 section 8.2.2.2)."""
        address, answers = self.site.trunks["carrier"].gateways[0].host, set()
        for _ in range(MERGED):
            call = self.call("carrier", 486)
            sent, first = wire.invite(call, address, "+4940"), f"z9hG4bK-{call.number}-1"
            ways = {first: sent, f"{first}-too": sent.replace(first, f"{first}-too")}
            for each in ways.values():
                self.world.udp[address].send(each)
            answers.add(tuple(sorted([await self.world.final(branch) for branch in ways])))
            for branch, each in ways.items():
                reply = self.world.finals[branch].result()
                self.world.udp[address].send(wire.acknowledgement(each, reply))
        await asyncio.sleep(SETTLED)
        return {"answers": sorted(answers), **self.left()}

    async def again(self, meanwhile: Callable[[], object]) -> tuple[Call, list[int]]:
        """A call of Teams' that rings and comes again from its other datacentre (SIG-27)."""
        call = self.call("teams", 180)
        placed = asyncio.create_task(self.world.place(call, self.site))
        await asyncio.sleep(0.5)
        meanwhile()
        call.says = dict.fromkeys(call.says, 200)
        repeated = asyncio.create_task(self.world.place_again(call, self.site))
        branches = [f"z9hG4bK-{call.number}-{way}" for way in ("1", "again")]
        answers = [await self.world.final(branch) for branch in branches]
        placed.cancel()
        repeated.cancel()
        call.final = asyncio.Future()
        call.final.set_result((answers[1], self.world.finals[branches[1]].result()))
        return call, answers

    async def drained(self) -> dict:
        """That happens while an apply waits for calls to end."""
        call, answers = await self.again(lambda: kamailio.take_no_calls(self.sbc.rpc, 30))
        kamailio.take_no_calls(self.sbc.rpc, 0)
        told = {"answers": answers, "talking": self.now()}
        if answers[1] == 200:
            await self.world.hang_up(call)
        await asyncio.sleep(SETTLED)
        return {**told, **self.left()}

    async def spent(self) -> dict:
        """That happens when the minutes of the day are over."""
        today = ("talked", f"{FQDN}/{int(time.time()) // 86400}")
        _, answers = await self.again(lambda: self.sbc.rpc.call("htable.seti", *today, 36000))
        self.sbc.rpc.call("htable.delete", *today)
        await asyncio.sleep(SETTLED)
        return {"answers": answers, **self.left()}

    async def given_up(self) -> dict:
        """The caller gives up while the next datacentre is tried, because the first says 503."""
        address, answers = self.site.trunks["carrier"].gateways[0].host, set()
        for place in range(GIVEN_UP):
            call = self.call("carrier", 180)
            call.says = dict.fromkeys(call.says, 180) | {wire.TEAMS[0]: 503}
            sent = wire.invite(call, address, "+4940")
            self.world.udp[address].send(sent)
            await self.world.asked[call.call_id].wait()
            # What comes by TLS is on its way for longer.
            await asyncio.sleep(place % 20 * LEAD)
            self.world.udp[address].send(cancel(sent))
            branch = f"z9hG4bK-{call.number}-1"
            answers.add(await self.world.final(branch))
            reply = self.world.finals[branch].result()
            self.world.udp[address].send(wire.acknowledgement(sent, reply))
        await asyncio.sleep(SETTLED)
        resting = kamailio.table_rows(self.sbc.rpc, "resting")
        return {"answers": sorted(answers), "resting": resting, **self.left()}

    async def forgotten(self) -> dict:
        """One of two calls that talk is forgotten: its rows expire, and half a day is a second."""
        calls = [self.call("teams", 200) for _ in range(2)]
        answers = [await self.world.place(call, self.site) for call in calls]
        told: dict = {"answers": answers, "talked": [self.talked()]}
        for row in ("of", "to"):
            name = f"{row}/{calls[0].call_id}"
            self.sbc.tell("htable.setex", "counted", name, 1)
        # Kamailio looks every twenty seconds.
        for _ in range(60):
            await asyncio.sleep(0.5)
            told["standing"] = self.now()
            if set(told["standing"].values()) == {1}:
                break
        told["talked"].append(self.talked())
        # Its end comes after all.
        await self.world.hang_up(calls[0])
        told["still"] = self.now()
        told["talked"].append(self.talked())
        await self.world.hang_up(calls[1])
        told["metered"] = kamailio.table_rows(self.sbc.rpc, "metered")
        return {**told, **self.left()}

    def talked(self) -> int:
        """Seconds of today, of the tenant's calls that have ended."""
        rows = kamailio.table_rows(self.sbc.rpc, "talked") or {}
        return sum(int(value) for key, value in rows.items() if key.startswith(FQDN))

    async def removed(self) -> dict:
        """A trunk is taken out of site.yaml while its call rings at Teams."""
        call = self.call("carrier", wire.LATE)
        placed = asyncio.create_task(self.world.place(call, self.site))
        await asyncio.sleep(0.5)
        rows = kamailio.table_rows(self.sbc.rpc, "media") or {}
        theirs = {key: value for key, value in rows.items() if key.startswith("carrier/")}
        for key in theirs:
            self.sbc.rpc.call("htable.delete", "media", key)
        await placed
        for key, value in theirs.items():
            self.sbc.rpc.call("htable.sets", "media", key, value)
        self.sbc.forget(call)
        return {"deleted": len(theirs), "answer": call.final.result()[1].partition("\r\n\r\n")[2]}

    def left(self) -> dict:
        """What is known of calls when none is there."""
        tags = kamailio.table_rows(self.sbc.rpc, "tags") or {}
        return {"after": self.now(), "media": self.sbc.sessions(), "tags": len(tags)}

    async def crossing(self) -> dict:
        """Both sides hang up at once."""
        answers, talking = set(), {}
        for place in range(PAIRS):
            call = self.call("teams", 200)
            answers.add(await self.world.place(call, self.site))
            talking = self.now()
            answerer, end = call.asked[-1], bye(self.world.invites[call.call_id], call)
            ended = asyncio.create_task(self.world.hang_up(call))
            # What comes by TLS is on its way for longer.
            await asyncio.sleep(place % 20 * LEAD)
            self.world.udp[answerer].send(end)
            await ended
        await asyncio.sleep(SETTLED)
        return {"answers": sorted(answers), "talking": talking, **self.left()}


async def main(folder: Path, facts: views.EngineFacts, _seeds: range, _count: int) -> dict:
    """All of it, one after the other."""
    world = World(folder)
    sbc = await wire_calls.begin(world, folder, facts)
    sbc.hurry()
    await world.dial()
    counts = Counts(world, sbc, wire_tenants.universe(random.Random(1), folder))
    return {
        "names": await counts.names(),
        "merged": await counts.merged(),
        "drained": await counts.drained(),
        "spent": await counts.spent(),
        "crossing": await counts.crossing(),
        "given up": await counts.given_up(),
        "forgotten": await counts.forgotten(),
        "removed": await counts.removed(),
    }


if __name__ == "__main__":
    wire_calls.run(main)
