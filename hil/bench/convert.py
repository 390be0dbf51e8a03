# SPDX-License-Identifier: Apache-2.0
"""Models of Keras and TensorFlow as .tflite files: converted once, and kept in the user's cache, so
that an interrupted bench resumes with the same bytes.

The converter itself needs TensorFlow. It is in the distribution tinyml-hil-train, which registers
it as an entry point.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec
import numpy as np
import platformdirs

from hil.bench.events import Converting, Emit
from hil.core.errors import ModelError, UsageError
from hil.core.files import NO_RECORD, did_you_mean, locked, replace_file, sha256
from hil.core.host import package_versions
from hil.core.plugins import EXPORTERS, plugin
from hil.core.records import CALIBRATION, EXPORTED, Dataset, Precision
from hil.datasets import subset
from hil.runs.schema import Conversion

SUFFIXES: Final = (".keras", ".h5", ".hdf5")
_FOLDER: Final = "saved_model.pb"  # in every SavedModel folder
_PACKAGES: Final = ("keras", "tensorflow", "tinyml-hil-train")
_RECORD: Final = "conversion.json"
_FORMAT: Final = "1"  # to be raised when the same versions write other files


class Exporter(Protocol):
    """Writes ``NAME_PRECISION.tflite`` files of ``source`` into ``out``, and returns their paths.

    Ranges are taken from the first ``calibration`` samples in the order of `hil.datasets.subset`;
    float32 needs none.
    Raises ToolMissing, ModelError, UsageError or StorageError.
    """

    def __call__(
        self,
        source: Path,
        dataset: Dataset | None,
        out: Path,
        *,
        calibration: int,
        precisions: Sequence[Precision],
    ) -> Mapping[Precision, Path]: ...


@dataclass(frozen=True, slots=True)
class Converted:
    """The .tflite files of a model, all in ``folder``, and how they were made."""

    name: str
    files: Mapping[Precision, Path]
    record: Conversion
    folder: Path


class _Kept(msgspec.Struct, frozen=True):
    """What is stored beside the files: their names by precision, and their hashes."""

    record: Conversion
    names: dict[Precision, str]
    hashes: dict[str, str]


def is_source(name: str | Path) -> bool:
    """Whether a model's name is that of a file or a folder that is to be converted."""
    path = Path(name)
    return path.suffix.lower() in SUFFIXES or (path / _FOLDER).is_file()


def find_exporter(source: Path) -> Exporter:
    """The installed converter; ToolMissing, which says how to install it, if there is none."""
    found: Exporter = plugin(EXPORTERS, "keras", f"converting {source}")
    return found


def cache_folder() -> Path:
    """Where converted files are kept."""
    return platformdirs.user_cache_path("tinyml-hil") / "converted"


def converted(
    source: Path,
    data: Dataset | None,
    emit: Emit,
    *,
    precisions: Sequence[Precision] = EXPORTED,
    folder: Path | None = None,
) -> Converted:
    """Convert ``source`` to ``precisions``, and always to float32; from the cache if the same model
    was converted before, with the same samples and the same versions.

    Args:
        source: see `is_source`.
        data: up to `CALIBRATION` of its samples calibrate the ranges of integers. None: only
            float32 is written.
        emit: gets `Converting`, if that takes place.
        folder: of the cache; default: `cache_folder`.

    Raises:
        ToolMissing: the converter or TensorFlow is not installed.
        ModelError: there is no such model, or it cannot be converted.
        UsageError: the samples do not fit the model.
        StorageError: the cache cannot be written.
    """
    export = find_exporter(source)
    if data and len(data.named) > 1 and "x" not in data.named:
        raise UsageError(
            f"{data.name} has {len(data.named)} arrays of samples, {source} has one input",
            "save the samples as array x",
        )
    some = subset(data, CALIBRATION) if data else None
    precisions = tuple(dict.fromkeys((Precision.FLOAT32, *(precisions if some else ()))))
    record = _record(source, data, some)
    place = (folder or cache_folder()) / _key(record, some, precisions)
    with locked(place.with_suffix(".lock")):
        kept = _kept(place)
        if kept is None:
            emit(Converting(source.name))
            files = export(source, some, place, calibration=len(some or ()), precisions=precisions)
            names = {precision: files[precision].name for precision in precisions}
            hashes = {name: sha256(place / name) for name in names.values()}
            kept = _Kept(record, names, hashes)
            replace_file(place / _RECORD, msgspec.json.encode(kept))
    found = {precision: place / name for precision, name in kept.names.items()}
    return Converted(source.resolve().stem, found, record, place)


def _record(source: Path, data: Dataset | None, some: Dataset | None) -> Conversion:
    versions = package_versions(_PACKAGES[:2])
    low = high = 0.0
    if some:
        scale = 255 if some.x.dtype == np.uint8 else 1  # pixels
        low, high = float(np.min(some.x)) / scale, float(np.max(some.x)) / scale
    return Conversion(
        source=source.resolve().name,
        source_sha256=_digest(source),
        by=", ".join(f"{name} {version}" for name, version in versions.items()),
        data=data.name if data else "",
        split=data.split if data else "",
        fingerprint=data.fingerprint if data else "",
        n=len(some or ()),
        total=len(data or ()),
        low=low,
        high=high,
    )


def _digest(source: Path) -> str:
    """SHA-256 of a file, or of the names and hashes of all files in a folder."""
    if not source.exists():
        hint = f"{did_you_mean(source)}check the path of --model"
        raise ModelError(f"there is no file {source}", hint)
    if not source.is_dir():
        return sha256(source)
    found = hashlib.sha256()
    for file in sorted(one for one in source.rglob("*") if one.is_file()):
        found.update(os.fsencode(f"{file.relative_to(source)}\0{sha256(file)}\0"))
    return found.hexdigest()


def _key(record: Conversion, some: Dataset | None, precisions: Sequence[Precision]) -> str:
    """The name of a conversion's folder. The samples' own bytes count, not only their source:
    the same file may be read in several ways."""

    def parts() -> Iterator[str]:
        yield from (_FORMAT, record.source, record.source_sha256, *precisions)
        yield from (f"{name} {version}" for name, version in package_versions(_PACKAGES).items())
        if some:
            yield f"{some.x.dtype} {some.x.shape}"
            yield hashlib.sha256(np.ascontiguousarray(some.x).tobytes()).hexdigest()
        yield from (record.data, record.split, record.fingerprint, str(record.total))

    return hashlib.sha256("".join(f"{len(p)}:{p}" for p in parts()).encode()).hexdigest()[:32]


def _kept(place: Path) -> _Kept | None:
    """The record of a finished conversion whose files are undamaged."""
    try:
        kept = msgspec.json.decode((place / _RECORD).read_bytes(), type=_Kept)
    except (OSError, *NO_RECORD):
        return None
    whole = all(sha256(place / name) == digest for name, digest in kept.hashes.items())
    return kept if whole else None
