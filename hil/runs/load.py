# SPDX-License-Identifier: Apache-2.0
"""The only reader of run folders: it checks every record, and whether the files are intact."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from hil.core.errors import StorageError, UsageError, WrongSchema
from hil.core.files import NO_RECORD, is_plain
from hil.core.records import DType, Task
from hil.runs import host, schema_energy
from hil.runs.schema import (
    CLASS,
    CYCLES,
    DIGITS,
    FIGURES,
    HOST,
    LAYERS,
    MANIFEST,
    MLPERF,
    PAGES,
    PROFILE,
    SAMPLES,
    SCHEMA,
    TARGETS,
    Manifest,
    Picture,
    RunPlan,
    Sample,
)
from hil.runs.schema_checks import CHECKS, CheckFinding
from hil.runs.schema_cycles import CycleEstimate
from hil.runs.schema_energy import ENERGY, EnergyMeasured
from hil.runs.schema_host import HostLatencies
from hil.runs.schema_layers import LayerCheck, LayerSeen, Profiled
from hil.runs.schema_quant import QUANT, QuantPair
from hil.runs.seal import DATA, check_manifest, difference, own_files
from hil.runs.task import WITH_TARGETS, decode_targets
from hil.runs.tensors import output_bytes, tensors_of

_RERUN: Final = "run the bench again into a new folder, or restore this one from where it came from"
_MAX_SIDE: Final = 1024  # pixels of a picture
MAX_OUTPUTS: Final = 100_000
_MAX_RANK: Final = 64
_MAX_TENSORS: Final = 256
_MAX_NUMBER: Final = 1 << 53  # what a float64 holds exactly
_MAX_BYTES: Final = 1 << 30  # of one file

T = TypeVar("T")


class _Header(msgspec.Struct):
    """What every manifest has, whatever its schema."""

    schema: int
    hil: str = ""


@dataclass(frozen=True)
class StoredRun:
    """The checked content of a run's folder.

    ``samples`` has the key of every planned run; each run's samples are in order of position,
    without repeats. ``torn``: the last line of samples.jsonl was cut off and is left out.
    ``pictures``, ``layer_checks``, ``profiled``, ``checks``, ``quant``, ``estimates`` and
    ``energy`` are empty without their files, ``host`` is None.
    ``targets``: (samples asked for, values), row `Sample.i`; None if no run is judged by targets.
    """

    manifest: Manifest
    samples: dict[str, tuple[Sample, ...]]
    pictures: dict[str, Picture]
    torn: bool
    layer_checks: tuple[LayerCheck, ...] = ()
    profiled: tuple[Profiled, ...] = ()
    host: HostLatencies | None = None
    targets: npt.NDArray[np.float32] | None = None
    checks: tuple[CheckFinding, ...] = ()
    quant: tuple[QuantPair, ...] = ()
    estimates: tuple[CycleEstimate, ...] = ()
    energy: tuple[EnergyMeasured, ...] = ()


def load_run(folder: Path) -> StoredRun:
    """Read ``results/<run-id>/``. A killed bench may leave a torn last line in samples.jsonl.

    The manifest is compared with its seal; the other files are not (`verify` does that).

    Raises:
        WrongSchema: another version of hil wrote it.
        DamagedRun: the manifest is not what was sealed.
        StorageError: it is missing or corrupt.
    """
    manifest = read_manifest(folder)
    if MLPERF in manifest.files or (folder / MLPERF).exists():
        raise StorageError(
            f"{folder} contains an MLPerf Tiny session, not a run of the bench",
            "read its figures in results.txt and mlperf.json; `hil verify` checks its files",
        )
    samples, torn = _samples(folder / SAMPLES, manifest)
    return StoredRun(
        manifest,
        samples,
        _pictures(folder / DIGITS),
        torn,
        _layer_checks(folder / LAYERS, manifest),
        _profiled(folder / PROFILE, manifest),
        _host(folder / HOST, manifest),
        _targets(folder / TARGETS, manifest),
        _checks(folder / CHECKS, manifest),
        _quant(folder / QUANT, manifest),
        _estimates(folder / CYCLES, manifest),
        _energy(folder / ENERGY, manifest),
    )


def read_samples(folder: Path) -> Iterator[Sample]:
    """Every sample, run after run in the manifest's order; raises as `load_run`."""
    for samples in load_run(folder).samples.values():
        yield from samples


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone; raises as `load_run`."""
    path = folder / MANIFEST
    raw = _read(path)
    if raw is None:
        raise StorageError(
            f"{folder} has no manifest.json, so it is not a stored run",
            "give the folder of one run, results/<run-id>",
        )
    header = _decode(raw, _Header, path)
    if header.schema != SCHEMA:
        raise WrongSchema(
            f"{path} was written by hil {header.hil or '?'} in schema {header.schema}, "
            f"this hil reads schema {SCHEMA}",
            "use the hil version that wrote it, or run the bench again into a new folder",
        )
    manifest = _decode(raw, Manifest, path)
    check_manifest(path, raw, manifest)
    keys = [plan.key for plan in manifest.runs]
    if len(set(keys)) != len(keys):
        raise StorageError(f"{path}: two runs have the same key", _RERUN)
    for plan in manifest.runs:
        _check_plan(plan, path)
    for end in manifest.ends:
        sizes = msgspec.structs.astuple(end.memory) if end.memory else ()
        if end.key not in keys or any(size is not None and size < 0 for size in sizes):
            raise StorageError(
                f"{path}: the end of run '{end.key}' does not fit any planned run", _RERUN
            )
    return manifest


def _check_plan(plan: RunPlan, path: Path) -> None:
    outputs = tensors_of(plan, "outputs")
    for output in (plan.output, *outputs):
        shape = output.shape
        known = output.dtype in {int(dtype) for dtype in DType}
        sides = len(shape) <= _MAX_RANK and all(1 <= side <= MAX_OUTPUTS for side in shape)
        if not known or not sides or not 1 <= math.prod(shape) <= MAX_OUTPUTS:
            raise StorageError(
                f"{path}: run '{plan.key}' has outputs of type {output.dtype} and shape {shape}",
                _RERUN,
            )
    if any(one.dtype not in set(DType) for one in (plan.input, *tensors_of(plan, "inputs"))):
        raise StorageError(f"{path}: run '{plan.key}' has an input of an unknown type", _RERUN)
    first = outputs[0] if 1 <= len(outputs) <= _MAX_TENSORS else None
    if first is None or (first.dtype, first.shape) != (plan.output.dtype, plan.output.shape):
        raise StorageError(
            f"{path}: run '{plan.key}' has {len(outputs)} outputs, which do not fit its first one",
            _RERUN,
        )

    if plan.task is Task.BINARY and (plan.threshold is UNSET or math.prod(plan.output.shape) != 1):
        raise StorageError(
            f"{path}: run '{plan.key}' is binary, but has {plan.output.shape} outputs"
            + " and no threshold" * (plan.threshold is UNSET),
            _RERUN,
        )


def _samples(path: Path, manifest: Manifest) -> tuple[dict[str, tuple[Sample, ...]], bool]:
    raw = _read(path) or b""
    found: dict[str, dict[int, Sample]] = {plan.key: {} for plan in manifest.runs}
    plans = {plan.key: plan for plan in manifest.runs}
    torn = False
    for number, line, is_tail in _lines(raw):
        try:
            sample = msgspec.json.decode(line, type=Sample)
        except NO_RECORD as error:
            if is_tail:
                torn = True
                break
            raise StorageError(f"{path}, line {number}: {error}", _RERUN) from error
        fault = _fault(sample, plans, found)
        if fault:
            raise StorageError(f"{path}, line {number}: {fault}", _RERUN)
        found[sample.run][sample.i] = sample
    ordered = {key: tuple(run[i] for i in sorted(run)) for key, run in found.items()}
    return ordered, torn


def _lines(raw: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """(number, line, whether it is a last one without a line end) of every line with content."""
    *whole, tail = raw.split(b"\n")
    for number, line in enumerate(whole, 1):
        if line.strip():
            yield number, line, False
    if tail.strip():
        yield len(whole) + 1, tail, True


def _fault(sample: Sample, plans: dict[str, RunPlan], found: dict[str, dict[int, Sample]]) -> str:
    """What is wrong with a sample; empty when nothing is."""
    if sample.run not in plans:
        return f"run '{sample.run}' is not in manifest.json"
    plan = plans[sample.run]
    by_class, outputs = plan.answers == "class", output_bytes(plan)
    answer = np.dtype(CLASS).itemsize if by_class else outputs
    for name, was_run, output, nbytes in (
        ("device", True, sample.device, 0 if sample.failed else answer),
        ("LiteRT", plan.litert, sample.litert, outputs),
        ("oracle", plan.oracle, sample.oracle, outputs),
        ("XNNPACK", plan.xnnpack, sample.xnnpack, outputs),
    ):
        if output is not None and len(output) != nbytes:
            return f"{len(output)} bytes of {name} output, not {nbytes}"
        if output is None and was_run and by_class and not sample.failed:
            return f"no output of {name} to compare the class with"
    if not all(0 <= (n or 0) <= _MAX_NUMBER for n in (sample.i, sample.time, sample.round_trip)):
        return "a position or time that is negative or too large"
    if not all(-_MAX_NUMBER <= n <= _MAX_NUMBER for n in (sample.label, sample.attempts)):
        return "a label or number of attempts that is too large"
    before = found[sample.run].get(sample.i)
    # an answer stored twice unchanged is one answer; of two different ones neither can be trusted
    if before is not None and before != sample:
        return f"sample {sample.i} of run '{sample.run}' is stored twice, differently"
    return ""


def _pictures(path: Path) -> dict[str, Picture]:
    raw = _read(path)
    if raw is None:
        return {}
    pictures = _decode(raw, dict[str, Picture], path)
    for key, picture in pictures.items():
        height, width = picture.shape
        sides_fit = 0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE
        if not sides_fit or len(picture.pixels) != height * width * picture.channels:
            raise StorageError(f"{path}: picture '{key}' is not {height} x {width} pixels", _RERUN)
    return pictures


def _layer_checks(path: Path, manifest: Manifest) -> tuple[LayerCheck, ...]:
    raw = _read(path)
    if raw is None:
        return ()
    found = _decode(raw, tuple[LayerCheck, ...], path)
    keys = {plan.key for plan in manifest.runs}
    for one in found:
        seen = (*one.layers, *([one.input] if one.input else []))
        if one.run not in keys or not all(map(_layer_fits, seen)):
            raise StorageError(f"{path}: the layers of run '{one.run}' do not fit any run", _RERUN)
    return found


def _layer_fits(seen: LayerSeen) -> bool:
    if any(side < 1 for side in seen.shape) or not 0 <= seen.differing <= math.prod(seen.shape):
        return False
    if not seen.differing:
        return True
    inside = zip(seen.element, seen.shape, strict=False)
    return len(seen.element) == len(seen.shape) and all(0 <= at < side for at, side in inside)


def _estimates(path: Path, manifest: Manifest) -> tuple[CycleEstimate, ...]:
    raw = _read(path)
    if raw is None:
        return ()
    found = _decode(raw, tuple[CycleEstimate, ...], path)
    keys = {plan.key for plan in manifest.runs}
    for one in found:
        parts = [(part.cycles, part.instructions) for part in (*one.functions, *one.hottest)]
        parts += [(layer.cycles, layer.instructions) for layer in one.layers]
        if one.run not in keys or min(one.cycles, one.instructions, *map(min, parts)) < 0:
            raise StorageError(f"{path}: the cycles of run '{one.run}' do not fit any run", _RERUN)
    return found


def _energy(path: Path, manifest: Manifest) -> tuple[EnergyMeasured, ...]:
    raw = _read(path)
    if raw is None:
        return ()
    found = _decode(raw, tuple[EnergyMeasured, ...], path)
    if fault := schema_energy.fault(found, {plan.key for plan in manifest.runs}):
        raise StorageError(f"{path}: {fault}", _RERUN)
    return found


def _profiled(path: Path, manifest: Manifest) -> tuple[Profiled, ...]:
    raw = _read(path)
    if raw is None:
        return ()
    found = _decode(raw, tuple[Profiled, ...], path)
    keys = {plan.key for plan in manifest.runs}
    for one in found:
        sizes = [one.total, *(n for layer in one.layers for n in (layer.macs, layer.time))]
        if one.run not in keys or any(n is not None and n < 0 for n in sizes):
            raise StorageError(f"{path}: the times of run '{one.run}' do not fit any run", _RERUN)
    return found


def _host(path: Path, manifest: Manifest) -> HostLatencies | None:
    raw = _read(path)
    if raw is None:
        return None
    found = _decode(raw, HostLatencies, path)
    if fault := host.fault(found, manifest):
        raise StorageError(f"{path}: {fault}", _RERUN)
    return found


def _checks(path: Path, manifest: Manifest) -> tuple[CheckFinding, ...]:
    raw = _read(path)
    if raw is None:
        return ()
    found = _decode(raw, tuple[CheckFinding, ...], path)
    keys = {plan.key for plan in manifest.runs}
    for one in found:
        shares = [x for x in (one.right, one.otherwise, one.p) if x is not None]
        if not one.runs or not keys.issuperset(one.runs) or any(not 0 <= x <= 1 for x in shares):
            raise StorageError(f"{path}: the finding {one.code} does not fit any run", _RERUN)
    return found


def _quant(path: Path, manifest: Manifest) -> tuple[QuantPair, ...]:
    raw = _read(path)
    if raw is None:
        return ()
    found = _decode(raw, tuple[QuantPair, ...], path)
    models = {plan.model for plan in manifest.runs}
    for one in found:
        shares = [x for x in (one.float32.right, one.int8.right, one.p) if x is not None]
        if one.model not in models or any(not 0 <= x <= 1 for x in shares):
            raise StorageError(f"{path}: the pair of {one.model} does not fit any run", _RERUN)
    return found


def _targets(path: Path, manifest: Manifest) -> npt.NDArray[np.float32] | None:
    judged = [plan for plan in manifest.runs if plan.task in WITH_TARGETS]
    if not judged:
        return None
    raw = _read(path)
    if raw is None:
        raise StorageError(
            f"{path} is missing: run '{judged[0].key}' is judged by its targets", _RERUN
        )
    try:
        found = decode_targets(raw, manifest.dataset.n)
    except ValueError as problem:
        raise StorageError(f"{path} is corrupt ({problem})", _RERUN) from None
    for plan in judged:
        if (values := math.prod(plan.output.shape)) != found.shape[1]:
            raise StorageError(
                f"{path}: {found.shape[1]} targets per sample, run '{plan.key}' has {values} "
                "outputs",
                _RERUN,
            )
    return found


def _decode(raw: bytes, kind: type[T], path: Path) -> T:
    try:
        found = msgspec.json.decode(raw, type=kind)
    except NO_RECORD as error:
        raise StorageError(f"{path} is corrupt ({error})", _RERUN) from error
    if (number := _too_large(msgspec.to_builtins(found))) is not None:
        raise StorageError(f"{path} is corrupt (the number {number:.3g} is too large)", _RERUN)
    return found


def _too_large(tree: object) -> int | None:
    """The first integer that a float64 cannot hold, limited to 65 bits; None when there is none."""
    left = [tree]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        elif isinstance(one, int) and not -_MAX_NUMBER <= one <= _MAX_NUMBER:
            return min(one, 1 << 64) if one > 0 else max(one, -1 << 64)
    return None


def _read(path: Path) -> bytes | None:
    """The content of a file; None if it does not exist. Symbolic links are not followed."""
    try:
        if path.is_symlink() or (path.exists() and not is_plain(path)):
            raise StorageError(f"{path} cannot be read (it is not a regular file)", _RERUN)
        if path.exists() and path.stat().st_size > _MAX_BYTES:
            raise StorageError(f"{path} is larger than {_MAX_BYTES:,} bytes", _RERUN)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror})", _RERUN) from error


@dataclass(frozen=True, slots=True)
class Verified:
    """``faults``: one line, "NAME: FAULT", for each file that was changed or that has no hash;
    empty when the run is intact. ``files``, ``size``: how many files are intact, the manifest
    included, and their bytes."""

    state: str
    faults: tuple[str, ...]
    files: int
    size: int


def verify(folder: Path) -> Verified:
    """Compare every file of a run's folder with its manifest, and the manifest with its seal.

    Raises:
        UsageError: there is no such folder.
        WrongSchema: another version of hil wrote it.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "give the folder of one run")
    if not (folder / MANIFEST).exists():
        return Verified("", (f"{MANIFEST}: missing, so no file can be checked",), 0, 0)
    try:
        manifest = read_manifest(folder)
    except WrongSchema:
        raise
    except StorageError as problem:
        return Verified("", (f"{MANIFEST}: {problem.what}",), 0, 0)
    if not manifest.seal:
        return Verified(manifest.state, (f"{MANIFEST}: has no seal",), 0, 0)
    faults = dict(_faults(folder, manifest))
    intact = [found.size for name, found in manifest.files.items() if name not in faults]
    size = sum(intact) + (folder / MANIFEST).stat().st_size
    lines = tuple(f"{name}: {fault}" for name, fault in faults.items())
    return Verified(manifest.state, lines, len(intact) + 1, size)


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
        if name in DATA and running:
            yield name, _unsealed(folder)
        elif page and running:
            yield name, "not sealed: the run is not finished"
        elif page:
            yield name, f"newer than the seal: hil report was stopped; run hil report {folder}"
        else:
            yield name, "does not belong to this run"


def _unsealed(folder: Path) -> str:
    """The state of the answers of a run that is not finished."""
    try:
        run = load_run(folder)
    except StorageError as problem:
        return f"damaged: {problem.what}"
    answers = sum(len(samples) for samples in run.samples.values())
    torn = ", and half a line" if run.torn else ""
    return (
        f"not sealed: the bench is running or was killed; {answers:,} answers are readable"
        f"{torn}; the same `hil bench --out` continues and seals it"
    )
