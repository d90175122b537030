"""DNS and SIP peers for a test machine: small real servers on real sockets.

    python peers.py FOLDER NAMESERVER TLS-ADDRESS... -- UDP-ADDRESS...

DNS answers A questions from FOLDER/names (``name address`` lines, read at every question, so a
test can change it); everything else does not exist. SIP answers every request with 200, over TLS
on port 5061 with FOLDER/peer.{chain,key}, or FOLDER/ADDRESS.{chain,key} where there is one, and
over UDP on port 5060; the first line of each INVITE over UDP is added to FOLDER/heard. Where there
is FOLDER/ADDRESS.asks, who dials must show a certificate of FOLDER/ca.pem: a line for each request
is added to FOLDER/shown. ``ready`` goes to stdout.
"""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
import struct
import sys
from pathlib import Path

LENGTH = re.compile(rb"(?im)^content-length: *([0-9]+)")
KEPT = ("via", "from", "to", "call-id", "cseq", "record-route")


def answer_sip(request: bytes) -> bytes:
    """A 200 for a request, or nothing for an answer."""
    lines = request.decode("utf-8", "replace").split("\r\n")
    if lines[0].startswith("SIP/2.0") or not lines[0]:
        return b""
    kept = [line for line in lines if line.split(":")[0].lower() in KEPT]
    if lines[0].startswith("INVITE"):
        kept = [f"{line};tag=p" if line.lower().startswith("to:") else line for line in kept]
        kept.append(f"Contact: <{lines[0].split()[1]}>")
    return "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode()


def heard(request: bytes, file: Path) -> bytes:
    """Note a call, and answer."""
    if request.startswith(b"INVITE "):
        with file.open("ab") as notes:
            notes.write(request.partition(b"\r\n")[0] + b"\n")
    return answer_sip(request)


def answer_dns(question: bytes, names: Path) -> bytes:
    """The A record of a name, or NXDOMAIN."""
    labels, place = [], 12
    while length := question[place]:
        labels.append(question[place + 1 : place + 1 + length].decode())
        place += 1 + length
    asked = question[12 : place + 5]
    known = dict(line.split() for line in names.read_text().splitlines())
    address = known.get(".".join(labels).lower())
    wants_a = question[place + 1 : place + 3] == b"\0\1"
    code = 0x8580 if address else 0x8583
    head = question[:2] + struct.pack("!HHHHH", code, 1, 1 if address and wants_a else 0, 0, 0)
    if not address or not wants_a:
        return head + asked
    packed = bytes(int(part) for part in address.split("."))
    return head + asked + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + packed


class Udp(asyncio.DatagramProtocol):
    """Answers each datagram by a function."""

    def __init__(self, answer):
        self.answer = answer

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if reply := self.answer(data):
            self.transport.sendto(reply, addr)


def shown(request: bytes, writer: asyncio.StreamWriter) -> str:
    """Method, names and serial of the certificate that came with it, Via and Contact."""
    lines = request.decode("utf-8", "replace").split("\r\n")
    contact = next((line for line in lines if line.lower().startswith("contact:")), "")
    held = writer.get_extra_info("peercert") or {}
    names = ",".join(sorted(name for _, name in held.get("subjectAltName", ())))
    serial = held.get("serialNumber", "")
    via = next(line for line in lines if line.lower().startswith("via:")).split()[2]
    via = via.partition(";")[0]
    return f"{lines[0].split()[0]} {names} {serial} {via} {contact.partition(' ')[2]}\n"


async def on_tls(reader, writer, notes: Path | None = None):
    """Answer every request of one connection."""
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            if notes:
                with notes.open("a") as file:
                    file.write(shown(request, writer))
            length = int(next(iter(LENGTH.findall(request)), 0))
            await reader.readexactly(length)
            writer.write(answer_sip(request))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def main(folder: Path, nameserver: str, tls: list[str], udp: list[str]) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(
        lambda: Udp(lambda data: answer_dns(data, folder / "names")), (nameserver, 53)
    )
    for address in udp:
        await loop.create_datagram_endpoint(
            lambda: Udp(lambda data: heard(data, folder / "heard")), (address, 5060)
        )
    for address in tls:
        name = address if (folder / f"{address}.chain").exists() else "peer"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{name}.chain", folder / f"{name}.key")
        answer = on_tls
        if (folder / f"{address}.asks").exists():
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(folder / "ca.pem")
            answer = functools.partial(on_tls, notes=folder / "shown")
        await asyncio.start_server(answer, address, 5061, ssl=context)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    _, folder, nameserver, *rest = sys.argv
    split = rest.index("--")
    asyncio.run(main(Path(folder), nameserver, rest[:split], rest[split + 1 :]))
