# SPDX-License-Identifier: Apache-2.0
"""Comparability first, then comparisons, then what may be expected of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.core.records import (
    Dataset,
    DeviceTime,
    DType,
    Instructions,
    Latency,
    Measurement,
    Precision,
)
from hil.runs.schema import LayerSeen, Manifest, Marks, RunPlan, Sample, Summary
from hil.tflite import Graph

# exp() of two C libraries may differ by 2 ulp; on probabilities that is less than this.
EXP_TOLERANCE: Final = 1e-6
# a*b+c rounded once instead of twice, over the longest sums of the project's networks.
FMA_TOLERANCE: Final = 1e-3

# The same where the engine does it, in code that is known: what is promised of `aot-fast`.
NEAR_TOLERANCE: Final = 1e-4


@dataclass(frozen=True)
class Expected:
    """What the host says, one row a sample, in the model's output type.

    ``litert`` is what users compare with, with its reference kernels; ``oracle`` is TFLM, None
    where it cannot run; ``xnnpack`` is LiteRT with its default kernels, None when not asked for.
    """

    litert: npt.NDArray[np.generic]
    oracle: npt.NDArray[np.generic] | None
    xnnpack: npt.NDArray[np.generic] | None = None


def compare(key: str, data: Dataset, expected: Expected, measured: Measurement) -> Sample:
    """One stored sample: references are kept only where they differ from the device."""
    i = measured.index
    litert = expected.litert[i].tobytes()
    oracle = None if expected.oracle is None else expected.oracle[i].tobytes()
    xnnpack = None if expected.xnnpack is None else expected.xnnpack[i].tobytes()
    return Sample(
        run=key,
        i=i,
        id=data.ids[i],
        label=int(data.y[i]),
        device=measured.output,
        litert=None if litert == measured.output else litert,
        oracle=None if oracle == measured.output else oracle,
        time=count(measured.time),
        attempts=measured.attempts,
        xnnpack=None if xnnpack == measured.output else xnnpack,
        round_trip=measured.round_trip,
        disturbed=measured.disturbed,
    )


def count(time: DeviceTime) -> int | None:
    """A device's time as it is stored: a bare number, whose unit the run's clock says."""
    match time:
        case Instructions(count):
            return count
        case Latency(microseconds):
            return microseconds
        case None:
            return None


def differences(old: Manifest, new: Manifest) -> list[str]:
    """Why the samples of two runs may not be put together; empty when they may."""
    found = []
    if old.chaos != new.chaos:
        found.append("the faults that --chaos injects")
    if old.dataset != new.dataset:
        found.append(f"data set {old.dataset.name} n={old.dataset.n} or its content")
    if [run.key for run in old.runs] != [run.key for run in new.runs]:
        found.append("boards, engines, models or precisions")
        return found
    for a, b in zip(old.runs, new.runs, strict=True):
        for field in ("model_sha256", "firmware_sha256", "toolchain", "clock"):
            if getattr(a, field) != getattr(b, field):
                found.append(f"{field} of {a.key}")
    return found


def unexpected(manifest: Manifest, summary: Summary) -> list[str]:
    """One line for each run whose answers are not what they must be; empty when all are.

    int8 must equal the oracle byte for byte, float32 LiteRT's reference bit for bit or
    within the run's stated tolerance. After start a board allocates nothing, and leaves a byte of
    its stack untouched.
    """
    lines = []
    rows = {f"{r.board}/{r.engine}/{r.model}/{r.precision}": r for r in summary.runs}
    for plan in manifest.runs:
        row = rows.get(plan.key)
        if row is None:
            lines.append(f"{plan.key}: no sample was answered")
            continue
        where = f"{plan.key}: {row.n} samples"
        agreement = row.agreement
        if plan.precision == "int8" and agreement.differing_oracle:
            lines.append(f"{where}, {agreement.differing_oracle} outputs differ from the oracle")
        exact = plan.tolerance == 0.0
        outside = agreement.differing_litert > 0 if exact else agreement.max_abs > plan.tolerance
        if plan.precision == "float32" and outside:
            lines.append(
                f"{where}, {agreement.differing_litert} outputs differ from LiteRT, "
                f"by up to {agreement.max_abs:g} (expected: at most {plan.tolerance:g})"
            )
        if row.marks:
            lines += [f"{plan.key}: {fault}" for fault in _memory(row.marks)]
        if row.n < manifest.dataset.n:
            lines.append(f"{where} of {manifest.dataset.n} were answered")
    return lines


def _memory(marks: Marks) -> list[str]:
    """What a firmware of static memory must not do; a board that cannot tell is not accused."""
    found = []
    if marks.heap_start is not None and marks.heap_end is not None:
        grown = marks.heap_end - marks.heap_start
        if grown > 0:
            found.append(f"the heap grew by {grown} bytes while it answered (expected: 0)")
    if marks.stack and marks.stack_size and marks.stack >= marks.stack_size:
        found.append(f"all {marks.stack_size} bytes of stack were used: it may have overflowed")
    return found


def departs(sample: Sample, plan: RunPlan) -> bool:
    """Whether one answer is not what it must be, by the rules of `unexpected`."""
    if plan.precision == "int8":
        return sample.oracle is not None
    if sample.litert is None:
        return False
    dtype = DType(plan.output.dtype).numpy
    device, litert = (np.frombuffer(b, dtype) for b in (sample.device, sample.litert))
    return bool(_apart(device, litert, plan.tolerance).any())


def compare_layer(
    name: str,
    op: str,
    device: npt.NDArray[np.generic],
    expected: npt.NDArray[np.generic],
    allowed: float = 0.0,
) -> LayerSeen:
    """One layer's output beside the reference's, both of one shape and type.

    ``allowed`` is the difference that counts as equal, of the layer's largest expected value if
    that exceeds 1; 0 is bit for bit.
    """
    if allowed:
        allowed *= max(1.0, float(np.abs(expected.astype(np.float64)).max()))
    wrong = np.argwhere(_apart(device, expected, allowed))
    if not len(wrong):
        return LayerSeen(name=name, op=op, shape=expected.shape, allowed=allowed)
    first = tuple(int(i) for i in wrong[0])
    return LayerSeen(
        name=name,
        op=op,
        shape=expected.shape,
        differing=len(wrong),
        element=first,
        device=_number(device[first]),
        expected=_number(expected[first]),
        allowed=allowed,
    )


def _apart(
    a: npt.NDArray[np.generic], b: npt.NDArray[np.generic], allowed: float
) -> npt.NDArray[np.bool_]:
    """Where two arrays differ: in any bit, or by more than ``allowed``, or where one is NaN."""
    bits = f"u{a.dtype.itemsize}"
    differ = np.ascontiguousarray(a).view(bits) != np.ascontiguousarray(b).view(bits)
    if allowed:
        with np.errstate(invalid="ignore"):
            near = np.abs(a.astype(np.float64) - b.astype(np.float64)) <= allowed
        differ &= ~near
    return np.asarray(differ)


def _number(value: np.generic) -> int | float | str:
    number: int | float = value.item()
    return number if math.isfinite(number) else str(number)


def tolerance(graph: Graph, *, fma: bool, near: bool = False) -> tuple[float, str]:
    """How far a float32 output may be from LiteRT's reference, and why; (0, "") is exact.

    ``fma``: the board's compiler fuses products and sums, ``near``: the engine does.
    """
    if graph.precision is not Precision.FLOAT32:
        return 0.0, ""
    if near:
        return NEAR_TOLERANCE, "the engine rounds a*b+c once (FMA)"
    if fma:
        return FMA_TOLERANCE, "this board's compiler rounds a*b+c once (FMA)"
    if any(op.code == "SOFTMAX" for op in graph.operators):
        return EXP_TOLERANCE, "exp() of two C libraries may differ by 2 ulp"
    return 0.0, ""
