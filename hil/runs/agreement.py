# SPDX-License-Identifier: Apache-2.0
"""The rules behind every verdict, each written once.

They define when two outputs are equal, which reference a run's outputs must equal and how closely,
what counts as a memory fault, and which answers were disturbed, so that their times are not
latencies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.records import DType, Precision
from hil.runs.schema import CLASS, Manifest, Marks, RunPlan, Sample
from hil.runs.schema_layers import LayerSeen
from hil.runs.summary import Summary, SummaryRow
from hil.runs.task import classes_of
from hil.runs.tensors import outputs_of, split

Outputs: TypeAlias = npt.NDArray[np.generic]

# exp() of two C libraries may differ by 2 ulp; on probabilities that is less than this.
EXP_TOLERANCE: Final = 1e-6
# a*b+c rounded once instead of twice, over the longest sums of the project's networks.
FMA_TOLERANCE: Final = 1e-3
# The same for an engine that does it in its own generated code: the limit of `aot-fast`.
NEAR_TOLERANCE: Final = 1e-4

REFERENCES: Final = {"oracle": "the oracle", "litert": "LiteRT"}  # how texts call them

LARGEST: Final = float(np.finfo(np.float32).max)  # stands for a difference to NaN or infinity


def differing(device: Outputs, reference: Outputs, allowed: float = 0.0) -> npt.NDArray[np.bool_]:
    """Where two arrays of one type differ: in any bit, or by more than ``allowed``.

    Bit for bit, a NaN equals itself and 0.0 is not -0.0. A NaN or an infinity differs from
    everything else, whatever ``allowed`` is.
    """
    bits = f"u{device.dtype.itemsize}"
    found = np.ascontiguousarray(device).view(bits) != np.ascontiguousarray(reference).view(bits)
    if allowed:
        found[found] = gaps(device[found], reference[found]) > allowed
    return np.asarray(found)


def gaps(device: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
    """Absolute differences of values that differ, in their own units.

    `LARGEST` where either value is a NaN or an infinity, so that no tolerance accepts it.
    """
    one, other = device.astype(np.float64), reference.astype(np.float64)
    finite = np.isfinite(one) & np.isfinite(other)
    found = np.full(one.shape, LARGEST)
    found[finite] = np.minimum(np.abs(one[finite] - other[finite]), LARGEST)
    return found


@dataclass(frozen=True)
class Difference:
    """Device outputs compared with a reference's: how many elements differ, and by how much."""

    elements: int
    samples: int
    max_abs: float


def difference(device: Outputs, reference: Outputs) -> Difference:
    """Compare two (n, outputs) arrays of one type, bit for bit; ``max_abs`` as `gaps`."""
    return difference_of_all([(device, reference)])


def difference_of_all(pairs: Sequence[tuple[Outputs, Outputs]]) -> Difference:
    """The same for several outputs, each in its own type and unit."""
    elements, largest = 0, 0.0
    samples = np.zeros(len(pairs[0][0]), bool)
    for device, reference in pairs:
        found = differing(device, reference)
        if found.any():
            elements += int(found.sum())
            samples |= found.any(axis=1)
            largest = max(largest, float(gaps(device[found], reference[found]).max()))
    return Difference(elements, int(samples.sum()), largest)


def is_ours(plan: RunPlan) -> bool:
    """Whether our firmware answered, not a sketch of the user's own."""
    return not plan.sketch and plan.protocol == "frames"


def must_equal(plan: RunPlan) -> Literal["oracle", "litert"] | None:
    """The reference that a run's outputs must equal; None if it was not run.

    Our firmware: integers the byte oracle, or LiteRT where TFLM has not the operators; float32
    LiteRT. A user's sketch, whose outputs may have
    another type than the model's: the oracle, or LiteRT if no oracle was run.
    """
    if plan.host and not plan.oracle:
        return None  # LiteRT's default kernels round as they like
    if plan.oracle and (Precision(plan.precision).integer or not is_ours(plan)):
        return "oracle"
    if is_ours(plan) and Precision(plan.precision).integer and not plan.oracle_why:
        return None
    return "litert" if plan.litert else None


