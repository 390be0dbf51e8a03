# SPDX-License-Identifier: Apache-2.0
"""Causes of a loss, and what to do. Nothing is said of a pair that loses nothing.

A cause is named if removing it, simulated on the host, regains at least half of what int8 loses,
and by an exact test more right answers than int8 has; without labels, if it halves the error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hil.checks.codes import CODES, page_of
from hil.quant.evidence import Evidence, Outcome
from hil.quant.layers import Figures
from hil.quant.match import INPUT
from hil.quant.trials import CLIPPED, PER_CHANNEL, RECALIBRATED, WIDE, Unit, fixed
from hil.quant.weights import DIFFERENT
from hil.runs.schema_quant import QuantFinding

HALF: Final = 0.5  # of the loss
_STEP: Final = 1.0  # of the output: a bias that is off by more changes results
_SPREAD: Final = 1e-3  # of a scale: rounding alone makes less
_WIDE: Final = 0.25  # share of a range that the data fills
_CLIPPED: Final = 0.01  # share of values
_DEAD: Final = 0.1  # share of channels


def advise(evidence: Evidence, layers: Sequence[Figures]) -> tuple[QuantFinding, ...]:
    """The findings, faults of the file first. ``layers``: all that were measured."""
    found = list(_faults(layers))
    if evidence.loses and evidence.typical and evidence.simulated is not None:
        found += _causes(evidence)
    return tuple(found)


def _faults(layers: Sequence[Figures]) -> Iterator[QuantFinding]:
    """What is wrong in the file, whether or not these samples show it."""
    for layer in layers:
        name, one = layer.layer.name, layer.weights
        if one is None:
            continue
        if one.sqnr is not None and one.sqnr < DIFFERENT:
            yield _finding("quant-other-weights", name, sqnr=f"{one.sqnr:.1f}")
        elif one.bias_off is not None and one.bias_off > _STEP:
            code = "quant-bias-overflow"
            if one.bias_scale is not None and one.bias_scale > _SPREAD:
                code = "quant-bias-scale"
            yield _finding(code, name, steps=f"{one.bias_off:.3g}")


def _causes(evidence: Evidence) -> list[QuantFinding]:
    simulated, int8, plain = evidence.simulated, evidence.int8, evidence.float32
    assert simulated is not None
    if int8.worse_than(simulated) and evidence.regained(simulated) >= HALF:
        return [_finding("quant-arithmetic", _lowest(evidence), **_before_after(int8, simulated))]
    found: list[QuantFinding] = []
    whole = False  # whether one of them regains all
    for name, make in ((RECALIBRATED, _calibration), (PER_CHANNEL, _per_tensor)):
        outcome = evidence.cures.get(name)
        if outcome is None or not _helps(evidence, outcome):
            continue
        if finding := make(evidence, outcome):
            found.append(finding)
            whole = whole or not outcome.worse_than(plain)
    clipped, recalibrated = evidence.cures.get(CLIPPED), evidence.cures.get(RECALIBRATED)
    better = clipped and (recalibrated is None or recalibrated.worse_than(clipped))
    if clipped is not None and better and not whole and _helps(evidence, clipped):
        found.append(_outliers(evidence, clipped))
        whole = not clipped.worse_than(plain)
    if not whole and (single := _single(evidence)):
        found.append(single)
    wide = evidence.cures.get(WIDE)
    if not found and wide is not None and _helps(evidence, wide):
        found.append(_finding("quant-activations", "", **_before_after(int8, wide)))
    if not found:
        found.append(_finding("quant-spread", "", before=_said(int8), float32=_said(plain)))
    return [*found, *_dead(evidence)]


def _helps(evidence: Evidence, outcome: Outcome) -> bool:
    return evidence.regained(outcome) >= HALF and evidence.int8.worse_than(outcome)


def _calibration(evidence: Evidence, outcome: Outcome) -> QuantFinding | None:
    """The ranges do not fit the data: the input is quoted, or the first that does not fit. None if
    each of them is near the data's."""
    units = [unit for unit in evidence.units if _grid_from_data(unit)]
    odd = [unit for unit in units if _misfit(unit.layers[0])]
    if not odd:
        return None
    worst = next((unit for unit in odd if unit.layers[0].layer.code == INPUT), odd[0])
    one = worst.layers[0]
    assert one.grid is not None
    clipped = (one.below + one.above) / max(one.count, 1)
    how = f"{clipped:.1%} of the values lie outside" if clipped > _CLIPPED else _filled(one)
    return _finding(
        "quant-calibration",
        worst.name,
        count=f"{len(odd)} of {len(units)}",
        range=f"{one.grid.least:.4g} to {one.grid.most:.4g}",
        data=f"{one.least:.4g} to {one.most:.4g}",
        how=how,
        **_before_after(evidence.int8, outcome),
    )


