"""Ask a CA for a certificate as often as is allowed, and prove what it gave.

Every way to a CA leads through here: an apply that has none yet, a renewal that is due. The
attempt is on disk before certbot starts, so that whatever dies in between has been counted: for
each certificate by itself, so that a tenant's CA or DNS costs nobody else an attempt.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from orchestrator import errors, observe, proof, renewal
from orchestrator.engines import certbot, certificate
from orchestrator.host import attempts
from orchestrator.site import acme as acme_parts
from orchestrator.site import model

_HINT = "nobody is asked before; what the CA said last is in STATE/acme/logs"
_OURS = "certificate.acme"


@dataclass(frozen=True, slots=True)
class Order:
    """A certificate that is obtained by ACME.

    Attributes:
        names: Its names; certbot keeps it by the first.
        acme: How it is asked for.
        tenant: What site.yaml calls the tenant it is of; empty for the site's own.
    """

    names: tuple[str, ...]
    acme: model.Acme
    tenant: str = ""

    @property
    def fqdn(self) -> str:
        """The first name."""
        return self.names[0]

    @property
    def own(self) -> str:
        """The name of a tenant at Microsoft, by which its attempts are kept; else empty."""
        return self.fqdn if self.tenant else ""

    @property
    def place(self) -> str:
        """Where site.yaml asks for it."""
        return f"tenants.{self.tenant}.{_OURS}" if self.tenant else _OURS


def orders(site: model.Site) -> tuple[Order, ...]:
    """Every certificate that a site gets by ACME, its own first."""
    return tuple(
        Order(site.names_at(place), acme, place[1] if place[0] == "tenants" else "")
        for place, acme in site.by_acme.items()
    )


def decide(
    machine: observe.Machine,
    order: Order,
    seen_life: renewal.Life | None,
    now: dt.datetime,
    *,
    unfit: str = "",
    force: bool = False,
) -> renewal.Decision:
    """What is to do about a certificate that is obtained by ACME."""
    memory = attempts.read(machine.state, order.own)
    cas = [ca.directory for ca in order.acme.authorities]
    return renewal.decide(
        seen_life, memory.window, memory.failed, cas, now, unfit=unfit, force=force
    )


def obtain(machine: observe.Machine, order: Order, decision: renewal.Decision) -> None:
    """Obtain a certificate as was decided; certbot's files hold it then, proven.

    Raises:
        EngineRefused: It is not the time to ask, or the CA gave what cannot serve.
        NotObtained: The CA gave nothing.
        HostError: certbot is not installed, or a secret cannot be had.
    """
    if decision.do is renewal.Do.WAIT:
        raise errors.EngineRefused(
            f"no CA is asked for a certificate for {order.fqdn} before"
            f" {decision.at:%Y-%m-%d %H:%M:%S}Z",
            words=decision.why,
            hint=_HINT,
        )
    attempts.begin(machine.state, decision.ca, _now(), order.own)
    ca = _named(order.acme, decision.ca)
    try:
        lineage = certbot.obtain(
            machine.state / "acme", order.fqdn, order.acme, ca=ca, env=machine.env
        )
    except errors.SbcctlError as refused:
        if isinstance(refused, errors.NotObtained) and refused.retry_at is not None:
            attempts.name_time(machine.state, refused.retry_at, order.own)
        # What certbot is told has the same keys for all, and stands in another place for each.
        whose = f"tenant {order.tenant}: " if order.tenant else ""
        refused.message = whose + refused.message.replace(_OURS, order.place)
        refused.hint = refused.hint.replace(_OURS, order.place)
        raise
    if faults := _faults(order, lineage, observe.known_roots()):
        raise errors.EngineRefused(
            f"the certificate for {order.fqdn} cannot be used",
            words="\n".join(faults),
            hint=f"see {order.place}.directory in site.yaml: is this the right CA?",
        )
    attempts.succeed(machine.state, order.own)


def rehearse(machine: observe.Machine, order: Order, directory: str) -> str:
    """Obtain a certificate from a CA for tests and prove it; nothing is installed or counted.

    Returns:
        Its serial, hex.

    Raises:
        EngineRefused: The CA gave nothing, or what could not serve; who vouches does not matter.
    """
    ca = acme_parts.Ca(directory=directory, profile=order.acme.profile)
    folder = machine.state / "acme-staging"
    lineage = certbot.obtain(folder, order.fqdn, order.acme, ca=ca, env=machine.env)
    if faults := _faults(order, lineage, b""):
        raise errors.EngineRefused(
            f"a certificate of {directory} could not serve",
            words="\n".join(faults),
            hint="nothing was changed",
        )
    return f"{certificate.read_pair(lineage.chain).serial:x}"


def _faults(order: Order, lineage: certbot.Lineage, roots: bytes) -> tuple[str, ...]:
    return proof.find_faults(
        lineage.chain, lineage.key, names=order.names, now=_now(), roots=roots
    )


def _named(acme: model.Acme, directory: str) -> acme_parts.Ca:
    return next(ca for ca in acme.authorities if ca.directory == directory)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
