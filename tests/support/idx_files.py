# SPDX-License-Identifier: Apache-2.0
"""Small IDX files that stand in for MNIST's."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from hil.datasets import mnist

IMAGES = (30, 28, 28)
LABELS = (30,)


def idx_bytes(shape: tuple[int, ...], seed: int, high: int = 256) -> bytes:
    elements = np.random.RandomState(seed).randint(0, high, shape).astype(np.uint8)
    header = bytes([0, 0, 8, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape)
    return header + elements.tobytes()


def contents(split: str) -> dict[str, bytes]:
    """File name -> uncompressed content of a split."""
    prefix, seed = ("t10k", 1) if split == "test" else ("train", 2)
    return {
        f"{prefix}-images-idx3-ubyte": idx_bytes(IMAGES, seed),
        f"{prefix}-labels-idx1-ubyte": idx_bytes(LABELS, seed, high=10),
    }


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the reader expect the small files and nothing of this machine."""
    files = {}
    for split in ("train", "test"):
        (images, pixels), (labels, digits) = contents(split).items()
        files[split] = (
            mnist.IdxFile(images, IMAGES, hashlib.sha256(pixels).hexdigest()),
            mnist.IdxFile(labels, LABELS, hashlib.sha256(digits).hexdigest()),
        )
    monkeypatch.setattr(mnist, "FILES", files)
    monkeypatch.setattr(mnist, "MIRRORS", ())
    monkeypatch.delenv("HIL_DATA_DIR", raising=False)


def write(folder: Path, split: str = "test", packed: bool = True) -> dict[str, Path]:
    """Write a split into ``folder``; kind ("images", "labels") -> path."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, content in contents(split).items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
        paths["images" if "images" in name else "labels"] = path
    return paths
