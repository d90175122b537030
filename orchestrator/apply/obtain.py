"""Ask a CA for a certificate as often as is allowed, and prove what it gave.

Every way to a CA leads through here: an apply that has none yet, a renewal that is due. The
attempt is on disk before certbot starts, so that whatever dies in between has been counted.
"""

from __future__ import annotations

import datetime as dt

from orchestrator import errors, observe, proof, renewal
from orchestrator.engines import certbot, certificate
from orchestrator.host import attempts
from orchestrator.site import acme as acme_parts
from orchestrator.site import model

_HINT = "nobody is asked before; what the CA said last is in STATE/acme/logs"


def decide(
    machine: observe.Machine,
    site: model.Site,
    seen_life: renewal.Life | None,
    now: dt.datetime,
    *,
    unfit: str = "",
    force: bool = False,
) -> renewal.Decision:
    """What is to do about the certificate of a site that asks for one by ACME."""
    assert site.certificate.acme is not None
    memory = attempts.read(machine.state)
    cas = [ca.directory for ca in site.certificate.acme.authorities]
    return renewal.decide(
        seen_life, memory.window, memory.failed, cas, now, unfit=unfit, force=force
    )


def obtain(machine: observe.Machine, site: model.Site, decision: renewal.Decision) -> None:
    """Obtain a certificate as was decided; certbot's files hold it then, proven.

    Raises:
        EngineRefused: It is not the time to ask, or the CA gave what cannot serve.
        NotObtained: The CA gave nothing.
    """
    acme = site.certificate.acme
    assert acme is not None
    fqdn = site.teams.fqdn
    if decision.do is renewal.Do.WAIT:
        raise errors.EngineRefused(
            f"no CA is asked for a certificate for {fqdn} before {decision.at:%Y-%m-%d %H:%M:%S}Z",
            words=decision.why,
            hint=_HINT,
        )
    attempts.begin(machine.state, decision.ca, _now())
    try:
        lineage = certbot.obtain(
            machine.state / "acme", fqdn, acme, ca=_named(acme, decision.ca), env=machine.env
        )
    except errors.NotObtained as refused:
        if refused.retry_at is not None:
            attempts.name_time(machine.state, refused.retry_at)
        raise
    if faults := observe.find_faults(site, observe.Offer(lineage.chain, lineage.key), _now()):
        raise errors.EngineRefused(
            f"the certificate for {fqdn} cannot be used",
            words="\n".join(faults),
            hint="see certificate.acme.directory in site.yaml: is this the right CA?",
        )
    attempts.succeed(machine.state)


def rehearse(machine: observe.Machine, site: model.Site, directory: str) -> str:
    """Obtain a certificate from a CA for tests and prove it; nothing is installed or counted.

    Returns:
        Its serial, hex.

    Raises:
        EngineRefused: The CA gave nothing, or what could not serve; who vouches does not matter.
    """
    acme = site.certificate.acme
    assert acme is not None
    ca = acme_parts.Ca(directory=directory, profile=acme.profile)
    folder = machine.state / "acme-staging"
    lineage = certbot.obtain(folder, site.teams.fqdn, acme, ca=ca, env=machine.env)
    names = site.certificate_names
    if faults := proof.find_faults(lineage.chain, lineage.key, names=names, now=_now()):
        raise errors.EngineRefused(
            f"a certificate of {directory} could not serve",
            words="\n".join(faults),
            hint="nothing was changed",
        )
    return f"{certificate.read_pair(lineage.chain).serial:x}"


def _named(acme: model.Acme, directory: str) -> acme_parts.Ca:
    return next(ca for ca in acme.authorities if ca.directory == directory)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
