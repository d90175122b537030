"""Start real RTPEngines on loopback and put a call with real media through them."""

from __future__ import annotations

import math
import re
import socket
import struct
import subprocess
import wave
from dataclasses import dataclass, field
from pathlib import Path

import lanes

import rtpengine_ng as ng


@dataclass
class Daemon:
    """A running RTPEngine; ``version`` is (10, 5), (12, 5) or (26, 0)."""

    version: tuple[int, int]
    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    client: ng.Client

    @property
    def tone(self) -> Path:
        """Two seconds of a tone, 8 kHz, 16 bit."""
        return self.folder / "tone.wav"

    def stop(self) -> None:
        """End it; it has no calls any more that would need time."""
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(generation: str, folder: Path, *more: str) -> Daemon:
    """Start the daemon of *generation* with *more* options and wait until it answers."""
    enter: list[str] = []
    if root := lanes.root(generation):
        enter = ["bwrap", "--die-with-parent", "--bind", str(root), "/"]
        enter += ["--dev", "/dev", "--proc", "/proc", "--bind", str(folder), str(folder)]
    said = subprocess.run(
        [*enter, "rtpengine", "--version"], capture_output=True, text=True, check=True
    )
    number = re.search(r"(\d+)\.(\d+)", said.stdout + said.stderr)
    assert number is not None
    port = free_port()
    lowest = 20_000 + port % 100 * 100
    log = (folder / "rtpengine.log").open("wb")
    process = subprocess.Popen(
        [
            *enter,
            *("rtpengine", "--config-file=none", "--table=-1", "--foreground", "--log-stderr"),
            *("--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{port}", "--log-level=6"),
            *(f"--port-min={lowest}", f"--port-max={lowest + 400}", "--delete-delay=0"),
            *(f"--recording-dir={folder}/recordings", f"--pidfile={folder}/rtpengine.pid"),
            *more,
        ],
        stdout=log,
        stderr=log,
    )
    log.close()
    write_tone(folder / "tone.wav")
    client = ng.Client("127.0.0.1", port, pauses=(0.05,) * 100)
    daemon = Daemon((int(number[1]), int(number[2])), port, folder, process, client)
    try:
        client.ask(ng.Ping())
    except ng.NoAnswer:
        daemon.stop()
        raise
    return daemon


def free_port() -> int:
    """Return a UDP port of 127.0.0.1 that nobody used a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_tone(path: Path) -> None:
    """Write two seconds of a tone."""
    with wave.open(str(path), "wb") as tone:
        tone.setnchannels(1)
        tone.setsampwidth(2)
        tone.setframerate(8000)
        samples = (int(8000 * math.sin(n / 4)) for n in range(16_000))
        tone.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


def media_socket() -> socket.socket:
    """Return a UDP socket for one party's media; it waits two seconds at most."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(2)
    return made


def sdp(port: int, mode: str = "sendrecv") -> str:
    """Describe a party that takes A-law and DTMF events on *port*."""
    lines = (
        *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"),
        *(f"m=audio {port} RTP/AVP 8 101", "a=rtpmap:8 PCMA/8000"),
        *("a=rtpmap:101 telephone-event/8000", f"a={mode}"),
    )
    return "".join(f"{line}\r\n" for line in lines)


def port_of(description: str) -> int:
    """Return the media port of a description."""
    found = re.search(r"^m=audio (\d+) ", description, re.MULTILINE)
    assert found is not None, description
    return int(found[1])


@dataclass
class Call:
    """An answered call, caller ``ft`` and callee ``tt``, with media flowing both ways."""

    daemon: Daemon
    call_id: str
    flags: tuple[str, ...] = ("inject-DTMF", "trust-address")
    caller: socket.socket = field(default_factory=media_socket)
    callee: socket.socket = field(default_factory=media_socket)
    other: socket.socket = field(default_factory=media_socket)
    sent: dict[socket.socket, int] = field(default_factory=dict)

    def set_up(self) -> None:
        """Offer, answer, and three packets each way."""
        offered = self.daemon.client.ask(
            ng.Offer(
                call_id=self.call_id,
                from_tag="ft",
                sdp=sdp(self.caller.getsockname()[1]),
                flags=self.flags,
                label="caller",
            )
        )
        answered = self.daemon.client.ask(
            ng.Answer(
                call_id=self.call_id,
                from_tag="ft",
                to_tag="tt",
                sdp=sdp(self.callee.getsockname()[1]),
                flags=self.flags,
                label="callee",
            )
        )
        self.caller.connect(("127.0.0.1", port_of(answered.sdp)))
        self.callee.connect(("127.0.0.1", port_of(offered.sdp)))
        for _ in range(3):
            self.send(self.caller)
            self.callee.recv(2048)
            self.send(self.callee)
            self.caller.recv(2048)

    def send(self, party: socket.socket) -> int:
        """Send one packet of audio and return its sequence number.

        Each party counts for itself: a transcoding daemon waits for numbers that are missing.
        """
        number = self.sent[party] = self.sent.get(party, 0) + 1
        header = struct.pack("!BBHII", 0x80, 8, number, number * 160, party.fileno())
        party.send(header + b"\xd5\x55" * 80)
        return number

    def hang_up(self) -> None:
        """Delete the call and close the sockets."""
        self.daemon.client.ask(ng.Delete(call_id=self.call_id, delete_delay=0))
        for party in (self.caller, self.callee, self.other):
            party.close()


def sequence_of(packet: bytes) -> int:
    """Return the sequence number of an RTP packet."""
    number: int = struct.unpack_from("!H", packet, 2)[0]
    return number
