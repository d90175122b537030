"""First lines, headers and letters that are wrong."""

from __future__ import annotations

from collections.abc import Iterator

from bad_input import ELSEWHERE, Case, Maker, Who


def starts(who: Who) -> Iterator[Case]:
    """First lines and required headers."""
    make, to = Maker(who), f"sip:{who.number}@{who.target}"
    for name, start in (
        ("sip-3", f"INVITE {to} SIP/3.0"),
        ("sip-1", f"INVITE {to} SIP/1.0"),
        ("sip-word", f"INVITE {to} SIP/two"),
        ("no-version", f"INVITE {to}"),
        ("two-spaces", f"INVITE  {to} SIP/2.0"),
        ("tab", f"INVITE\t{to}\tSIP/2.0"),
        ("http", "GET / HTTP/1.1"),
        ("no-uri", "INVITE SIP/2.0"),
        ("empty-uri", "INVITE sip: SIP/2.0"),
        ("no-user", f"INVITE sip:{who.target} SIP/2.0"),
        ("empty-user", f"INVITE sip:@{who.target} SIP/2.0"),
        ("scheme-http", "INVITE http://example.com/ SIP/2.0"),
        ("scheme-none", f"INVITE {who.number} SIP/2.0"),
        ("port-99999", f"INVITE sip:{who.number}@192.0.2.10:99999 SIP/2.0"),
        ("port-word", f"INVITE sip:{who.number}@192.0.2.10:sip SIP/2.0"),
        ("ipv6-cut", f"INVITE sip:{who.number}@[::1 SIP/2.0"),
        ("nul", f"INVITE sip:{who.number}\0@{who.target} SIP/2.0"),
        ("space", f"INVITE sip:{who.number} x@{who.target} SIP/2.0"),
    ):
        yield Case(
            f"start-{name}",
            make.request(f"start-{name}", start=start),
            codes="400 404 416 484 505",
        )
    yield Case(
        "start-tel",
        make.request("start-tel", start=f"INVITE tel:{who.number} SIP/2.0"),
        may_reach=True,
    )
    for gone in ("Via", "From", "To", "Call-ID", "CSeq"):
        yield Case(
            f"no-{gone.lower()}", make.request(f"no-{gone.lower()}", drop=(gone,)), codes="400"
        )
    for loose in ("Contact", "Max-Forwards"):
        name = f"no-{loose.lower()}"
        yield Case(name, make.request(name, drop=(loose,)), may_reach=True)
    yield Case(
        "no-from-tag", make.request("no-from-tag", From="<sip:1@x.example>"), may_reach=True
    )
    for name, value in (("twice", "5 INVITE\r\nCSeq: 6 INVITE"),):
        yield Case(f"cseq-{name}", make.request(f"cseq-{name}", CSeq=value), may_reach=True)
    for name, value in (
        ("other", "1 BYE"),
        ("huge", "99999999999 INVITE"),
        ("negative", "-1 INVITE"),
        ("word", "one INVITE"),
        ("none", "INVITE"),
    ):
        yield Case(f"cseq-{name}", make.request(f"cseq-{name}", CSeq=value), codes="400")
    for name, value in (("0", "0"), ("minus", "-1"), ("word", "many"), ("huge", "9" * 30)):
        raw = make.request(f"forwards-{name}", Max_Forwards=value)
        yield Case(f"forwards-{name}", raw, codes="483")


def methods(who: Who) -> Iterator[Case]:
    """What is no call, or belongs to a call there is not."""
    make = Maker(who)
    for method in (
        "SUBSCRIBE",
        "PUBLISH",
        "MESSAGE",
        "NOTIFY",
        "INFO",
        "REFER",
        "UPDATE",
        "PRACK",
        "BYE",
        "DANCE",
        "invite",
        "A" * 200,
    ):
        name = f"method-{method[:10]}"
        yield Case(name, make.request(name, method=method), codes="400 403 405 481 501")
    yield Case(
        "method-REGISTER", make.request("method-REGISTER", method="REGISTER"), codes="403 405"
    )
    for method in ("ACK", "CANCEL"):
        name = f"method-{method}"
        yield Case(name, make.request(name, method=method))
    there = f"<sip:{who.number}@{who.target}>;tag=there"
    forged = f"Route: <sip:{who.target};lr;sb=t0123456789abcdef>\r\n"
    short = f"Route: <sip:{who.target};lr;sb=t>\r\n"
    away = f"Route: <sip:{ELSEWHERE};lr>\r\n"
    for method in (
        "BYE",
        "INVITE",
        "UPDATE",
        "INFO",
        "REFER",
        "PRACK",
        "NOTIFY",
        "DANCE",
        "ACK",
        "CANCEL",
    ):
        codes = "-" if method in ("ACK", "CANCEL") else "403 405 481"
        for kind, extra in (
            ("", ""),
            ("-forged", forged),
            ("-short", short),
            ("-away", away),
            ("-two", forged + away),
        ):
            name = f"dialog-{method}{kind}"
            yield Case(name, make.request(name, method=method, extra=extra, To=there), codes=codes)


