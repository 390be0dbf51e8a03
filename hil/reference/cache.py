# SPDX-License-Identifier: Apache-2.0
"""Outputs cached on disk, so that the host computes 10,000 digits only once."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import StorageError
from hil.core.files import locked, replace_file
from hil.reference.interpreters import Progress, Reference

BATCH: Final = 1024
Encode: TypeAlias = Callable[[npt.NDArray[np.generic]], npt.NDArray[np.generic]]


def predict_cached(
    reference: Reference,
    x: npt.NDArray[np.generic],
    *,
    fingerprint: str,
    ids: Sequence[str],
    directory: Path,
    progress: Progress | None = None,
    encode: Encode = lambda samples: samples,
) -> npt.NDArray[np.generic]:
    """`Reference.predict`, cached by model, data, samples, interpreter and its version.

    ``encode`` turns samples into the model's input values. It is called once per batch, since the
    values may take four times the memory of the samples, and not at all for a cached result. A
    damaged entry is computed again. If the directory is not writable, nothing is cached.
    """
    place = directory / f"{_key(reference, fingerprint, ids)}.outputs"
    found = _read_entry(place)
    spec = reference.graph.output
    expected = (len(x), spec.elements), spec.dtype.numpy
    if found is not None and (found.shape, found.dtype) == expected:
        if progress:
            progress(len(x), len(x))
        return found
    with contextlib.ExitStack() as held:
        with contextlib.suppress(StorageError):  # a read-only disk
            # one process computes an entry: parallel runs often need the same one
            held.enter_context(locked(place.with_suffix(".lock")))
        found = _read_entry(place)
        if found is not None and (found.shape, found.dtype) == expected:
            return found
        result = _in_batches(reference, x, progress, encode)
        with contextlib.suppress(StorageError):
            _write_entry(place, result)
    return result


def _in_batches(
    reference: Reference,
    x: npt.NDArray[np.generic],
    progress: Progress | None,
    encode: Encode,
) -> npt.NDArray[np.generic]:
    spec = reference.graph.output
    result = np.empty((len(x), spec.elements), spec.dtype.numpy)
    for start in range(0, len(x), BATCH):

        def report(done: int, _: int, start: int = start) -> None:
            if progress:
                progress(start + done, len(x))

        batch = x[start : start + BATCH]
        result[start : start + len(batch)] = reference.predict(encode(batch), report)
    return result


def _key(reference: Reference, fingerprint: str, ids: Sequence[str]) -> str:
    parts = (reference.graph.sha256, reference.name, reference.version, fingerprint, *ids)
    # lengths keep ("ab", "c") and ("a", "bc") apart
    return hashlib.sha256("".join(f"{len(p)}:{p}" for p in parts).encode()).hexdigest()


def _read_entry(place: Path) -> npt.NDArray[np.generic] | None:
    try:
        stored = place.read_bytes()
    except OSError:
        return None
    digest, payload = stored[:32], stored[32:]
    if hashlib.sha256(payload).digest() != digest:
        return None
    found: npt.NDArray[np.generic] = np.load(io.BytesIO(payload), allow_pickle=False)
    return found


def _write_entry(place: Path, result: npt.NDArray[np.generic]) -> None:
    memory = io.BytesIO()
    np.save(memory, result, allow_pickle=False)
    payload = memory.getvalue()
    replace_file(place, hashlib.sha256(payload).digest() + payload)
