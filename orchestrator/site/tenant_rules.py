"""What no single tenant can know: whose a number is, whose a name, and which trunks there are.

Pure, like ``rules``, which asks each function here. A site may have ten thousand tenants with a
million numbers, so overlaps are found by sorting: numbers of one length are intervals of digits,
and whatever begins before the end of one that began earlier overlaps with it.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from orchestrator import errors
from orchestrator.site import acme, model, routes, tenants

MOST_GUESSES = 20
"""Unknown trunks for which the one that is meant is looked for: it costs time for each."""

_PRIVATE, _SHARED = (16, 550), (96, 450)
"""MiB that Kamailio needs anyhow, and bytes for each row: while it reads a table, which is read
whole, and for the table itself and its next one (docs/decisions/0036)."""

_LONGEST = 15
"""Digits of the longest number."""

_Entry = tuple[str, str, int, int]
"""First and last number, both of one length; whose it is and where it stands, as numbers.

Tenants count from 0 in the order of the site. Places count from 0 in ``numbers``, and down from
-1 in ``prefixes``.
"""


# -- whose a number is ------------------------------------------------------------------------


def _find_private_numbers(site: model.Site) -> Iterator[errors.Problem]:
    """SIG-1: a user of Teams has a number in E.164; extensions are a PBX's affair."""
    for name, tenant in site.tenants.items():
        for field in ("numbers", "prefixes"):
            texts: tuple[str, ...] = getattr(tenant, field)
            # Numbers are digits, or a plus and digits, and digits come after it.
            if max(texts, default="+")[0] == "+":
                continue
            found = (place for place, text in enumerate(texts) if text[0] != "+")
            for place in itertools.islice(found, 1):
                said = _said(tenant, place if field == "numbers" else -1 - place)[2]
                yield errors.Problem(
                    "private-number",
                    f"{said} of tenant {name} has no plus",
                    ("tenants", name, field, place),
                    hint="users of Teams have numbers in E.164, such as +493055500",
                )


def _find_shared_numbers(site: model.Site) -> Iterator[errors.Problem]:
    """Each number that another tenant has as well, told once, at the later tenant."""
    if _are_single_and_different(site):
        return
    told: set[tuple[int, int]] = set()
    owners = list(site.tenants.items())
    for entries in _grouped(site).values():
        entries.sort()
        for one, other in _overlaps(entries):
            later, earlier = (one, other) if one[2] > other[2] else (other, one)
            if later[2:] in told:
                continue
            told.add(later[2:])
            name, tenant = owners[later[2]]
            its_name, its = owners[earlier[2]]
            field, place, said = _said(tenant, later[3])
            _, _, its_said = _said(its, earlier[3])
            yield errors.Problem(
                "tenants-overlap",
                f"{said} of tenant {name} overlaps with {its_said} of tenant {its_name}",
                ("tenants", name, field, place),
                hint="a number has one tenant; take it from one of the two",
            )


def _are_single_and_different(site: model.Site) -> bool:
    """Whether nothing can overlap, which very many numbers need not be sorted to see."""
    every = [tenant.numbers for tenant in site.tenants.values() if not tenant.prefixes]
    if len(every) < len(site.tenants) or any("-" in "".join(numbers) for numbers in every):
        return False
    return len(set().union(*every)) == sum(map(len, every))


def _said(tenant: model.Tenant, place: int) -> tuple[str, int, str]:
    """Field, index and words of what an entry stands for."""
    if place < 0:
        return "prefixes", -1 - place, f"the prefix {tenant.prefixes[-1 - place]}"
    text = tenant.numbers[place]
    return "numbers", place, f"{'the range' if '-' in text else 'the number'} {text}"


