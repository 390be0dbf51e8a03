# SPDX-License-Identifier: Apache-2.0
"""Which networks a seed gives: repeatable, valid, varied, and small enough."""

from __future__ import annotations

import numpy as np
import pytest

from hil.conform.cases import SHORT, Case, Room, draw
from hil.conform.catalogue import KERNELS
from hil.conform.kernel import Kernel, integers, reals
from hil.tflite.graph import window_axes
from tests.support.benches import PROJECT

ROOM = Room(constants=40_000, tensors=16_000)
EVERY = tuple(KERNELS.values())


def drawn(count: int, seed: int = 1, room: Room = ROOM) -> tuple[Case, ...]:
    return draw(EVERY, tuple(SHORT), count, seed, room)


def test_a_seed_gives_the_same_files_and_another_one_others() -> None:
    files = [[case.graph.data for case in drawn(6, seed)] for seed in (1, 1, 2)]
    assert files[0] == files[1]
    assert sum(a != b for a, b in zip(files[0], files[2], strict=True)) > len(files[0]) / 2


def test_names_are_short_enough_for_an_image_also_when_shrunk() -> None:
    assert all(len(f"{case.name}_c999") <= 31 for case in drawn(2))


@pytest.mark.parametrize("name", KERNELS)
def test_every_value_of_every_parameter_is_drawn(name: str) -> None:
    kernel = KERNELS[name]
    cases = draw([kernel], ["int8"], 100, 3, Room(1 << 20, 1 << 20))
    for parameter, choices in kernel.parameters.items():
        seen = {case.recipe.values[parameter] for case in cases}
        assert seen >= set(choices), parameter


def test_networks_keep_to_the_room() -> None:
    small = Room(constants=3000, tensors=800)
    cases = drawn(12, room=small)
    assert cases
    assert all(small.has(case.graph) for case in cases)


def test_some_windows_have_padding_on_one_side_only() -> None:
    cases = draw([KERNELS["conv2d"]], ["int8"], 40, 1, ROOM)
    axes = [axis for c in cases for axis in window_axes(c.graph.operators[0], c.graph.tensors)]
    uneven = [
        a for a in axes if (total := (a.count - 1) * a.stride + a.window - a.size) > 0 and total % 2
    ]
    assert len(uneven) >= 5


def test_constants_start_where_the_skew_says() -> None:
    for case in draw([KERNELS["fully_connected"]], ["int8"], 30, 1, ROOM):
        weights = case.graph.tensors[case.graph.operators[0].inputs[1]].data
        assert weights is not None
        if weights.size > 16:
            assert case.graph.data.find(weights.tobytes()) % 16 == case.recipe["skew"]


def test_a_smaller_array_has_the_same_values() -> None:
    whole = integers(7, (5, 4, 3), -127, 127)
    assert (integers(7, (2, 4, 1), -127, 127) == whole[:2, :, :1]).all()
    assert whole.min() >= -127
    assert whole.max() <= 127
    assert len(np.unique(whole)) > 40


def test_noise_is_spread_over_its_range() -> None:
    codes = integers(3, (64, 64), -128, 127)
    assert abs(codes.mean() + 0.5) < 4  # the deviation of the mean is 74 / 64
    assert np.unique(codes).size == 256
    values = reals(3, (64, 64))
    assert abs(values.mean()) < 0.06
    assert abs(values.std() - 1) < 0.05


@pytest.mark.parametrize("kernel", EVERY, ids=KERNELS)
def test_a_kernel_is_described(kernel: Kernel) -> None:
    page = (PROJECT / "docs" / "conform.md").read_text()
    section = page.partition("\n## Kernels\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if "|" in line]
    (row,) = [row for row in rows if f"`{kernel.name}`" in row.split("|")[1]]
    assert kernel.operator in row
    assert row.split("|")[3].strip() == ", ".join(kernel.dtypes)