def tolerance(precision: str, *, near: bool, fma: bool, exponential: bool) -> tuple[float, str]:
    """How far an output may be from what it must equal, and why; (0, "") is bit for bit.

    ``near``: the engine fuses products and sums; ``fma``: the board's compiler does;
    ``exponential``: the network computes exp(), as SOFTMAX does.
    """
    if precision != Precision.FLOAT32:
        return 0.0, ""
    if near:
        return NEAR_TOLERANCE, "the engine rounds a*b+c once (FMA)"
    if fma:
        return FMA_TOLERANCE, "this board's compiler rounds a*b+c once (FMA)"
    if exponential:
        return EXP_TOLERANCE, "exp() of two C libraries may differ by 2 ulp"
    return 0.0, ""


def wrong_values(
    plan: RunPlan,
    device: Outputs,
    litert: Outputs | None,
    oracle: Outputs | None,
    *,
    number: int = 0,
) -> npt.NDArray[np.bool_] | None:
    """Which values of output ``number`` of a run are wrong; None when nothing checked them.

    They must equal the reference of `must_equal` within `allowed_in`, where 0 is bit for bit.
    Arrays are (n, elements) of one type.
    """
    reference = {"oracle": oracle, "litert": litert, None: None}[must_equal(plan)]
    if reference is None:
        return None
    return differing(device, reference, allowed_in(plan, number))


def allowed_in(plan: RunPlan, number: int) -> float:
    """The plan's tolerance, for one output: it is about the first one, and other real numbers."""
    real = outputs_of(plan)[number].dtype is DType.FLOAT32
    return plan.tolerance if number == 0 or real else 0.0


def wrong_answers(
    plan: RunPlan,
    chosen: npt.NDArray[np.int64],
    litert: Outputs | None,
    oracle: Outputs | None,
) -> npt.NDArray[np.bool_] | None:
    """Which classes are wrong, of a device that sends only those; None when nothing checked them.

    ``chosen`` is (n,), the references (n, outputs). A class is right if outputs that differ from
    the reference by no more than the plan's tolerance may have chosen it, so any of equal ones is.
    """
    reference = {"oracle": oracle, "litert": litert, None: None}[must_equal(plan)]
    if reference is None:
        return None
    wrong = chosen != reference.argmax(axis=1)
    near = wrong & (chosen >= 0) & (chosen < reference.shape[1])
    values = reference[near].astype(np.float64)
    short = values.max(axis=1, initial=-np.inf) - values[np.arange(len(values)), chosen[near]]
    wrong[near] = ~(short <= 2 * plan.tolerance)  # each of the two may be off; a NaN is wrong
    return np.asarray(wrong)


def answer(sample: Sample, plan: RunPlan) -> int:
    """The class that the device chose, the first of equals; its request must not have failed."""
    if plan.answers == "class":
        return int(np.frombuffer(sample.device, CLASS)[0])
    return _chosen(sample.device, plan)


def host_answer(sample: Sample, plan: RunPlan) -> int | None:
    """The class that LiteRT chose; None if it was not run."""
    if not plan.litert:
        return None
    return _chosen(sample.device if sample.litert is None else sample.litert, plan)


def _chosen(raw: bytes, plan: RunPlan) -> int:
    return int(classes_of(plan, split(plan, [raw])[0])[0])


def is_wrong(sample: Sample, plan: RunPlan) -> bool:
    """Whether one answer has `wrong_values`; False if its values are not known."""
    if sample.failed or plan.answers == "class":
        return False
    each = (
        split(plan, [sample.device if raw is None else raw])
        for raw in (sample.device, sample.litert, sample.oracle)
    )
    for number, (device, litert, oracle) in enumerate(zip(*each, strict=True)):
        found = wrong_values(
            plan,
            device,
            litert if plan.litert else None,
            oracle if plan.oracle else None,
            number=number,
        )
        if found is not None and found.any():
            return True
    return False


