"""Whose call it is: the tables ``tenant`` and ``number``, and a walk through them like Kamailio's.

Table ``tenant``:

============== ===============================================================================
key            value
============== ===============================================================================
``FQDN``       ``n=NAME``, limits (``max``, ``cps``, ``min``), ``cid=+49`` for the number that
               trunks see in its calls, or ``cid=own/+49`` for who has no number of its own,
               ``r=ROUTE`` for trunks of its own; for emergency calls ``hc=+49``, the number
               that trunks see, and ``hw=WAY``, what stands before the name of the route;
               beside them ``at`` and ``set``, the address and the dispatcher set of who has a
               trunk of its own at Microsoft
``FQDN/+49``   numbers that begin so may be called: ``yes``, or ``no``; ``d`` in ``FQDN`` has the
               lengths of these beginnings, the longest first (``d=4-3-0``)
``.TRUNK``     the tenant whose own that trunk is, or ``-`` where several list it
``/+8816``     ``no``: barred for everybody who does not allow it; five characters always, and if
               not all below them is barred, the lengths of what is (``7-6-0``), which has rows
               of its own
``FQDN/TRUNK`` 1: that trunk is one of the tenant's own
``ONE/OTHER``  1: the two trunks are some tenant's own both
============== ===============================================================================

Table ``number``: the keys of ``render.routes`` (``=NR``, ``rL/P``, ``pP``) -> the tenant's FQDN,
and its rows about lengths (``/L``, ``/p``).

A tenant's FQDN stands for it everywhere: Teams knows a call by nothing else (MT-1), and in the
Route of a dialog it outlives the tenant in site.yaml.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.render import routes as routing
from orchestrator.render import tables, trunks
from orchestrator.site import acme, model, routes, tenants

_BARRED, _ALLOWED = "no", "yes"
_OWN = "own/"
"""In front of the number that trunks see: of who calls under a number that is not the tenant's."""
_SEVERAL = "-"
_CODE = 5
"""Characters by which what is barred for everybody is looked for: few calls find any."""

_TENANT_BITS, _NUMBER_BITS = 14, 17
"""For ten thousand tenants and a million numbers; the slots alone take 8 MB."""


def domains(site: model.Site) -> tuple[str, ...]:
    """The domains right below which tenants have their names, whether there are any or not.

    Names that the certificate lists one by one are below what follows their first label.
    """
    listed = {*site.certificate_names}
    wild = {name.removeprefix(acme.WILDCARD) for name in listed if name.startswith(acme.WILDCARD)}
    single = {each.fqdn for each in site.tenants.values()} & (listed - {site.teams.fqdn})
    parents = {name.partition(".")[2] for name in single}
    return tuple(dict.fromkeys((site.teams.fqdn, *sorted(wild | parents))))


def tenant_table(site: model.Site) -> tables.Table:
    """The table ``tenant``."""
    entries = dict(_BARRED_ROWS)
    full = {each.fqdn: each for each in trunks.full_trunks(site)}
    for name, tenant in site.tenants.items():
        values = [("n", name), *trunks.limits_of(tenant.limits)]
        if own := dict(_destinations(tenant)):
            values.append(("d", _widths_of(own)))
            entries |= {f"{tenant.fqdn}/{beginning}": may for beginning, may in own.items()}
        if tenant.caller_id is not None and tenant.caller_id.main:
            kind = _OWN if tenant.caller_id.policy is tenants.Shown.OWN else ""
            values.append(("cid", kind + tenant.caller_id.main))
        if tenant.emergency is not None:
            helping = routes.helping_way(tenant.emergency.trunks)
            given = (("hc", tenant.emergency.caller), ("hw", helping))
            values += [(key, value) for key, value in given if value]
        if own_listener := full.get(tenant.fqdn):
            values += [("at", own_listener.bind), ("set", str(own_listener.set_id))]
        if tenant.trunks:
            values.append(("r", routes.way_of(tenant.trunks)))
        entries[tenant.fqdn] = tables.params(values)
        entries |= {f"{tenant.fqdn}/{trunk}": "1" for trunk in tenant.trunks}
        entries |= {"/".join(two): "1" for two in itertools.permutations(tenant.trunks, 2)}
        for key in (f".{trunk}" for trunk in tenant.trunks):
            entries[key] = _SEVERAL if key in entries else tenant.fqdn
    return tables.sealed("tenant", entries, bits=_TENANT_BITS)


