# SPDX-License-Identifier: Apache-2.0
"""A record of quant.json with every field."""

from __future__ import annotations

from hil.runs.schema_quant import (
    QuantCure,
    QuantFinding,
    QuantLayer,
    QuantPair,
    QuantTrial,
    QuantWeights,
)


def _layer(name: str, number: int) -> QuantLayer:
    weights = QuantWeights(scales=2, spread=3.0, sqnr=40.0, sqnr_channel=38.0, bias=0.1)
    return QuantLayer(
        name=name,
        ops="CONV_2D",
        shape=(1, 2, 2, 2),
        dtype="int8",
        sqnr=-3.5 + 4 * number,
        sqnr_own=4.0 + 4 * number,
        data=(0.0, 1.0),
        range=(0.0, 255.0),
        channels=2,
        weights=weights,
        unit=number,
        only=QuantTrial(sqnr=12.5, right=0.5 + number / 200),
        without=QuantTrial(sqnr=10.5, right=0.6 - number / 200),
    )


def quant_pair(model: str = "student", name: str = "conv", layers: int = 3) -> QuantPair:
    """An int8 network that loses, with its cause. ``name``: of its first layer."""
    trial = QuantTrial(sqnr=12.5, right=0.5)
    finding = QuantFinding(
        code="quant-calibration",
        severity="warning",
        layer=name,
        what=f"2 of 3 ranges of int8 do not fit this data: {name} holds 0 to 255",
        advice="calibrate on samples like these",
        page="docs/quantcheck.md#quant-calibration",
    )
    return QuantPair(
        model=model,
        float_file="float32.tflite",
        int8_file="int8.tflite",
        float_sha256="0" * 64,
        int8_sha256="1" * 64,
        data="digits",
        n=200,
        float32=QuantTrial(sqnr=None, right=1.0),
        int8=trial,
        p=0.01,
        loses=True,
        error=0.5,
        simulated=trial,
        tried=200,
        layers=tuple(_layer(name if not i else f"dense_{i}", i) for i in range(layers)),
        cures=(QuantCure(name="recalibrated", outcome=trial),),
        unmatched=("float32: relu (RELU)",),
        not_covered=("nothing",),
        findings=(finding,),
    )
