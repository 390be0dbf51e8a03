"""A data set of ours in the layout that MLCommons' runner reads."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from hil import datasets
from hil.errors import StorageError, UsageError
from hil.mlperf.data import LABELS
from hil.records import Dataset

TESTS: Final = {"a": "tests_accuracy.yaml", "p": "tests_performance.yaml"}


def export(data: Dataset, out: Path, model: str = "", limit: int | None = None) -> Path:
    """Write ``out``/<data set's name>/ with a .bin file a sample and their `y_labels.csv`.

    Beside it goes a test script for the runner's accuracy mode, and one for its performance mode,
    under ``model``, the id that the device names in `profile` (default: the data set's name).
    A sample's bytes are its values in C order, uint8 or little-endian float32. ``limit`` takes the
    first of the fixed stratified order, so that every class is present.

    Returns:
        The folder of the samples.

    Raises:
        UsageError: it is there already, or ``limit`` leaves a class without a sample.
        StorageError: it cannot be written; nothing is left of it then.
    """
    model, folder = model or data.name, out / data.name
    if not model.isprintable() or "]" in model:
        raise UsageError(f"{model!r} cannot be a model's id", "`m-model-[...]` has it in brackets")
    chosen = datasets.subset(data, limit) if limit is not None else data
    classes = int(data.y.max()) + 1
    if lacking := set(range(classes)) - set(chosen.y.tolist()):
        raise UsageError(
            f"--limit {limit} leaves {len(lacking)} of {classes} classes without a sample",
            f"take {classes} at least",
        )
    if folder.exists():
        raise UsageError(f"{folder} is there already", "choose another --out, or remove it")
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
    """A test script: all files once, or five windows of as many inferences as the user then
    writes for 10 s of his board."""
    infer = "infer 1 0" if mode == "a" else "infer 1000 10"
    loop = "loop" if mode == "a" else "loop 5"
    script = {
        "name": folder,
        "model": folder,
        "truth_file": LABELS,
        "script": [{loop: ["download", infer]}],
    }
    return str(yaml.safe_dump({model: script}, sort_keys=False))
