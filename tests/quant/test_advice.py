# SPDX-License-Identifier: Apache-2.0
"""One planted fault each, and the finding that names it; none for networks that lose nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.api.quantcheck import check_files
from hil.bench.source import Source
from hil.quant import Samples, compare, match
from hil.reference import encode_inputs
from hil.tflite import read_model
from tests.quant.checked import checked, codes
from tests.support.benches import PROJECT
from tests.support.quantised import FILTERS, Network, Weights, network, samples

X = samples(200)
GOOD = network().calibrated(X)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("labels", [True, False])
def test_good_networks_have_no_findings(seed: int, labels: bool) -> None:
    found = checked(network(seed).calibrated(samples(100, seed + 50)), X, labels=labels)
    assert found.findings == ()
    assert found.loses is False


@pytest.mark.parametrize("factor", [200.0, 0.02])
@pytest.mark.parametrize("labels", [True, False])
def test_ranges_of_other_data(factor: float, labels: bool) -> None:
    found = checked(network().calibrated(X, factor), X, labels=labels)
    assert found.loses
    assert codes(found) == ["quant-calibration"]
    (finding, *_) = found.findings
    assert "4 of 4 ranges" in finding.what
    assert f"t0 holds 0 to {factor:g}" in finding.what
    cure = next(one.outcome for one in found.cures if one.name == "recalibrated")
    assert cure.sqnr is not None
    assert cure.sqnr > 30
    assert finding.page == "docs/quantcheck.md#quant-calibration"


def test_random_samples_say_nothing_about_ranges() -> None:
    found = checked(network().calibrated(X, 200.0), X, typical=False)
    assert found.loses
    assert found.findings == ()
    assert "random" in " ".join(found.not_covered)


def test_one_scale_for_channels_of_other_ranges() -> None:
    net = silent(network(4))
    first, hidden, last = net.layers
    w, v = hidden.w.copy(), last.w.copy()
    w[0, SILENT] = 60.0  # one channel, which no other layer reads
    v[:, 0] = 0
    net = Network([first, Weights(w, hidden.b), Weights(v, last.b)])
    assert codes(checked(net.calibrated(X), X)) == []
    found = checked(replace(net.calibrated(X), per_channel=False), X)
    assert codes(found) == ["quant-per-tensor"]
    finding = found.findings[0]
    assert finding.layer == "fully_connected_2"
    ranges = np.abs(w).max(1)
    assert f"a factor of {ranges.max() / ranges.min():.3g}" in finding.what


def test_one_layer_that_costs_by_its_weights() -> None:
    net = silent(network(4))
    first, hidden, last = net.layers
    w = hidden.w.copy()
    w[:, SILENT] = 60.0  # in every channel, so that only the codes of the others suffer
    found = checked(Network([first, Weights(w, hidden.b), last]).calibrated(X), X)
    assert codes(found) == ["quant-layer"]
    assert found.findings[0].layer == "fully_connected_2"
    assert "by its weights" in found.findings[0].what


def test_activations_with_outliers() -> None:
    net = network(4).calibrated(X)
    net.ranges[2] = replace(net.ranges[2], high=net.ranges[2].high * 300)
    found = checked(net, X)
    assert codes(found) == ["quant-calibration"]
    assert found.findings[0].layer == "fully_connected_2"
    assert "1 of 4 ranges" in found.findings[0].what


def test_without_labels_a_range_of_the_outputs_that_is_too_wide() -> None:
    net = network(4).calibrated(X)
    wide = net.ranges[3]
    net.ranges[3] = replace(wide, low=wide.low * 300, high=wide.high * 300)
    found = checked(net, X, labels=False)
    assert codes(found) == ["quant-calibration"]
    assert found.findings[0].layer == "fully_connected_3"


SILENT = 5  # this value of the convolution's output is always 0


def silent(net: Network) -> Network:
    """The channel of `SILENT` is always 0, so that its weights in the next layer do not matter."""
    first, hidden, last = net.layers
    b = first.b.copy()
    b[SILENT % FILTERS] = -100.0
    return Network([Weights(first.w, b), hidden, last])


def test_a_bias_beyond_its_codes() -> None:
    net = network().calibrated(X)
    net.ranges[0] = replace(net.ranges[0], high=1e-6)
    found = checked(net, X)
    assert "quant-bias-overflow" in codes(found)
    share = found.layers[1].weights
    assert share is not None
    assert share.bias == pytest.approx(0.5)


def test_weights_of_another_network() -> None:
    plain, coded = network(0), network(1).calibrated(X)
    pair = match(read_model(plain.float_file()), read_model(coded.int8_file()))
    real = X.astype(np.float32)
    found = compare(pair, Samples("made", (real,), (encode_inputs(real, pair.coded.input),)))
    assert codes(found)[:3] == ["quant-other-weights"] * 3


CASES = Path(__file__).parents[1] / "bench" / "data"


@pytest.mark.parametrize(
    ("int8", "expected", "right"),
    [
        ("digits_int8", [], 0.95),
        ("digits_calibrated_x255_int8", ["quant-calibration"], 0.30),
        ("digits_calibrated_on_zeros_int8", ["quant-calibration"], 0.11),
    ],
)
def test_converted_networks(int8: str, expected: list[str], right: float) -> None:
    found = check_files(
        CASES / "digits_float32.tflite",
        CASES / f"{int8}.tflite",
        Source(CASES / "digits.npz"),
        None,
        lambda _: None,
    )
    assert codes(found) == expected
    assert found.int8.right == pytest.approx(right, abs=0.01)
    assert found.float32.right == pytest.approx(0.95)


@pytest.mark.parametrize("name", ["digits", "tabular", "noise"])
def test_pairs_of_the_recipes_have_no_warning(name: str) -> None:
    folder = PROJECT / "models" / name
    pairs = sorted(folder.glob("*_float32.tflite"))
    assert pairs
    for file in pairs:
        int8 = folder / file.name.replace("float32", "int8")
        found = check_files(file, int8, Source(name), None, lambda _: None)
        assert found.findings == ()
        assert not found.loses
        assert found.simulated is not None
        assert found.simulated.sqnr == pytest.approx(found.int8.sqnr, abs=0.3)
