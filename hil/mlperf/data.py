# SPDX-License-Identifier: Apache-2.0
"""Read and export data sets as MLCommons' runner lays them out: a folder with `y_labels.csv`.

A line of `y_labels.csv` is `file,classes,class`; for anomaly detection `,bytes_to_send,stride`
follows, and the file is sent in overlapping segments. Folders are not trusted: no name may lead out
of the folder, and sizes are bounded.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import yaml

from hil import datasets
from hil.core.errors import DataError, StorageError, UsageError
from hil.core.records import Dataset
from hil.mlperf.protocol import shown

LABELS: Final = "y_labels.csv"
MAX_LABELS: Final = 64 << 20  # bytes of that file
MAX_FILE: Final = 4 << 20  # bytes of a sample; those of anomaly detection have 100,000
MAX_CLASSES: Final = 10_000
MAX_SEGMENTS: Final = 10_000
_MODEL: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # may name a folder


@dataclass(frozen=True, slots=True)
class Item:
    """One file: ``count`` segments, ``segment`` and ``stride`` in bytes; 0: sent as a whole."""

    file: str
    label: int
    segment: int = 0
    stride: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class DataFolder:
    """``fingerprint``: SHA-256 of the labels and of every file, in order."""

    path: Path
    classes: int
    items: tuple[Item, ...]
    fingerprint: str

    def segments(self, item: Item) -> tuple[bytes, ...]:
        """The byte strings to send for ``item``, in order; DataError when it cannot be read."""
        content = _read(self.path, item.file)
        if not item.segment:
            return (content,)
        starts = _starts(item, content, self.path)
        return tuple(content[start : start + item.segment] for start in starts)


def open_data(folder: Path, model: str) -> DataFolder:
    """The data set in ``folder``, or in its subfolder named after the device's model.

    Every file is read once, so that errors appear before the session begins.

    Raises:
        DataError: a file is missing, damaged, too large or outside the folder; labels are not
            numbers; a class has no file.
    """
    path = _find(folder, model)
    raw = _labels(path)
    items, classes = _parse(raw, path / LABELS)
    missing = set(range(classes)) - {item.label for item in items}
    if missing:
        few = ", ".join(map(str, sorted(missing)[:5]))
        raise DataError(
            f"{path / LABELS}: class{'es' if len(missing) > 1 else ''} {few} of {classes} "
            "without a file",
            "every class must have a file; `hil mlperf-data` writes such a data set",
        )
    digest = hashlib.sha256(raw)
    for number, item in enumerate(items):
        content = _read(path, item.file)
        if item.segment:
            items[number] = replace(item, count=len(_starts(item, content, path)))
        digest.update(hashlib.sha256(content).digest())
    return DataFolder(path, classes, tuple(items), digest.hexdigest())


def require_labels(folder: Path) -> None:
    """DataError if ``folder`` has no data set, whatever the device's model will be."""
    if not any((one / LABELS).is_file() for one in (folder, *folder.glob("*/"))):
        raise _no_labels(f"{folder} or its subfolders")


def _fit_for_path(model: str) -> bool:
    """Whether a model's id may name a folder."""
    return bool(_MODEL.fullmatch(model)) and ".." not in model


def _find(folder: Path, model: str) -> Path:
    if (folder / LABELS).is_file():
        return folder
    if _fit_for_path(model) and (folder / model / LABELS).is_file():
        return folder / model
    raise _no_labels(f"{folder} or its subfolder {shown(model)}")


def _no_labels(where: str) -> DataError:
    return DataError(
        f"no {LABELS} in {where}", "write a data set: hil mlperf-data --dataset mnist --out DIR"
    )


def _labels(path: Path) -> bytes:
    try:
        if (path / LABELS).stat().st_size > MAX_LABELS:
            raise DataError(f"{path / LABELS} has more than {MAX_LABELS >> 20} MiB", "split it")
        return (path / LABELS).read_bytes()
    except OSError as problem:
        raise DataError(
            f"{path / LABELS} cannot be read ({problem.strerror})", "fix its permissions"
        ) from problem


def _parse(raw: bytes, where: Path) -> tuple[list[Item], int]:
    """The items and the number of classes."""
    items, all_classes = [], set()
    try:
        rows: Sequence[list[str]] = list(csv.reader(raw.decode("utf-8").splitlines(), strict=True))
    except (UnicodeDecodeError, csv.Error) as problem:
        raise DataError(
            f"{where} is not valid CSV ({problem})", "a line is file,classes,class"
        ) from None
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        try:
            item, classes = _item([word.strip() for word in row])
        except ValueError as problem:
            raise DataError(
                f"{where}, line {number}: {problem}", "a line is file,classes,class"
            ) from None
        items.append(item)
        all_classes.add(classes)
    names = Counter(item.file for item in items)
    if twice := next((name for name, count in names.items() if count > 1), ""):
        raise DataError(f"{where} lists {shown(twice)} twice", "list each file once")
    if len(all_classes) != 1:
        what = "has no line" if not items else "gives different numbers of classes"
        raise DataError(f"{where} {what}", "a line is file,classes,class")
    return items, all_classes.pop()


