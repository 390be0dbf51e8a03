# SPDX-License-Identifier: Apache-2.0
"""What int8 loses: samples for `hil.quant`, and every model that is benched in both precisions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from hil import quant
from hil.bench.cases import Network
from hil.bench.events import Emit, Note, QuantChecking
from hil.bench.inputs import Array, Taken, check_data, samples_of
from hil.bench.plan import BenchPlan
from hil.bench.task import Criterion
from hil.core.errors import DataError, ModelError
from hil.core.records import Dataset, TensorSpec
from hil.datasets import first, subset
from hil.reference import encodable, encode_inputs
from hil.runs.schema_quant import QuantPair
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


def compare_precisions(plan: BenchPlan, emit: Emit) -> list[QuantPair]:
    """`hil.quant.compare` of each integer network with the float32 network that it was made from,
    if both are benched on samples in use. What cannot be compared is a note, not an error."""
    if plan.order is None:  # random samples
        return []
    found = []
    for coded in plan.networks:
        if not coded.graph.precision.integer:
            continue
        try:
            if (pair := _counterpart(coded, plan.networks)) is None:
                continue
            plain, matched = pair
            samples = samples_for(
                plan.data,
                plain.graph,
                coded.graph,
                plan.criterion(plain),
                quant.SAMPLES,
                BENCH,
            )
            tell = partial(_tell, emit, f"{coded.name} {coded.graph.precision}")
            found.append(quant.compare(matched, samples, coded.name, BENCH, tell))
        except (DataError, ModelError) as problem:
            emit(Note(f"{coded.name}: int8 was not compared with float32: {problem.what}"))
    return found


def _tell(emit: Emit, name: str, what: str, done: int, total: int) -> None:
    emit(QuantChecking(name, what, done, total))


def _counterpart(coded: Network, networks: Sequence[Network]) -> tuple[Network, quant.Pair] | None:
    """The float32 network that ``coded`` was made from: of its name, or with its weights."""
    plain = [one for one in networks if not one.graph.precision.integer]
    for one in sorted(plain, key=lambda one: one.name != coded.name):
        try:
            pair = quant.match(one.graph, coded.graph)
        except ModelError:
            continue  # another network
        if one.name == coded.name or quant.same_weights(pair):
            return one, pair
    return None


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
