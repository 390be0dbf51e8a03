# SPDX-License-Identifier: Apache-2.0
"""Layers of two files of one network, although converters fuse, fold, insert and rename."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from hil.core.errors import ModelError
from hil.quant import Judge, Samples, compare, match
from hil.quant.match import Pair
from hil.reference import encode_inputs
from hil.tflite import read_model
from hil.tflite.graph import Subgraph
from tests.quant.checked import codes as codes_of
from tests.quant.checked import pair_of
from tests.support.quantised import network, samples
from tests.support.tflite import RELU, Net

X = samples(40)
RANDOM = np.random.default_rng(7)
W, V = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(3, 6))
SCALES = [0.02] * 6


def names(net: Net, *given: str) -> bytes:
    """The file, with these names of its operators' outputs."""
    for operator, name in zip(net.graph.operators, given, strict=False):
        net.graph.tensors[operator.outputs[0]].name = name
    return net.finish()


def plain(*, fused: bool = True) -> Net:
    net = Net().input((1, 4))
    net.dense(W.astype(np.float32), np.zeros(6, np.float32), act=RELU if fused else 0)
    if not fused:
        net.simple("RELU")
    return net.dense(V.astype(np.float32), np.zeros(3, np.float32))


def coded(*, fused: bool = True, edges: bool = False) -> Net:
    net = Net().input((1, 4), *(("float32",) if edges else ("int8", 0.05, 0)))
    if edges:
        net.simple("QUANTIZE", dtype="int8", scale=0.05, zero=0)
    codes, zeros = np.clip(np.rint(W / 0.02), -127, 127).astype(np.int8), np.zeros(6, np.int32)
    if fused:
        net.dense(codes, zeros, act=RELU, scales=SCALES, scale=0.1, zero=-128)
    else:
        net.dense(codes, zeros, scales=SCALES).simple("RELU", scale=0.1, zero=-128)
    second = np.clip(np.rint(V / 0.02), -127, 127).astype(np.int8)
    net.dense(second, np.zeros(3, np.int32), scales=SCALES[:3], scale=0.1, zero=0)
    return net.simple("DEQUANTIZE", dtype="float32") if edges else net


def tied(pair: Pair) -> list[tuple[str, int | None, int | None]]:
    return [(one.code, one.real, one.codes) for one in pair.layers]


@pytest.mark.parametrize("fused_plain", [True, False])
@pytest.mark.parametrize("fused_coded", [True, False])
def test_an_activation_may_be_fused_in_one_file(fused_plain: bool, fused_coded: bool) -> None:
    first, second = plain(fused=fused_plain), coded(fused=fused_coded)
    pair = match(read_model(first.finish()), read_model(second.finish()))
    assert pair.alone == pair.alone_int8 == ()
    dense = [one for one in pair.layers if "FULLY_CONNECTED" in one.code]
    assert len(dense) == 2
    assert [len(one.constants) for one in dense] == [2, 2]
    # the values after the activation are compared, where both store them
    after = next(one for one in pair.layers if "RELU" in one.code or one is dense[0])
    assert after.real is not None
    assert pair.plain.tensors[after.real].shape == (1, 6)
    assert _ratio(pair) > 15


def _ratio(pair: Pair) -> float:
    """The lowest ratio of a layer: values that do not belong together have none."""
    x = RANDOM.uniform(-1, 1, (30, 1, 4)).astype(np.float32)
    found = compare(pair, Samples("made", (x,), (encode_inputs(x, pair.coded.input),)))
    return min(one.sqnr for one in found.layers if one.sqnr is not None)


