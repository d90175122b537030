"""A second of music for who is held: a tone, so short that it must begin again in every story."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

_RATE = 8000
_PITCH = 440
_LOUD = 8000


def write(place: Path) -> None:
    """Write a WAV file of one second: one channel, 16 bit, 8000 samples a second."""
    samples = (round(_LOUD * math.sin(2 * math.pi * _PITCH * n / _RATE)) for n in range(_RATE))
    with wave.open(str(place), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
