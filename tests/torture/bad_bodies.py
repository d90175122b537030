"""Bodies nobody can speak over, and too much of everything."""

from __future__ import annotations

from collections.abc import Iterator

from bad_input import ELSEWHERE, Case, Maker, Who, sdp

TRANSPORTS = (
    "TCP/MSRP",
    "UDP/TLS/RTP/SAVPF",
    "DCCP/RTP/AVP",
    "RTP/SAVPF",
    "udp",
    "X/Y/Z",
    "TCP/TLS/BFCP",
)


def bodies(who: Who) -> Iterator[Case]:
    """Session descriptions nobody can speak over."""
    make = Maker(who)

    def call(name: str, body: str | bytes, *, may: bool = True, **more: str) -> Case:
        return Case(name, make.request(name, body=body, **more), may_reach=may)

    audio = who.media
    none = make.request("sdp-empty", body="", extra="c: application/sdp\r\n")
    yield Case("sdp-empty", none, may_reach=who.secure)
    yield call("sdp-no-media", sdp(who, ""), may=False)
    yield call("sdp-nothing-but-version", "v=0\r\n", may=False)
    yield call("sdp-words", "this is no session description\r\n", may=False)
    yield call("sdp-binary", bytes(range(256)) * 4, may=False)
    yield call("sdp-nul", sdp(who).replace("s=-", "s=\0").encode())
    yield call("sdp-ten-audio", sdp(who, audio * 10))
    video = "m=video 40002 RTP/AVP 31\r\n"
    yield call("sdp-ten-mixed", sdp(who, audio + video * 9))
    for number, transport in enumerate(TRANSPORTS):
        line = f"m=audio 40000 {transport} 8\r\n"
        yield call(f"sdp-transport-{number}", sdp(who, line))
        yield call(f"sdp-transport-beside-{number}", sdp(who, audio + line))
    yield call("sdp-udptl", sdp(who, "m=image 40000 udptl t38\r\n"))
    yield call("sdp-video-only", sdp(who, video))
    yield call("sdp-port-0", sdp(who, audio.replace("40000", "0")))
    yield call("sdp-port-70000", sdp(who, audio.replace("40000", "70000")))
    yield call("sdp-port-minus", sdp(who, audio.replace("40000", "-1")))
    yield call("sdp-port-word", sdp(who, audio.replace("40000", "many")))
    yield call("sdp-m-cut", sdp(who, "m=audio\r\n"), may=False)
    yield call("sdp-ipv6", sdp(who).replace("IN IP4", "IN IP6").replace(who.address, "::1"))
    yield call("sdp-broadcast", sdp(who).replace(who.address, "255.255.255.255"))
    yield call("sdp-multicast", sdp(who).replace(who.address, "224.2.17.12/127"))
    yield call("sdp-loopback", sdp(who).replace(who.address, "127.0.0.1"))
    yield call("sdp-name", sdp(who).replace(who.address, "host.invalid"))
    yield call("sdp-lf-only", sdp(who).replace("\r\n", "\n"))
    yield call("sdp-no-connection", sdp(who).replace(f"c=IN IP4 {who.address}\r\n", ""))
    yield call("sdp-500-payloads", sdp(who, f"m=audio 4000 RTP/AVP {'8 ' * 500}\r\n"))
    yield call("sdp-long-line", sdp(who) + f"a=x:{'y' * 8000}\r\n")
    yield call("sdp-60k", sdp(who) + "a=fmtp:8 0123456789012345678901234567890123456\r\n" * 1200)
    yield call("sdp-version-7", sdp(who).replace("v=0", "v=7"))
    yield call("sdp-kind-mixed-case", sdp(who), kind="APPLICATION/SDP")
    mixed = 'multipart/mixed;boundary="b"'
    yield call("multipart-no-boundary", "--x\r\n\r\n", kind="multipart/mixed")
    yield call(
        "multipart-never-ends",
        f"--b\r\nContent-Type: application/sdp\r\n\r\n{sdp(who)}",
        kind=mixed,
    )
    yield call("multipart-nothing", "--b--\r\n", kind=mixed)
    yield call("multipart-binary", bytes(range(256)) * 2, kind=mixed)
    yield call("body-unknown", "<x/>", kind="application/unknown")


