# SPDX-License-Identifier: Apache-2.0
"""Samples for `hil.quant`: the same ones for a float32 network and for the int8 network made from
it."""

from __future__ import annotations

from typing import Final

import numpy as np

from hil import quant
from hil.bench.inputs import Array, Taken, check_data, samples_of
from hil.bench.task import Criterion
from hil.core.errors import DataError
from hil.core.records import Dataset, TensorSpec
from hil.datasets import first, subset
from hil.reference import encodable, encode_inputs
from hil.runs.task import WITH_CLASSES
from hil.stats.metrics import dequantised
from hil.tflite import Graph

BENCH: Final = quant.Budget(exact=4e9, trials=60e9)  # a few seconds


def samples_for(
    data: Dataset,
    plain: Graph,
    coded: Graph,
    criterion: Criterion,
    limit: int,
    budget: quant.Budget,
    *,
    typical: bool = True,
) -> quant.Samples:
    """Up to ``limit`` samples of ``data``, as each network takes them; see `hil.quant.Samples`.

    DataError if the samples fit neither network. Samples that are codes of the int8 network stand
    for the real numbers that they mean there.
    """
    n = quant.samples_for(plain, limit, budget)
    some = first(data, n) if plain.stateful or coded.stateful else subset(data, n)
    ours, theirs = (Taken(one.where, one.inputs, one.names_in) for one in (plain, coded))
    arrays = samples_of(some, ours)
    codes = [
        x.dtype == spec.dtype.numpy and spec.dtype.quantised
        for x, spec in zip(arrays, coded.inputs, strict=True)
    ]
    check_data(some, theirs if all(codes) else ours)
    reals = [
        _real(x, spec) if coded_ else x
        for x, spec, coded_ in zip(arrays, coded.inputs, codes, strict=True)
    ]
    judge = None
    if criterion.task in WITH_CLASSES:
        judge = quant.Judge(some.y, criterion.threshold)
    return quant.Samples(
        data.name,
        tuple(encode_inputs(x, spec) for x, spec in zip(reals, plain.inputs, strict=True)),
        tuple(
            _encoded(x, real, spec, data.name)
            for x, real, spec in zip(arrays, reals, coded.inputs, strict=True)
        ),
        judge,
        typical,
    )


def _real(codes: Array, spec: TensorSpec) -> Array:
    return dequantised(codes, spec.scale or 1.0, spec.zero_point).astype(np.float32)


def _encoded(given: Array, real: Array, spec: TensorSpec, name: str) -> Array:
    x = given if encodable(given.dtype, spec.dtype) else real
    if not encodable(x.dtype, spec.dtype):
        raise DataError(
            f"{name}: {x.dtype} samples do not fit the int8 network's {spec.dtype.name} input",
            "give float32 or uint8 samples",
        )
    return encode_inputs(x, spec)
