"""Attempts to have something sent elsewhere, and what is hardly a message."""

from __future__ import annotations

from collections.abc import Iterator

from bad_input import ELSEWHERE, Case, Maker, Who


def ways(who: Who) -> Iterator[Case]:
    """Attempts to have something sent where nobody asked for it."""
    make, to = Maker(who), f"sip:{who.number}@{who.target}"
    target, away = who.target, ELSEWHERE

    def call(name: str, *, may: bool = True, **more: str) -> Case:
        return Case(name, make.request(name, **more), may_reach=may)

    yield call("way-uri", uri=f"sip:{who.number}@{away}")
    yield call("way-maddr", uri=f"{to};maddr={away}")
    yield call("way-route", extra=f"Route: <sip:{away};lr>\r\n")
    yield call("way-strict-route", extra=f"Route: <sip:{away}>\r\n")
    yield call("way-own-route", extra=f"Route: <sip:{target};lr>, <sip:{away};lr>\r\n")
    yield call("way-forged-seal", extra=f"Route: <sip:{target};lr;sb=t{'0' * 16}>\r\n")
    yield call("way-via-maddr", Via=f"SIP/2.0/UDP {who.address};maddr={away};branch=z9hG4bKwvm")
    received = f"{who.address};received={away};rport=5060;branch=z9hG4bKwvr{who.name}"
    yield call("way-via-received", Via=f"SIP/2.0/{who.transport.upper()} {received}")
    yield call("way-via-host", Via=f"SIP/2.0/UDP {away};branch=z9hG4bKwvh{who.name}")
    yield call("way-contact", Contact=f"<sip:x@{away};pc=00;ph=0123456789abcdef>")
    yield call("way-contact-star", Contact="*")
    yield call("way-contact-none", Contact="<>")
    yield call("way-contact-words", Contact="who knows")
    masked = f"sip:x@sbc.example.com:5061;transport=tls;pc={'41' * 20};ph=0123456789abcdef"
    yield call("way-masked-uri", uri=masked)
    for number, hidden in enumerate(("zz", "4", "", "41" * 3000, "%00", "00ff")):
        name = f"way-masked-{number}"
        uri = f"sip:x@sbc.example.com:5061;transport=tls;pc={hidden};ph=0123456789abcdef"
        there = f"<{to}>;tag=there"
        yield Case(name, make.request(name, method="BYE", uri=uri, To=there), codes="403 481")
    for number, code in enumerate((100, 180, 200, 302, 486, 999)):
        name = f"answer-{number}-{who.name}-{who.transport}"
        for where, hop in (
            ("away", f"UDP {away}:5060"),
            ("teams", "TLS 198.51.100.11:5061"),
            ("trunk", "UDP 192.0.2.20:5060"),
            ("trunk-tcp", "TCP 192.0.2.21:5060"),
        ):
            raw = (
                f"SIP/2.0 {code} Sure\r\n"
                f"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{number}{where}\r\n"
                f"Via: SIP/2.0/{hop};branch=z9hG4bKx{number}{where}\r\n"
                f"From: <{to}>;tag=1\r\nTo: <{to}>;tag=2\r\n"
                f"Call-ID: {name}-{where}@torture\r\nCSeq: 1 INVITE\r\n"
                f"Contact: <sip:{away}>\r\nContent-Length: 0\r\n\r\n"
            )
            yield Case(f"answer-{number}-{where}", raw.encode())


def scraps(who: Who) -> Iterator[Case]:
    """What is hardly a message."""
    make = Maker(who)
    yield Case("scrap-crlf", b"\r\n\r\n")
    yield Case("scrap-many-crlf", b"\r\n" * 2000)
    yield Case("scrap-nul", b"\0")
    yield Case("scrap-nuls", b"\0" * 1400)
    yield Case("scrap-letter", b"I")
    yield Case("scrap-line", b"INVITE sip:1@x.example SIP/2.0\r\n")
    yield Case("scrap-empty-head", b"INVITE sip:1@x.example SIP/2.0\r\n\r\n")
    yield Case("scrap-half", make.request("scrap-half")[:300])
    yield Case("scrap-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 500)
    yield Case("scrap-stun", b"\0\1\0\0\x21\x12\xa4\x42" + b"\x01" * 12)
    yield Case("scrap-rtp", b"\x80\x08\0\1\0\0\0\1\0\0\0\2" + b"\xd5" * 160)
    yield Case("scrap-noise", bytes((n * 7919 + 13) % 251 for n in range(1400)))
    yield Case("scrap-response", b"SIP/2.0 200 OK\r\n\r\n")
    first, second = make.request("pipe-1"), make.request("pipe-2")
    yield Case("scrap-pipelined", b"\r\n\r\n" + first + b"\r\n\r\n" + second, may_reach=True)


def astray() -> Iterator[dict[str, str]]:
    """What a trunk may send inside its call to Teams to have it led elsewhere."""
    there = (
        f"sip:x@{ELSEWHERE}",
        f"sip:x@{ELSEWHERE};transport=tcp",
        "sip:+44111@192.0.2.21;transport=tcp",
    )
    for uri in there:
        yield {"method": "NOTIFY", "uri": uri}
        yield {"method": "INVITE", "uri": uri}
        yield {"method": "NOTIFY", "uri": f"{uri};sc=0123456789abcdef"}
        yield {"method": "NOTIFY", "extra": f"Route: <{uri};lr>\r\n"}
