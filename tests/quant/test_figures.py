# SPDX-License-Identifier: Apache-2.0
"""Every figure of a layer, and every trial, against NumPy (tests/support/quantised.py)."""

from __future__ import annotations

import numpy as np
import pytest

from hil.quant import Budget
from tests.quant.checked import checked
from tests.support.quantised import Network, Range, decibels, network, samples

X = samples()
NET = network().calibrated(X)
ALL = range(4)


@pytest.fixture(scope="module", params=["per channel", "per tensor", "clipped"])
def net(request: pytest.FixtureRequest) -> Network:
    found = network(3).calibrated(X, 0.7 if request.param == "clipped" else 1.0)
    found.per_channel = request.param != "per tensor"
    return found


def test_trials_are_those_of_numpy(net: Network) -> None:
    found = checked(net, X)
    real = net.values(X)[-1]
    answers = real.argmax(1)
    names = ["t0", "conv_2d_0", "fully_connected_2", "fully_connected_3"]
    layers = {one.name: one for one in found.layers}
    for i, name in enumerate(names):
        for trial, chosen in (
            (layers[name].only, [i]),
            (layers[name].without, [j for j in ALL if j != i]),
        ):
            expected = net.simulated(X, chosen)[-1]
            assert trial is not None
            assert trial.sqnr == pytest.approx(decibels(real, expected), abs=0.2)
            share = float((expected.argmax(1) == answers).mean())
            assert trial.right == pytest.approx(share, abs=0.01)
    whole = net.simulated(X, ALL)[-1]
    assert found.simulated is not None
    assert found.simulated.sqnr == pytest.approx(decibels(real, whole), abs=0.2)
    # integers add at most a rounding of the multiplier
    assert found.int8.sqnr == pytest.approx(decibels(real, whole), abs=0.5)


def test_layers_are_those_of_numpy(net: Network) -> None:
    found = checked(net, X)
    real, rounded = net.values(X), net.simulated(X, ALL)
    stored = [one for one in found.layers if one.ops != "RESHAPE"]
    assert [one.ops for one in stored] == ["INPUT", "CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED"]
    for i, one in enumerate(stored):
        grid = net.ranges[i]
        x = real[i]
        assert one.sqnr == pytest.approx(decibels(x, rounded[i]), abs=0.5)
        assert one.sqnr_rounding == pytest.approx(decibels(x, grid.rounded(x)), abs=0.01)
        assert one.data == pytest.approx((x.min(), x.max()), abs=1e-5)
        low, high = ((end - grid.zero) * grid.scale for end in (-128, 127))
        assert one.range == pytest.approx((low, high), rel=1e-6, abs=1e-9)
        assert one.clipped_low == pytest.approx((x < low - grid.scale / 2).mean(), abs=0.001)
        assert one.clipped_high == pytest.approx((x > high + grid.scale / 2).mean(), abs=0.001)
        own = net.simulated(X, ALL)[0] if i == 0 else _own(net, real, i)
        assert one.sqnr_own == pytest.approx(decibels(x, own), abs=0.3)
        error = np.sqrt(np.square(x - own).mean()) / grid.scale
        assert one.error == pytest.approx(error, abs=0.05)
        codes = grid.codes(rounded[i])
        assert one.at_low == pytest.approx((codes == -128).mean(), abs=0.01)
        assert one.at_high == pytest.approx((codes == 127).mean(), abs=0.01)
        assert one.unused == pytest.approx(1 - len(np.unique(codes)) / 256, abs=0.03)
        assert one.channels == x.shape[-1]


def _own(net: Network, real: list[np.ndarray], i: int) -> np.ndarray:
    """A layer in int8 on exact inputs, rounded."""
    x, layer = net.ranges[i - 1].rounded(real[i - 1]), net.layers[i - 1]
    alone = Network([layer], [net.ranges[i - 1], net.ranges[i]], net.per_channel)
    w = alone.real_weights(0)
    if i == 1:
        patches = np.lib.stride_tricks.sliding_window_view(x[..., 0], (3, 3), (1, 2))
        y = np.einsum("nijab,kab->nijk", patches, w[..., 0]) + layer.b
    else:
        y = x.reshape(len(x), -1) @ w.T + layer.b
    y = y if i == len(net.layers) else np.maximum(y, 0)
    return net.ranges[i].rounded(y)


def test_weights_are_those_of_numpy(net: Network) -> None:
    found = checked(net, X)
    weighted = [one.weights for one in found.layers if one.weights]
    assert len(weighted) == 3
    for i, one in enumerate(weighted):
        w = net.layers[i].w
        assert one.scales == (len(w) if net.per_channel else 1)
        assert one.sqnr == pytest.approx(decibels(w, net.real_weights(i)), abs=0.01)
        ranges = np.abs(w).reshape(len(w), -1).max(1)
        assert one.spread == pytest.approx(ranges.max() / ranges.min(), rel=1e-5)
        products = net.scales(i) * net.ranges[i].scale
        bias = np.rint(net.layers[i].b / products)
        assert one.bias == pytest.approx(np.abs(bias).max() / 2**31, rel=1e-6)
        rows = np.abs(net.codes(i).astype(float)).reshape(len(w), -1).sum(1)
        most = max(127 - net.ranges[i].zero, net.ranges[i].zero + 128)
        assert one.sums == pytest.approx((rows * most + np.abs(bias)).max() / 2**31, rel=1e-6)
        assert one.bias_scale == pytest.approx(0, abs=1e-6)
        assert one.bias_off is not None
        assert one.bias_off < 0.1


def test_an_exact_layer_only_rounds() -> None:
    # 0.289 = 1/sqrt(12) of a step
    (first, *_) = checked(NET, X).layers
    assert first.error == pytest.approx(1 / np.sqrt(12), abs=0.01)


def test_without_labels_only_outputs_are_compared() -> None:
    found = checked(NET, X, labels=False)
    assert found.int8.right is found.p is None
    real = NET.values(X)[-1]
    error = np.sqrt(np.square(real - NET.simulated(X, ALL)[-1]).mean())
    assert found.error == pytest.approx(error / real.std(axis=0).mean(), rel=0.1)
    assert found.loses is False


def test_a_small_budget_tries_fewer_samples() -> None:
    found = checked(NET, X, budget=Budget(trials=1.0))
    assert (found.n, found.tried) == (120, 16)


def test_channels_that_int8_makes_constant() -> None:
    net = network().calibrated(X)
    net.ranges[2] = Range(0, 1e-6)  # every value is 0 or above the range
    hidden = next(one for one in checked(net, X).layers if one.name == "fully_connected_2")
    always = int((net.values(X)[2].min(axis=0) > 1e-6).sum())
    assert hidden.dead >= always > 0
