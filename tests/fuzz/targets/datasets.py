# SPDX-License-Identifier: Apache-2.0
"""Data sets: IDX, gzip, a user's .npz, .npy and .csv, CIFAR-10's records and their archive."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np

from hil.core.errors import HilError
from hil.datasets import arrays, cifar10, load_npz, mnist
from hil.datasets.npz import read_npy
from hil.datasets.tables import read_csv
from tests.fuzz.damage import WORDS, bytes_like

_SHAPE = (2, 3, 4)
_RECORD = 1 + 3 * 32 * 32


def _npz(compressed: bool, **arrays: np.ndarray) -> bytes:
    memory = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(memory, **arrays)  # type: ignore[arg-type]
    return memory.getvalue()


def _tar() -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name in ("../../escaped", f"{cifar10.FOLDER}/test_batch.bin"):
            member = tarfile.TarInfo(name)
            member.size = 2 * _RECORD
            archive.addfile(member, io.BytesIO(bytes(2 * _RECORD)))
    return memory.getvalue()


_IDX = b"\0\0\x08\x03" + struct.pack(">3I", *_SHAPE) + bytes(range(24))
_X = np.arange(24, dtype=np.uint8).reshape(_SHAPE)
_Y = np.array([0, 1])
_FLOAT = _npz(False, x=_X.astype("f4"), y=_Y)
_NAMED = _npz(False, **{"a": _X, "serving_default_b:0": _X.astype("<i2"), "y": _Y})
_WORDS = _npz(True, x=_X, y=np.array(["b", "a"]), classes=np.array(["a", "b"]))
_TARGETS = _npz(False, x=_X.astype("f8"), y=_X.astype("f4"))


def _npy(array: np.ndarray) -> bytes:
    memory = io.BytesIO()
    np.save(memory, array)
    return memory.getvalue()


SEEDS = [
    _IDX,
    gzip.compress(_IDX, mtime=0),
    _npz(False, x=_X, y=_Y),
    _npz(True, x=_X, y=_Y),
    _FLOAT,
    _NAMED,
    _WORDS,
    _TARGETS,
    b"a,b\n1,2\n-3,4.5e3\n",
    b'\xef\xbb\xbf"a, c",b,d\r\n1,yes,"x"\r\n2,"no\n",\r\n',
    _npy(_X),
    _npy(np.asfortranarray(_X, "f8")),
    bytes(2 * _RECORD),
    _tar(),
]


def damage(random: Random, data: bytes) -> bytes:
    """Sizes in an .npy header become huge, types others; archives are spoilt inside as well."""
    if data[:2] == b"PK" and random.random() < 0.5:
        return _spoilt_zip(random)
    if data[:2] == b"\x1f\x8b" and random.random() < 0.5:
        with suppress(OSError, EOFError, zlib.error):  # spoilt already, where libFuzzer mutates
            inside = bytes_like(random, gzip.decompress(data), [_IDX])
            return gzip.compress(inside, mtime=0)
    return bytes_like(random, data, SEEDS)


def _spoilt_zip(random: Random) -> bytes:
    memory = io.BytesIO()
    kind = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with (
        zipfile.ZipFile(memory, "w", kind) as made,
        zipfile.ZipFile(io.BytesIO(random.choice((_FLOAT, _NAMED, _WORDS, _TARGETS)))) as good,
    ):
        for name in good.namelist():
            content = good.read(name)
            if random.random() < 0.5:
                shape = ", ".join(str(random.choice(WORDS)) for _ in range(random.randint(0, 40)))
                descr = random.choice(("|u1", "<f4", "|O", "|S9", "<U4", "[('a','<f4')]", "<i8"))
                head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape},), }}\n"
                size = struct.pack("<H", len(head))
                content = b"\x93NUMPY\x01\x00" + size + head.encode() + content[128:]
            if random.random() < 0.7:
                content = bytes_like(random, content, [content])
            made.writestr(random.choice((name, name, name, f"../{name}", name[:1])), content)
    return memory.getvalue()


def check(data: bytes, folder: Path) -> None:
    """Every reader gets every input; the first one's refusal is passed on when all refuse."""
    file = folder / "given.npz"
    file.write_bytes(data)
    refusals = []
    readers = (
        *(_read_idx, load_npz, _read_mapped, read_npy, read_csv, _read_targets),
        *(_read_records, _read_archive),
    )
    for read in readers:
        try:
            read(file)
        except HilError as problem:
            refusals.append(problem)
    if len(refusals) == len(readers):
        raise refusals[0]


def _read_idx(file: Path) -> None:
    content = mnist.read_bytes(file, 1 << 16, "hint")
    array = mnist.parse(content, _SHAPE, "given", "hint")
    assert array.shape == _SHAPE


def _read_mapped(file: Path) -> None:
    """Stored arrays of any size are mapped."""
    with mock.patch.object(arrays, "MAPPED", 0):
        load_npz(file)


def _read_targets(file: Path) -> None:
    read_csv(file, "b")


def _read_records(file: Path) -> None:
    cifar10.parse(file.read_bytes(), "given")


def _read_archive(file: Path) -> None:
    with mock.patch.object(cifar10, "RECORDS", 2):
        ((_, content),) = cifar10._members(file, cifar10.MEMBERS["test"])
    assert len(content) == 2 * _RECORD
