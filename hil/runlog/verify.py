"""Does a run's folder still hold what was stored? Every byte of it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hil.errors import StorageError, UsageError
from hil.runlog.load import load, read_manifest
from hil.runlog.schema import DIGITS, FIGURES, MANIFEST, PAGES, SAMPLES, Manifest
from hil.runlog.seal import difference, own_files


@dataclass(frozen=True, slots=True)
class Verified:
    """``faults``: a line for each file that is not as it was stored or cannot be held to a hash,
    "name: what"; empty when the run is whole. ``files``, ``size``: what was found as it should be,
    the manifest included; bytes."""

    state: str
    faults: tuple[str, ...]
    files: int
    size: int


def verify(folder: Path) -> Verified:
    """Compare every file of a run's folder with its manifest, and the manifest with its seal.

    Raises:
        UsageError: there is no such folder.
        StorageError: the run is of a schema that has no seal, or that is not known.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "give the folder of one run")
    if not (folder / MANIFEST).exists():
        return Verified("", (f"{MANIFEST}: missing, so nothing says what belongs here",), 0, 0)
    try:
        manifest = read_manifest(folder)
    except StorageError as problem:
        if " is of schema " in problem.what:
            raise
        return Verified("", (f"{MANIFEST}: {problem.what}",), 0, 0)
    if not manifest.seal:
        if manifest.schema == 1:
            raise StorageError(
                f"{folder} is of schema 1, which has no hashes: nothing to verify it by",
                "run the bench again into a new folder",
            )
        return Verified(manifest.state, (f"{MANIFEST}: has no seal",), 0, 0)
    faults = dict(_faults(folder, manifest))
    whole = [found.size for name, found in manifest.files.items() if name not in faults]
    size = sum(whole) + (folder / MANIFEST).stat().st_size
    lines = tuple(f"{name}: {fault}" for name, fault in faults.items())
    return Verified(manifest.state, lines, len(whole) + 1, size)


def _faults(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(file, what is wrong with it)"""
    for name, wanted in manifest.files.items():
        fault = difference(folder, name, wanted)
        if fault:
            yield name, fault
    running = manifest.state == "running"
    for name in own_files(folder):
        page = name in PAGES or name.startswith(FIGURES)
        if name in manifest.files:
            continue
        if name in (SAMPLES, DIGITS) and running:
            yield name, _unsealed(folder)
        elif page and running:
            yield name, "not sealed, for the run is not finished"
        elif page:
            yield name, f"newer than the seal: hil report was stopped; run: hil report {folder}"
        else:
            yield name, "no file of this run"


def _unsealed(folder: Path) -> str:
    """Of a run that is not finished: what can be said of its answers."""
    try:
        run = load(folder)
    except StorageError as problem:
        return f"damaged: {problem.what}"
    answers = sum(len(samples) for samples in run.samples.values())
    torn = ", and half a line" if run.torn else ""
    return (
        f"not sealed, for the bench is at work or was killed; {answers:,} answers are readable"
        f"{torn}; the same `hil bench --out` goes on and seals it"
    )
