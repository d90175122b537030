"""Throw damaged messages and random bytes at the decoder; only EncodingError may come out.

Run it alone for as long as you like::

    python tests/fuzz/fuzz_bencode.py --count 1000000 --seed 1

The same seed makes the same inputs. tests/ng/test_fuzz.py runs a short slice of it. What was
accepted must be written again as the very same bytes (rule 2 of bencode.py).
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import rtpengine_ng as ng
from rtpengine_ng import bencode

VALID = (
    ng.write_request(ng.Ping()),
    ng.write_request(
        ng.Offer(
            call_id="a84b4c76e66710@example.com",
            from_tag="1928301774",
            sdp="v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nm=audio 4000 RTP/AVP 8\r\n",
            replace=("origin", "session-connection"),
            codec={"strip": ("SILK", "SIREN")},
            tos=184,
        )
    ),
    ng.write_request(ng.PlayMedia(call_id="c", from_tag="f", blob=bytes(range(256)), db_id=-7)),
    (
        b"d7:createdi1795394404e4:SSRCde4:tagsd2:ftd3:tag2:ft6:mediasld5:indexi1e7:streamsl"
        b"d5:statsd7:packetsi3e5:bytesi516eeeeeeee6:result2:oke"
    ),
    b"d6:result5:error12:error-reason15:Unknown call-ide",
    b"l" * 31 + b"i0e" + b"e" * 31,
)
PIECES = (
    b"d", b"l", b"e", b"i", b":", b"-", b"0", b"00", b"-0", b"9" * 25, b"65507:", b"i1e", b"1:a",
    b"d1:a", b"l" * 40, b"\xff", b"\0", b" ", b"99999999999999999999:", b"1_0:", b"+1:",
)  # fmt: skip


def inputs(count: int, seed: int) -> Iterator[bytes]:
    """Yield *count* inputs: three damaged messages, one soup of pieces, one of random bytes."""
    source = random.Random(seed)
    for number in range(count):
        match number % 5:
            case 0:
                yield source.randbytes(source.randrange(64))
            case 1:
                yield b"".join(source.choices(PIECES, k=source.randrange(20)))
            case _:
                yield damaged(source)


def damaged(source: random.Random) -> bytes:
    """Return a valid message after one to four random changes."""
    message = bytearray(source.choice(VALID))
    for _ in range(source.randint(1, 4)):
        start = source.randrange(len(message) + 1)
        end = min(len(message), start + source.randrange(6))
        match source.randrange(6):
            case 0:
                del message[start:end]
            case 1:
                message[start:start] = source.choice(PIECES)
            case 2:
                message[start:end] = source.randbytes(end - start)
            case 3:
                del message[start:]
            case 4:
                message[start:start] = message[start:end]
            case _:
                message[start:end] = source.choice(VALID)
    return bytes(message)


def run(count: int, seed: int) -> tuple[int, int]:
    """Decode all inputs; return how many were accepted and how many refused.

    Raises AssertionError when an accepted input is written differently; whatever else comes out
    is a bug in the decoder.
    """
    accepted = refused = 0
    for data in inputs(count, seed):
        try:
            value = bencode.decode(data)
        except ng.EncodingError:
            refused += 1
            continue
        if bencode.encode(value) != data:
            raise AssertionError(f"written differently: {data!r}")
        accepted += 1
    return accepted, refused


def main() -> None:
    """Run from the command line and print one line."""
    parser = argparse.ArgumentParser(description="Fuzz the bencode decoder.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    accepted, refused = run(options.count, options.seed)
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{options.count} inputs, {accepted} accepted, {refused} refused by EncodingError, "
        f"0 other exceptions, {seconds:.1f} s\n"
    )


if __name__ == "__main__":
    main()