def words(who: Who) -> Iterator[Case]:
    """Letters that mean something to somebody."""
    make = Maker(who)

    def call(name: str, *, may: bool = True, **more: str) -> Case:
        return Case(name, make.request(name, **more), may_reach=may)

    inject = "X-Injected: 1"
    yield call("word-crlf-number", uri=f"sip:{who.number}%0d%0a{inject[:8]}@{who.target}")
    yield call("word-crlf-from", From="<sip:1%0d%0aX-Injected%3a1@x.example>;tag=1")
    yield call("word-cr-display", From=f'"A\r{inject}" <sip:1@x.example>;tag=1')
    yield call("word-fold-display", From=f'"A\r\n {inject}" <sip:1@x.example>;tag=1')
    yield call("word-fold-contact", Contact=f"<sip:a\r\n {inject}@{who.address}>")
    yield call("word-cr-contact", Contact=f"<sip:a\r{inject}@{who.address}>")
    yield call("word-fold-uri", From=f"<sip:a\r\n {inject}@x.example>;tag=1")
    yield call("word-p-header", extra=f"P-Asserted-Identity: <sip:a\r\n {inject}@x.example>\r\n")
    yield call("word-p-cr", extra=f"P-Charging-Vector: a\r{inject}\r\n")
    yield call("word-nul-display", From='"A\0B" <sip:1@x.example>;tag=1')
    yield call("word-nul-header", extra="Subject: A\0B\r\n")
    yield call("word-nul-call-id", Call_ID=f"nul\0{who.name}{who.transport}@torture")
    garbage = b"\xff\xfe\xc3\x28\xed\xa0\x80".decode("utf-8", "surrogateescape")
    yield call("word-utf8-broken", From=f'"{garbage}" <sip:1@x.example>;tag=1')
    yield call("word-utf8", From='"Приветствие 你好 🙂" <sip:1@x.example>;tag=1')
    yield call("word-utf8-header", extra=f"Subject: {garbage}\r\n")
    yield call("word-utf8-number", uri=f"sip:{garbage}@{who.target}")
    yield call("word-quote", From='"no end <sip:1@x.example>;tag=1', may=False)
    yield call("word-angle", From="<sip:1@x.example;tag=1", may=False)
    yield call("word-script", uri=f"sip:$rU$(var(x))@{who.target}")
    yield call("word-regex", From='"/.*/\\" <sip:(.*)[@x.example>;tag=1', may=False)
    yield call("word-slashes", uri=f"sip:a/b\\c@{who.target}")
    yield call("word-format", From='"%s%n%s" <sip:%25s@x.example>;tag=1')
    yield call("word-folded", extra="Subject: one\r\n two\r\n\tthree\r\n")
    yield call("word-continued-first", extra=" folded at once\r\n")
    yield call("word-no-colon", extra="This line has no colon\r\n")
    yield call("word-empty-name", extra=": nothing\r\n")
    compact = make.request("word-compact")
    for long, short in (
        (b"Via", b"v"),
        (b"From", b"f"),
        (b"To", b"t"),
        (b"Call-ID", b"i"),
        (b"Contact", b"m"),
        (b"Content-Type", b"c"),
        (b"Content-Length", b"l"),
    ):
        compact = compact.replace(b"\r\n" + long + b":", b"\r\n" + short + b" :", 1)
    yield Case("word-compact", compact, may_reach=True)
    shouted = make.request("word-shouted").replace(b"Via:", b"VIA:").replace(b"To:", b"tO \t:")
    yield Case("word-shouted", shouted, may_reach=True)
    for twice in ("From", "To", "Call-ID", "Contact", "Max-Forwards"):
        name = f"twice-{twice.lower()}"
        value = make.lines(name)[twice]
        extra = f"{twice}: {value.replace('+49', '+48').replace(';tag=f', ';tag=g')}\r\n"
        yield call(name, extra=extra)
    yield call("require-unknown", extra="Require: nothingSupportsThis\r\n", may=True)
    yield call("proxy-require", extra="Proxy-Require: nothingSupportsThis\r\n", may=False)
    yield call("expires-word", extra="Expires: soon\r\n", may=False)
    yield call("trusted-headers", extra="X-MS-Forged: 1\r\nReplaces: a;to-tag=1;from-tag=2\r\n")


def fine(who: Who) -> Iterator[Case]:
    """Unusual, and right: it must reach the other side."""
    make, here = Maker(who), who.address

    def call(name: str, **more: str) -> Case:
        return Case(f"fine-{name}", make.request(f"fine-{name}", **more), may_reach=True)

    yield call("plain")
    yield call("contact-bare", Contact=f"sip:+493055520@{here}:5060")
    yield call("contact-named", Contact=f'"A <b> \\"c\\"" <sip:+493055520@{here}>;+sip.x="<y>"')
    yield call("contact-folded", Contact=f"\r\n <sip:+493055520@{here}>;\r\n\tq=1")
    yield call("contact-no-user", Contact=f"<sip:{here}:5060>")
    yield call("from-no-user", From=f"<sip:{here}>;tag=1")
    yield call("from-tel", From="<tel:+493055520>;tag=1")
    yield call("anonymous", From='"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1')
    yield call("star-hash", uri=f"sip:*31#{who.number[1:]}@{who.target};user=phone")
    yield call("separators", uri=f"sip:+49(30)555-5.2~1@{who.target}")
    yield call("context", uri=f"sip:5552;phone-context=+4930@{who.target};user=phone")
    yield call("escaped", uri=f"sip:%2B49305552%23@{who.target}")
    yield call("password", uri=f"sip:{who.number}:secret@{who.target}")
    yield call("privacy", extra="Privacy: id\r\nProxy-Require: privacy\r\n")
    yield call("forwards-1", Max_Forwards="1")
    yield call("cseq-most", CSeq="2147483647 INVITE")
    yield call("tags", From="<sip:1@x.example>;tag=a-b.!%*_+`'~")
    yield call("header-12k", extra=f"Subject: {'x' * 12000}\r\n")
