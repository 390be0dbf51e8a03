# SPDX-License-Identifier: Apache-2.0
"""Networks that were trained on other values than a data set has: the rule that is right for each.

The networks and data are this project's own: scikit-learn's digits at 16x16, and drawn colours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.bench import BenchPlan, Request, make_plan
from hil.bench.inputs import encoded, samples_of, taken_by
from hil.core.errors import DataError
from hil.reference import litert

CASES = Path(__file__).parent / "data"
PIXELS = np.load(CASES / "digits.npz")["x"]
ALL = 397


def planned(
    folder: Path, model: str, x: npt.NDArray[np.generic], rule: str | None = None
) -> BenchPlan:
    file = folder / "digits.npz"
    np.savez(file, x=x, y=np.load(CASES / "digits.npz")["y"])
    network = str(CASES / f"{model}.tflite")
    return make_plan(Request(folder, boards=("native",), models=(network,), data=file, input=rule))


def accuracy(plan: BenchPlan) -> float:
    """Per cent that LiteRT's reference kernels answer right."""
    (network,) = plan.networks
    taken = taken_by(network)
    outputs = litert(network.path).predict(encoded(samples_of(plan.data, taken), taken))
    assert len(outputs) == ALL
    return round(100 * float((outputs.argmax(1) == plan.data.y).mean()), 1)


@pytest.mark.parametrize(
    ("model", "kind", "default", "rule", "right"),
    [
        ("digits_int8", "uint8", 96.2, "pixels", 96.2),
        ("digits_int8", "float32", 80.9, "pixels", 96.2),
        ("digits_int8", "float32", 80.9, "scaled", 96.2),
        ("trained_on_0_255_int8", "uint8", 10.8, "as-is", 96.2),
        ("rescaling_inside_float32", "uint8", 7.6, "as-is", 96.0),
    ],
)
def test_the_rule_that_is_right(
    tmp_path: Path, model: str, kind: str, default: float, rule: str, right: float
) -> None:
    x = PIXELS.astype(kind)
    assert accuracy(planned(tmp_path, model, x)) == default
    assert accuracy(planned(tmp_path, model, x, rule)) == right


@pytest.mark.parametrize(
    ("model", "kind", "said"),
    [
        ("digits_int8", "uint8", "takes 0 to 1 as int8 and gets codes -128 to 127"),
        (
            "digits_int8",
            "float32",
            "takes 0 to 1 as int8 and gets codes -128 to 127; 50.9% of the values lie outside",
        ),
        ("trained_on_0_255_int8", "uint8", "takes 0 to 255 as int8 and gets codes -128 to -127"),
        ("digits_int8", "int8", "takes 0 to 1 as int8, and these are its codes"),
    ],
)
def test_what_the_bench_says_shows_the_fault(
    tmp_path: Path, model: str, kind: str, said: str
) -> None:
    assert planned(tmp_path, model, PIXELS.astype(kind)).fed.endswith(f"{model}.tflite {said}")


def test_channels_first_pictures_are_refused_with_the_transpose(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (ALL, 3, 16, 16), np.uint8)
    with pytest.raises(
        DataError, match=r"\[3, 16, 16\], .* \[1, 16, 16, 3\]; save x.transpose\(0, "
    ):
        planned(tmp_path, "colour_int8", x)
