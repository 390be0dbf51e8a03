# SPDX-License-Identifier: Apache-2.0
"""``python -m hil.engines.tflm_probe < FILE``: bytes of the smallest arena that allocates FILE.

A process of its own, since TFLM may abort it: see `hil.engines.tflm.measure`.
"""

from __future__ import annotations

import sys

from tflite_micro import runtime

STEP = 16  # TFLM aligns every buffer to it
SMALLEST, LARGEST = 4096, 64 << 20


def allocates(model: bytes, size: int) -> bool:
    """TFLM can place every tensor of ``model`` in ``size`` bytes."""
    try:
        runtime.Interpreter.from_bytes(model, arena_size=size)
    except RuntimeError:
        return False
    return True


def smallest_arena(model: bytes) -> int:
    """By bisection, in steps of 16 bytes; 0 when none is large enough."""
    size = SMALLEST
    while not allocates(model, size):
        size *= 2
        if size > LARGEST:
            return 0
    low, high = size // 2 // STEP, size // STEP
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if allocates(model, middle * STEP) else (middle, high)
    return high * STEP


if __name__ == "__main__":
    found = smallest_arena(sys.stdin.buffer.read())
    sys.stdout.write(f"{found}\n" if found else "")
