# SPDX-License-Identifier: Apache-2.0
"""A `.tflite` file, and the C code that engine aot generates from it."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

from hil.engines import bakenn
from hil.engines.aot import generate
from hil.engines.aot.engine import arena_bytes, layers_of
from hil.tflite import read_model
from hil.tflite.graph import constant_bytes, largest_inner, largest_step, layer
from tests.fuzz.damage import NAMES, bytes_like
from tests.support.random_graphs import make_graph
from tests.support.tflite import float_cnn, int8_cnn

_MODELS = Path(__file__).parents[3] / "models"
_NAMES = ("noise/student_int8", "noise/student_float32", "tabular/student_int8")
SEEDS = [float_cnn().finish(), int8_cnn().finish()]
SEEDS += [make_graph(seed, kind) for seed, kind in ((3, "int8"), (5, "int8"), (4, "float32"))]
SEEDS += [(_MODELS / f"{name}.tflite").read_bytes() for name in _NAMES]
# literals that C does not have
_NO_NUMBER = re.compile(r"\b(nan|inf)f?\b|[-\d]nanf|[-\d]inff")


def damage(random: Random, data: bytes) -> bytes:
    return bytes_like(random, data, SEEDS)


def check(data: bytes, _: Path) -> None:
    graph = read_model(data)
    source = NAMES[len(data) % len(NAMES)]
    for one in (constant_bytes, largest_step, largest_inner):
        assert one(graph) >= 0
    for operator in graph.operators:
        if operator.outputs:
            shown = layer(graph, [operator], operator.outputs[0]).name
            assert shown.isprintable()
    header = generate(graph, "fuzz", source, layers=bool(len(data) & 1), fused=bool(len(data) & 2))
    text = header.text
    assert all(c == "\n" or c.isprintable() for c in text)
    assert not (found := _NO_NUMBER.search(text)), found
    assert text.count("/*") == text.count("*/")
    assert arena_bytes(graph) == header.arena
    layers_of(graph)
    bakenn.check_operators(graph)
    bakenn.acceptable(data)
