"""Each rule takes the good message and names the broken one."""

from dataclasses import replace

import pytest

from orchestrator.lab import evidence, rules
from orchestrator.sip import message

KEY = "A" * 40
SDP = f"""v=0
o=- 1 1 IN IP4 203.0.113.10
s=-
c=IN IP4 203.0.113.10
t=0 0
m=audio 30000 RTP/SAVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31
a=rtcp:30001
a=sendrecv
"""
PLAIN = """v=0
o=- 1 1 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
m=audio 30000 RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=sendrecv
"""
OPTIONS = """OPTIONS sip:sip.pstnhub.microsoft.com:5061;transport=tls SIP/2.0
Via: SIP/2.0/TLS sbc.example.com:5061;branch=z9hG4bK1
From: <sip:sbc.example.com>;tag=1
To: <sip:sip.pstnhub.microsoft.com:5061>
Call-ID: 77@sbc.example.com
CSeq: 10 OPTIONS
Contact: <sip:sbc.example.com:5061;transport=tls>
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY
User-Agent: sbcctl

"""
ANSWER = """SIP/2.0 200 OK
Via: SIP/2.0/TLS 198.51.100.11:5061;branch=z9hG4bK2
From: <sip:sip-du-a-eu.pstnhub.microsoft.com>;tag=1
To: <sip:sbc.example.com:5061>;tag=2
Call-ID: 88
CSeq: 1 OPTIONS
Contact: <sip:sbc.example.com:5061;transport=tls>
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY
Server: sbcctl

"""
INVITE = f"""INVITE sip:+493055510@sip.pstnhub.microsoft.com:5061;user=phone;transport=tls SIP/2.0
Via: SIP/2.0/TLS sbc.example.com:5061;branch=z9hG4bK3
Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK4
Record-Route: <sip:sbc.example.com:5061;transport=tls;lr>
From: <sip:+493055520@sbc.example.com>;tag=1
To: <sip:+493055510@sip.pstnhub.microsoft.com;user=phone>
Call-ID: 99@192.0.2.20
CSeq: 1 INVITE
Contact: <sip:+493055520@sbc.example.com:5061;transport=tls;pc=00ff>
Supported: timer
Content-Type: application/sdp

{SDP}"""
BYE = """BYE sip:api-du-a-euwe.pstnhub.microsoft.com:443;x-i=Ab;x-c=/1 SIP/2.0
Via: SIP/2.0/TLS sbc.example.com:5061;branch=z9hG4bK5
Route: <sip:sip-du-a-eu.pstnhub.microsoft.com:5061;transport=tls;lr>
From: <sip:+493055520@sbc.example.com>;tag=1
To: <sip:+493055510@sip.pstnhub.microsoft.com>;tag=2
Call-ID: 99@192.0.2.20
CSeq: 2 BYE

"""
RINGING = """SIP/2.0 180 Ringing
Via: SIP/2.0/TLS 198.51.100.11:5061;branch=z9hG4bK8
From: <sip:+493055510@sip.pstnhub.microsoft.com>;tag=1
To: <sip:+493055520@sbc.example.com:5061>;tag=one
Call-ID: 89
CSeq: 1 INVITE
Contact: <sip:+493055520@sbc.example.com:5061;transport=tls>

"""
REFER_TO = "sip:sip.pstnhub.microsoft.com:5061;x-m=8:a;x-t=Ab;transport=tls"
REFERRED_BY = "<sip:A@sip.pstnhub.microsoft.com;x-m=1;x-t=2;x-ti=3;x-tt=4>"
TRIGGERED = INVITE.replace(
    "INVITE sip:+493055510@sip.pstnhub.microsoft.com:5061;user=phone;transport=tls",
    f"INVITE {REFER_TO}",
).replace("Supported: timer", f"Referred-By: {REFERRED_BY}")
NOTIFY = (
    BYE.replace("BYE", "NOTIFY")
    .replace("CSeq: 2", "Event: refer\nContent-Type: message/sipfrag\nCSeq: 9")
    .rstrip("\n")
    + "\n\nSIP/2.0 180 Ringing\n"
)
TRUNK = f"""INVITE sip:+493055520@192.0.2.20:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK6
From: <sip:+493055510@192.0.2.10>;tag=1
To: <sip:+493055520@192.0.2.20>
Call-ID: 99
CSeq: 1 INVITE
Contact: <sip:api-du-a-euwe.pstnhub.microsoft.com:443;x-i=Ab>
Content-Type: application/sdp

{PLAIN}"""
BUSY = """SIP/2.0 486 Busy Here
Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK7
From: <sip:+493055520@192.0.2.20>;tag=1
To: <sip:+493055510@192.0.2.10>;tag=2
Call-ID: 99
CSeq: 1 INVITE
Reason: Q.850;cause=17

"""
FACTS = evidence.TlsFacts(
    version="TLSv1.2",
    cipher="ECDHE-RSA-AES256-GCM-SHA384",
    names=("sbc.example.com",),
    key="RSA",
    key_bits=2048,
    purposes=("serverAuth",),
    issuers=1,
    sni="sip.pstnhub.microsoft.com",
)
CONTEXT = evidence.Context(
    fqdn="sbc.example.com",
    hidden=("192.0.2.0/24", "127.0.0.0/8"),
    tls=FACTS,
    dialog_contact="sip:api-du-a-euwe.pstnhub.microsoft.com:443;x-i=Ab;x-c=/1",
    dialog_routes=("sip:sip-du-a-eu.pstnhub.microsoft.com:5061;transport=tls;lr",),
    offer=SDP.encode(),
    earlier=SDP.encode(),
    tag="one",
    transfers=((REFER_TO, REFERRED_BY),),
    transferring=True,
    number=8,
)


