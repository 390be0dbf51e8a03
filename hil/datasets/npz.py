# SPDX-License-Identifier: Apache-2.0
"""A user's own arrays: an ``.npz`` file with the samples in an array ``x``, or in one array per
input of the model, and, if it has labels, ``y``; or an ``.npy`` file with the samples alone."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hil.core.errors import DataError
from hil.core.records import Dataset
from hil.core.text import printable
from hil.datasets.arrays import (
    HINT,
    NUMBERS,
    STRINGS,
    Array,
    as_samples,
    kind,
    load_npy,
    member,
    name_of,
    reading,
    sha256_of,
)
from hil.datasets.labels import Answers, answers, unlabelled

_LABELS, _CLASSES = "y", "classes"


def load_npz(path: Path | str) -> Dataset:
    """Samples and labels of an ``.npz``; see `read_npz`."""
    return read_npz(Path(path))[0]


def read_npz(path: Path) -> tuple[Dataset, str]:
    """Load samples and labels.

    Args:
        path: an ``.npz`` with ``x`` (n, ...) of a `DType` or of floats, or several such arrays
            named like the model's inputs; ``y``, if there are labels or targets (see
            `hil.datasets.labels`); and ``classes``, names of the labels. Beside ``x`` and ``y``,
            arrays that are not samples are ignored.

    Returns:
        The data set, named after the file, split ``user``, ids ``<name>-00042``; the
        fingerprint is the SHA-256 of the file. And a note on ``y``, usually empty. Large arrays
        that are not compressed are mapped.

    Raises:
        DataError: the file or its arrays are not as described.
    """
    where = printable(str(path))
    with reading(path):
        sha256 = sha256_of(path)
        if not zipfile.is_zipfile(path):
            raise DataError(f"{where} is not an .npz file", HINT)
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            keys = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
            if any(key in members for key in ("x", _LABELS)) or len(keys) < len(members):
                raise DataError(f"{where} holds files that are not arrays", HINT)
            special = [key for key in (_LABELS, _CLASSES) if key in keys]
            if _CLASSES in special and kind(archive, _CLASSES) not in STRINGS:
                special.remove(_CLASSES)  # an input of that name
            found = {key: member(path, archive, key, NUMBERS + STRINGS) for key in special}
            y, names = found.get(_LABELS), found.get(_CLASSES)
            arrays = _arrays(path, archive, [key for key in keys if key not in special], y)
        x = arrays.get("x", next(iter(arrays.values())))
        right = unlabelled(len(x)) if y is None else answers(y, len(x), f"y in {where}", names)
    named = {} if list(arrays) == ["x"] else arrays
    return dataset(name_of(path), x, right, sha256, named), right.note


def read_npy(path: Path) -> Dataset:
    """The samples of an ``.npy``; see `read_npz`."""
    with reading(path):
        sha256 = sha256_of(path)
        x = as_samples(load_npy(path), printable(str(path)))
    return dataset(name_of(path), x, unlabelled(len(x)), sha256)


def from_arrays(x: Array, y: Array | None = None, name: str = "arrays") -> Dataset:
    """Samples, and labels or targets, that are in memory already; copied.

    ``x`` and ``y`` are as in `read_npz`; ``name`` is what reports call them. The fingerprint is the
    SHA-256 of types, shapes and values.
    """
    samples = as_samples(np.array(x, order="C"), "x")
    right = unlabelled(len(samples)) if y is None else answers(y, len(samples), "y")
    found = hashlib.sha256()
    for array in (samples, right.y, *(() if right.targets is None else (right.targets,))):
        found.update(f"{array.dtype.str} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return dataset(name, samples, right, found.hexdigest())


def dataset(
    name: str,
    x: Array,
    right: Answers,
    fingerprint: str,
    named: dict[str, Array] | None = None,
    ids: Sequence[str] = (),
) -> Dataset:
    """Samples and their right answers, made read-only; ``ids`` default to ``<name>-00042``."""
    named = named or {}
    targets = () if right.targets is None else (right.targets,)
    for array in (x, *named.values(), right.y, *targets):
        array.setflags(write=False)
    return Dataset(
        name,
        "user",
        tuple(ids) or tuple(f"{name}-{i:05d}" for i in range(len(x))),
        x,
        right.y,
        fingerprint,
        named,
        right.targets,
        right.classes,
    )


def _arrays(
    path: Path, archive: zipfile.ZipFile, keys: Sequence[str], y: Array | None
) -> dict[str, Array]:
    """The arrays of samples, all of one length, by name."""
    where = printable(str(path))
    if not keys:
        raise DataError(f"{where} has no array x", HINT)
    found: dict[str, Array] = {}
    for key in sorted(keys, key="x".__ne__):  # x first
        shown = printable(key)
        try:
            found[shown] = as_samples(member(path, archive, key), f"{shown} in {where}")
        except DataError:
            if key == "x" or "x" not in keys:
                raise
            if y is None:
                raise DataError(
                    f"{where} has no array y, but {shown}.npy",
                    "name the labels y, or save x alone: samples without labels",
                ) from None
    if "x" in found and y is not None:  # what does not belong to the samples is ignored
        found = {key: one for key, one in found.items() if len(one) == len(found["x"])}
    lengths = {key: len(values) for key, values in found.items()}
    if len(set(lengths.values())) > 1:
        words = ", ".join(f"{n} in {key}" for key, n in lengths.items())
        raise DataError(f"{where} has arrays of different lengths: {words} samples", HINT)
    return found
