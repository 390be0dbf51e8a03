# SPDX-License-Identifier: Apache-2.0
"""hil/stats/metrics.py: every figure compared with scikit-learn, SciPy or NumPy, to 1e-9."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.spatial.distance import cosine
from scipy.special import softmax
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)

from hil.stats import metrics
from hil.stats.metrics import Metrics

Reals = npt.NDArray[np.float64]


def near(value: object) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def check(got: Metrics, p: Reals, r: Reals) -> None:
    """Compare all figures of real-valued outputs with another implementation's."""
    flat_p, flat_r = p.ravel(), r.ravel()
    assert got.rmse == near(root_mean_squared_error(flat_r, flat_p))
    assert got.mae == near(mean_absolute_error(flat_r, flat_p))
    assert got.mean == near(np.mean(flat_r - flat_p))
    assert got.std == near(np.std(flat_r - flat_p))
    if np.linalg.norm(flat_r):
        want = np.linalg.norm(flat_r - flat_p) / np.linalg.norm(flat_r)
        assert got.l2r == near(want)
    else:
        assert got.l2r is None
    if np.linalg.norm(flat_r) and np.linalg.norm(flat_p):
        assert got.cos == near(1 - cosine(flat_p, flat_r))
    else:
        assert got.cos is None
    if np.ptp(flat_r) and flat_r.size > 1:
        assert got.nse == near(r2_score(flat_r, flat_p))


# quarters are exact in float64, so that both implementations see the same numbers, and ties occur
QUARTERS = st.integers(-400, 400).map(lambda k: k / 4)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 12), st.integers(2, 12)).flatmap(
        lambda shape: st.tuples(
            npst.arrays(np.float64, shape, elements=QUARTERS),
            npst.arrays(np.float64, shape, elements=QUARTERS),
        )
    )
)
def test_device_against_host(tables: tuple[Reals, Reals]) -> None:
    p, r = tables
    got = metrics.metrics(p, r)
    check(got, p, r)
    wanted, answered = r.argmax(axis=1), p.argmax(axis=1)
    assert got.matches / got.n == pytest.approx(accuracy_score(wanted, answered))
    want = confusion_matrix(wanted, answered, labels=np.arange(p.shape[1]))
    assert got.confusion.tolist() == want.tolist()


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(2, 10), st.integers(0, 2**32 - 1))
def test_against_labels(n: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(n, classes))
    labels = rng.integers(0, classes, n)
    got = metrics.against_labels(p, labels)
    check(got, p, np.eye(classes)[labels])
    assert got.matches / got.n == pytest.approx(accuracy_score(labels, p.argmax(axis=1)))
    want = confusion_matrix(labels, p.argmax(axis=1), labels=np.arange(classes))
    assert got.confusion.tolist() == want.tolist()


def test_identical_outputs_have_the_best_figures() -> None:
    p = np.random.default_rng(0).normal(size=(20, 10))
    got = metrics.metrics(p, p.copy())
    assert (got.rmse, got.mae, got.l2r, got.mean, got.std, got.nse) == (0, 0, 0, 0, 0, 1)
    assert got.cos == pytest.approx(1)
    assert got.matches == 20


def test_an_error_is_reference_minus_prediction() -> None:
    got = metrics.metrics(np.array([[0.0, 1.0]]), np.array([[2.0, 5.0]]))
    assert (got.mean, got.std, got.mae) == (3, 1, 3)
    assert got.nse == pytest.approx(1 - 20 / 4.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_left_out_and_counted(bad: float) -> None:
    rng = np.random.default_rng(1)
    p, r = rng.normal(size=(2, 9, 4))
    broken = p.copy()
    broken[3, 2] = bad
    got = metrics.metrics(broken, r)
    assert (got.n, got.left_out) == (9, 1)
    check(got, np.delete(p, 3, axis=0), np.delete(r, 3, axis=0))
    nothing = metrics.metrics(np.full((2, 3), bad), np.zeros((2, 3)))
    assert (nothing.left_out, nothing.rmse, nothing.cos) == (2, None, None)


def test_a_label_that_is_not_a_class_never_matches() -> None:
    got = metrics.against_labels(np.eye(3), np.array([0, 7, -1]))
    assert (got.matches, int(got.confusion.sum()), got.n) == (1, 1, 3)


def test_figures_with_a_zero_denominator_are_none() -> None:
    got = metrics.metrics(np.zeros((2, 2)), np.zeros((2, 2)))
    assert (got.l2r, got.cos, got.nse) == (None, None, 1)
    assert metrics.metrics(np.ones((2, 2)), np.full((2, 2), 3.0)).nse is None


def test_dequantising() -> None:
    stored = np.array([[-128, 0, 127]], np.int8)
    real = metrics.dequantised(stored, 0.5, -3)
    assert real.tolist() == [[-62.5, 1.5, 65.0]]
    assert metrics.dequantised(np.array([[0.1]], np.float32)).dtype == np.float64


def test_probabilities_are_kept_and_logits_are_normalised() -> None:
    quantised = np.array([[0.0, 255, 1], [128, 100, 28]]) / 256
    assert metrics.probabilities(quantised) is quantised
    logits = np.array([[0.1, 0.7, 0.2], [4.0, 1.0, 0.0]])
    assert metrics.probabilities(logits) == pytest.approx(softmax(logits, axis=1))
    broken = metrics.probabilities(np.array([[4.0, 1.0], [1.0, np.inf], [1.0, -np.inf]]))
    assert np.isnan(broken).tolist() == [[False] * 2, [True] * 2, [True] * 2]


def test_outputs_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        metrics.metrics(np.zeros((2, 3)), np.zeros((3, 2)))
