# SPDX-License-Identifier: Apache-2.0
"""Each kind of fault in samples, labels and targets, and the words for it.

The networks are right by construction; see tests/support/trained.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from hil.checks import Order, Subject, find_causes, of_network, right_answers
from hil.checks.inputs import CAFFE, TORCH
from hil.runs.schema_checks import CheckFinding
from hil.tflite import read_model
from tests.support.faulty_data import WORDS, good, rgb565, with_noise
from tests.support.tflite import RELU, Net
from tests.support.trained import (
    Prepare,
    autoencoder,
    caffe,
    classifier,
    plain,
    regression,
    scaled,
    torch,
)

Array: TypeAlias = Any  # an array of any type

COLOUR = (16, 16, 3)
SPECTRUM = (49, 10, 1)
SERIES = (64, 3)


def first(of: Subject) -> CheckFinding:
    found = find_causes(of, ("run",))
    assert found, "nothing was found"
    return found[0]


def changed(of: Subject, x: Array) -> Subject:
    return replace(of, x=np.ascontiguousarray(x))


@pytest.mark.parametrize("shape", [COLOUR, SPECTRUM, (64, 6), (490,), (12,)])
def test_good_data_of_any_shape_has_no_findings(tmp_path: Path, shape: tuple[int, ...]) -> None:
    of = classifier(tmp_path, shape)
    assert right_answers(of).mean() > 0.95
    for share in (0.0, 0.3):
        assert of_network(with_noise(of, share)) == []


@pytest.mark.parametrize(
    ("trained", "given", "code", "how"),
    [
        (torch, None, "input-imagenet", TORCH),
        (caffe, None, "input-imagenet", CAFFE),
        (plain, torch, "input-imagenet", "from 0 to 1 (undoing ImageNet's mean and standard"),
        (plain, caffe, "input-imagenet", "from 0 to 1 (undoing ImageNet's mean in BGR)"),
        (scaled(-1, 1), None, "input-range", "from -1 to 1"),
        (scaled(0, 255), plain, "input-range", "from 0 to 255"),
        (scaled(-0.5, 0.5), plain, "input-range", "from -0.5 to 0.5"),
        (scaled(-128, 127), None, "input-range", "from -128 to 127"),
        (plain, scaled(0, 4095), "input-range", "from 0 to 1 (of all samples, now 0 to 4095)"),
        (plain, scaled(0, 16), "input-range", "from 0 to 1"),
    ],
)
def test_ranges(tmp_path: Path, trained: Prepare, given: Prepare, code: str, how: str) -> None:
    of = classifier(tmp_path, COLOUR, trained, given)
    assert right_answers(of).mean() < 0.9
    found = first(of)
    assert found.code == code
    assert how in found.what
    assert "the network gets " in found.what


def test_samples_scaled_one_by_one(tmp_path: Path) -> None:
    of = classifier(tmp_path, COLOUR, given=plain, contrast=False)
    weak = np.linspace(0.05, 1, len(of.x), dtype=np.float32)[:, None, None, None]
    found = first(changed(of, np.multiply(of.x, weak) + np.float32(2)))
    assert "sample by sample" in found.what


@pytest.mark.parametrize("factor", [9.80665, 1 / 9.80665, 1000.0, 180 / np.pi])
def test_units_of_a_sensor(tmp_path: Path, factor: float) -> None:
    of = classifier(tmp_path, SERIES, scaled(-2, 2), scaled(-2 * factor, 2 * factor))
    found = next(one for one in find_causes(of, ("run",)) if one.code == "input-unit")
    assert f"{'divided by' if factor > 1 else 'times'} {max(factor, 1 / factor):.6g}" in found.what


@pytest.mark.parametrize(
    ("shape", "change", "code", "how"),
    [
        (SPECTRUM, lambda x: x.swapaxes(1, 2), "input-layout", "axes exchanged (stored as 10 x 49"),
        (SPECTRUM, lambda x: x[:, ::-1], "orientation", "upside down"),
        (SERIES, lambda x: x.swapaxes(1, 2), "input-layout", "axes exchanged (stored as 3 x 64"),
        (SERIES, lambda x: x[:, ::-1], "input-layout", "in reverse order in time"),
        (SERIES, lambda x: x[..., [1, 2, 0]], "channels", "the channels in the order 2, 0, 1"),
        ((64, 6), lambda x: np.roll(x, 3, axis=2), "channels", "accelerometer and gyroscope"),
        (COLOUR, lambda x: x[..., ::-1], "channels", "in reverse order (RGB and BGR)"),
        (COLOUR, lambda x: x.transpose(0, 3, 1, 2), "input-layout", "read as channels first (3 x"),
        (COLOUR, lambda x: x.transpose(0, 3, 2, 1), "input-layout", "read column by column"),
        ((30,), lambda x: x[:, ::-1], "input-layout", "with their values in reverse order"),
    ],
)
def test_layouts(
    tmp_path: Path,
    shape: tuple[int, ...],
    change: Callable[[Array], Array],
    code: str,
    how: str,
) -> None:
    of = classifier(tmp_path, shape, given=plain)
    found = first(replace(of, x=np.ascontiguousarray(change(of.x)).reshape(of.x.shape)))
    assert found.code == code
    assert how in found.what
    assert found.otherwise is not None
    assert found.otherwise > 0.95


@pytest.mark.parametrize(
    ("shape", "change", "how"),
    [
        ((49, 10), lambda x: x.swapaxes(1, 2), "axes exchanged"),
        (COLOUR, lambda x: x.transpose(0, 3, 1, 2), "channels moved to the end"),
    ],
)
def test_a_network_with_a_flat_input_is_read_in_the_shape_of_the_samples(
    tmp_path: Path, shape: tuple[int, ...], change: Callable[[Array], Array], how: str
) -> None:
    of = classifier(tmp_path, shape, given=plain, flat=True)
    assert find_causes(of, ("run",)) == []
    assert how in first(changed(of, change(of.x))).what


def test_flat_samples_of_a_network_that_reshapes_them(tmp_path: Path) -> None:
    """As micro_speech: 1,960 values that the network takes as 49 x 40."""
    of = classifier(tmp_path, (49, 10), given=plain)
    weights = Net().input((1, 490)).reshape((1, 49, 10)).reshape((1, 490))
    tensors = [one.data for one in of.graph.tensors if one.data is not None]
    dense = next(one for one in tensors if one.ndim == 2)
    bias = next(one for one in tensors if one.shape == (4,) and one.dtype == np.float32)
    of.file.write_bytes(weights.dense(np.array(dense), np.array(bias)).finish())
    swapped = np.ascontiguousarray(of.x.swapaxes(1, 2)).reshape(len(of.x), -1)
    found = first(replace(of, graph=read_model(of.file), x=swapped))
    assert "axes exchanged (stored as 10 x 49" in found.what


def test_bytes_of_rgb565(tmp_path: Path) -> None:
    of = classifier(tmp_path, COLOUR)
    found = first(replace(of, x=rgb565(of.x)))
    assert found.code == "input-byte-order"
    assert found.otherwise is not None
    assert found.otherwise > 0.95


def test_a_header_that_was_read_as_pixels(tmp_path: Path) -> None:
    of = classifier(tmp_path, (8, 8, 1))
    moved = np.roll(of.x.reshape(len(of.x), -1), 16, axis=1).reshape(of.x.shape)
    assert "an IDX file's header" in first(replace(of, x=moved)).what


def test_codes_and_numbers() -> None:
    of = good("digits_int8", "digits")
    twice = replace(of, x=(of.x.astype(np.int16) - 128).astype(np.float32))
    assert "codes of the input (they were quantised before)" in first(twice).what
    few = replace(
        of, x=np.greater(of.x, 127).astype(np.int8)
    )  # 0 and 1, which are codes near the middle
    found = first(few)
    assert found.code == "input-codes"
    assert "real numbers, not codes of the input" in found.what
    flipped = replace(of, x=np.bitwise_xor(of.x, np.uint8(128)))
    assert "int8 codes stored as uint8" in first(flipped).what


@pytest.mark.parametrize("steps", [1, -1, 3])
def test_labels_of_other_rows(tmp_path: Path, steps: int) -> None:
    of = classifier(tmp_path, (12,), given=plain)
    y = np.roll(of.y, steps)
    found = first(replace(of, y=y, order=Order(np.arange(len(y)), y)))
    assert found.code == "labels-rows"
    rows = {1: "the next row", -1: "the row before", 3: "the row 3 rows further on"}
    assert f"with the labels of {rows[steps]}" in found.what


def test_rows_are_those_of_the_whole_file(tmp_path: Path) -> None:
    """Of a subset in another order, whose neighbours are not among its samples."""
    of = classifier(tmp_path, (12,), given=plain, n=400)
    y = np.roll(of.y, 1)
    some = np.random.default_rng(2).permutation(400)[:120]
    found = first(replace(of, x=of.x[some], y=y[some], order=Order(some, y)))
    assert found.code == "labels-rows"


def test_numberings() -> None:
    of = good("digits_int8", "digits")
    rank = np.argsort(np.argsort(WORDS))
    found = first(replace(of, y=9 - of.y))
    assert found.code == "labels-reversed"
    assert "(0 is 9, 1 is 8, 2 is 7, and 7 more)" in found.what
    for y, whose in ((np.argsort(rank)[of.y], "network"), (rank[of.y], "data")):
        found = first(replace(of, y=y))
        assert found.code == "labels-alphabetical"
        assert f"eight, five, four, nine, one, seven, ...), which the {whose}" in found.what


def test_the_alphabet_of_the_classes_names(tmp_path: Path) -> None:
    of = classifier(tmp_path, (12,), given=plain)
    names = ("rock", "paper", "scissors", "lizard")
    rank = np.array([2, 1, 3, 0])
    found = first(replace(of, y=np.argsort(rank)[of.y], names=names))
    assert found.code == "labels-alphabetical"
    assert "(lizard, paper, rock, scissors)" in found.what


def test_more_than_ten_classes_in_the_order_of_strings(tmp_path: Path) -> None:
    of = classifier(tmp_path, (40,), given=plain, classes=12, n=240)
    order = np.array(sorted(range(12), key=str))
    found = first(replace(of, y=order[of.y]))
    assert found.code == "labels-alphabetical"
    assert "the order of strings (0, 1, 10, 11, 2, 3, ...)" in found.what


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t * (180 / np.pi), "times 0.01745 (degrees and radians)"),
        (lambda t: t / 1000, "times 1000 (thousandths)"),
        (lambda t: 1.8 * t + 32, "degrees Fahrenheit and Celsius"),
        (lambda t: -t, "times -1"),
    ],
)
def test_targets_in_another_unit(
    tmp_path: Path, change: Callable[[Array], Array], words: str
) -> None:
    of = regression(tmp_path)
    assert right_answers(of).mean() > 0.95
    assert find_causes(of, ("run",)) == []
    found = first(replace(of, targets=np.asarray(change(of.targets), np.float32)))
    assert found.code == "targets-scaled"
    assert words in found.what
    assert "of 100 samples are near their target" in found.what


def test_targets_of_other_rows_and_in_reverse(tmp_path: Path) -> None:
    of = regression(tmp_path)
    assert of.targets is not None
    later = np.roll(of.targets, 1, axis=0)
    rows = replace(of, targets=later, order=Order(np.arange(len(later)), later))
    assert first(rows).code == "labels-rows"
    assert first(replace(of, targets=of.targets[:, ::-1])).code == "targets-reversed"
    rng = np.random.default_rng(0)
    shuffled = replace(of, targets=rng.permutation(of.targets), order=None)
    assert find_causes(shuffled, ("run",)) == []


def test_an_input_of_a_regression_in_another_unit(tmp_path: Path) -> None:
    of = regression(tmp_path)
    found = first(changed(of, np.multiply(of.x, np.float32(9.80665))))
    assert found.code == "input-unit"


def test_an_autoencoder_that_gets_another_range(tmp_path: Path) -> None:
    of = autoencoder(tmp_path)
    assert right_answers(of).mean() > 0.95
    assert of_network(of) == []
    found = first(changed(of, np.multiply(of.x, np.float32(255))))
    assert found.code == "input-range"
    assert "of 160 samples are reconstructed; with input values from 0 to 1" in found.what


def test_a_weak_regression_has_no_findings(tmp_path: Path) -> None:
    """Noise as large as the targets: not right, and nothing explains it."""
    of = regression(tmp_path)
    assert of.targets is not None
    noise = np.random.default_rng(1).normal(0, of.targets.std(), of.targets.shape)
    assert of_network(replace(of, targets=np.asarray(of.targets + noise, np.float32))) == []


def test_samples_that_were_never_filled_copied_or_cut(tmp_path: Path) -> None:
    of = classifier(tmp_path, COLOUR)
    y = np.random.default_rng(0).permutation(of.y)

    def codes(x: Array) -> list[str]:
        return [one.code for one in of_network(replace(of, x=x, y=y, order=None))]

    blank, copied, cut = of.x.copy(), of.x.copy(), of.x.copy()
    blank[80:] = 0
    copied[:] = copied[:4].repeat(40, axis=0)
    cut[:, 8:] = 0
    assert "samples-constant" in codes(blank)
    assert "samples-repeated" in codes(copied)
    assert "samples-cut" in codes(cut)
    assert not [code for code in codes(of.x) if code.startswith("samples")]


def test_a_layer_that_is_dead_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    net = Net().input((1, 8, 8, 1))
    net.conv(rng.normal(size=(6, 3, 3, 1)).astype("f4"), np.full(6, 0.5, "f4"), act=RELU)
    net.conv(rng.normal(size=(8, 3, 3, 6)).astype("f4"), np.full(8, -1e3, "f4"), act=RELU)
    net.reshape((1, 128)).dense(rng.normal(size=(4, 128)).astype("f4"), np.zeros(4, "f4"))
    of = classifier(tmp_path, (8, 8, 1), n=120)
    of.file.write_bytes(net.finish())
    found = of_network(replace(of, graph=read_model(of.file)))
    dead = next(one for one in found if one.code == "layer-dead")
    assert "100% of the channels of layer conv_2d_1 are constant over 32 samples" in dead.what


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y: (255 - x.swapaxes(1, 2), y), ("inverted", "transposed")),
        (lambda x, y: (255 - x, (y + 1) % 10), ("inverted", "minus 1")),
        (lambda x, y: (x.astype("f4"), (y + 1) % 10), ("from 0 to 1", "minus 1")),
        (lambda x, y: (1 - x.astype("f4") / 127.5, y), ("inverted", "from 0 to 1")),
        (lambda x, y: (x[:, ::-1], (y * 3 + 1) % 10), ("upside down", "renamed labels")),
        (lambda x, y: (x[:, :, ::-1].astype("f4"), y), ("mirrored", "from 0 to 1")),
    ],
)
def test_two_causes(
    change: Callable[[Array, Array], tuple[Array, Array]], words: tuple[str, str]
) -> None:
    of = good("digits_int8", "digits")
    x, y = change(of.x, of.y)
    found = first(replace(of, x=np.ascontiguousarray(x), y=y))
    assert found.code == "two-causes"
    assert all(word in found.what.split("samples are answered right; ")[1] for word in words)
    assert found.otherwise is not None
    assert found.otherwise > 0.9