def _item(row: Sequence[str]) -> tuple[Item, int]:
    """The item and the number of classes of one line; ValueError with the reason if invalid."""
    if len(row) not in (3, 5):
        raise ValueError(f"{len(row)} columns")
    numbers = [_number(word) for word in row[1:]]
    classes, label, segment, stride = (*numbers, 0, 0)[:4]
    if not 2 <= classes <= MAX_CLASSES:
        raise ValueError(f"{classes} classes")
    if label >= classes:
        raise ValueError(f"class {label} of {classes}")
    if len(row) == 5 and not (segment and stride):
        raise ValueError("segment or stride of 0 bytes")
    return Item(_name(row[0]), label, segment, stride), classes


def _number(word: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", word):
        raise ValueError(f"{shown(word)!r} is not a number")
    return int(word)


def _name(word: str) -> str:
    path = PurePosixPath(word)
    if not word or not word.isprintable() or "\\" in word or path.is_absolute():
        raise ValueError(f"{shown(word)!r} is not a file name in the folder")
    if ".." in path.parts or len(word) > 200:
        raise ValueError(f"{shown(word)!r} leads out of the folder")
    return word


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{folder}: {shown(name)} leads out of the folder", "remove it")
        if not path.is_file():
            raise DataError(
                f"{folder}: {shown(name)} is missing", f"add it, or remove its line from {LABELS}"
            )
        size = path.stat().st_size
        if not 0 < size <= MAX_FILE:
            raise DataError(f"{path} has {size:,} bytes", f"a sample has 1 to {MAX_FILE:,}")
        return path.read_bytes()
    except (OSError, RuntimeError) as problem:  # RuntimeError: a loop of symbolic links
        raise DataError(f"{path} cannot be read ({problem})", "fix its permissions") from problem


def _starts(item: Item, content: bytes, folder: Path) -> range:
    """The offsets of a file's segments; an incomplete last one is left out."""
    starts = range(0, len(content) - item.segment + 1, item.stride)
    if not 0 < len(starts) <= MAX_SEGMENTS:
        raise DataError(
            f"{folder}: {shown(item.file)} has {len(starts)} segments of {item.segment} bytes",
            f"it must have 1 to {MAX_SEGMENTS:,}",
        )
    return starts


TESTS: Final = {
    "a": "tests_accuracy.yaml",
    "p": "tests_performance.yaml",
    "e": "tests_energy.yaml",
}


def export(data: Dataset, out: Path, model: str = "", limit: int | None = None) -> Path:
    """Write ``out``/<data set's name>/ with one .bin file per sample and `y_labels.csv`.

    Also writes one test script each for the runner's modes, for the
    ``model`` that the device reports in `profile` (default: the data set's name). A sample's bytes
    are its values in C order, uint8 or little-endian float32. ``limit`` takes the first samples of
    the fixed stratified order, so that every class is present.

    Returns:
        The folder of the samples.

    Raises:
        DataError: the samples have no labels.
        UsageError: the folder exists, or ``limit`` leaves a class without a sample.
        StorageError: the folder cannot be written; a partial one is removed.
    """
    if not data.labelled:
        raise DataError(f"{data.name} has no labels", "MLPerf Tiny needs a class for each sample")
    model, folder = model or data.name, out / data.name
    if not model.isprintable() or "]" in model:
        raise UsageError(f"{model!r} cannot be a model's id", "use printable characters without ]")
    chosen = datasets.subset(data, limit) if limit is not None else data
    classes = int(data.y.max()) + 1
    if lacking := set(range(classes)) - set(chosen.y.tolist()):
        raise UsageError(
            f"--limit {limit} leaves {len(lacking)} of {classes} classes without a sample",
            f"use at least {classes}",
        )
    if folder.exists():
        raise UsageError(f"{folder} already exists", "choose another --out, or remove it")
    try:
        out.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=out))
        try:
            _write(chosen, classes, part)
            part.chmod(0o755)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        for mode, name in TESTS.items():
            (out / name).write_text(_tests(model, data.name, mode), "utf-8")
    except OSError as problem:
        raise StorageError(
            f"cannot write {folder} ({problem.strerror})", "free space or fix the permissions"
        ) from problem
    return folder


def _write(data: Dataset, classes: int, folder: Path) -> None:
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    values = np.ascontiguousarray(data.x, data.x.dtype.newbyteorder("<"))
    for name, label, sample in zip(data.ids, data.y.tolist(), values, strict=True):
        (folder / f"{name}.bin").write_bytes(sample.tobytes())
        rows.writerow((f"{name}.bin", classes, label))
    (folder / LABELS).write_text(table.getvalue(), "utf-8")


def _tests(model: str, folder: str, mode: str) -> str:
    """A test script: all files once, or five windows of 1,000 inferences, a number that users
    change so that a window takes their board 10 s."""
    infer = "infer 1 0" if mode == "a" else "infer 1000 10"
    loop = "loop" if mode == "a" else "loop 5"
    script = {
        "name": folder,
        "model": folder,
        "truth_file": LABELS,
        "script": [{loop: ["download", infer]}],
    }
    return str(yaml.safe_dump({model: script}, sort_keys=False))