def _grouped(site: model.Site) -> dict[int, list[_Entry]]:
    """What every tenant has, by the length of the numbers."""
    groups: defaultdict[int, list[_Entry]] = defaultdict(list)
    prefixes: list[tuple[str, int, int]] = []
    for owner, tenant in enumerate(site.tenants.values()):
        for place, text in enumerate(tenant.numbers):
            first, last = tenants.split(text) if "-" in text else (text, text)
            groups[len(first)].append((first, last, owner, place))
        prefixes += [(text, owner, -1 - place) for place, text in enumerate(tenant.prefixes)]
    # A prefix covers numbers of every length: it stands beside all that have one. Prefixes cover
    # one another as well, which shows where the longest numbers are.
    for length in {*groups, _LONGEST + 1} if prefixes else ():
        for prefix, owner, place in prefixes:
            if len(prefix) <= length:
                ends = prefix.ljust(length, "0"), prefix.ljust(length, "9")
                groups[length].append((*ends, owner, place))
    return groups


def _overlaps(entries: Iterable[_Entry]) -> Iterator[tuple[_Entry, _Entry]]:
    """Each entry that overlaps with an earlier one of another tenant, and that one.

    Of what came before, two entries count: the one that reaches furthest, and the one that does
    among the tenants other than its own.
    """
    nobody: _Entry = ("", "", -1, 0)
    widest, second = nobody, nobody
    for entry in entries:
        first, last, owner, _ = entry
        if first <= widest[1] and owner != widest[2]:
            yield entry, widest
        elif first <= second[1] and owner != second[2]:
            yield entry, second
        if last > widest[1]:
            if owner != widest[2]:
                second = widest
            widest = entry
        elif last > second[1] and owner != widest[2]:
            second = entry


def _find_foreign_callers(site: model.Site) -> Iterator[errors.Problem]:
    """Whoever calls back must reach the customer, and MT-3 holds for what trunks see as well."""
    for name, tenant in site.tenants.items():
        for field, number in _callers_of(tenant):
            if number and not tenants.has_number(tenant, number):
                yield errors.Problem(
                    "caller-not-own",
                    f"trunks are to see {number} in calls of tenant {name}, which is none of its"
                    " numbers",
                    ("tenants", name, *field),
                    hint="take one of its numbers, or add this one to them",
                )


def _callers_of(tenant: model.Tenant) -> Iterator[tuple[tuple[str, str], str | None]]:
    """The numbers that trunks may see instead of a caller's, and the fields they stand in."""
    if tenant.caller_id is not None:
        yield ("caller_id", "main"), tenant.caller_id.main
    if tenant.emergency is not None:
        yield ("emergency", "caller"), tenant.emergency.caller


# -- whose a name is --------------------------------------------------------------------------


def _find_shared_names(site: model.Site) -> Iterator[errors.Problem]:
    """The name in a call from Teams says whose it is; a tenant may be the provider itself."""
    owner_of: dict[str, str] = {}
    for name, tenant in site.tenants.items():
        owner = owner_of.setdefault(tenant.fqdn, name)
        if owner != name:
            yield errors.Problem(
                "fqdn-twice",
                f"the name {tenant.fqdn} of tenant {name} is the one of tenant {owner}",
                ("tenants", name, "fqdn"),
                hint="each tenant has a name of its own, one label under teams.fqdn",
            )


def _find_uncovered_names(site: model.Site) -> Iterator[errors.Problem]:
    """MT-2: a wildcard stands for one label, and Microsoft's carrier model wants no other name."""
    bases, exact = _bases(site)
    asked = site.certificate.acme is not None
    for name, tenant in site.tenants.items():
        label, _, above = tenant.fqdn.partition(".")
        if tenant.certificate or above in bases or tenant.fqdn in (site.teams.fqdn, *exact):
            continue
        path = ("tenants", name, "fqdn")
        base = next((base for base in bases if above.endswith(f".{base}")), "")
        if base:
            joined = tenant.fqdn.removesuffix(f".{base}").replace(".", "-")
            yield errors.Problem(
                "fqdn-too-deep",
                f"the name {tenant.fqdn} of tenant {name} is more than one label under {base}, and"
                f" the wildcard *.{base} stands for one only",
                path,
                hint=f"for example {joined}.{base}",
            )
        else:
            yield errors.Problem(
                "fqdn-outside",
                f"the name {tenant.fqdn} of tenant {name} is not under {' or '.join(bases)}, so "
                "the certificate does not cover it",
                path,
                hint=f"for example {label}.{site.teams.fqdn}"
                + (", add its wildcard to certificate.acme.names" if asked else "")
                + ", or give it a certificate of its own",
            )


