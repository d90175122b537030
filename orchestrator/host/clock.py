"""The clock of this machine: whether somebody keeps it right, as the kernel knows (adjtimex)."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

_UNSYNCHRONIZED = 0x0040
_ERROR = 5


@dataclass(frozen=True, slots=True)
class Steered:
    """What the kernel says about its clock.

    Attributes:
        kept: Whether a time service keeps it right; None when the kernel does not tell.
        error: How far it may be off by the kernel's estimate, in seconds.
    """

    kept: bool | None
    error: float = 0.0


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex`` (adjtimex(2)); the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def read() -> Steered:
    """Ask the kernel; nothing is set."""
    asked = _Timex(modes=0)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return Steered(kept=None)
    if state < 0:
        return Steered(kept=None)
    kept = state != _ERROR and not asked.status & _UNSYNCHRONIZED
    return Steered(kept=kept, error=asked.maxerror / 1e6)
