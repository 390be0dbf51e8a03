# SPDX-License-Identifier: Apache-2.0
"""The inputs and outputs of a stored run: one of each, or several in one row of bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from hil.core.records import DType, TensorSpec, packed_bytes, unpack_rows
from hil.runs.schema import NamedTensor, RunPlan, Tensor, Tensors

Side = Literal["inputs", "outputs"]


def stored_tensor(spec: TensorSpec) -> Tensor:
    """A tensor's type, shape and scale as they are stored."""
    return Tensor(
        dtype=int(spec.dtype), shape=spec.shape, scale=spec.scale, zero_point=spec.zero_point
    )


def stored_tensors(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    names_in: Sequence[str],
    names_out: Sequence[str],
    *,
    stateful: bool,
) -> Tensors | UnsetType:
    """What a run stores beyond its first input and output; nothing if there is no more."""
    if len(inputs) == len(outputs) == 1 and not stateful:
        return UNSET
    return Tensors(
        inputs=_named(inputs, names_in), outputs=_named(outputs, names_out), stateful=stateful
    )


def _named(specs: Sequence[TensorSpec], names: Sequence[str]) -> tuple[NamedTensor, ...]:
    return tuple(
        NamedTensor(
            name=name,
            dtype=int(spec.dtype),
            shape=spec.shape,
            scale=spec.scale,
            zero_point=spec.zero_point,
        )
        for name, spec in zip(names, specs, strict=True)
    )


def spec_of(stored: Tensor) -> TensorSpec:
    return TensorSpec(DType(stored.dtype), stored.shape, stored.scale, stored.zero_point)


def tensors_of(plan: RunPlan, side: Side) -> tuple[Tensor, ...]:
    """All inputs or all outputs of a run, as they are stored."""
    if plan.tensors is UNSET:
        return (plan.input if side == "inputs" else plan.output,)
    return plan.tensors.inputs if side == "inputs" else plan.tensors.outputs


def outputs_of(plan: RunPlan) -> tuple[TensorSpec, ...]:
    """All outputs of a run; a stored output has their bytes as `unpack_rows` reads them."""
    return tuple(spec_of(one) for one in tensors_of(plan, "outputs"))


def output_bytes(plan: RunPlan) -> int:
    """Bytes of a stored output."""
    return packed_bytes(outputs_of(plan))


def is_sequence(plan: RunPlan) -> bool:
    """Whether the network keeps a state, so that the samples were one sequence."""
    return plan.tensors is not UNSET and plan.tensors.stateful


def split(plan: RunPlan, raw: Sequence[bytes]) -> tuple[npt.NDArray[np.generic], ...]:
    """Stored outputs -> (n, elements) of each output."""
    if plan.tensors is UNSET:  # the usual case, which is called for every sample
        only = np.frombuffer(b"".join(raw), DType(plan.output.dtype).numpy)
        return (only.reshape(len(raw), math.prod(plan.output.shape)),)
    specs = outputs_of(plan)
    rows = np.frombuffer(b"".join(raw), np.uint8).reshape(len(raw), packed_bytes(specs))
    return unpack_rows(specs, rows)


def name_of(tensor: Tensor, number: int) -> str:
    """What texts call an input or output."""
    return (tensor.name if isinstance(tensor, NamedTensor) else "") or f"number {number}"
