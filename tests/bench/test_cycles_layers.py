# SPDX-License-Identifier: Apache-2.0
"""hil/bench/cycles_layers.py: which of the emulator's windows belongs to which layer."""

from __future__ import annotations

import re

import pytest

from hil.bench.cycles_layers import CHUNK, layer_windows
from hil.cycles.counting import Window
from tests.support.benches import PROJECT


def asked(layers: int, request: int) -> list[Window]:
    """The windows of one request: the whole inference, two layers that do nothing, twice, and all
    layers. Each is marked by the address of its only instruction."""
    return [Window({1000 * request + at: 1}, {}) for at in range(5 + layers)]


@pytest.mark.parametrize("layers", [1, 2, 15, 16, 17, 32, 40])
def test_layers_come_from_the_request_that_answered_them(layers: int) -> None:
    boot = [Window({7: 1}, {})] * 4
    windows = boot + [
        window for request in range((layers + 15) // 16) for window in asked(layers, request)
    ]
    for number, (layer, empty) in enumerate(layer_windows(tuple(windows), layers)):
        start = 1000 * (number // 16)
        assert layer.runs == {start + 5 + number: 1}
        assert empty.runs == {start + (4 if number else 3): 1}  # the first layer has its own


def test_the_firmware_answers_as_many_layers_at_once() -> None:
    header = PROJECT / "firmware/lib/TinymlHil/src/hil_session/hil_profile.h"
    (found,) = re.findall(r"^#define HIL_PROFILE_CHUNK (\d+)", header.read_text(), re.MULTILINE)
    assert int(found) == CHUNK
