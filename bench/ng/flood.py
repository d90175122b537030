"""As many questions as a RTPEngine answers, put as cheaply as Python can: its own ceiling.

    python flood.py PORT KIND COUNT OUTSTANDING NAME

All datagrams are written beforehand. Then so many are under way, sent and read by ``sendmmsg``
and ``recvmmsg``, and only counted. "ready" is said when they are written, and a line on stdin
starts it; answers and processor time come as JSON. KIND is ``ping``, or ``offer``: so many calls
are offered, and when all of the offers are answered, deleted again, because the daemon's threads
overtake each other.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import rtpengine_ng as ng

WAIT_FOR_ONE = 0x10000
"""``MSG_WAITFORONE``: the first answer is waited for, and no other."""
ROOM = 4096
"""No answer is longer."""
PATIENCE = 1
"""Seconds without any answer after which what is under way counts as lost."""
SDP = "".join(
    f"{line}\r\n"
    for line in (
        *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"),
        *("m=audio 40000 RTP/AVP 8 101", "a=rtpmap:8 PCMA/8000"),
        *("a=rtpmap:101 telephone-event/8000", "a=sendrecv", "a=ptime:20"),
    )
)
GOOD = {"ping": b"6:result4:pong", "offer": b"6:result2:ok"}


class Vector(ctypes.Structure):
    """``struct iovec``."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class Header(ctypes.Structure):
    """``struct msghdr``."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint),
        ("vectors", ctypes.POINTER(Vector)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Message(ctypes.Structure):
    """``struct mmsghdr``."""

    _fields_ = (("header", Header), ("length", ctypes.c_uint))


def offer(call: str) -> ng.Offer:
    """What a call from a trunk to Teams is offered with."""
    return ng.Offer(
        call_id=call,
        from_tag="ft",
        sdp=SDP,
        transport_protocol="RTP/SAVP",
        replace=("origin",),
        ice="remove",
        rtcp_mux=("demux",),
    )


def delete(call: str) -> ng.Delete:
    return ng.Delete(call_id=call, delete_delay=0)


def questions(kind: str, count: int, outstanding: int, name: str) -> list[bytes]:
    """The datagrams, each with a cookie of its own: offers of a turn, then their deletes."""
    if kind == "ping":
        payloads = [ng.write_request(ng.Ping())] * count
    else:
        payloads = []
        for turn in range(count // outstanding // 2):
            calls = [f"{name}-{turn}-{place}@bench" for place in range(outstanding)]
            payloads += [ng.write_request(offer(call)) for call in calls]
            payloads += [ng.write_request(delete(call)) for call in calls]
    return [b"%s_%d " % (name.encode(), n) + each for n, each in enumerate(payloads)]


def vectors(buffers: list[ctypes.Array]) -> ctypes.Array:
    """Messages of one buffer each."""
    made = (Message * len(buffers))()
    for message, buffer in zip(made, buffers, strict=True):
        vector = Vector(ctypes.addressof(buffer), len(buffer))
        message.header.vectors, message.header.count = ctypes.pointer(vector), 1
    return made


def flood(port: int, kind: str, datagrams: list[bytes], outstanding: int) -> tuple[int, int]:
    """Ask all of them; how many were answered, and how many of the looked-at answers were bad."""
    is_sliding = kind == "ping"
    libc = ctypes.CDLL(None, use_errno=True)
    asked = [ctypes.create_string_buffer(each, len(each)) for each in datagrams]
    heard = [ctypes.create_string_buffer(ROOM) for _ in range(outstanding)]
    out, into = vectors(asked), vectors(heard)
    each = ctypes.sizeof(Message)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooding:
        flooding.connect(("127.0.0.1", port))
        patience = struct.pack("ll", PATIENCE, 0)
        flooding.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        handle = flooding.fileno()
        say("ready")
        sys.stdin.readline()
        sent = answered = bad = 0
        while answered < len(datagrams):
            free = min(outstanding - (sent - answered), len(datagrams) - sent)
            if free == outstanding or (free and is_sliding):
                where = ctypes.byref(out, sent * each)
                sent += max(0, libc.sendmmsg(handle, where, free, 0))
            came = libc.recvmmsg(handle, into, outstanding, WAIT_FOR_ONE, None)
            if came <= 0:
                break
            answered += came
            last = heard[came - 1].raw[: into[came - 1].length]
            bad += GOOD[kind] not in last
    return answered, bad


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main(port: str, kind: str, count: str, outstanding: str, name: str) -> None:
    datagrams = questions(kind, int(count), int(outstanding), f"{os.getpid():x}{name}")
    written = time.process_time()
    answered, bad = flood(int(port), kind, datagrams, int(outstanding))
    told = {"asked": len(datagrams), "answered": answered, "bad": bad}
    say(json.dumps({**told, "cpu": time.process_time() - written}))


if __name__ == "__main__":
    main(*sys.argv[1:])