def _widths_of(beginnings: Iterable[str]) -> str:
    widths = sorted({len(beginning) for beginning in beginnings}, reverse=True)
    return "-".join(map(str, (*widths, 0)))


def _barred_rows() -> Iterator[tuple[str, str]]:
    """What is barred for everybody."""
    longer = sorted(each for each in tenants.BARRED if len(each) > _CODE)
    for code, below in itertools.groupby(longer, lambda each: each[:_CODE]):
        barred = tuple(below)
        yield f"/{code}", _widths_of(barred)
        yield from ((f"/{beginning}", _BARRED) for beginning in barred)
    for beginning in tenants.BARRED:
        if len(beginning) <= _CODE:
            for rest in itertools.product("0123456789", repeat=_CODE - len(beginning)):
                yield f"/{beginning}{''.join(rest)}", _BARRED


_BARRED_ROWS = dict(_barred_rows())


def _destinations(tenant: tenants.Tenant) -> Iterator[tuple[str, str]]:
    if tenant.destinations is not None:
        yield from ((beginning, _BARRED) for beginning in tenant.destinations.barred)
        yield from ((beginning, _ALLOWED) for beginning in tenant.destinations.allowed)


def number_table(site: model.Site) -> tables.Table:
    """The table ``number``: what each tenant has stands together.

    A million single numbers need no common order then, and few steps of Python each.
    """
    owned: dict[str, list[str]] = {}
    beginnings: list[str] = []
    for tenant in site.tenants.values():
        singles, others = _keys_of(tenant)
        owned[tenant.fqdn] = singles + others
        beginnings += others
    return tables.sealed("number", routing.widths_of(beginnings), bits=_NUMBER_BITS, owned=owned)


def _keys_of(tenant: tenants.Tenant) -> tuple[list[str], list[str]]:
    """The keys of a tenant's numbers, and those of beginnings of its numbers."""
    if "-" not in "".join(tenant.numbers):
        return ["=" + text for text in tenant.numbers], [f"p{each}" for each in tenant.prefixes]
    singles = [f"={text}" for text in tenant.numbers if "-" not in text]
    beginnings = [f"p{prefix}" for prefix in tenant.prefixes]
    for first, last in map(tenants.split, (text for text in tenant.numbers if "-" in text)):
        parts = routes.prefixes_of(first, last) if first != last else ()
        beginnings += [f"r{len(first)}/{part}" for part in parts]
        singles += () if parts else (f"={first}",)
    return singles, beginnings


# -- walk -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """A new call.

    Attributes:
        source: The party that calls.
        number: Whom it calls.
        name: Of a call from Teams: the host of its request URI, in small letters.
        callers: The numbers under which it is made, From and P-Asserted-Identity.
    """

    source: str
    number: str
    name: str = ""
    callers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tables say of a call.

    Attributes:
        fqdn: The tenant whose call it is; empty when it is nobody's.
        refusal: The answer when it is refused at once, or 0.
        decision: Which way it goes; of its steps, those that this tenant may take.
        callers: The numbers under which it is made, as trunks see them before their own policy.
    """

    fqdn: str
    refusal: int
    decision: routing.Decision
    callers: tuple[str, ...] = ()


def e164(number: str) -> str:
    """What a caller's number may mean, however it is written: ``route[IS_ANOTHERS]``."""
    return "+" + re.sub("^00", "", re.sub("[^0-9]", "", number))


