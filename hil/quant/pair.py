# SPDX-License-Identifier: Apache-2.0
"""An int8 network and the float32 network that it was made from: layers, trials, causes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.quant.advice import advise
from hil.quant.edit import Variant
from hil.quant.evidence import Evidence, Judge, Outcome, Referee
from hil.quant.layers import Figures, Progress, measure
from hil.quant.match import INPUT, Pair
from hil.quant.trials import CURES, Trials, fixed, units_of
from hil.quant.weights import decibels
from hil.runs.schema_quant import QuantCure, QuantLayer, QuantPair
from hil.tflite import Graph
from hil.tflite.graph import type_name

Array: TypeAlias = npt.NDArray[np.generic]

SAMPLES: Final = 200  # by default
FEWEST: Final = 16  # samples, however large the network is
_EACH: Final = 200_000  # multiply-accumulates in the time that one call takes, however small


@dataclass(frozen=True, slots=True)
class Samples:
    """The same samples for both networks: (n, *input shape) per input, as each takes them.

    ``judge``: None without labels. ``typical``: whether ranges of these samples say something about
    ranges in use, which random ones do not.
    """

    name: str
    plain: tuple[Array, ...]
    coded: tuple[Array, ...]
    judge: Judge | None = None
    typical: bool = True

    def __len__(self) -> int:
        return len(self.plain[0])

    def first(self, n: int) -> Samples:
        """The first ``n`` samples."""
        return Samples(
            self.name,
            tuple(x[:n] for x in self.plain),
            tuple(x[:n] for x in self.coded),
            self.judge,
            self.typical,
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of the work, in multiply-accumulates, so that the time is bounded and the result does
    not depend on it. ``exact``: of both networks with reference kernels; ``trials``: with fast
    kernels."""

    exact: float = 40e9
    trials: float = 400e9


def samples_for(plain: Graph, wanted: int, budget: Budget) -> int:
    """How many samples are compared: ``wanted``, or fewer for a large network."""
    return max(FEWEST, min(wanted, int(budget.exact / (2 * plain.macs + _EACH))))


def _ignore(_: str, __: int, ___: int) -> None:
    """For a caller who does not show progress."""


def compare(
    pair: Pair,
    samples: Samples,
    model: str = "",
    budget: Budget | None = None,
    progress: Progress = _ignore,
) -> QuantPair:
    """Everything that is known of a pair.

    Raises `ModelError` if LiteRT cannot run one of the networks.
    """
    measured = measure(pair, samples.plain, samples.coded, progress)
    units = [] if pair.why else units_of(pair, measured.layers)
    referee = Referee(measured.plain, samples.judge, _steps(pair))
    evidence = Evidence(
        pair=pair,
        units=tuple(units),
        float32=referee.judge(measured.plain),
        int8=referee.judge(measured.coded),
        typical=samples.typical,
    )
    if units:
        evidence = _tried(evidence, samples, referee, budget or Budget(), progress)
    unit_of = {id(one): i for i, unit in enumerate(units) for one in unit.layers}
    layers = [_layer(evidence, one, unit_of.get(id(one))) for one in measured.layers]
    right, found = evidence.float32.right, evidence.int8.right
    return QuantPair(
        model=model,
        float_file=_file(pair.plain),
        int8_file=_file(pair.coded),
        float_sha256=pair.plain.sha256,
        int8_sha256=pair.coded.sha256,
        data=samples.name,
        n=len(samples),
        float32=evidence.float32.record,
        int8=evidence.int8.record,
        p=None if right is None or found is None else stats.mcnemar(right, found).p,
        loses=evidence.loses,
        error=evidence.int8.error,
        simulated=evidence.simulated.record if evidence.simulated else None,
        tried=evidence.tried,
        layers=tuple(layers),
        cures=tuple(
            QuantCure(name=name, outcome=one.record) for name, one in evidence.cures.items()
        ),
        unmatched=(
            *(f"float32: {name}" for name in pair.alone),
            *(f"{pair.coded.precision}: {name}" for name in pair.alone_int8),
        ),
        not_covered=tuple(_not_covered(pair, samples.typical)),
        findings=advise(evidence, measured.layers),
    )


