"""SIP by hand, as much of it as the load needs: requests of a dialog, answers, headers."""

from __future__ import annotations

import re
from dataclasses import dataclass

SBC, SBC_TEAMS, FQDN = "192.0.2.10", "203.0.113.10", "sbc.example.com"
MEDIA = (SBC, SBC_TEAMS)
"""Where RTPEngine takes audio."""
COPIED = ("via", "from", "call-id", "cseq", "record-route")
ALLOW = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS"


def header(text: str, name: str) -> str:
    """The first value of a header; empty when there is none."""
    found = re.search(rf"^{name}:[ \t]*(.*?)\r$", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def routes(text: str) -> list[str]:
    """Every Record-Route, from the top."""
    found = re.findall(r"^Record-Route:[ \t]*(.*?)\r$", text, re.MULTILINE | re.IGNORECASE)
    return [each.strip() for line in found for each in line.split(",")]


def target(text: str) -> str:
    """The URI of the Contact."""
    contact = header(text, "Contact")
    inside = re.search(r"<([^>]*)>", contact)
    return inside[1] if inside else contact


def tag(value: str) -> str:
    found = re.search(r";tag=([^;>\s]+)", value)
    return found[1] if found else ""


def branch(text: str) -> str:
    """The branch of the topmost Via."""
    found = re.search(r"branch=([^;,\s]+)", header(text, "Via"))
    return found[1] if found else ""


def code(text: str) -> int:
    """The status code of an answer; 0 for a request."""
    return int(text[8:11]) if text.startswith("SIP/2.0 ") else 0


def audio(text: str) -> tuple[str, int]:
    """Where the SDP of a message wants its audio; nowhere for one without."""
    place = re.search(r"^c=IN IP4 ([0-9.]+)", text, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", text, re.MULTILINE)
    return (place[1], int(port[1])) if place and port else ("", 0)


def srtp_key(text: str) -> str:
    """The key of who sent this SDP, in base64; empty where audio is not encrypted."""
    found = re.search(r"AES_CM_128_HMAC_SHA1_80 inline:([A-Za-z0-9+/]{40})", text)
    return found[1] if found else ""


def sdp(address: str, port: int, *, key: str = "") -> str:
    lines = ("v=0", f"o=- 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0")
    kind = "RTP/SAVP" if key else "RTP/AVP"
    voice = [f"m=audio {port} {kind} 8", "a=rtpmap:8 PCMA/8000", "a=ptime:20"]
    if key:
        voice.append(f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}")
    return "".join(f"{line}\r\n" for line in (*lines, *voice))


def answer(request: str, status: int, *, own_tag: str, contact: str = "", body: str = "") -> str:
    """An answer to *request*."""
    kept = [
        line
        for line in request.partition("\r\n\r\n")[0].split("\r\n")[1:]
        if line.partition(":")[0].lower() in COPIED
    ]
    to = header(request, "To")
    if not tag(to) and status > 100:
        to = f"{to};tag={own_tag}"
    lines = [f"SIP/2.0 {status} Said", *kept, f"To: {to}", ALLOW]
    if contact:
        lines.append(f"Contact: <{contact}>")
    if body:
        lines.append("Content-Type: application/sdp")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])


def refusal_ack(request: str, reply: str) -> str:
    """The ACK of a refused INVITE: same branch, the answer's To."""
    head = request.partition("\r\n\r\n")[0].split("\r\n")
    names = ("via", "from", "call-id", "route", "max-forwards")
    kept = [line for line in head[1:] if line.partition(":")[0].lower() in names]
    number = header(request, "CSeq").split()[0]
    first = head[0].replace("INVITE", "ACK", 1)
    lines = [first, *kept, f"To: {header(reply, 'To')}", f"CSeq: {number} ACK"]
    return "\r\n".join([*lines, "Content-Length: 0", "", ""])


@dataclass
class Side:
    """What one side of a dialog knows of it."""

    via: str
    contact: str
    local: str
    """Our From or To: URI with tag."""
    remote: str
    target: str
    """Where requests go: the other one's Contact."""
    routes: list[str]
    cseq: int = 0

    def request(self, method: str, call_id: str, mark: str, body: str = "") -> str:
        """A request of this dialog; an ACK has the number of its INVITE."""
        self.cseq += method != "ACK"
        lines = [
            f"{method} {self.target} SIP/2.0",
            f"Via: SIP/2.0/{self.via};branch=z9hG4bK{mark}",
            "Max-Forwards: 70",
            *(f"Route: {route}" for route in self.routes),
            f"From: {self.local}",
            f"To: {self.remote}",
            f"Call-ID: {call_id}",
            f"CSeq: {self.cseq} {method}",
        ]
        if method == "INVITE":
            lines += [f"Contact: <{self.contact}>", ALLOW]
        if body:
            lines.append("Content-Type: application/sdp")
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
