# SPDX-License-Identifier: Apache-2.0
"""A user's pictures: a damaged PNG or JPEG in a folder of a class."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from hil.core.errors import HilError
from hil.datasets.pictures import Size, read_pictures
from tests.fuzz.damage import bytes_like


def _saved(mode: str, kind: str, **options: object) -> bytes:
    memory = io.BytesIO()
    pixels = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(pixels).convert(mode).save(memory, kind, **options)
    return memory.getvalue()


SEEDS = [
    _saved("RGB", "PNG"),
    _saved("L", "PNG"),
    _saved("P", "PNG"),
    _saved("1", "PNG"),
    _saved("RGBA", "PNG"),
    _saved("RGB", "PNG", compress_level=0),
    _saved("RGB", "JPEG"),
    _saved("L", "JPEG", progressive=True),
    _saved("CMYK", "JPEG"),
]


def damage(random: Random, data: bytes) -> bytes:
    """Bytes change, or are cut out, repeated or exchanged with those of another picture."""
    return bytes_like(random, data, SEEDS)


def check(data: bytes, folder: Path) -> None:
    """As it is, and scaled; refused only if both are."""
    (folder / "a").mkdir(exist_ok=True)
    (folder / "a" / "1.png").write_bytes(data)
    refusals = []
    for size in (None, Size(4, 4, 3)):
        try:
            found, _ = read_pictures(folder, size)
        except HilError as problem:
            refusals.append(problem)
        else:
            assert found.x.dtype == np.uint8
            assert found.x.shape[3] in (1, 3)
    if len(refusals) == 2:
        raise refusals[0]
