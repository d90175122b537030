"""Gateways by the thousand: SIP over UDP on every address of this machine, port PORT.

Every request is answered by 200, from the address it was sent to.
"""

from __future__ import annotations

import socket
import struct
import sys

import peers

IP_PKTINFO = 8
_INFO = struct.Struct("=I4s4s")


def main(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gate:
        gate.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        gate.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        gate.bind(("0.0.0.0", port))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            request, told, _, sender = gate.recvmsg(65_535, 256)
            if not (answer := peers.answer_sip(request)):
                continue
            _, _, asked = _INFO.unpack(told[0][2][: _INFO.size])
            source = _INFO.pack(0, asked, b"\0\0\0\0")
            gate.sendmsg([answer], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, sender)


if __name__ == "__main__":
    main(int(sys.argv[1]))
