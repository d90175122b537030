"""Kinds of Problems between parts of a site, and with the machine; see ``problems``."""

from __future__ import annotations

from orchestrator.site.problem_kind import Kind

OF_RULES = {
    "unusable-address": Kind(
        "An address is loopback, multicast, link-local, reserved or the one that means any.",
        "Nobody can be reached there from elsewhere.",
        "Write an address of an interface of this machine, of the PBX or of the carrier.",
        "node:\n  public_address: 203.0.113.10",
    ),
    "private-public-address": Kind(
        "node.public_address is one that the Internet does not route. A hint.",
        "Teams would call an address that is not there.",
        "Behind 1:1 NAT this one is node.private_address, and the public one is what the name "
        "resolves to.",
        "node:\n  public_address: 203.0.113.10\n  private_address: 10.0.0.5",
    ),
    "ipv6": Kind(
        "An address is IPv6.",
        "Record-Route, media and the gates of this version speak IPv4 only.",
        "Give an IPv4 address.",
    ),
    "port-clash": Kind(
        "Two things would listen on the same port of the same address.",
        "The second one cannot start.",
        "Give one of them another port, or leave both at their defaults.",
        "node:\n  sip_port: 5060\nteams:\n  fqdn: sbc.example.com\n  port: 5061",
    ),
    "cloud-port": Kind(
        "teams.port is not the one this cloud of Microsoft dials.",
        "GCC High and DoD dial 5061 only (EP-2).",
        "Leave teams.port out.",
    ),
    "cloud-ca": Kind(
        "The certificate comes from a CA that this cloud of Microsoft does not trust. A hint.",
        "Every TLS connection from Teams would fail.",
        "Give certificate.files of a CA it trusts, or another certificate.acme.directory.",
        "certificate:\n  files: {chain: /etc/ssl/sbc.pem, key: /etc/ssl/sbc.key}",
    ),
    "wildcard-needs-dns": Kind(
        "certificate.acme.names has a wildcard, and names are to be proven by port 80.",
        "CAs give wildcards for a record in DNS only, so there would be no certificate.",
        "Add certificate.acme.dns, or list the names one by one.",
        "certificate:\n  acme:\n    email: ops@example.com\n"
        "    names: ['*.customers.example.com']\n"
        "    dns: {hook: {auth: /usr/local/sbin/dns-add}}",
    ),
    "fallback-same-ca": Kind(
        "The second CA is the first one once more.",
        "It is asked when the first one gives nothing, and would give nothing as well.",
        "Name another CA, or leave fallback out.",
        "certificate:\n  acme:\n    email: ops@example.com\n"
        "    fallback: {directory: 'https://acme.example.net/dir'}",
    ),
    "reserved-name": Kind(
        "A trunk is called teams, phone, phones or gone.",
        "These words name other parties of a call.",
        "Choose another name.",
    ),
    "two-default-trunks": Kind(
        "Two trunks have no numbers.",
        "A trunk without numbers takes what no other serves, and only one can.",
        "Give numbers to all of them but one, or numbers: [] to those that only routes lead to.",
        'trunks:\n  office:\n    kind: pbx\n    numbers: ["+4930555"]\n'
        "  second:\n    kind: carrier\n    numbers: []",
    ),
    "number-twice": Kind(
        "The same number or prefix belongs to two trunks, phones or lists.",
        "A call to it would have two ways, and nothing says which one is meant.",
        "Remove one of the two; a longer prefix wins over a shorter one.",
    ),
    "user-twice": Kind(
        "Two phones have names that differ in upper and lower case only.",
        "Phones and people mix them up.",
        "Choose another name for one of them.",
    ),
    "gateway-by-name": Kind(
        "A gateway is a name and not an address.",
        "A caller is known by its address, and an answer of DNS can change or be forged.",
        "Give the address; one entry for each when it has several.",
        "gateways: [sip:192.0.2.41, sip:192.0.2.42]",
    ),
    "gateway-twice": Kind(
        "One trunk names the same address and port twice.",
        "The second attempt would go to who has just failed.",
        "Remove one of the two.",
    ),
    "gateway-shared": Kind(
        "Two trunks have a gateway at the same address.",
        "A caller is known by its address, so an address has one trunk.",
        "Give the gateway to one of them.",
    ),
    "gateway-transports": Kind(
        "The gateways of one trunk are reached over different transports.",
        "A trunk is opened and watched over one transport.",
        "Make it two trunks; a route can lead from one to the next.",
        "routes:\n  out:\n    to: [carrier-tls, carrier-udp]",
    ),
    "gateway-is-this-node": Kind(
        "A gateway is an address and port of this SBC itself.",
        "Calls would go round in a circle.",
        "Give the address of the PBX or carrier.",
    ),
    "gateway-is-microsoft": Kind(
        "A gateway lies in Microsoft's networks.",
        "Teams is no trunk: it is reached without being listed.",
        "Remove it; routes name it as teams.",
        "routes:\n  in:\n    from: [carrier]\n    to: [teams]",
    ),
    "gateway-order": Kind(
        "Some gateways of a trunk have a priority or a weight, and others do not, or both exist.",
        "An order and shares at the same time contradict each other.",
        "Give each of them a priority, or each of them a weight, or none.",
        "gateways:\n  - {uri: sip:192.0.2.41, weight: 75}\n  - {uri: sip:192.0.2.42, weight: 25}",
    ),
    "too-many-gateways": Kind(
        "The trunks have more gateways than can be read back from Kamailio.",
        "What cannot be read back cannot be called true.",
        "Split the site.",
    ),
    "tls-address": Kind(
        "A trunk over TLS shares the address with Teams.",
        "Kamailio trusts one set of CAs for each address, and trunks have others than Microsoft.",
        "Give the machine a second address and name it.",
        "node:\n  public_address: 203.0.113.10\n  trunk_address: 192.0.2.10",
    ),
    "tls-unused": Kind(
        "A trunk has tls settings, and no gateway of it speaks TLS.",
        "What was meant to be protected is sent in the clear.",
        "Write the gateways with ;transport=tls, or remove tls.",
        'gateways: ["sip:192.0.2.22:5061;transport=tls"]',
    ),
    "tls-anybody": Kind(
        "A trunk over TLS trusts public CAs and says no name.",
        "Everybody can have a certificate of a public CA.",
        "Name the certificate's name, or a CA of your own.",
        "tls: {name: pbx.example.com}",
    ),
    "tls-roots": Kind(
        "Two trunks over TLS trust different CAs.",
        "Kamailio trusts one set of CAs for the address trunks share.",
        "Put the CAs of all trunks into one file, and give each trunk its tls.name.",
    ),
    "srtp-in-the-clear": Kind(
        "A trunk encrypts its audio, and the keys travel without TLS. A hint.",
        "Who can read the signalling can hear the calls.",
        "Use gateways with transport=tls.",
        'gateways: ["sip:192.0.2.22:5061;transport=tls"]\nsrtp: true',
    ),
    "contact-twice": Kind(
        "Two trunks register the same Contact.",
        "Calls of both carriers would reach us under one name.",
        "Give one of them another contact_user.",
    ),
    "transcode-to-what": Kind(
        "A trunk asks to transcode and names no codecs.",
        "There is nothing to transcode to.",
        "Name the codecs it wants.",
        "codecs: [PCMA]\ntranscode: true",
    ),
    "music-out-of-sight": Kind(
        "hold_music lies where RTPEngine's sandbox does not let it look.",
        "Who is held would hear nothing.",
        "Put the file elsewhere.",
        "hold_music: /usr/local/share/sbcctl/music.wav",
    ),
    "transfer-by-carrier": Kind(
        "A carrier is to carry out transfers.",
        "Only a PBX takes a REFER; a carrier bills or refuses it.",
        "Leave transfer out: then Teams transfers by itself.",
    ),
    "unknown-party": Kind(
        "A route or a tenant names a party that this site does not have.",
        "Calls would go nowhere.",
        "Parties are teams, phones and the names of trunks.",
        "routes:\n  out:\n    from: [teams]\n    to: [carrier]",
    ),
    "party-twice": Kind(
        "A route or a tenant names a party twice.",
        "All gateways of a trunk are tried before the next target; once is enough.",
        "Remove one of the two.",
    ),
    "trunk-not-own": Kind(
        "A tenant's emergency calls are to go by a trunk that other tenants call their own.",
        "A trunk that tenants list carries calls of these and of nobody else.",
        "Take a trunk of the tenant's own, or one that no tenant lists.",
        'tenants:\n  acme:\n    fqdn: acme.sbc.example.com\n    numbers: ["+493055500"]\n'
        "    trunks: [office]\n    emergency: {trunks: [office]}",
    ),
    "tenant-without-trunk": Kind(
        "A tenant lists no trunk, and every trunk of the site is some tenant's own.",
        "Who lists a trunk takes it from all who do not. Calls of this tenant from Teams can go "
        "nowhere, and nobody can call it.",
        "Take one trunk out of the lists of all tenants, or list one for this tenant.",
        'tenants:\n  acme:\n    fqdn: acme.sbc.example.com\n    numbers: ["+493055500"]\n'
        "    trunks: [office]",
    ),
    "tenants-overlap": Kind(
        "A number is two tenants' at once: as it is, within a range, or below a prefix.",
        "A call for it would reach one customer or the other, in the wrong name perhaps.",
        "Take it from one of the two.",
        'tenants:\n  acme: {fqdn: acme.sbc.example.com, numbers: ["+493055500-+493055549"]}\n'
        '  beta: {fqdn: beta.sbc.example.com, numbers: ["+493055550-+493055599"]}',
    ),
    "address-taken": Kind(
        "The address of a tenant's own is one of the node's, or another tenant's as well.",
        "By the address Kamailio knows whose certificate to show, and from which to dial Teams.",
        "Give the machine one more address, and the tenant that one.",
        "tenants:\n  big:\n    fqdn: sbc.big.example\n    address: 203.0.113.11\n"
        "    certificate: {files: {chain: /etc/ssl/big.pem, key: /etc/ssl/big.key}}\n"
        '    numbers: ["+498955500"]',
    ),
    "certificate-twice": Kind(
        "A tenant has a certificate of its own, and the SBC's own name.",
        "The certificate of that name is the one of the site.",
        "Leave certificate and address of the tenant out.",
        'tenants:\n  us: {fqdn: sbc.example.com, numbers: ["+493055500"]}',
    ),
    "too-many-certificates": Kind(
        "More than 100 tenants have certificates of their own.",
        "Kamailio keeps each one for each of its processes: it starts and reads them more slowly "
        "with each, and needs megabytes for it.",
        "Give tenants names one label under teams.fqdn, or spread them over several sites.",
    ),
    "certificates-too-large": Kind(
        "The certificates of tenants do not fit into Kamailio's shared memory.",
        "It reads them when it starts, and without memory for them it does not start.",
        "Give it as much as the message says.",
        "engines: {shared_memory: 512}",
    ),
    "own-certificates": Kind(
        "Tenants have certificates of their own. A hint.",
        "Each costs Kamailio memory and time at its start, and a new one is a restart; a name one "
        "label under teams.fqdn costs nothing.",
        "Nothing, where a customer needs a name of its own.",
        "tenants:\n  big:\n    fqdn: sbc.big.example\n    address: 203.0.113.11\n"
        "    certificate: {files: {chain: /etc/ssl/big.pem, key: /etc/ssl/big.key}}\n"
        '    numbers: ["+498955500"]',
    ),
    "table-too-large": Kind(
        "The numbers, trunks and destinations of all tenants do not fit into Kamailio's memory.",
        "It reads its tables when it starts, and without memory for them it does not start.",
        "Give it as much as the message says, or write numbers as ranges: one row stands for a "
        "whole block of ten, a hundred or a thousand.",
        "engines:\n  private_memory: 600\n  shared_memory: 600",
    ),
    "private-number": Kind(
        "A tenant has a number without a plus.",
        "A user of Teams has a number in E.164 (SIG-1); extensions are the affair of each "
        "customer's PBX, and several customers may have the same.",
        "Write it in E.164, with a plus; leave out what is not a number of a user of Teams.",
        'tenants:\n  acme: {fqdn: acme.sbc.example.com, numbers: ["+493055500"]}',
    ),
    "caller-not-own": Kind(
        "Trunks are to see a number in a tenant's calls that is none of the tenant's.",
        "Whoever calls back, the fire brigade among them, would reach somebody else or nobody.",
        "Take one that stands in the tenant's numbers or below its prefixes, or add it there.",
        'tenants:\n  acme:\n    fqdn: acme.sbc.example.com\n    numbers: ["+493055500"]\n'
        "    caller_id: {policy: main, main: '+493055500'}",
    ),
    "fqdn-twice": Kind(
        "Two tenants have the same name.",
        "The name in a call from Teams says whose call it is (MT-1).",
        "Give each tenant a name of its own.",
        'tenants:\n  acme: {fqdn: acme.sbc.example.com, numbers: ["+493055500"]}',
    ),
    "fqdn-outside": Kind(
        "The name of a tenant is not under teams.fqdn, nor under another wildcard of the "
        "certificate.",
        "Microsoft takes a customer's name when it is under the carrier's and the certificate "
        "covers it (MT-2).",
        "Give the tenant a name one label under teams.fqdn.",
        "teams:\n  fqdn: sbc.example.com\n"
        'tenants:\n  acme: {fqdn: acme.sbc.example.com, numbers: ["+493055500"]}',
    ),
    "fqdn-too-deep": Kind(
        "The name of a tenant is two labels or more under the wildcard.",
        "A wildcard stands for one label, so the certificate would not cover the name (MT-2).",
        "Put all that tells customers apart into one label: berlin-acme, not berlin.acme.",
        'tenants:\n  acme: {fqdn: berlin-acme.sbc.example.com, numbers: ["+493055500"]}',
    ),
    "no-wildcard": Kind(
        "There are tenants, and the certificate that is asked for does not cover their names. "
        "A hint.",
        "Microsoft refuses calls in a name that the certificate does not cover (MT-2).",
        "Add the wildcard to certificate.acme.names, and certificate.acme.dns, without which no "
        "CA gives one.",
        "certificate:\n  acme:\n    email: ops@example.com\n"
        "    names: ['*.sbc.example.com']\n"
        "    dns: {hook: {auth: /usr/local/sbin/dns-add}}",
    ),
    "routes-clash": Kind(
        "Two routes take the same calls, and neither is more exact than the other.",
        "Which one wins would be a matter of chance.",
        "Say in one of them which callers or which numbers are meant.",
        'routes:\n  a:\n    from: [teams]\n    prefix: "+49"\n    to: [carrier]',
    ),
    "emergency-limit": Kind(
        "An emergency route gives up a call that rings.",
        "Nobody who calls for help is cut off while it rings.",
        "Remove answer_within; ring_within passes over who does not even ring.",
        'routes:\n  help:\n    emergency: ["112"]\n    to: [carrier]',
    ),
    "teams-said-no": Kind(
        "failover_on lists an answer of Teams after which a call is not tried elsewhere.",
        "Teams has answered for the user: busy is busy (SIG-15).",
        "List codes from 500 to 599.",
    ),
    "too-late": Kind(
        "A target would be asked after Teams has gone on to its next SBC. A hint.",
        "Teams waits teams.failover_time seconds for the first ringing (SIG-25).",
        "Fewer targets, a shorter ring_within, or a longer teams.failover_time.",
        "to:\n  - {party: office, ring_within: 4}\n  - carrier",
    ),
    "too-many-rows": Kind(
        "Ranges and prefixes come to more rows than Kamailio is given.",
        "Each call walks them.",
        "Ranges that begin and end at round numbers need few rows.",
        "range: +493055500-+493055599",
    ),
}

OF_MACHINE = {
    "unsafe-kamailio": Kind(
        "The Kamailio of this machine is older than 6.0, and Teams would reach it.",
        "Concurrent TLS handshakes crash it, and every call with it.",
        "Use Debian 13, or accept the risk in these words, for a lab.",
        "engines:\n  accept_risk: kamailio before 6.0 can be crashed by concurrent TLS handshakes",
    ),
    "unfit-certificate": Kind(
        "A pair of files cannot serve: missing, wrong name, expired, key of another pair...",
        "Teams would refuse the connection, or the engine would not start.",
        "Put a pair there that fits and apply again; nothing was changed.",
        "certificate:\n  files: {chain: /etc/ssl/sbc.pem, key: /etc/ssl/sbc.key}",
    ),
    "unfit-roots": Kind(
        "A file of CAs is missing, cannot be read by Kamailio, or holds no certificate.",
        "Nobody could be verified, or Kamailio would not start.",
        "Put the CAs there as PEM, readable by the user kamailio.",
    ),
    "unfit-music": Kind(
        "A file of hold_music is missing, cannot be read by RTPEngine, or is no WAV.",
        "Who is held would hear nothing.",
        "Put a WAV file there that everybody may read, or leave hold_music out.",
    ),
}