def test_float_edges_are_not_layers() -> None:
    pair = match(read_model(plain().finish()), read_model(coded(edges=True).finish()))
    assert [one.code for one in pair.layers] == ["INPUT", "FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert pair.alone_int8 == ()
    first = pair.layers[0].codes
    assert first is not None
    assert pair.coded.tensors[first].scale == pytest.approx(0.05)
    assert _ratio(pair) > 15


def branches(net: Net, parts: list[np.ndarray], kind: Callable[[Net, np.ndarray], Net]) -> Net:
    """Two dense layers of one input, then their sum."""
    start = net.current, net.shape, net.dtype, net.scale, net.zero
    ends = []
    for w in parts:
        net._now(*start)
        ends.append(kind(net, w).current)
    return net.op("ADD", net.shape, more=[ends[0]])


def test_branches_in_another_order_are_told_apart_by_name_or_weights() -> None:
    one, two = RANDOM.normal(size=(2, 6, 4))

    def real(net: Net, w: np.ndarray) -> Net:
        return net.dense(w.astype(np.float32), np.zeros(6, np.float32))

    def code(net: Net, w: np.ndarray) -> Net:
        codes = np.clip(np.rint(w / 0.02), -127, 127).astype(np.int8)
        return net.dense(codes, np.zeros(6, np.int32), scales=SCALES, scale=0.1, zero=0)

    first = branches(Net().input((1, 4)), [one, two], real)
    second = branches(Net().input((1, 4), "int8", 0.05, 0), [two, one], code)
    named = match(
        read_model(names(first, "a/one/x", "a/two/x", "a/sum/x")),
        read_model(names(second, "a/two/x_int8", "a/one/x;b", "a/sum/x")),
    )
    assert [pair.name for pair in named.layers[1:]] == ["one", "two", "sum"]
    for one_layer in named.layers[1:3]:
        weights = one_layer.constants[0]
        real_weights = named.plain.tensors[weights.real].data
        codes = named.coded.tensors[weights.codes].data
        assert real_weights is not None
        assert codes is not None
        flat = np.stack([one.astype(float).ravel() for one in (real_weights, codes)])
        assert np.corrcoef(flat)[0, 1] > 0.9


def test_a_layer_that_only_one_file_has_is_listed() -> None:
    net = plain(fused=False).simple("ABS").simple("TANH")
    pair = match(read_model(net.finish()), read_model(coded(fused=False).finish()))
    assert [name.partition(" ")[2] for name in pair.alone] == ["(ABS)", "(TANH)"]
    assert pair.alone_int8 == ()


def test_networks_with_loops_are_compared_by_their_outputs() -> None:
    net = network().calibrated(X)
    whole = pair_of(net)
    plain_graph = replace(whole.plain, others=(Subgraph((), (), (), ()),))
    pair = match(plain_graph, whole.coded)
    assert "loops" in pair.why
    assert [one.code for one in pair.layers] == ["INPUT", "OUTPUT"]
    x = X.astype(np.float32)
    judge = Judge(net.values(X)[-1].argmax(1))
    found = compare(pair, Samples("made", (x,), (encode_inputs(x, pair.coded.input),), judge))
    assert found.int8.sqnr is not None
    assert found.int8.sqnr > 30
    assert found.simulated is None
    assert "layers were not compared one by one" in found.not_covered[0]


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (coded, coded, "computes in int8"),
        (plain, plain, "computes in float32"),
        (plain, lambda: Net().input((1, 3), "int8", 1.0, 0).simple("RELU"), "same network"),
    ],
)
def test_what_is_not_a_pair(first: Callable[[], Net], second: Callable[[], Net], what: str) -> None:
    with pytest.raises(ModelError, match=what):
        match(read_model(first().finish()), read_model(second().finish()))


NETWORKS = Path(os.environ.get("HIL_NETWORKS_DIR", "missing")) / "keras"
PAIRS = sorted(
    (NETWORKS / f"{name.name.removesuffix('_float.tflite')}_{kind}.tflite", name)
    for name in NETWORKS.glob("*_float.tflite")
    for kind in ("int8", "uint8", "int16", "pertensor", "int8f")
    if (NETWORKS / f"{name.name.removesuffix('_float.tflite')}_{kind}.tflite").exists()
)


# calibrated on so few samples that a fifth of its logits are clipped
EXPECTED = {"sigout_int8.tflite": ["quant-calibration"]}


@pytest.mark.skipif(not PAIRS, reason="HIL_NETWORKS_DIR does not name a folder of networks")
def test_networks_of_every_kind() -> None:
    assert len(PAIRS) > 25
    for int8, real in PAIRS:
        pair = match(read_model(real), read_model(int8))
        assert pair.alone == pair.alone_int8 == (), int8.name
        spec = pair.coded.input
        low, high = 0.0, 1.0
        if spec.dtype.quantised:
            limits = np.iinfo(spec.dtype.numpy.name)
            low, high = (spec.scale * (end - spec.zero_point) for end in (limits.min, limits.max))
        shape = (100, *pair.plain.input.shape)
        x = RANDOM.uniform(low, high, shape)
        if low < -1e-6 and "sine" not in int8.name:  # calibrated on 100 normal samples
            widest = norm.ppf(1 - 0.5 / x.size)
            x = RANDOM.normal(0, (high - low) / (2 * widest), shape)
        real_x = x.astype(np.float32)
        codes = encode_inputs(real_x, spec)
        found = compare(pair, Samples("made", (real_x,), (codes,)))
        assert codes_of(found) == EXPECTED.get(int8.name, []), int8.name
        assert found.int8.sqnr is not None
        assert found.simulated is not None
        assert found.simulated.sqnr == pytest.approx(found.int8.sqnr, abs=1.0), int8.name
