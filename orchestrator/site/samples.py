"""Values of single fields as they are written in site.yaml, for the examples of ``explain``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

BY_PATH: Mapping[str, str] = MappingProxyType(
    {
        "version": "1",
        "site": "fra1",
        "node.public_address": "203.0.113.10",
        "node.private_address": "10.0.0.5",
        "node.trunk_address": "192.0.2.10",
        "teams.fqdn": "sbc.example.com",
        "teams.networks": "[198.51.100.0/24]",
        "teams.trusted_roots": "/etc/sbcctl/microsoft.pem",
        "certificate.acme.email": "ops@example.com",
        "engines.private_memory": "128",
        "certificate.acme.dns.rfc2136.server": "192.0.2.53",
        "certificate.acme.dns.rfc2136.key_name": "sbc.example.com",
        "certificate.acme.dns.rfc2136.secret": "{file: /etc/sbcctl/tsig.secret}",
        "certificate.acme.dns.hook": "{auth: /usr/local/sbin/dns-add}",
        "certificate.acme.dns.hook.auth": "/usr/local/sbin/dns-add",
        "certificate.acme.dns.hook.cleanup": "/usr/local/sbin/dns-remove",
        "certificate.acme.names": '["*.customers.example.com"]',
        "certificate.acme.profile": "tlsserver",
        "certificate.acme.eab": "{kid: kid-1, hmac: {file: /etc/sbcctl/eab.secret}}",
        "certificate.acme.fallback.directory": "https://acme.example.net/dir",
        "certificate.acme.fallback.profile": "tlsserver",
        "certificate.acme.fallback.eab": "{kid: kid-1, hmac: {file: /etc/sbcctl/eab.secret}}",
        "certificate.files": "{chain: /etc/ssl/sbc.pem, key: /etc/ssl/sbc.key}",
        "certificate.files.chain": "/etc/ssl/sbc.pem",
        "certificate.files.key": "/etc/ssl/sbc.key",
        "trunks.*.gateways": '["sip:192.0.2.20:5060;transport=udp"]',
        "trunks.*.gateways.host": "192.0.2.20",
        "trunks.*.gateways.priority": "1",
        "trunks.*.gateways.weight": "75",
        "trunks.*.numbers": '["+4930555"]',
        "trunks.*.codecs": "[PCMA, PCMU]",
        "trunks.*.hold_music": "/usr/local/share/sbcctl/music.wav",
        "trunks.*.tls": "{name: pbx.example.com}",
        "trunks.*.tls.ca": "/etc/sbcctl/company.pem",
        "trunks.*.tls.name": "pbx.example.com",
        "trunks.*.numbering.country": '"49"',
        "trunks.*.caller_id": '{policy: main, main: "+493055500"}',
        "trunks.*.caller_id.policy": "pass",
        "trunks.*.caller_id.main": '"+493055500"',
        "trunks.*.caller_id.allowed": '["+4930555"]',
        "trunks.*.registration.registrar": "registrar.example.net",
        "phones.realm": "sbc.example.com",
        "phones.users.*.number": '"+493055500"',
        "routes.*.from": "[teams, office]",
        "routes.*.number": '"+493055500"',
        "routes.*.range": '"+493055500-+493055599"',
        "routes.*.range.first": '"+493055500"',
        "routes.*.range.last": '"+493055599"',
        "routes.*.prefix": '"+49"',
        "routes.*.emergency": '["112", "110"]',
        "routes.*.to": "[office, {party: carrier, ring_within: 5}]",
        "routes.*.to.party": "carrier",
        "routes.*.to.failover_on": "[486, 503]",
        "routes.*.to.ring_within": "5",
        "routes.*.to.answer_within": "30",
        "tenants.*": '{fqdn: acme.sbc.example.com, numbers: ["+493055500"]}',
        "tenants.*.fqdn": "acme.sbc.example.com",
        "tenants.*.numbers": '["+493055500", "+493056000-+493056999"]',
        "tenants.*.prefixes": '["+4930558"]',
        "tenants.*.trunks": "[office]",
        "tenants.*.limits": "{calls: 30, calls_per_second: 2}",
        "tenants.*.limits.calls": "30",
        "tenants.*.limits.calls_per_second": "2",
        "media.ports.first": "30000",
        "media.ports.last": "39999",
    }
)
"""Values by path; what is not here is made of the default, the choices or the kind."""

BY_NAME: Mapping[str, str] = MappingProxyType(
    {
        "user": "company",
        "auth_user": "company",
        "contact_user": "company",
        "realm": "example.net",
        "password": "{file: /etc/sbcctl/carrier.secret}",
        "kid": "kid-1",
        "hmac": "{file: /etc/sbcctl/eab.secret}",
        "file": "/etc/sbcctl/carrier.secret",
        "env": "CARRIER_PASSWORD",
        "credential": "carrier",
        "command": "[pass, show, carrier]",
    }
)
"""Values by the last key of a path, wherever it stands."""
