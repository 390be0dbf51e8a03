# SPDX-License-Identifier: Apache-2.0
"""Subsets and validation splits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import UsageError
from hil.core.records import Dataset
from hil.datasets import split_validation, subset


def made(labels: list[int], name: str = "made") -> Dataset:
    y = np.array(labels, np.int64)
    x = np.arange(len(y), dtype=np.float32)[:, None]  # the value of a sample is its position
    return Dataset(name, "test", tuple(f"{name}-{i:05d}" for i in range(len(y))), x, y, "f" * 64)


labels = st.lists(st.integers(0, 5), min_size=1, max_size=80)


@given(labels, st.integers(1, 100), st.integers(1, 100))
def test_subsets_are_nested_and_keep_rows_together(values: list[int], a: int, b: int) -> None:
    dataset = made(values)
    small, large = subset(dataset, min(a, b)), subset(dataset, max(a, b))
    assert large.ids[: len(small)] == small.ids
    assert len(small) == min(a, b, len(dataset))
    assert len(set(large.ids)) == len(large)
    for i, x, y in zip(large.ids, large.x, large.y, strict=True):
        position = int(x[0])
        assert (i, y) == (dataset.ids[position], dataset.y[position])


@given(labels, st.integers(1, 100))
def test_every_class_occurs_if_n_allows_it(values: list[int], n: int) -> None:
    classes = len(set(values))
    chosen = subset(made(values), n)
    assert len(set(chosen.y.tolist())) == min(classes, n)


@given(labels, st.integers(1, 100))
def test_each_class_keeps_its_share(values: list[int], n: int) -> None:
    dataset = made(values)
    n = min(n, len(dataset))
    whole, part = np.bincount(dataset.y), np.bincount(subset(dataset, n).y, minlength=6)
    for label, count in enumerate(whole):
        # never further off than the one sample that each class is given first
        assert abs(part[label] - n * count / len(dataset)) <= len(set(values)) + 1


def test_the_order_is_pinned() -> None:
    """Stored runs name these samples: a change here makes them unreadable as subsets."""
    chosen = subset(made([0, 0, 0, 1, 1, 1, 2, 2, 2, 2]), 5)
    assert chosen.ids == ("made-00000", "made-00009", "made-00004", "made-00008", "made-00002")
    assert chosen.fingerprint == "f" * 64


def test_the_order_depends_only_on_the_ids() -> None:
    one, other = made([0] * 50), made([0] * 50, "other")
    one_order = [int(v) for v in subset(one, 50).x[:, 0]]
    assert one_order != list(range(50))
    assert one_order != [int(v) for v in subset(other, 50).x[:, 0]]


def test_an_empty_subset_is_refused() -> None:
    with pytest.raises(UsageError, match="0 samples"):
        subset(made([0, 1]), 0)


def test_validation_is_cut_and_stratified() -> None:
    dataset = made([0] * 300 + [1] * 100)
    train, validation = split_validation(dataset)
    assert (train.split, validation.split) == ("train", "validation")
    assert set(train.ids).isdisjoint(validation.ids)
    assert set(train.ids) | set(validation.ids) == set(dataset.ids)
    assert np.bincount(validation.y).tolist() == [30, 10]
    assert list(validation.ids) == sorted(validation.ids)
    assert train.fingerprint == dataset.fingerprint
    again, _ = split_validation(dataset)
    assert again.ids == train.ids


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 0.01])
def test_an_empty_split_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="validation share"):
        split_validation(made([0, 1, 2, 3]), share)
