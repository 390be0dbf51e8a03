# SPDX-License-Identifier: Apache-2.0
"""Pruning against the unpruned network: nothing that counts may change, and the size must."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from hil.core.errors import UsageError
from hil_train import compress, networks
from hil_train.compress import CRITERIA, Criterion
from hil_train.networks import (
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Dropout,
    Flatten,
    LeakyRelu,
    MaxPool,
    Network,
    Relu,
)
from tests.support.training import build, needs_tensorflow, tutorial

pytestmark = needs_tensorflow

SHAPE = (9, 7, 2)
NETS = {
    "two convolutions, pooled, flattened": Network(
        layers=(
            Conv(filters=6, activation="relu"),
            MaxPool(),
            Conv(filters=5, kernel=2, padding="same", activation="relu"),
            Flatten(),
            Dense(units=8, activation="relu"),
            Dense(units=3),
        )
    ),
    "normalised, depthwise, leaky": Network(
        layers=(
            Conv(filters=6, stride=2, padding="same"),
            BatchNorm(),
            LeakyRelu(),
            DepthwiseConv(activation="relu", padding="same"),
            Conv(filters=4, kernel=1),
            Relu(),
            AveragePool(padding="same"),
            Dropout(rate=0.5),
            Flatten(),
            Dense(units=3),
        )
    ),
    "flattened first": Network(
        layers=(Flatten(), Dense(units=9, activation="relu"), Dense(units=7), Dense(units=3))
    ),
    "one layer": Network(layers=(Flatten(), Dense(units=3))),
}


def samples(n: int = 40, shape: Sequence[int] = SHAPE) -> Any:
    return np.random.default_rng(5).integers(0, 3, (n, *shape)).astype(np.float32)


def whole(network: Network, dead: int, shape: tuple[int, ...] = SHAPE) -> Any:
    """A network of small whole numbers, whose sums are exact in any order; in each layer all
    incoming weights and the bias of ``dead`` random filters or units are zero."""
    model, random = build(network, shape), np.random.default_rng(3)
    for index, layer in enumerate(model.layers):
        if isinstance(network.layers[index], BatchNorm):
            continue  # as it is made: gamma 1, mean and beta 0, which leaves a zero a zero
        held = [random.integers(1, 4, w.shape).astype(np.float32) for w in layer.get_weights()]
        held = [w * random.choice([-1, 1], w.shape).astype(np.float32) for w in held]
        if index in compress.prunable(network):
            gone = random.permutation(held[1].size)[:dead]
            for w in held:
                w[..., gone] = 0
        layer.set_weights(held)
    for layer in model.layers:
        if isinstance(network.layers[model.layers.index(layer)], DepthwiseConv):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, np.zeros_like(bias)])  # a dead channel stays dead
    return model


def narrower(network: Network, by: int) -> Network:
    found = [
        compress._narrowed(layer, compress.outputs(layer) - by)
        if index in compress.prunable(network)
        else layer
        for index, layer in enumerate(network.layers)
    ]
    return Network(layers=tuple(found))


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", NETS)
def test_removing_what_is_zero_changes_no_output(name: str, criterion: Criterion) -> None:
    network, x = NETS[name], samples()
    model = whole(network, dead=2)
    # of the same samples: a unit that is silent on them may go in a dead one's place
    small = compress.prune(model, network, narrower(network, 2), criterion=criterion, samples=x)
    before, after = (np.asarray(each(x, training=False)) for each in (model, small))
    if any(isinstance(layer, BatchNorm) for layer in network.layers):
        np.testing.assert_allclose(after, before, rtol=1e-5)  # divides: no whole numbers any more
    else:
        np.testing.assert_array_equal(after, before)
    if compress.prunable(network):
        assert small.count_params() < model.count_params()


def test_removing_what_is_not_zero_changes_outputs() -> None:
    network, x = NETS["two convolutions, pooled, flattened"], samples()
    model = whole(network, dead=2)
    small = compress.prune(model, network, narrower(network, 3))
    assert not np.array_equal(np.asarray(model(x)), np.asarray(small(x)))


def test_keeping_all_is_the_same_network() -> None:
    network, x = NETS["normalised, depthwise, leaky"], samples()
    model = whole(network, dead=0)
    same = compress.prune(model, network, network, criterion="l2")
    np.testing.assert_array_equal(np.asarray(same(x)), np.asarray(model(x)))


def test_importance_is_what_it_says() -> None:
    network = Network(layers=(Dense(units=3, activation="relu"), Dense(units=2)))
    kernel = np.array([[3, 0, -2], [0, 2.5, -2]], np.float32)
    held = [[kernel, np.zeros(3, np.float32)], [np.zeros((3, 2), np.float32)] * 2]
    assert compress.norms(network, held, 1)[0].tolist() == [3, 2.5, 4]
    assert compress.norms(network, held, 2)[0].tolist() == [3, 2.5, np.sqrt(8)]
    model = build(network, (2,))
    model.layers[0].set_weights(held[0])
    found = compress._activations(model, network, np.array([[1, 1], [0, 1]], np.float32))
    assert found[0].tolist() == [3, 5, 0]  # the third is never above zero
    assert compress.strongest(np.array([2.0, 5, 2, 7]), 3).tolist() == [0, 1, 3]


@pytest.mark.parametrize("name", NETS)
def test_sizes_are_those_of_keras_and_of_the_tflite_file(name: str, tmp_path: Any) -> None:
    from hil.core.records import Precision
    from hil.tflite import read_model
    from hil_train.export import convert

    network = NETS[name]
    model = whole(network, dead=0)
    size = networks.size(network, SHAPE)
    assert size.parameters == model.count_params()
    path = tmp_path / "net.tflite"
    path.write_bytes(convert(model, samples(5))[Precision.FLOAT32])
    assert size.macs == read_model(path).macs


def test_the_tutorials_networks_have_the_sizes_that_it_says() -> None:
    teacher, student = (networks.size(tutorial(n), (28, 28, 1)) for n in ("teacher", "student"))
    assert (teacher.parameters, student.parameters, student.macs) == (225_034, 21_898, 70_464)


@pytest.mark.parametrize("by", ["parameters", "macs"])
def test_the_widest_fits_and_one_wider_does_not(by: networks.By) -> None:
    teacher, limit = (
        tutorial("teacher"),
        getattr(networks.size(tutorial("student"), (28, 28, 1)), by),
    )
    found = networks.widest(teacher, (28, 28, 1), limit, by)
    assert 0.85 * limit < getattr(networks.size(found, (28, 28, 1)), by) <= limit
    kinds = [type(layer) for layer in found.layers]
    assert kinds == [type(layer) for layer in teacher.layers]
    assert found.layers[-1] == teacher.layers[-1]


@pytest.mark.parametrize("share", [0, -0.5, 1.01, float("nan")])
def test_a_share_that_makes_no_sense_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="0 < share <= 1"):
        compress.thinned(tutorial("teacher"), share)


def test_what_does_not_fit_is_refused() -> None:
    network = NETS["flattened first"]
    model = whole(network, dead=0)

    def wanted(*layers: Any) -> Network:
        return Network(layers=layers)

    rest = (Dense(units=9, activation="relu"), Dense(units=7), Dense(units=3))
    for small, says in (
        (wanted(*rest), "4 layers cannot be pruned to 3"),
        (wanted(Flatten(), Dense(units=10, activation="relu"), *rest[1:]), "10 cannot be kept"),
        (wanted(Flatten(), Dense(units=9), *rest[1:]), "another kind of layer"),
        (wanted(Flatten(), *rest[:2], Dense(units=2)), "are the classes"),
    ):
        with pytest.raises(UsageError, match=says):
            compress.prune(model, network, small)
    with pytest.raises(UsageError, match="needs samples"):
        compress.prune(model, network, network, criterion="activation")
    with pytest.raises(UsageError, match="its description 2"):
        compress.prune(model, NETS["one layer"], NETS["one layer"])
    with pytest.raises(UsageError, match="with one filter or unit a layer"):
        networks.widest(tutorial("teacher"), (28, 28, 1), 10, "parameters")
    with pytest.raises(UsageError, match="does not fit an input of shape"):
        networks.size(Network(layers=(Conv(filters=2, kernel=9),)), (4, 4, 1))
