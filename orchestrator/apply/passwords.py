"""The secrets of a site, resolved: passwords of phones, and of our accounts at carriers."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator import observe
from orchestrator.host import secrets
from orchestrator.render import views
from orchestrator.site import model


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords of site.yaml: of phones by user, of our proofs and registrations by trunk."""

    phones: dict[str, str]
    trunks: dict[str, str]
    registrations: dict[str, str]

    def with_key(self, contact_key: str) -> views.Secrets:
        """Together with the key that signs Contacts: all that is rendered."""
        return views.Secrets(
            contact_key=contact_key,
            phones=self.phones,
            trunks=self.trunks,
            registrations=self.registrations,
        )


def resolve(site: model.Site, machine: observe.Machine) -> Passwords:
    """Resolve every reference to a secret.

    Raises:
        HostError: One cannot be had.
    """

    def of(secret: model.Secret, what: str) -> str:
        return secrets.resolve(secret, what=what, env=machine.env)

    users = site.phones.users if site.phones else {}
    trunks = {
        name: of(trunk.digest.password, f"trunks.{name}.digest.password")
        for name, trunk in site.trunks.items()
        if trunk.digest is not None
    }
    registrations = {
        name: of(trunk.registration.password, f"trunks.{name}.registration.password")
        for name, trunk in site.trunks.items()
        if trunk.registration is not None
    }
    phones = {
        user: of(phone.password, f"phones.users.{user}.password") for user, phone in users.items()
    }
    return Passwords(phones=phones, trunks=registrations | trunks, registrations=registrations)