def _bases(site: model.Site) -> tuple[dict[str, None], frozenset[str]]:
    """The names under which tenants may stand, and those that are covered as they are."""
    bases = {site.teams.fqdn: None}
    exact = set()
    for name in site.certificate_names:
        if name.startswith(acme.WILDCARD):
            bases[name.removeprefix(acme.WILDCARD)] = None
        else:
            exact.add(name)
    return bases, frozenset(exact)


def find_hints(site: model.Site) -> Iterator[errors.Problem]:
    """MT-2: of a certificate out of files nothing is known here; doctor looks into it."""
    if site.certificate.acme is None:
        return
    listed = set(site.certificate_names)
    bare = [
        name
        for name, tenant in site.tenants.items()
        if tenant.certificate is None
        and tenant.fqdn not in listed
        and f"{acme.WILDCARD}{tenant.fqdn.partition('.')[2]}" not in listed
    ]
    if bare:
        more = f" and {len(bare) - 1:,} more" if len(bare) > 1 else ""
        yield errors.Problem(
            "no-wildcard",
            f"the certificate will not cover the name of tenant {bare[0]}{more}",
            ("certificate", "acme", *(("names",) if site.certificate.acme.names else ())),
            hint=f"add *.{site.teams.fqdn} to certificate.acme.names",
        )


# -- which trunks there are -------------------------------------------------------------------


def _find_wrong_trunks(site: model.Site) -> Iterator[errors.Problem]:
    guesses = MOST_GUESSES
    owned = routes.own_trunks(site)
    for name, tenant in site.tenants.items():
        for where, trunk, before in _trunks_of(tenant):
            path = ("tenants", name, *where)
            if trunk not in site.trunks:
                meant = difflib.get_close_matches(trunk, site.trunks, n=1) if guesses else []
                guesses = max(0, guesses - 1)
                yield errors.Problem(
                    "unknown-party",
                    f"tenant {name} names {trunk}, which is no trunk",
                    path,
                    hint=f"did you mean {meant[0]}?" if meant else "trunks stand under trunks",
                )
            elif trunk in before:
                yield errors.Problem(
                    "party-twice",
                    f"tenant {name} names the trunk {trunk} twice",
                    path,
                    hint="once is enough; all gateways of a trunk are tried before the next one",
                )
            elif trunk in owned and trunk not in tenant.trunks:
                yield errors.Problem(
                    "trunk-not-own",
                    f"emergency calls of tenant {name} are to go by {trunk}, which carries calls"
                    " of the tenants that list it, and of no other",
                    path,
                    hint="take a trunk of its own, or one that no tenant lists in trunks",
                )


def _find_cut_off(site: model.Site) -> Iterator[errors.Problem]:
    """One customer's file may take the last trunk that the others share, far away from theirs.

    Emergency calls leave by any trunk, and phones may be called: who has phones may mean that.
    """
    bare = [name for name, tenant in site.tenants.items() if not tenant.trunks]
    if not bare or not site.trunks or site.phones or set(site.trunks) - routes.own_trunks(site):
        return
    takers: defaultdict[str, list[str]] = defaultdict(list)
    for name, tenant in site.tenants.items():
        for trunk in tenant.trunks:
            takers[trunk].append(name)

    def likely(trunk: str) -> tuple[bool, int]:
        """A carrier is most likely meant for all, and a trunk that few list was shared last."""
        return site.trunks[trunk].kind is not model.TrunkKind.CARRIER, len(takers[trunk])

    trunk = min(site.trunks, key=likely)
    whose = takers[trunk]
    yield errors.Problem(
        "tenant-without-trunk",
        f"{_and_more(bare)} {'have' if bare[1:] else 'has'} no trunk, and none is left to share:"
        f" {_and_more(whose)} {'list' if whose[1:] else 'lists'} {trunk}",
        ("tenants", bare[0]),
        hint=f"a trunk that tenants list is theirs alone; take {trunk} out of their trunks, or"
        " list one here",
    )