def unexpected(manifest: Manifest, summary: Summary) -> list[str]:
    """One line for each fault of a run; empty when every run is as expected.

    Outputs are judged by `wrong_values`, here by a summary's figures. After start a board
    allocates nothing and leaves a byte of its stack unused. Every sample gets an answer that
    counts.
    """
    rows = {row.key: row for row in summary.runs}
    lines: list[str] = []
    for plan in manifest.runs:
        row = rows.get(plan.key)
        if row is None:
            lines.append(f"{plan.key}: no sample was answered")
            continue
        where = f"{plan.key}: {row.n} samples"
        lines += [f"{where}, {fault}" for fault in _output_faults(plan, row)]
        lines += [f"{plan.key}: {fault}" for fault in memory_faults(row.marks)]
        failed = row.failed or 0
        if failed:
            lines.append(
                f"{plan.key}: {failed} of {row.n + failed} requests got no answer that counts"
            )
        if row.n + failed < manifest.dataset.n:
            lines.append(f"{where} of {manifest.dataset.n} were answered")
    return lines


def _output_faults(plan: RunPlan, row: SummaryRow) -> Iterator[str]:
    found, reference = row.agreement, must_equal(plan)
    if row.wrong and reference:
        what = "answers" if plan.answers == "class" else "outputs"
        allowed = f" by more than {plan.tolerance:g}" if plan.tolerance else ""
        yield f"{row.wrong} {what} of the sketch differ from {REFERENCES[reference]}{allowed}"
    if found is None or not is_ours(plan):
        return
    if reference == "oracle" and found.differing_oracle:
        yield f"{found.differing_oracle} outputs differ from the oracle"
    largest = found.max_abs or 0.0
    near = plan.tolerance and largest <= plan.tolerance
    if reference == "litert" and found.differing_litert and not near:
        yield (
            f"{found.differing_litert} outputs differ from LiteRT, "
            f"by up to {largest:g} (expected: at most {plan.tolerance:g})"
        )


def heap_growth(marks: Marks) -> int | None:
    """Bytes by which the heap grew while the board answered; None if the board cannot measure."""
    if marks.heap_start is None or marks.heap_end is None:
        return None
    return max(0, marks.heap_end - marks.heap_start)


def memory_faults(marks: Marks | None) -> Iterator[str]:
    """Faults of firmware that should use only static memory; unknown figures pass."""
    if marks is None:
        return
    if grown := heap_growth(marks):
        yield f"the heap grew by {grown} bytes while it answered (expected: 0)"
    if marks.stack and marks.stack_size and marks.stack >= marks.stack_size:
        yield f"all {marks.stack_size} bytes of stack were used: it may have overflowed"


class Answered(Protocol):
    """An answer of a board, just received or stored."""

    @property
    def attempts(self) -> int:
        """How often its request was sent."""
        ...

    @property
    def disturbed(self) -> bool:
        """Whether a fault occurred between request and answer."""
        ...


def is_disturbed(answer: Answered) -> bool:
    """Whether a fault occurred between request and answer: then its times are not latencies."""
    return answer.disturbed or answer.attempts > 1


def is_timed(sample: Sample, plan: RunPlan, *, chaos: str) -> bool:
    """Whether a sample has a time that figures may use.

    Faults do not change the instructions or cycles that an emulator counts. They do change times on
    a real board, and if they were injected on purpose (``chaos``), any time may be affected.
    """
    if sample.time is None:
        return False
    return plan.clock.unit != "us" or not (chaos or is_disturbed(sample))


def compare_layer(
    name: str, op: str, device: Outputs, expected: Outputs, allowed: float = 0.0
) -> LayerSeen:
    """One layer's output compared with the reference's, both of one shape and type.

    ``allowed`` is the difference that counts as equal, relative to the layer's largest finite
    expected value if that exceeds 1; 0 is bit for bit.
    """
    if allowed:
        finite = expected[np.isfinite(expected)].astype(np.float64)
        allowed *= max(1.0, float(np.abs(finite).max(initial=0.0)))
    wrong = np.argwhere(differing(device, expected, allowed))
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


def _number(value: np.generic) -> int | float | str:
    number: int | float = value.item()
    return number if math.isfinite(number) else str(number)