class Hosted:
    """The rows about tenants, and what Kamailio makes of a call by them."""

    def __init__(self, site: model.Site) -> None:
        self._tenant = tenant_table(site).entries()
        self._number = number_table(site).entries()
        self._owned = routes.own_trunks(site)

    def decide(self, table: routing.RouteTable, call: Call) -> Verdict:
        """What ``tenants.cfg`` and ``routing.cfg`` decide for a call.

        Args:
            table: The rows about routes.
            call: Who calls whom.
        """
        none = routing.Decision("", "", emergency=False, steps=())
        help_ = routing.decide(table, call.source, call.number).emergency
        if call.source == routes.TEAMS:
            fqdn = call.name
            if fqdn not in self._tenant and not help_:
                return Verdict("", 404, none)
            if self._is_anothers(fqdn, *call.callers) and not help_:
                return Verdict(fqdn, 403, none)
        else:
            owner = self.owner_of(call.number)
            fqdn = owner if owner and self._may_use(owner, call.source) else ""
        named = self._named(fqdn) if call.source == routes.TEAMS else {}
        own, helping = named.get("r", ""), named.get("hw", "")
        found = routing.decide(table, call.source, call.number, own=own, helping=helping)
        whose = fqdn if call.source == routes.TEAMS else self._tenant.get(f".{call.source}", "")
        if whose and not found.emergency and self._is_barred(whose, call.number):
            return Verdict(fqdn, 403, none)
        steps = tuple(
            step
            for step in found.steps
            if (help_ and step.party != routes.TEAMS) or self._may_reach(call, fqdn, step.party)
        )
        seen = call.callers
        if call.source == routes.TEAMS:
            helper = named.get("hc", "") if help_ else ""
            seen = tuple(helper or self._seen(fqdn, number) for number in seen)
        return Verdict(fqdn, 0, dataclasses.replace(found, steps=steps), seen)

    def owner_of(self, number: str) -> str:
        """The name of the tenant with that number, or nothing; one without a plus is nobody's."""
        keys = routing.keys_below(number, self._number) if number.startswith("+") else ()
        return next((self._number[key] for key in keys if key in self._number), "")

    def _is_anothers(self, fqdn: str, *callers: str) -> bool:
        """Whether a call is made under a number of another tenant's, and vouched for by nobody.

        Who forwards a call keeps the caller's number in From, and asserts his own (SIG-22).
        """
        owners = [self.owner_of(e164(number)) for number in callers]
        vouched = owners[1] if len(owners) > 1 else ""
        if vouched == fqdn:
            return False
        return any(owner not in ("", fqdn) for owner in owners)

    def _is_barred(self, fqdn: str, number: str) -> bool:
        """Whether no call of this tenant may go to that number, written with a plus or 00."""
        number = re.sub("^00", "+", number)
        may = self._may_call(fqdn, self._named(fqdn).get("d", ""), number)
        may = may or self._tenant.get(f"/{number[:_CODE]}", _ALLOWED)
        if may not in (_BARRED, _ALLOWED):
            may = self._may_call("", may, number)
        return may == _BARRED

    def _may_call(self, whose: str, widths: str, number: str) -> str:
        """``yes`` or ``no`` of the longest beginning that is named, or nothing."""
        lengths = (int(width) for width in widths.split("-") if width)
        rows = (self._tenant.get(f"{whose}/{number[:length]}", "") for length in lengths if length)
        return next(filter(None, rows), "")

    def _own_way(self, fqdn: str) -> str:
        return self._named(fqdn).get("r", "")

    def _seen(self, fqdn: str, number: str) -> str:
        """What trunks see of a caller's number; nothing of one that is hidden."""
        policy = self._named(fqdn).get("cid", "")
        if not number or not policy:
            return number
        own = e164(number)
        is_own = policy.startswith(_OWN) and self.owner_of(own) == fqdn
        return own if is_own else policy.removeprefix(_OWN)

    def _named(self, fqdn: str) -> dict[str, str]:
        """The values in the row of a tenant."""
        row = self._tenant.get(fqdn, "")
        return dict(part.split("=", 1) for part in row.split(";") if part)

    def _may_use(self, fqdn: str, source: str) -> bool:
        """By a trunk of its own, or by the shared ones when it has none."""
        if f"{fqdn}/{source}" in self._tenant:
            return True
        if fqdn not in self._tenant:
            return False
        return source not in self._owned and not self._own_way(fqdn)

    def _may_reach(self, call: Call, fqdn: str, party: str) -> bool:
        """Whether this call may go to that party."""
        source = call.source
        if party == routes.TEAMS:
            holder = self.owner_of(call.number) if source == routes.TEAMS else fqdn
            return fqdn != "" and holder == fqdn
        if party not in self._owned:
            return True
        if source in (routes.TEAMS, routes.PHONE):
            return source == routes.TEAMS and f"{fqdn}/{party}" in self._tenant
        holder = self.owner_of(call.number)
        if holder and f"{holder}/{party}" not in self._tenant:
            return False
        return source not in self._owned or f"{source}/{party}" in self._tenant