def _tried(
    evidence: Evidence, samples: Samples, referee: Referee, budget: Budget, progress: Progress
) -> Evidence:
    """The evidence with the outcome of every trial."""
    pair, units = evidence.pair, evidence.units
    runs = 2 * len(units) + len(CURES) + 2
    tried = int(budget.trials / (runs * (pair.plain.macs + _EACH)))
    tried = min(len(samples), max(FEWEST, tried))
    trials = Trials(pair, units, samples.first(tried).plain)
    done = 0

    def outcome(variant: Variant) -> Outcome:
        nonlocal done
        found = referee.judge(trials.run(variant))
        done += 1
        progress("trials", done, runs)
        return found

    simulated = outcome(trials.variant(units))
    only = {i: outcome(trials.variant([unit])) for i, unit in enumerate(units)}
    without = {i: outcome(trials.but(unit)) for i, unit in enumerate(units)}
    found = {name: trials.cure(name) for name in CURES}
    cures = {name: outcome(variant) for name, variant in found.items() if variant is not None}
    evidence = replace(
        evidence, simulated=simulated, tried=tried, only=only, without=without, cures=cures
    )
    if evidence.loses:
        weights = outcome(trials.but_weights(units[evidence.costliest]))
        evidence = replace(evidence, but_weights=weights)
    progress("trials", runs, runs)
    return evidence


def _steps(pair: Pair) -> list[float]:
    """The step of each output whose range does not come from data, such as probabilities: it cannot
    be more exact. 0 for others."""
    made_by = {one.codes: one for one in pair.layers}
    return [
        pair.coded.tensors[i].scale if i in made_by and fixed(made_by[i]) else 0.0
        for i in pair.coded.output_indices
    ]


def _file(graph: Graph) -> str:
    return graph.path.name if graph.path else ""


def _not_covered(pair: Pair, typical: bool) -> Iterator[str]:
    if pair.why:
        yield f"layers were not compared one by one: {pair.why}"
    if not typical:
        yield "no cause was looked for: random samples say nothing about ranges in use"
    if pair.plain.stateful or pair.coded.stateful:
        yield "the networks keep a state: the samples were taken as one sequence"
    if missing := [one.name for one in pair.layers if one.real is None or one.codes is None]:
        yield f"no output is stored in both files for {', '.join(missing)}"


def _layer(evidence: Evidence, one: Figures, unit: int | None) -> QuantLayer:
    assert one.layer.codes is not None
    grid, n = one.grid, max(one.count, 1)
    tensor = evidence.pair.coded.tensors[one.layer.codes]
    own = one.own if one.isolated else one.whole if one.layer.code == INPUT else None
    only = None if unit is None else evidence.only.get(unit)
    without = None if unit is None else evidence.without.get(unit)
    return QuantLayer(
        name=one.layer.name,
        ops=one.layer.code,
        shape=one.shape,
        dtype=type_name(tensor.dtype),
        sqnr=decibels(one.signal, one.whole.squares),
        sqnr_own=None if own is None else decibels(one.signal, own.squares),
        sqnr_rounding=None if grid is None else decibels(one.signal, one.rounding.squares),
        error=None if own is None or grid is None else math.sqrt(own.squares / n) / grid.scale,
        data=(one.least, one.most),
        range=None if grid is None else (grid.least, grid.most),
        clipped_low=one.below / n,
        clipped_high=one.above / n,
        at_low=one.at_low / n,
        at_high=one.at_high / n,
        unused=float(1 - one.used.mean()) if one.used.size else 0.0,
        channels=0 if one.live is None else len(one.live),
        dead=one.died,
        dead_float=0 if one.live_real is None else int((~one.live_real).sum()),
        weights=one.weights,
        unit=unit,
        only=only.record if only else None,
        without=without.record if without else None,
    )