def _grid_from_data(unit: Unit) -> bool:
    one = unit.layers[0]
    return one.grid is not None and not fixed(one.layer)


def _misfit(one: Figures) -> bool:
    """Whether the range of a layer is much wider than its values, or clips many of them."""
    clipped = (one.below + one.above) / max(one.count, 1)
    return clipped > _CLIPPED or _fill(one) < _WIDE


def _fill(one: Figures) -> float:
    """Share of the range between the smallest and the largest value, 0 included."""
    assert one.grid is not None
    span = max(one.most, 0.0) - min(one.least, 0.0)
    return span / (one.grid.most - one.grid.least)


def _filled(one: Figures) -> str:
    return f"the data fills {_fill(one):.2g} of it" if _fill(one) < 1 else "they differ"


def _per_tensor(evidence: Evidence, outcome: Outcome) -> QuantFinding | None:
    """The layer with one scale whose channels differ most is quoted."""
    widest, name = 0.0, ""
    for one in (layer for unit in evidence.units for layer in unit.layers):
        found = one.weights
        if found and found.scales == 1 and found.spread and found.spread > widest:
            widest, name = found.spread, one.layer.name
    return _finding(
        "quant-per-tensor", name, spread=f"{widest:.3g}", **_before_after(evidence.int8, outcome)
    )


def _outliers(evidence: Evidence, outcome: Outcome) -> QuantFinding:
    worst = min(
        (unit.layers[0] for unit in evidence.units if _grid_from_data(unit)),
        key=lambda one: one.rounding.decibels(one.signal),
    )
    return _finding("quant-outliers", worst.layer.name, **_before_after(evidence.int8, outcome))


def _single(evidence: Evidence) -> QuantFinding | None:
    """The one layer that costs at least half of the loss."""
    if not evidence.without:
        return None
    best = evidence.costliest
    outcome = evidence.without[best]
    if not _helps(evidence, outcome):
        return None
    weights = evidence.but_weights
    part = "weights and outputs"
    if weights is not None:
        part = "weights" if _helps(evidence, weights) else "outputs"
    ends = {0: "first", len(evidence.units) - 1: "last"}
    computing = [i for i, unit in enumerate(evidence.units) if unit.layers[0].layer.code != INPUT]
    ends = {computing[0]: "first", computing[-1]: "last"} if computing else ends
    place = f", the {ends[best]} layer," if best in ends else ""
    return _finding(
        "quant-layer",
        evidence.units[best].name,
        place=place,
        part=part,
        **_before_after(evidence.int8, outcome),
    )


def _dead(evidence: Evidence) -> Iterator[QuantFinding]:
    """One note on all layers with channels that int8 makes constant."""
    dead = []
    for unit in evidence.units:
        one = unit.layers[0]
        if one.live is not None and one.layer.constants and one.died >= _DEAD * len(one.live):
            dead.append(f"{one.died} of {len(one.live)} in {unit.name}")
    if dead:
        yield _finding("quant-dead-channels", "", dead=", ".join(dead))


def _lowest(evidence: Evidence) -> str:
    """The layer with the largest error of its own."""
    known = [one for unit in evidence.units for one in unit.layers if one.isolated]
    if not known:
        return ""
    return min(known, key=lambda one: one.own.decibels(one.signal)).layer.name


def _before_after(before: Outcome, after: Outcome) -> dict[str, str]:
    return {"before": _said(before), "after": _said(after)}


def _said(outcome: Outcome) -> str:
    """The share of right answers, or the ratio without labels."""
    if outcome.record.right is not None:
        return f"{outcome.record.right:.1%}"
    return "exact" if outcome.record.sqnr is None else f"{outcome.record.sqnr:.1f} dB"


def _finding(code: str, layer: str, **fields: str) -> QuantFinding:
    found = CODES[code]
    words = {"layer": layer, **fields}
    return QuantFinding(
        code=code,
        severity=found.severity,
        layer=layer,
        what=found.what.format(**words),
        advice=found.advice.format(**words),
        page=page_of(code),
    )
