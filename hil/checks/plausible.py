# SPDX-License-Identifier: Apache-2.0
"""Everything that the host can say about a network and its data before a board runs it."""

from __future__ import annotations

from typing import Final

import numpy as np

from hil.checks.answers import constant_labels, of_answers
from hil.checks.causes import Search
from hil.checks.codes import CODES, page_of
from hil.checks.samples import of_samples
from hil.checks.subject import Answered, Subject
from hil.checks.trials import GAIN
from hil.core.errors import HilError
from hil.reference import activations, cache_folder, encode_inputs, refusals
from hil.runs.schema_checks import CheckFinding
from hil.tflite import Graph
from hil.tflite.graph import layer

_PASSED: Final = 32  # samples whose values between layers are looked at
_LEAST: Final = 16
_DEAD: Final = 0.9  # share of a layer's channels that are constant
_WIDE: Final = 4  # channels, at least
_WORK: Final = 500_000_000  # multiply-accumulates, at most, with LiteRT's reference kernels
_WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def of_network(of: Subject) -> list[CheckFinding]:
    """Every finding about a network and its data, without runs; empty if most answers are right.

    Raises DataError or ModelError if the host cannot run the network on the samples.
    """
    search = Search(of)
    right = float(search.right.mean())
    if right > 1 - GAIN:
        return []
    causes = search.causes(())
    found = [*causes]
    if not causes:
        found += of_samples(of.name, of.x, right)
    if of.has_classes:
        said = np.asarray(search.answers, np.int64)
        outputs = search.outputs if of.threshold is None else None
        answered = Answered(of.name, said, of.y, of.classes, of.names, of.order, outputs)
        found += constant_labels(answered)
        found += of_answers(answered, (), explained=bool(found))
    if any(one.code == "answers-constant" for one in found) or not causes:
        found += dead_layers(of, right)
    return found


def dead_layers(of: Subject, right: float) -> list[CheckFinding]:
    """The first layer with weights of which nearly all channels are constant."""
    n = min(_PASSED, len(of.x), _WORK // max(1, of.graph.macs))
    places = _weighted(of.graph)
    if n < _LEAST or not places or "litert" in refusals(of.file, cache_folder()):
        return []
    values = encode_inputs(of.x[:n], of.graph.input)
    try:
        found = activations(of.file, values, [tensor for tensor, _ in places])
    except HilError:
        return []  # an interpreter that does not keep what is between layers
    for (_, name), outputs in zip(places, found, strict=True):
        channels = outputs.reshape(-1, outputs.shape[-1])
        dead = float((channels == channels[0]).all(axis=0).mean())
        if channels.shape[1] >= _WIDE and dead >= _DEAD:
            words = CODES["layer-dead"].what.format(share=f"{dead:.0%}", layer=name, n=n)
            return [
                CheckFinding(
                    code="layer-dead",
                    severity=CODES["layer-dead"].severity,
                    runs=(),
                    what=f"{of.name}: {words}; {right:.1%} of {len(of.x):,} samples are answered "
                    "right",
                    advice=CODES["layer-dead"].advice,
                    page=page_of("layer-dead"),
                    n=len(of.x),
                    right=right,
                )
            ]
    return []


def _weighted(graph: Graph) -> list[tuple[int, str]]:
    """The output tensor and the name of each layer with weights, the last one aside: a constant
    answer shows that."""
    found = [
        (operator.outputs[0], layer(graph, [operator], operator.outputs[0]).name)
        for operator in graph.operators
        if operator.code in _WEIGHTED
    ]
    return [one for one in found if one[0] not in graph.output_indices]
