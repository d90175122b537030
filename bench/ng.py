"""What the library costs: a ping through `Client` against the same bytes on a bare socket.

Both ask the same peer, in turns, in one run; the figure is a ratio, so that it means the same on
every machine::

    python bench/ng.py                # against a thread that only echoes the pong
    python bench/ng.py 127.0.0.1 2223 # against a RTPEngine
"""

import contextlib
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import rtpengine_ng as ng

ROUNDS, PINGS = 20, 200


@contextlib.contextmanager
def echo() -> Iterator[int]:
    """Answer every ping on a free port, until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                datagram, sender = peer.recvfrom(2048)
                if not datagram:
                    return
                peer.sendto(datagram.partition(b" ")[0] + b" d6:result4:ponge", sender)

        thread = threading.Thread(target=serve)
        thread.start()
        port = peer.getsockname()[1]
        try:
            yield port
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"", ("127.0.0.1", port))
            thread.join()


def seconds(action: Callable[[], object]) -> float:
    """Return how long *action* takes on average."""
    began = time.perf_counter()
    for _ in range(PINGS):
        action()
    return (time.perf_counter() - began) / PINGS


def compare(host: str, port: int) -> None:
    """Print one line."""
    payload = ng.write_request(ng.Ping())
    numbers = iter(range(10**9))
    with (
        ng.Client(host, port) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bare,
    ):
        bare.connect((host, port))
        bare.settimeout(2)

        def ask_bare() -> None:
            bare.send(b"bench%d-%d " % (id(bare), next(numbers)) + payload)
            bare.recv(65_536)

        pairs = [
            (seconds(lambda: client.ask(ng.Ping())), seconds(ask_bare)) for _ in range(ROUNDS)
        ]
    ratio = statistics.median(library / plain for library, plain in pairs)
    print(f"ng ping: library / bare socket = {ratio:.2f} ({ROUNDS} rounds of {PINGS})")


if __name__ == "__main__":
    if sys.argv[1:]:
        compare(sys.argv[1], int(sys.argv[2]))
    else:
        with echo() as its_port:
            compare("127.0.0.1", its_port)
