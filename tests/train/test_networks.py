# SPDX-License-Identifier: Apache-2.0
"""Networks of a recipe: sizes, widths, and fingerprints that do not depend on Keras's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import UsageError
from hil_train import networks
from hil_train.export import load_network
from hil_train.networks import Conv, Dense, Flatten, Network, Relu, fingerprint
from tests.support.training import build, tutorial, with_tensorflow

SHAPE = (4, 3, 1)
PLAIN = Network(layers=(Flatten(), Dense(units=5), Dense(units=2)))
BENT = Network(layers=(Flatten(), Dense(units=5), Relu(), Dense(units=2)))


@with_tensorflow
def test_equal_networks_have_one_fingerprint(tmp_path: Path) -> None:
    first, second = build(PLAIN, SHAPE), build(PLAIN, SHAPE)
    second.set_weights(first.get_weights())
    first.save(tmp_path / "first.keras")
    assert (
        fingerprint(first)
        == fingerprint(second)
        == fingerprint(load_network(tmp_path / "first.keras"))
    )


@with_tensorflow
def test_another_weight_or_layer_gives_another_fingerprint() -> None:
    network = build(PLAIN, SHAPE)
    weights = network.get_weights()
    before = fingerprint(network)
    weights[0][0, 0] = np.nextafter(weights[0][0, 0], np.float32(9))
    network.set_weights(weights)
    assert fingerprint(network) != before
    bent = build(BENT, SHAPE)
    bent.set_weights(network.get_weights())
    assert fingerprint(bent) != fingerprint(network)


def test_the_tutorial_s_networks_have_its_sizes() -> None:
    teacher, student = (networks.size(tutorial(n), (28, 28, 1)) for n in ("teacher", "student"))
    assert (teacher.parameters, student.parameters, student.macs) == (225_034, 21_898, 70_464)


@pytest.mark.parametrize("measure", ["parameters", "macs"])
def test_the_widest_network_uses_most_of_the_limit(measure: networks.Measure) -> None:
    teacher, shape = tutorial("teacher"), (28, 28, 1)
    limit = networks.size(tutorial("student"), shape).of(measure)
    found = networks.widest(teacher, shape, limit, measure)
    assert 0.85 * limit < networks.size(found, shape).of(measure) <= limit
    kinds = [type(layer) for layer in found.layers]
    assert kinds == [type(layer) for layer in teacher.layers]
    assert found.layers[-1] == teacher.layers[-1]


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="with one filter or unit per layer"):
        networks.widest(tutorial("teacher"), (28, 28, 1), 10, "parameters")
    with pytest.raises(UsageError, match="does not fit an input of shape"):
        networks.size(Network(layers=(Conv(filters=2, kernel=9),)), (4, 4, 1))


def test_a_network_is_widened_except_for_its_classes() -> None:
    student = tutorial("student")
    wide = networks.widened(student, 2)
    assert [getattr(each, "filters", getattr(each, "units", None)) for each in wide.layers] == [
        16,
        None,
        None,
        32,
        10,
    ]
    assert networks.widened(student, 1) == student
    narrow = networks.widened(student, 0.001)
    assert isinstance(narrow.layers[0], networks.Conv)
    assert narrow.layers[0].filters == 1