def broken_by(text, table=rules.TEAMS, context=CONTEXT):
    parsed = message.parse(text.replace("\n", "\r\n").encode())
    return [broken.id for broken in rules.check(parsed, context, table)]


@pytest.mark.parametrize("good", [OPTIONS, ANSWER, INVITE, RINGING, TRIGGERED, NOTIFY])
def test_what_microsoft_takes_breaks_no_rule(good):
    assert broken_by(good) == []


def test_a_call_that_nobody_transfers_may_be_ended():
    assert broken_by(BYE) == ["XF-5"]
    assert broken_by(BYE, context=replace(CONTEXT, transferring=False)) == []


def test_the_only_replaces_is_the_one_a_refer_asked_for():
    carried = f"{REFER_TO}?Replaces=a%40b%3Bto-tag%3D2%3Bfrom-tag%3D3"
    asked = replace(CONTEXT, transfers=((carried, REFERRED_BY),))
    with_replaces = TRIGGERED.replace(
        "Referred-By", "Replaces: a@b;to-tag=2;from-tag=3\nReferred-By"
    )
    assert broken_by(with_replaces, context=asked) == []
    assert broken_by(with_replaces) == ["XF-2"]
    assert broken_by(TRIGGERED, context=asked) == ["XF-2"]


def test_refer_is_listed_for_whom_it_is_carried_out_and_for_nobody_else():
    listed = INVITE.replace("Supported: timer", "Allow: INVITE, REFER")
    transferred = replace(CONTEXT, refer=("+493055520",))
    assert broken_by(listed, context=transferred) == []
    assert broken_by(listed) == ["XF-1"]
    assert broken_by(INVITE, context=transferred) == ["XF-1"]


@pytest.mark.parametrize("good", [TRUNK, BUSY])
def test_what_a_trunk_takes_breaks_no_rule(good):
    assert broken_by(good, rules.TRUNK) == []


CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31\n"
OTHER_TAG = SDP.replace("crypto:1", "crypto:2")

