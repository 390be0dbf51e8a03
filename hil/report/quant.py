# SPDX-License-Identifier: Apache-2.0
"""Section "Quantisation": what int8 loses to float32, layer by layer; also for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hil.report.blocks import Bullets, Section, Table, section
from hil.report.text import plural, real
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema_quant import QuantLayer, QuantPair, QuantTrial

_NONE: Final = "–"
_HEAD: Final = ("Layer", "Operators", "SQNR", "Own", "Error", "Clipped", "Unused", "Range")
_TRIED: Final = ("Only it", "All but it")
_NOTE: Final = (
    "SQNR: signal to quantisation noise in dB, float32 values to the difference from them. Own: "
    "of the layer on exact inputs. Error: rms of that in steps of the scale, 0.289 if the layer "
    "only rounds. Clipped: float32 values beyond the int8 range. Unused: codes that no value has. "
    "Only it, all but it: the outputs if just this layer is int8, or just this layer is float32 "
    "(simulated on the host)."
)


def quant_section(run: StoredRun, _: Sequence[Cell]) -> Section:
    """One table per model that was benched in both precisions."""
    return section(
        "quant",
        "Quantisation",
        [
            block
            for pair in run.quant
            for block in (
                Bullets(pair.model, lines(pair)),
                layer_table(pair, f"{pair.model}: layers in int8"),
            )
        ],
    )


def lines(pair: QuantPair) -> tuple[str, ...]:
    """What a pair loses, and where, in sentences."""
    found = [f"{headline(pair)}."]
    if worst := costliest(pair):
        found.append(f"{worst}.")
    if pair.unmatched:
        found.append(f"Layers that only one file has: {', '.join(pair.unmatched)}.")
    return (*found, *(f"Not covered: {one}." for one in pair.not_covered))


def headline(pair: QuantPair) -> str:
    """Both networks in one line."""
    where = f"on {plural(pair.n, 'sample')} of {pair.data}"
    noise = "" if pair.int8.sqnr is None else f"output SQNR {_db(pair.int8.sqnr)} dB"
    if pair.int8.right is None or pair.float32.right is None:
        error = "" if pair.error is None else f", off by {pair.error:.1%} of a standard deviation"
        return f"int8 {where}: {noise or 'outputs equal'}{error}"
    return (
        f"right answers {where}: float32 {pair.float32.right:.1%}, int8 {pair.int8.right:.1%}"
        f" (McNemar's p = {pair.p:.2g}); {noise or 'outputs equal'}"
    )


def costliest(pair: QuantPair) -> str:
    """The layer that costs most, in one line; empty without trials."""
    tried = [one for one in pair.layers if one.only is not None and one.without is not None]
    if not tried:
        return ""
    lowest = min(tried, key=lambda one: _rank(pair, one.only))
    best = max(tried, key=lambda one: _rank(pair, one.without))
    if not pair.loses:
        return f"least exact: {lowest.name}, {_noise(lowest.only)} if it alone is int8"
    return (
        f"{lowest.name} costs most if it alone is int8: {_outcome(lowest.only)}; most is regained "
        f"if {best.name} alone is float32: {_outcome(best.without)}"
    )


def _rank(pair: QuantPair, trial: QuantTrial | None) -> tuple[float, float]:
    """Larger is better: by right answers if int8 loses some, then by the outputs."""
    if trial is None:
        return (0.0, 0.0)
    right = trial.right if pair.loses and trial.right is not None else 0.0
    return (right, float("inf") if trial.sqnr is None else trial.sqnr)


def layer_table(pair: QuantPair, title: str) -> Table:
    """One row per layer."""
    tried = any(one.only for one in pair.layers)
    rows = [
        _row(one) + ((_outcome(one.only), _outcome(one.without)) if tried else ())
        for one in pair.layers
    ]
    return Table(title, (*_HEAD, *(_TRIED if tried else ())), tuple(rows), _NOTE)


def _row(one: QuantLayer) -> tuple[str, ...]:
    return (
        one.name,
        one.ops,
        _db(one.sqnr),
        _db(one.sqnr_own),
        _NONE if one.error is None else f"{one.error:.2f}",
        f"{one.clipped_low + one.clipped_high:.1%}",
        f"{one.unused:.0%}",
        _NONE if one.range is None else f"{real(one.range[0])} to {real(one.range[1])}",
    )


def _db(ratio: float | None) -> str:
    return _NONE if ratio is None else f"{ratio:.1f}"


def _noise(trial: QuantTrial | None) -> str:
    return "exact" if trial is None or trial.sqnr is None else f"output SQNR {trial.sqnr:.1f} dB"


def _outcome(trial: QuantTrial | None) -> str:
    if trial is None:
        return _NONE
    if trial.right is None:
        return "exact" if trial.sqnr is None else f"{trial.sqnr:.1f} dB"
    return f"{trial.right:.1%}"
