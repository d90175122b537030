"""What the running Kamailio holds of a generation, asked with as few questions as will do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple
from functools import cached_property

from orchestrator.engines import kamailio, kamailio_rpc, kamailio_tables, kamailio_uac
from orchestrator.render import generation as generations
from orchestrator.render import wanted

_TOLD_WHOLE = (
    generations.Effect.TABLE_RELOAD,
    generations.Effect.ADDRESSES_RELOAD,
    generations.Effect.REGISTRATIONS_RELOAD,
)


def told_whole(generation: generations.Generation) -> tuple[generations.File, ...]:
    """The data files of which Kamailio tells whole what it holds: tables and addresses."""
    return tuple(file for file in generation.files if file.effect in _TOLD_WHOLE)


class Holding:
    """What Kamailio holds of a generation at one moment; its answer about all tables is kept.

    Everything in here raises EngineSilent when Kamailio does not answer.

    Args:
        rpc: The running Kamailio.
        generation: What it must hold.
    """

    def __init__(self, rpc: kamailio_rpc.Rpc, generation: generations.Generation) -> None:
        self._rpc = rpc
        self._generation = generation

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return kamailio_tables.counts(self._rpc)

    def has(self, file: generations.File) -> bool:
        """Whether it holds what the file says, no row more and none less."""
        if file.effect is generations.Effect.ADDRESSES_RELOAD:
            allowed = {astuple(held) for held in kamailio.allowed_addresses(self._rpc)}
            return allowed == wanted.addresses(self._generation)
        if file.effect is generations.Effect.REGISTRATIONS_RELOAD:
            told = {each.row for each in kamailio_uac.held(self._rpc)}
            return told == wanted.registrations(self._generation)
        if not wanted.has_rows(file):
            return self.counts.get(file.table) == 0
        if sealed := wanted.seal(file):
            seal = kamailio_tables.seal_of(self._rpc, file.table)
            return (seal, self.counts.get(file.table)) == sealed
        return kamailio.table_rows(self._rpc, file.table) == dict(wanted.table_rows(file))

    def differing(self, files: Iterable[generations.File]) -> Iterator[str]:
        """Of which of these files it holds something else, as sentences."""
        for file in files:
            if not self.has(file):
                yield f"Kamailio holds something else than {file.path}"

    def differing_destinations(self) -> Iterator[str]:
        """Where its destinations are others, as sentences."""
        held = {(each.set_id, each.uri) for each in kamailio.destinations(self._rpc)}
        asked = set(wanted.destinations(self._generation))
        if dropped := sorted(uri for _, uri in asked - held):
            names = ", ".join(dropped)
            yield f"Kamailio dropped {names}: most likely the name does not resolve"
        if left := sorted(uri for _, uri in held - asked):
            yield f"Kamailio still holds {', '.join(left)}"