def sizes(who: Who) -> Iterator[Case]:
    """Too much of everything."""
    make = Maker(who)
    for size in (4, 32, 60):
        text = f"Subject: {'x' * size * 1024}\r\n"
        yield Case(f"header-{size}k", make.request(f"header-{size}k", extra=text), may_reach=True)
    yield Case("header-64k", make.request("header-64k", extra=f"Subject: {'x' * 66000}\r\n"))
    many = "".join(
        f"Via: SIP/2.0/UDP 10.0.0.{n % 250}:5060;branch=z9hG4bKv{n}\r\n" for n in range(500)
    )
    yield Case(
        "vias-500",
        make.request("vias-500").replace(b"Max-", many.encode() + b"Max-", 1),
        may_reach=True,
    )
    routes = "".join(f"Route: <sip:{ELSEWHERE};lr>\r\n" for _ in range(200))
    yield Case("routes-200", make.request("routes-200", extra=routes), may_reach=True)
    own = "".join(f"Route: <sip:{who.target};lr>\r\n" for _ in range(200))
    yield Case("own-routes-200", make.request("own-routes-200", extra=own), may_reach=True)
    records = "".join(f"Record-Route: <sip:10.0.0.{n % 250};lr>\r\n" for n in range(300))
    yield Case(
        "record-routes-300", make.request("record-routes-300", extra=records), may_reach=True
    )
    lines = "".join(f"H{n}: {n}\r\n" for n in range(1500))
    yield Case("headers-1500", make.request("headers-1500", extra=lines), may_reach=True)


def long_values(who: Who) -> Iterator[Case]:
    """Values that are too long, one at a time."""
    make = Maker(who)
    digits = "9" * 1000
    yield Case(
        "number-1000",
        make.request("number-1000", uri=f"sip:{digits}@{who.target}"),
        may_reach=True,
    )
    yield Case(
        "from-1000",
        make.request("from-1000", From=f"<sip:{digits}@x.example>;tag=1"),
        may_reach=True,
    )
    yield Case(
        "contact-8k",
        make.request("contact-8k", Contact=f"<sip:{'c' * 8000}@{who.address}>"),
        may_reach=True,
    )
    yield Case(
        "contacts-200",
        make.request(
            "contacts-200", Contact=",".join(f"<sip:{n}@{who.address}>" for n in range(200))
        ),
        may_reach=True,
    )
    yield Case("call-id-8k", make.request("call-id-8k", Call_ID="i" * 8000), may_reach=True)
    yield Case(
        "branch-8k",
        make.request("branch-8k", Via=f"SIP/2.0/UDP {who.address};branch=z9hG4bK{'b' * 8000}"),
        may_reach=True,
    )
    yield Case(
        "tag-8k",
        make.request("tag-8k", From=f"<sip:1@x.example>;tag={'t' * 8000}"),
        may_reach=True,
    )
    yield Case(
        "parameters-800",
        make.request(
            "parameters-800",
            uri=f"sip:{who.number}@{who.target}" + "".join(f";p{n}={n}" for n in range(800)),
        ),
        may_reach=True,
    )


def lengths(who: Who) -> Iterator[Case]:
    """A length that does not tell the truth."""
    make = Maker(who)
    for name, length, may in (
        ("big", "9999", False),
        ("small", "20", True),
        ("negative", "-5", False),
        ("huge", "99999999999999999999", False),
        ("word", "many", False),
        ("hex", "0x10", False),
    ):
        raw = make.request(f"length-{name}", length=length)
        yield Case(f"length-{name}", raw, may_reach=may)
    yield Case("length-none", make.request("length-none", length=None), may_reach=True)
    yield Case(
        "length-twice", make.request("length-twice", extra="Content-Length: 5\r\n"), may_reach=True
    )
