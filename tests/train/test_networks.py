# SPDX-License-Identifier: Apache-2.0
"""A network's fingerprint: what it is, not how Keras came to call it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hil_train import export
from hil_train.networks import Dense, Flatten, Network, Relu, fingerprint
from tests.support.training import build, needs_tensorflow

pytestmark = needs_tensorflow

SHAPE = (4, 3, 1)
PLAIN = Network(layers=(Flatten(), Dense(units=5), Dense(units=2)))
BENT = Network(layers=(Flatten(), Dense(units=5), Relu(), Dense(units=2)))


def test_equal_networks_have_one_fingerprint(tmp_path: Path) -> None:
    first, second = build(PLAIN, SHAPE), build(PLAIN, SHAPE)
    second.set_weights(first.get_weights())
    first.save(tmp_path / "first.keras")
    assert (
        fingerprint(first)
        == fingerprint(second)
        == fingerprint(export.load(tmp_path / "first.keras"))
    )


def test_a_weight_and_a_layer_make_another() -> None:
    network = build(PLAIN, SHAPE)
    weights = network.get_weights()
    before = fingerprint(network)
    weights[0][0, 0] = np.nextafter(weights[0][0, 0], np.float32(9))
    network.set_weights(weights)
    assert fingerprint(network) != before
    bent = build(BENT, SHAPE)
    bent.set_weights(network.get_weights())
    assert fingerprint(bent) != fingerprint(network)
