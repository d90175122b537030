"""Everything an SBC must survive, and RFC 4475 first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import bad_bodies
import bad_heads
import bad_ways
import rfc4475
from bad_input import Case, Who


def of_rfc(who: Who) -> Iterator[Case]:
    """RFC 4475, as it is and aimed at us."""
    for name, raw in rfc4475.messages().items():
        wanted = rfc4475.WANTED[name]
        # Without an offer a call may go to a trunk, never to Teams (SIG-6).
        may = wanted.startswith("relayed") or (who.secure and name == "invut")
        codes = "" if may else wanted
        yield Case(f"{name}-asis", raw, may, codes)
        mark = f"{name}-aimed-{who.name}-{who.transport}"
        yield Case(f"{name}-aimed", rfc4475.aimed(raw, mark, who.target), may, codes)


FAMILIES: tuple[Callable[[Who], Iterator[Case]], ...] = (
    of_rfc,
    bad_bodies.bodies,
    bad_bodies.sizes,
    bad_bodies.long_values,
    bad_bodies.lengths,
    bad_heads.starts,
    bad_heads.methods,
    bad_ways.ways,
    bad_heads.words,
    bad_heads.fine,
    bad_ways.scraps,
)


REFUSED = {
    "400": "call-id-8k tag-8k "
    "no-contact no-from-tag way-contact-star way-contact-none way-contact-words "
    "number-1000 from-1000 word-crlf-number word-crlf-from word-cr-display word-fold-display "
    "word-fold-contact word-cr-contact word-fold-uri word-p-cr word-nul-display word-nul-header "
    "word-nul-call-id word-utf8-number word-slashes expires-word word-quote word-angle",
    "420": "proxy-require",
    "488": "sdp-no-media sdp-nothing-but-version sdp-words sdp-binary sdp-m-cut sdp-nul "
    "sdp-transport-0 sdp-transport-2 sdp-transport-4 sdp-transport-5 sdp-transport-6 sdp-udptl "
    "sdp-video-only sdp-port-0 sdp-port-minus sdp-port-word",
    # The last refusal is RTPEngine's, and there may be another gateway (SIG-26).
    "488 503": "sdp-port-70000 sdp-multicast sdp-name sdp-no-connection sdp-version-7",
    "501": "method-invite",
    "513": "sdp-60k header-32k header-60k vias-500 headers-1500",
    # Kamailio's parser drops them, over UDP or all, or hangs up.
    "400 488": "length-small length-none length-twice",
    "400 ": "twice-from twice-to twice-call-id twice-max-forwards cseq-twice word-continued-first "
    "word-no-colon word-empty-name",
}
"""The answers to what some SBC might pass and ours refuses: docs/decisions/0012-bad-input.md."""

_CODES = {name: codes for codes, names in REFUSED.items() for name in names.split()}


def cases(who: Who) -> tuple[Case, ...]:
    """Everything, for one sender."""
    everything = (case for family in FAMILIES for case in family(who))
    return tuple(
        dataclasses.replace(case, may_reach=False, codes=_CODES[case.name])
        if case.name in _CODES
        else case
        for case in everything
    )
