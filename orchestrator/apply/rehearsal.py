"""How far a site would get: asked of engines and machine, and nothing in service is touched.

What ``apply`` asks before its first change, without the lock: the answers may be old when an
apply begins, which asks all of it again. The engines' check reads files in a folder of its own.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
from pathlib import Path

from orchestrator import errors, observe
from orchestrator.apply import check, look, passwords, verify
from orchestrator.engines import kamailio
from orchestrator.host import store
from orchestrator.render import accounts, views, wanted
from orchestrator.render import generation as generations
from orchestrator.site import model


def render(site: model.Site, machine: observe.Machine) -> generations.Generation:
    """What the engines of Debian 13 would read; no host is asked."""
    return generations.render_site(
        site,
        facts=views.DEBIAN_13,
        paths=machine.paths,
        secrets=views.Secrets(contact_key=accounts.UNRESOLVED, phones={}),
    )


def ask_engines(site: model.Site, machine: observe.Machine) -> None:
    """Let the installed engines check what they would read.

    Raises:
        SiteError: The site cannot run on these engines, or a file it names does not fit.
        HostError: An engine, a file of a secret, or a privilege is missing.
        EngineRefused: Kamailio does not take the configuration.
    """
    facts = observe.engine_facts(machine)
    if problems := check.find_refusals(site, facts.kamailio):
        raise errors.SiteError(problems)
    check.check_roots(site, machine)
    check.check_music(site, machine)
    secrets = passwords.resolve(site, machine).with_key(look.NO_KEY)
    with tempfile.TemporaryDirectory(prefix="sbcctl-") as folder:
        top = Path(folder)
        paths = views.Paths(state=f"{folder}/state", run=f"{folder}/run")
        # Kamailio looks for the folder of its sockets even when it only checks.
        Path(paths.kamailio_run).mkdir(parents=True)
        beside = dataclasses.replace(machine, paths=paths)
        kept = store.Store(top / "state", None)
        kept.prepare()
        name = kept.stage(generations.render_site(site, facts=facts, paths=paths, secrets=secrets))
        config = top / "state" / "generations" / name / wanted.KAMAILIO_CONFIG
        kamailio.check_config(config, beside.root)


def ask_around(site: model.Site, machine: observe.Machine) -> tuple[tuple[str, ...], bool]:
    """Ask the machine for addresses and ports, the certificate, and everybody by OPTIONS.

    Returns:
        What is wrong, as sentences, and whether anybody could be asked: Kamailio does the asking.

    Raises:
        SiteError: The certificate files do not fit.
        HostError: An address is not on this machine, or somebody else has a port.
    """
    seen = look.look(site, machine)
    check.check_sockets(machine, seen.generation)
    wrong = []
    held = seen.observed.certificate.offered or seen.observed.certificate.installed
    if held is not None and held.not_after <= dt.datetime.now(dt.UTC):
        wrong.append(f"the certificate expired on {held.not_after:%Y-%m-%d}")
    if not seen.observed.kamailio.answering:
        return tuple(wrong), False
    probes = wanted.probes(seen.generation)
    asking = verify.Asking(machine, seen.generation, probes)
    for probe in probes:
        code, why = asking.answer(probe)
        wrong += [] if code is not None else [why]
    return tuple(wrong), True
