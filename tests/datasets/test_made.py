# SPDX-License-Identifier: Apache-2.0
"""Generated data sets: the same everywhere, and learnable or not, as documented."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from hil import datasets
from hil.core.records import Dataset


def both(name: str) -> tuple[Dataset, Dataset]:
    return datasets.load(name, "train"), datasets.load(name, "test")


# pinned: committed models and results are of these samples
FINGERPRINTS = {
    "tabular": ("07d9f9fd64e1", "16a2962a5843"),
    "noise": ("861d62fa2b27", "a0090e11c73b"),
    "cifar10-made": ("c4e09eed2857", "1cf1e102fec9"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", FINGERPRINTS)
def test_the_samples_are_the_same_everywhere(name: str) -> None:
    assert tuple(part.fingerprint[:12] for part in both(name)) == FINGERPRINTS[name]


@pytest.mark.parametrize(
    ("name", "sizes", "shape", "kind", "classes"),
    [
        ("tabular", (800, 200), (20,), np.float32, 3),
        ("noise", (1000, 200), (10,), np.float32, 2),
        ("cifar10-made", (5000, 1000), (32, 32, 3), np.uint8, 10),
    ],
)
def test_shapes_ids_and_classes(
    name: str, sizes: tuple[int, int], shape: tuple[int, ...], kind: type, classes: int
) -> None:
    train, test = both(name)
    assert (len(train), len(test)) == sizes
    assert not set(train.ids) & set(test.ids)
    for part in (train, test):
        assert part.name == name
        assert part.x.shape == (len(part), *shape)
        assert part.x.dtype == kind
        assert not part.x.flags.writeable
        assert set(part.y.tolist()) == set(range(classes))
        # no sample of one split is in the other under another id
        assert len({x.tobytes() for x in (*train.x, *test.x)}) == sum(sizes)


def test_tabular_equals_make_classification() -> None:
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n_samples=1000, n_features=20, n_informative=15, n_classes=3, random_state=42
    )
    for part in both("tabular"):
        rows = [int(key.rsplit("-", 1)[1]) for key in part.ids]
        np.testing.assert_allclose(np.asarray(part.x, float), x[rows], atol=1e-4)
        np.testing.assert_array_equal(part.y, y[rows])


def test_tabular_is_learnable() -> None:
    train, test = both("tabular")
    model = RandomForestClassifier(50, random_state=0).fit(train.x, train.y)
    assert model.score(test.x, test.y) > 0.7


def test_noise_is_not_learnable() -> None:
    """Labels are independent of every feature, and a model does not beat guessing."""
    train, test = both("noise")
    for column in train.x.T:
        split = stats.ks_2samp(column[train.y == 0], column[train.y == 1])
        assert split.pvalue > 0.01
    model = RandomForestClassifier(50, random_state=0).fit(train.x, train.y)
    hits = int((model.predict(test.x) == test.y).sum())
    assert stats.binomtest(hits, len(test)).pvalue > 0.05


def test_colour_does_not_tell_the_shapes_apart() -> None:
    """A linear model on the mean colours is near chance; all classes are equally large."""
    train, test = both("cifar10-made")
    assert np.bincount(train.y).tolist() == [500] * 10
    assert np.bincount(test.y).tolist() == [100] * 10
    colours, others = (part.x.mean(axis=(1, 2)) for part in (train, test))
    model = LogisticRegression(max_iter=2000).fit(colours, train.y)
    assert model.score(others, test.y) < 0.2
