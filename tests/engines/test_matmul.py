# SPDX-License-Identifier: Apache-2.0
"""Products of two matrices, compared with TFLM and LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.core.errors import ModelError
from hil.engines.aot.plan import plan
from hil.tflite import read_model
from tests.engines.test_weighted import compare
from tests.support.products import computed, operands, product, shifted

COUNT = 20


@pytest.mark.thorough
@pytest.mark.parametrize(("make", "dtype"), [
    (product, "int8"), (product, "int16"), (product, "float32"),
    (computed, "int8"), (computed, "float32"),
])  # fmt: skip
def test_products_equal_the_references(make: Any, dtype: str, tmp_path: Path) -> None:
    models = {f"net{seed}": read_model(make(seed, dtype)) for seed in range(COUNT)}
    assert {type(s).__name__ for g in models.values() for s in plan(g)} == {"Matmul"}
    assert compare(models, tmp_path) >= COUNT * 2 // 3


def test_matrices_that_do_not_fit_are_refused() -> None:
    random = np.random.default_rng(0)
    net, tensors, _ = operands(random, [(2, 3), (4, 5)], "float32")
    net.op("BATCH_MATMUL", (2, 5), schema.BatchMatMulOptionsT(), "BatchMatMulOptions")
    net.graph.operators[-1].inputs = tensors
    with pytest.raises(ModelError, match=r"\(BATCH_MATMUL\).*do not fit"):
        plan(read_model(net.finish()))


@pytest.mark.thorough
def test_dense_layers_whose_weights_have_a_zero_point_equal_tflm(tmp_path: Path) -> None:
    models = {f"net{seed}": read_model(shifted(seed)) for seed in range(COUNT)}
    assert compare(models, tmp_path) == COUNT