def _and_more(names: list[str]) -> str:
    more = f" and {len(names) - 1:,} more" if names[1:] else ""
    return f"tenant {names[0]}{more}"


_Named = tuple[tuple[str | int, ...], str, tuple[str, ...]]
"""A trunk that a tenant names: its place below the tenant, its name, and those before it."""


def _trunks_of(tenant: model.Tenant) -> Iterator[_Named]:
    for place, trunk in enumerate(tenant.trunks):
        yield ("trunks", place), trunk, tenant.trunks[:place]
    helping = tenant.emergency.trunks if tenant.emergency is not None else ()
    for place, trunk in enumerate(helping):
        yield ("emergency", "trunks", place), trunk, helping[:place]


# -- what fits into memory --------------------------------------------------------------------


def private_memory(site: model.Site) -> int:
    """MiB that each process of Kamailio may take."""
    usual = 64 if site.tenants else 16
    return site.engines.private_memory or usual


def _find_large_tables(site: model.Site) -> Iterator[errors.Problem]:
    """Kamailio that runs out of memory while it starts does not start."""
    numbers = sum(_rows(tenant) for tenant in site.tenants.values())
    others = rows_about_tenants(site)
    what, less = "numbers", "write numbers as ranges"
    if others > numbers:
        what, less = "trunks and destinations", "list fewer of them"
    for field, given, need in (
        ("private_memory", private_memory(site), _mebibytes(max(numbers, others), _PRIVATE)),
        ("shared_memory", site.engines.shared_memory, _mebibytes(numbers + others, _SHARED)),
    ):
        if site.tenants and need > given:
            yield errors.Problem(
                "table-too-large",
                f"the {what} of all tenants are {max(numbers, others):,} rows, and with all others"
                f" they need {need:,} MiB of {field.replace('_', ' ')}; there are {given:,}",
                ("tenants",),
                hint=f"engines: {{{field}: {need}}}, or {less}",
            )


def _rows(tenant: model.Tenant) -> int:
    """Rows that a tenant's numbers and prefixes become."""
    if "-" not in "".join(tenant.numbers):
        return len(tenant.numbers) + len(tenant.prefixes)
    ranges = [tenants.split(text) for text in tenant.numbers if "-" in text]
    pieces = sum(len(routes.prefixes_of(*ends)) for ends in ranges)
    return len(tenant.numbers) - len(ranges) + pieces + len(tenant.prefixes)


def rows_about_tenants(site: model.Site) -> int:
    """Rows of the table ``tenant``, without what is barred for everybody.

    One for each tenant, destination and trunk of a tenant's, and for each two trunks that some
    tenant lists together. These may be many: of each trunk the others are bits of one number.
    """
    places = {trunk: place for place, trunk in enumerate(sorted(routes.own_trunks(site)))}
    beside: defaultdict[str, int] = defaultdict(int)
    rows = len(places)
    for tenant in site.tenants.values():
        rows += 1 + len(tenant.trunks)
        if tenant.destinations is not None:
            rows += len({*tenant.destinations.barred, *tenant.destinations.allowed})
        together = sum(1 << places[trunk] for trunk in set(tenant.trunks))
        for trunk in tenant.trunks:
            beside[trunk] |= together
    return rows + sum(bits.bit_count() - 1 for bits in beside.values())


def _mebibytes(rows: int, cost: tuple[int, int]) -> int:
    base, each = cost
    return base + math.ceil(rows * each / 2**20)


RULES: tuple[Callable[[model.Site], Iterator[errors.Problem]], ...] = (
    _find_private_numbers,
    _find_shared_numbers,
    _find_foreign_callers,
    _find_shared_names,
    _find_uncovered_names,
    _find_wrong_trunks,
    _find_cut_off,
    _find_large_tables,
)
"""Each finds Problems of one kind."""
