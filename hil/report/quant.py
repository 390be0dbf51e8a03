# SPDX-License-Identifier: Apache-2.0
"""Section "Quantisation": what int8 loses to float32, layer by layer; also for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from hil.report.blocks import Bullets, Section, Table, section
from hil.report.draw.chart import NARROW, Chart, Dot, Row, Scale, round_ticks, ticks_in
from hil.report.text import listed, plural, real
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema_quant import QuantLayer, QuantPair, QuantTrial

_NONE: Final = "–"
_MOST: Final = 80.0  # dB on an axis
_ROWS: Final = 40  # of a drawing
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
                Bullets(pair.model, (*lines(pair), *(one.line for one in pair.findings))),
                noise_chart(pair),
                trial_chart(pair) if pair.loses else None,
                layer_table(pair, f"{pair.model}: layers in int8"),
            )
        ],
    )


def quant_warnings(run: StoredRun) -> tuple[str, ...]:
    """One line per model that int8 loses with; none for good ones."""
    return tuple(
        f"{pair.model}: {headline(pair)}. See Quantisation: "
        f"{listed(list(dict.fromkeys(one.code for one in warned)))}."
        for pair in run.quant
        if (warned := [one for one in pair.findings if one.severity == "warning"])
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


# --- drawings ---


def noise_chart(pair: QuantPair) -> Chart | None:
    """One row per layer: its ratio in the network, and alone. Layers that only move values have the
    ratio of the layer before them."""
    rows = [one for one in _drawn(pair) if one.sqnr is not None]
    if not rows:
        return None
    found = [ratio for one in rows for ratio in (one.sqnr, one.sqnr_own) if ratio is not None]
    low = min(0.0, 10.0 * math.floor(min(found) / 10))
    scale = Scale(low, min(_MOST, 10.0 * math.ceil(max(found) / 10)))
    capped = max(found) > _MOST
    return Chart(
        title=f"{pair.model}: error of each layer",
        caption="Signal to quantisation noise: more is better. What a layer has less than alone "
        "it inherits from the layers before it."
        + f" Ratios above {_MOST:g} dB are drawn there."
        * capped,
        axis="dB",
        ticks=ticks_in(
            NARROW,
            ((scale.at(v), f"{v:.4g}") for v in round_ticks(scale.low, scale.high)),
            inside=True,
        ),
        rows=tuple(_noise_row(pair, one, scale) for one in rows),
        legend=(("key-device", "in the int8 network"), ("key-host", "the layer alone")),
    )


def _noise_row(pair: QuantPair, one: QuantLayer, scale: Scale) -> Row:
    ratios = [("device", one.sqnr)]
    if one.sqnr_own is not None:
        ratios.append(("host", one.sqnr_own))
    return Row(
        label=one.name,
        css=_css(pair, one),
        values=tuple(
            f"{'' if kind == 'device' else 'alone '}{_db(ratio)} dB" for kind, ratio in ratios
        ),
        dots=tuple(
            _dot(kind, scale.at(min(ratio, scale.high)))
            for kind, ratio in ratios
            if ratio is not None
        ),
    )


def trial_chart(pair: QuantPair) -> Chart | None:
    """One row per layer: the right answers if it alone is int8, and if it alone is float32."""
    rows = [one for one in _drawn(pair) if one.only and one.only.right is not None]
    if not rows:
        return None
    scale = Scale(0.0, 1.0)
    both = f"float32 {pair.float32.right:.1%}, int8 {pair.int8.right:.1%}"
    return Chart(
        title=f"{pair.model}: layers replaced one by one",
        caption=f"Share of right answers, simulated on the host; all layers: {both}.",
        axis="right answers",
        ticks=ticks_in(
            NARROW, ((scale.at(v), f"{v:.0%}") for v in round_ticks(0.0, 1.0)), inside=True
        ),
        rows=tuple(
            Row(
                label=one.name,
                css=_css(pair, one),
                values=(f"only it {_outcome(one.only)}", f"all but it {_outcome(one.without)}"),
                dots=(
                    _dot("device", scale.at(_right(one.only))),
                    _dot("host", scale.at(_right(one.without))),
                ),
            )
            for one in rows
        ),
        legend=(("key-device", "only this layer int8"), ("key-host", "only this layer float32")),
    )


def _drawn(pair: QuantPair) -> list[QuantLayer]:
    """The first layer of each unit; of very many, the least exact."""
    seen: set[int] = set()
    first = []
    for one in pair.layers:
        if one.unit is None or one.unit not in seen:
            first.append(one)
        if one.unit is not None:
            seen.add(one.unit)
    known = [one for one in first if one.sqnr is not None]
    lowest = sorted(known, key=lambda one: one.sqnr or 0.0)[:_ROWS]
    return [one for one in first if any(one is kept for kept in lowest)]


def _css(pair: QuantPair, one: QuantLayer) -> str:
    """The colour of a row: red for a layer that a warning names."""
    named = {found.layer for found in pair.findings if found.severity == "warning"}
    return "hue-student full" if one.name in named else "hue-teacher full"


def _dot(kind: str, at: float) -> Dot:
    return Dot(kind, at, at, at)


def _right(trial: QuantTrial | None) -> float:
    return 0.0 if trial is None or trial.right is None else trial.right


# --- the table ---


def layer_table(pair: QuantPair, title: str) -> Table:
    """One row per layer."""
    tried = any(one.only for one in pair.layers)
    rows = [
        _row(one) + ((_outcome(one.only), _outcome(one.without)) if tried else ())
        for one in pair.layers
    ]
    return Table(
        title, (*_HEAD, *(_TRIED if tried else ())), tuple(rows), _NOTE, folded=not pair.loses
    )


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
    return _NONE if ratio is None else f"{ratio:.1f}".replace("-", "−")


def _noise(trial: QuantTrial | None) -> str:
    return "exact" if trial is None or trial.sqnr is None else f"output SQNR {_db(trial.sqnr)} dB"


def _outcome(trial: QuantTrial | None) -> str:
    if trial is None:
        return _NONE
    if trial.right is None:
        return "exact" if trial.sqnr is None else f"{_db(trial.sqnr)} dB"
    return f"{trial.right:.1%}"
