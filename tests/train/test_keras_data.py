# SPDX-License-Identifier: Apache-2.0
"""Keras' data sets, from files in its cache as it would download them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import DataError, UsageError
from hil.datasets import load_data
from hil_train import keras_data

pytestmark = pytest.mark.train
N = {"train": 5, "t10k": 3}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from keras.src.utils import file_utils

    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for part, n in N.items():
        pictures, labels = np.arange(n * 784) % 251, np.arange(n) % 10
        for name, head, values in (
            ("images-idx3", struct.pack(">4I", 2051, n, 28, 28), pictures),
            ("labels-idx1", struct.pack(">2I", 2049, n), labels),
        ):
            content = head + values.astype(np.uint8).tobytes()
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(content))
    return tmp_path


@pytest.mark.usefixtures("cache")
def test_fashion_mnist() -> None:
    for split, n in (("train", 5), ("test", 3)):
        found = keras_data.load("fashion_mnist", split)
        assert found.x.shape == (n, 28, 28, 1)
        assert found.x.dtype == np.dtype(np.uint8)
        assert found.x.ravel().tolist() == (np.arange(n * 784) % 251).tolist()
        assert [found.classes[label] for label in found.y][:3] == [
            *("T-shirt/top", "Trouser", "Pullover"),
        ]
        assert (found.name, found.split) == ("keras-fashion_mnist", split)
    assert load_data("keras:fashion_mnist")[0].fingerprint == found.fingerprint


def test_mistakes_are_named(cache: Path) -> None:
    with pytest.raises(UsageError, match="keras:fashion is not known; .*choose from mnist, fash"):
        keras_data.load("fashion")
    (cache / "datasets/fashion-mnist/t10k-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(DataError, match="keras:fashion_mnist cannot be loaded"):
        keras_data.load("fashion_mnist")
