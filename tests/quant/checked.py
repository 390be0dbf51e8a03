# SPDX-License-Identifier: Apache-2.0
"""Pairs of tests/support/quantised.py, checked."""

from __future__ import annotations

import numpy as np

from hil.quant import Budget, Judge, Samples, compare, match
from hil.quant.match import Pair
from hil.reference import encode_inputs
from hil.runs.schema_quant import QuantPair
from hil.tflite import read_model
from tests.support.quantised import Network, Reals


def pair_of(net: Network) -> Pair:
    return match(read_model(net.float_file()), read_model(net.int8_file()))


def checked(
    net: Network,
    x: Reals,
    *,
    labels: bool = True,
    typical: bool = True,
    budget: Budget | None = None,
) -> QuantPair:
    """The labels are the float32 network's answers."""
    pair = pair_of(net)
    real = x.astype(np.float32)
    judge = Judge(net.values(x)[-1].argmax(1)) if labels else None
    codes = encode_inputs(real, pair.coded.input)
    return compare(pair, Samples("made", (real,), (codes,), judge, typical), budget=budget)


def codes(found: QuantPair) -> list[str]:
    return [one.code for one in found.findings if one.severity == "warning"]
