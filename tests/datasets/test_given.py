# SPDX-License-Identifier: Apache-2.0
"""What --data takes, and how a name differs from a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

from hil import datasets
from hil.core.errors import DataError, HilError, ToolMissing, UsageError
from hil.core.plugins import plugin
from hil.core.records import DType, TensorSpec
from hil.datasets import installed, is_name, load_data

X = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_kind_of_file() -> None:
    np.savez("a.npz", x=X, y=np.arange(4))
    np.save("a.npy", X)
    np.savetxt("a.CSV", X, delimiter=",", header="a,b,c", comments="")
    for name in ("a.npz", Path("a.npz"), "a.npy", "./a.npy", "a.CSV"):
        found, note = load_data(name)
        np.testing.assert_array_equal(found.x, X)
        assert (found.name, note) == ("a", "")
    labelled, _ = load_data("a.CSV", target="c")
    assert labelled.targets is not None
    assert labelled.targets.tolist() == X[:, 2].tolist()


def test_a_name_is_not_a_file_of_that_name() -> None:
    np.savez("digits.npz", x=X)
    Path("digits.npz").rename("digits")
    assert load_data("digits")[0].name == "digits"
    assert len(load_data("digits")[0]) == 500
    for path in ("./digits", Path("digits")):
        assert not is_name(path)
        with pytest.raises(DataError, match=r"is not a kind of data that hil reads; give a file"):
            load_data(path)
    assert load_data("digits", split="train")[0].split == "train"


def test_random_inputs() -> None:
    takers = [{"a": TensorSpec(DType.INT8, (1, 3), 1.0)}]
    found, note = load_data("random:9:3", takers=takers)
    assert (found.x.shape, found.split) == ((9, 3), "seed 3")
    assert note.startswith("random inputs (seed 3)")


@pytest.mark.parametrize("name", installed.SKLEARN)
def test_data_sets_of_scikit_learn(name: str) -> None:
    found, _ = load_data(f"sklearn:{name}")
    source = getattr(sklearn.datasets, f"load_{name}")()
    np.testing.assert_array_equal(found.x, source.data.astype(np.float32))
    assert found.name == f"sklearn-{name}"
    if found.targets is None:
        assert found.y.tolist() == source.target.tolist()
        assert list(found.classes) == [str(one) for one in source.target_names]
    else:
        np.testing.assert_array_equal(found.targets, source.target.astype(np.float32))
        assert name in ("diabetes", "linnerud")


def test_keras_data_sets_come_from_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = load_data("sklearn:iris")[0]
    asked: list[tuple[str, ...]] = []

    def read(name: str, split: str) -> object:
        asked.append((name, split))
        return ours

    def found(*words: str) -> object:
        asked.append(words)
        return read

    monkeypatch.setattr(installed, "plugin", found)
    assert load_data("keras:fashion_mnist")[0] is ours
    assert asked == [
        ("hil.datasets", "keras", "the data set keras:fashion_mnist"),
        ("fashion_mnist", "test"),
    ]


def test_a_collection_that_is_not_installed_says_what_is_missing() -> None:
    with pytest.raises(ToolMissing, match="the data set x:y needs the package tinyml-hil-train"):
        plugin("hil.datasets", "none", "the data set x:y")


@pytest.mark.parametrize(
    ("given", "target", "kind", "says"),
    [
        ("nowhere.npz", None, DataError, r"nowhere.npz cannot be read"),
        ("nowhere.csv", None, DataError, r"nowhere.csv cannot be read"),
        ("nowhere.npy", None, DataError, r"nowhere.npy cannot be read"),
        (
            "mnits",
            None,
            DataError,
            r"there is no data mnits; did you mean mnist\? give a file .npz, .npy or .csv, or a",
        ),
        (
            "sklearn:irises",
            None,
            UsageError,
            "no data set irises; did you mean iris",
        ),
        ("random:0", None, UsageError, "is not random"),
        ("digits", "a", UsageError, "--target a needs a .csv file, not digits"),
        ("a.npz", "a", UsageError, "--target a needs a .csv file, not a.npz"),
    ],
)
def test_mistakes_are_named(
    given: str, target: str | None, kind: type[HilError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        load_data(given, target=target)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".csv", ".txt", ""])
def test_paths_that_are_not_utf8_are_shown(suffix: str) -> None:
    name = os.fsdecode(b"caf\xe9" + suffix.encode())
    for make in (lambda: None, lambda: Path(name).write_bytes(b"?")):
        make()
        with pytest.raises(HilError) as caught:
            load_data(name)
        assert str(caught.value).encode()
        assert "caf?" in str(caught.value)


def test_load_data_is_what_the_package_exports() -> None:
    assert datasets.load_data is load_data
