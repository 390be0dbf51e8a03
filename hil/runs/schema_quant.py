# SPDX-License-Identifier: Apache-2.0
"""The records of quant.json: what `hil.quant` found in an int8 network and the float32 network that
it was made from.

Keys are a contract, as in `hil.runs.schema`. Ratios are signal to quantisation noise in dB, of the
float32 network's values to the difference from them; null if there is no difference, or no signal.
"""

from __future__ import annotations

from hil.runs.schema import Stored
from hil.runs.schema_checks import Severity

QUANT = "quant.json"


class QuantFinding(Stored, frozen=True, kw_only=True):
    """Why int8 loses, or what is wrong in its file. ``code``: of `hil.checks.codes`; ``layer``: its
    name, empty for the whole network; ``page``: where the code is documented."""

    code: str
    severity: Severity
    layer: str = ""
    what: str
    advice: str
    page: str

    @property
    def line(self) -> str:
        """The finding in one line."""
        return f"{self.what}. What to do: {self.advice} ({self.page})"


class QuantTrial(Stored, frozen=True, kw_only=True):
    """The network with some of its values rounded to int8, on the host. ``sqnr``: of the outputs,
    the lowest if there are several; ``right``: share of right answers, null without labels."""

    sqnr: float | None
    right: float | None = None


class QuantWeights(Stored, frozen=True, kw_only=True):
    """Weights of a layer, and its bias if it has one.

    ``scales``: 1, or one per channel. ``spread``: largest divided by smallest range of the
    channels' weights, channels of zeros left out. ``sqnr``: of all weights; ``sqnr_channel``: of
    the worst channel. ``bias``: largest bias as a share of int32's range. ``sums``: largest sum
    that is possible, as a share of int32's range. ``bias_scale``: how far the bias's scale is from
    input scale x weight scale, as a share of it. ``bias_off``: largest difference of the bias, as
    kernels take it, from the float32 bias, in steps of the output's scale.
    """

    scales: int
    spread: float | None
    sqnr: float | None
    sqnr_channel: float | None
    bias: float | None = None
    sums: float | None = None
    bias_scale: float | None = None
    bias_off: float | None = None


class QuantLayer(Stored, frozen=True, kw_only=True):
    """One layer. ``ops``: TFLite's operators, or INPUT. ``dtype``: of its output in the int8 file.

    ``sqnr``: of the int8 network as it runs. ``sqnr_own``: of the layer on exact inputs, null if it
    cannot run alone. ``sqnr_rounding``: of the exact output, rounded and clamped. ``error``: root
    mean square of the layer's own error, in steps of its scale (0.289 if it only rounds).
    ``data``: range of the exact values; ``range``: what int8 can hold. ``clipped_low`` and
    ``clipped_high``: share of the exact values outside of it; ``at_low`` and ``at_high``: share of
    int8 values at its limits. ``unused``: share of codes that no value has. ``channels``: of the
    output, its last axis; ``dead``: those that are constant in int8 only; ``dead_float``: constant
    in float32 too.

    ``unit``: layers that share a range, tried together, have the same number. ``only``: the
    float32 network with only this unit in int8; ``without``: all in int8 but this unit.
    """

    name: str
    ops: str
    shape: tuple[int, ...]
    dtype: str
    sqnr: float | None
    sqnr_own: float | None = None
    sqnr_rounding: float | None = None
    error: float | None = None
    data: tuple[float, float]
    range: tuple[float, float] | None = None
    clipped_low: float = 0.0
    clipped_high: float = 0.0
    at_low: float = 0.0
    at_high: float = 0.0
    unused: float = 0.0
    channels: int = 0
    dead: int = 0
    dead_float: int = 0
    weights: QuantWeights | None = None
    unit: int | None = None
    only: QuantTrial | None = None
    without: QuantTrial | None = None


class QuantCure(Stored, frozen=True, kw_only=True):
    """A change of the quantisation, tried on the host by rounding the float32 network's values.
    ``name``: of `hil.quant.trials.CURES`."""

    name: str
    outcome: QuantTrial


class QuantPair(Stored, frozen=True, kw_only=True):
    """A float32 network and the int8 network made from it, on ``n`` samples.

    ``model``: its name in the run. ``float_sha256``, ``int8_sha256``: of the files. ``float32``,
    ``int8``: both networks as they run; ``p``: of McNemar's test that int8 is right as often.
    ``loses``: int8 is right less often by an exact test; without labels, ``error`` is too large.
    ``simulated``: the float32 network with every layer rounded, on ``tried`` samples, the first of
    the ``n``; trials of layers and of ``cures`` use the same ones. ``error``: rms difference of the
    outputs, in standard deviations of the float32 outputs. ``unmatched``: layers that only one
    file has. ``not_covered``: what could not be compared, and why; one sentence each.
    """

    model: str
    float_file: str
    int8_file: str
    float_sha256: str
    int8_sha256: str
    data: str
    n: int
    float32: QuantTrial
    int8: QuantTrial
    p: float | None = None
    loses: bool = False
    error: float | None = None
    simulated: QuantTrial | None = None
    tried: int = 0
    layers: tuple[QuantLayer, ...]
    cures: tuple[QuantCure, ...] = ()
    unmatched: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    findings: tuple[QuantFinding, ...] = ()
