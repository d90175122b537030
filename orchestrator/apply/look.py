"""What an apply would do now: everything is looked at, nothing is changed."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from orchestrator import changes, errors, observe, plan
from orchestrator.apply import check, passwords
from orchestrator.host import store
from orchestrator.render import generation as generations
from orchestrator.render import views
from orchestrator.site import model

NO_KEY = "0" * 64
"""In the place of the key that signs Contacts, which the first apply makes."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, and what is to do.

    Attributes:
        facts: The engines that are installed.
        generation: What *site* is rendered to; its name is not known before the first apply.
        known: Whether its name is.
        observed: Host and engines.
        todo: The steps.
        found: What is different from the site that serves.
        causes: For each file that is different, the changes that are why.
        files: Paths of the files that are different from those that serve, sorted.
        digests: Of those that hold secrets, the keyed digests before and after; empty for none.
    """

    facts: views.EngineFacts
    generation: generations.Generation
    known: bool
    observed: plan.Observed
    todo: plan.Plan
    found: tuple[changes.Change, ...]
    causes: dict[str, tuple[changes.Change, ...]]
    files: tuple[str, ...]
    digests: dict[str, tuple[str, str]]


def look(site: model.Site, machine: observe.Machine) -> Look:
    """Find out what an apply of *site* would do now.

    Raises:
        SiteError: The site cannot run on these engines, or its files do not fit.
        HostError: Something is missing that the apply would need.
    """
    facts = observe.engine_facts(machine)
    if problems := check.find_refusals(site, facts.kamailio):
        raise errors.SiteError(problems)
    check.check_roots(site, machine)
    check.check_music(site, machine)
    key = machine.store.known_contact_key()
    render = _renderer(site, machine, facts, key or NO_KEY)
    generation = render(site)
    seen, _ = observe.see_certificate(machine, site, dt.datetime.now(dt.UTC))
    served = read_served(machine)
    observed = observe.observe(machine, generation, facts, seen, served)
    old = read_origin(machine, served.name) if served else None
    found = changes.find_changes(old, site)
    return Look(
        facts=facts,
        generation=generation,
        known=key is not None,
        observed=observed,
        todo=plan.make_plan(generation, observed),
        found=found,
        causes=changes.find_causes(found, old, site, render) if old is not None else {},
        files=_differing(served, generation),
        digests=_digests(served, generation, key or secrets.token_hex()),
    )


def read_served(machine: observe.Machine) -> store.Stored | None:
    """The current generation as it lies on disk."""
    name = machine.store.current()
    return machine.store.load(name) if name else None


def origin_of(site: model.Site) -> str:
    """What a generation remembers of the site it came from."""
    return changes.as_json(site) + "\n"


def read_origin(machine: observe.Machine, name: str) -> model.Site | None:
    """The site a generation came from; None when it does not know, or knows what is none now."""
    told = machine.store.origin(name)
    if not told:
        return None
    try:
        return model.Site.model_validate(json.loads(told))
    except ValueError:
        return None


def _renderer(
    site: model.Site, machine: observe.Machine, facts: views.EngineFacts, key: str
) -> Callable[[model.Site], generations.Generation]:
    found = passwords.resolve(site, machine)
    return partial(
        generations.render_site, facts=facts, paths=machine.paths, secrets=found.with_key(key)
    )


def _digests(
    served: store.Stored | None, generation: generations.Generation, key: str
) -> dict[str, tuple[str, str]]:
    """What stands for a file of secrets: who has the key only can try out what it is made of."""
    old = {file.path: file for file in served.generation.files} if served else {}
    new = {file.path: file for file in generation.files}
    return {
        path: (_keyed(old.get(path), key), _keyed(new.get(path), key))
        for path in sorted(old.keys() | new.keys())
        if any(file is not None and file.secret for file in (old.get(path), new.get(path)))
    }


def _keyed(file: generations.File | None, key: str) -> str:
    if file is None:
        return ""
    told = hmac.new(f"shown {key}".encode(), file.text.encode(), hashlib.sha256)
    return f"secret:{told.hexdigest()[:8]}"


def _differing(served: store.Stored | None, generation: generations.Generation) -> tuple[str, ...]:
    old = dict(served.written) if served else {}
    new = {file.path: file.digest for file in generation.files}
    return tuple(
        sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    )