BROKEN = [
    ("TLS-1", INVITE, "Contact: <sip:", "Contact: <sips:"),
    ("TLS-1", INVITE, "INVITE sip:", "INVITE sips:"),
    ("CERT-3", INVITE, "Record-Route: <sip:sbc.", "Record-Route: <sip:a.sbc."),
    ("OPT-2", OPTIONS, "OPTIONS sip:sip.pstnhub.microsoft.com", "OPTIONS sip:198.51.100.11"),
    ("OPT-2", OPTIONS, "com:5061;transport=tls SIP", "com SIP"),
    ("OPT-2", OPTIONS, "From: <sip:sbc.example.com", "From: <sip:203.0.113.10"),
    ("OPT-3", OPTIONS, "Contact: <sip:sbc.example.com:5061;transport=tls>\n", ""),
    ("OPT-3", OPTIONS, "<sip:sbc.example.com:5061;", "<sip:203.0.113.10:5061;"),
    ("OPT-4", OPTIONS, "<sip:sbc.example.com:5061;", "<sip:sbc.example.com:5067;"),
    ("OPT-5", OPTIONS, "TLS sbc.example.com", "TLS 203.0.113.10"),
    ("OPT-5", OPTIONS, "77@sbc.example.com", "77@192.0.2.10"),
    ("OPT-6", ANSWER, "Contact: <sip:sbc.example.com:5061;transport=tls>\n", ""),
    ("OPT-6", ANSWER, "Contact: <sip:sbc.", "Contact: <sip:x."),
    ("OPT-6", ANSWER, "200 OK", "404 Not Found"),
    ("OPT-6", ANSWER, ", NOTIFY", ""),
    ("OPT-7", OPTIONS, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY\n", ""),
    ("OPT-9", OPTIONS, "Contact: <sip:sbc", "Contact: <sip:@sbc"),
    ("XF-1", ANSWER, "NOTIFY", "NOTIFY, REFER"),
    ("XF-1", INVITE, "Supported: timer", "Supported: timer, replaces"),
    ("XF-2", TRIGGERED, ";x-t=Ab", ";x-t=ab"),
    ("XF-2", TRIGGERED, "Referred-By: <sip:A", "Referred-By: <sip:a"),
    ("XF-4", NOTIFY, "SIP/2.0 180 R", "HTTP/1.1 180 R"),
    ("XF-4", NOTIFY, "message/sipfrag", "text/plain"),
    ("XF-4", NOTIFY, "Event: refer", "Event: dialog"),
    ("XF-4", NOTIFY, "CSeq: 9", "CSeq: 7"),
    ("XF-11", BYE, "BYE", "REFER"),
    ("XF-5", NOTIFY, "NOTIFY", "BYE"),
    ("SIG-1", INVITE, "INVITE sip:+4930", "INVITE sip:0030"),
    ("SIG-1", INVITE, ";user=phone;transport", ";transport"),
    ("SIG-2", INVITE, "From: <sip:+49", "From: <sip:0049"),
    ("SIG-2", INVITE, "<sip:+493055520@sbc.example.com>", "<sip:+493055520@203.0.113.10>"),
    ("SIG-4", INVITE, "sbc.example.com:5061;transport=tls;pc", "203.0.113.10;transport=tls;pc"),
    ("SIG-5", INVITE, "Record-Route: <sip:sbc.example.com", "Record-Route: <sip:203.0.113.10"),
    ("SIG-6", INVITE, "Content-Type: application/sdp\n", ""),
    ("SIG-7", INVITE, "Supported: timer", "Replaces: 1;to-tag=2;from-tag=3"),
    ("EM-1", INVITE, "application/sdp", "multipart/mixed;boundary=a"),
    ("SIG-8", INVITE, "CSeq", "Diversion: <sip:a>\nCSeq"),
    ("SIG-12", BYE, "x-i=Ab", "x-i=ab"),
    ("SIG-12", BYE, "x-i=Ab;x-c=/1", "x-c=/1;x-i=Ab"),
    ("SIG-12", BYE, "Route: <sip:sip-du-a-eu.", "Route: <sip:sip-du-a-us."),
    ("SIG-13", INVITE, "Supported: timer", "Supported: 100rel"),
    ("SIG-13", BYE, "BYE", "UPDATE"),
    ("SIG-32", INVITE, "c=IN IP4 203.0.113.10", "c=IN IP4 0.0.0.0"),
    ("SIG-34", OPTIONS, "User-Agent: sbcctl\n", ""),
    ("SIG-34", ANSWER, "Server: sbcctl\n", ""),
    ("SIG-35", INVITE, "@sbc.example.com>;tag", "@192.0.2.20>;tag"),
    ("SIG-35", INVITE, "o=- 1 1 IN IP4 203.0.113.10", "o=- 1 1 IN IP4 192.0.2.20"),
    ("SIG-35", INVITE, "TLS sbc.example.com", "TLS 192.0.2.10"),
    ("SIP", INVITE, "Contact: <sip:+49", "Contact: <sip+49"),
    ("SDP", INVITE, "v=0", "v=1"),
    ("MED-1", INVITE, CRYPTO, ""),
    ("MED-1", INVITE, CRYPTO, CRYPTO + CRYPTO),
    ("MED-1", INVITE, f"inline:{KEY}", f"inline:{KEY[4:]}"),
    ("MED-1", ANSWER, "\n\n", f"\nContent-Type: application/sdp\n\n{OTHER_TAG}"),
    ("MED-2", INVITE, "RTP/SAVP", "RTP/AVP"),
    ("MED-3", INVITE, CRYPTO, CRYPTO + CRYPTO.replace(":1 AES_CM_128", ":2 NULL")),
    ("MED-3", INVITE, "a=sendrecv", "a=fingerprint:sha-256 00\na=sendrecv"),
    ("MED-4", INVITE, "|2^31", ""),
    ("MED-6", INVITE, "m=audio 30000", "m=audio 30002"),
    ("MED-6", INVITE, "c=IN IP4 203.0.113.10", "c=IN IP4 203.0.113.11"),
    ("MED-7", INVITE, f"inline:{KEY}", f"inline:{'B' * 40}"),
    ("MED-9", RINGING, "tag=one", "tag=two"),
    ("MED-10", INVITE, "a=sendrecv", "a=sendonly"),
    ("MED-12", INVITE, "a=rtcp:30001\n", ""),
    ("MED-15", INVITE, "8 101\na=rtpmap:8 PCMA/8000", "96 101\na=rtpmap:96 opus/48000"),
    ("MED-16", INVITE, "a=rtpmap:101 tele", "a=rtpmap:8 SILK/8000\na=rtpmap:101 tele"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "good", "old", "new"), BROKEN)
def test_what_microsoft_refuses_is_named(rule, good, old, new):
    assert old in good
    assert rule in broken_by(good.replace(old, new, 1))


@pytest.mark.parametrize(
    ("rule", "good", "old", "new"),
    [
        ("SIG-16", BUSY, "cause=17", "cause=34"),
        ("SIG-35", TRUNK, "CSeq", "X-MS-UserSite: berlin\nCSeq"),
        ("SIG-12", TRUNK, "192.0.2.20>\n", "192.0.2.20>;tag=3\n"),
        ("SIG-23", TRUNK, "CSeq", "History-Info: <sip:a>;index=1\nCSeq"),
        ("SIG-23", TRUNK, "CSeq", "P-Asserted-Identity: <sip:a>\nCSeq"),
        ("SIG-35", TRUNK, "CSeq", "Server: Microsoft.PSTNHub\nCSeq"),
        ("MED-11", TRUNK, "a=sendrecv", "a=x-ssrc-range:1-1\na=sendrecv"),
        ("MED-11", TRUNK, "a=sendrecv", CRYPTO + "a=sendrecv"),
        ("MED-11", TRUNK, "a=sendrecv", "a=candidate:1 1 UDP 1 1.2.3.4 5 typ host\na=sendrecv"),
        ("MED-11", TRUNK, "RTP/AVP", "RTP/SAVP"),
    ],
)
def test_what_a_trunk_must_not_see_is_named(rule, good, old, new):
    assert old in good
    context = replace(CONTEXT, outsider=True, names=("sip:me@192.0.2.20", "sip:you@192.0.2.10"))
    assert rule in broken_by(good.replace(old, new, 1), rules.TRUNK, context)


def test_every_rule_has_a_broken_message():
    shown = {rule for rule, *_ in BROKEN}
    assert {rule.id for rule in rules.TEAMS} <= shown


def test_one_broken_rule_hides_no_other():
    text = INVITE.replace("RTP/SAVP", "RTP/AVP").replace("|2^31", "")
    assert broken_by(text) == ["MED-2", "MED-4"]


def test_a_good_connection_breaks_no_rule():
    assert rules.check_connection(FACTS, CONTEXT) == ()


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("TLS-1", {"version": "TLSv1.1"}),
        ("TLS-2", {"cipher": "ECDHE-ECDSA-AES256-GCM-SHA384"}),
        ("TLS-3", {"key": "EC", "key_bits": 256}),
        ("TLS-3", {"key_bits": 1024}),
        ("TLS-4", {"issuers": 0}),
        ("TLS-5", {"names": (), "key": "", "key_bits": 0}),
        ("CERT-1", {"names": ("*.example.org",)}),
        ("CERT-1", {"names": ("*.com",)}),
    ],
)
def test_a_broken_connection_is_named(rule, change):
    values = {name: getattr(FACTS, name) for name in evidence.TlsFacts.__slots__}
    facts = evidence.TlsFacts(**(values | change))
    assert [broken.id for broken in rules.check_connection(facts, CONTEXT)] == [rule]


def test_a_wildcard_covers_one_label():
    names = {"*.example.com"}
    for host, covered in (("sbc.example.com", True), ("a.sbc.example.com", False)):
        values = {name: getattr(FACTS, name) for name in evidence.TlsFacts.__slots__}
        facts = evidence.TlsFacts(**(values | {"names": tuple(names)}))
        found = rules.check_connection(facts, evidence.Context(fqdn=host))
        assert (found == ()) is covered


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        ("TLS-4", evidence.TlsRefusal("certificate verify failed", 20)),
        ("REN-2", evidence.TlsRefusal("certificate verify failed", 10)),
        ("CERT-6", evidence.TlsRefusal("certificate verify failed", 19)),
        ("TLS-5", evidence.TlsRefusal("peer did not return a certificate")),
        ("TLS-3", evidence.TlsRefusal("no shared cipher")),
        ("EKU-1", evidence.TlsRefusal("tlsv1 alert unsupported certificate", 0, dialled=False)),
        ("TLS-1", evidence.TlsRefusal("unsupported protocol")),
        ("TLS", evidence.TlsRefusal("wrong number")),
    ],
)
def test_a_failed_handshake_is_named(rule, refusal):
    assert rules.explain_refusal(refusal).id == rule
