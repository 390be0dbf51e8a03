# SPDX-License-Identifier: Apache-2.0
"""Generated C compared with TFLM and LiteRT on random networks, in guarded and poisoned memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hil.engines.aot import engine, generate
from hil.engines.aot.plan import plan, plan_nodes
from hil.engines.aot.weighted import choosing
from hil.engines.aot.weighted.conv import Conv, tile
from hil.engines.aot.weighted.conv_planes import Planar, planes
from hil.reference import litert, oracle
from hil.tflite import Graph, read_model
from tests.support.forced import force_planes
from tests.support.native import inputs, library, ulps
from tests.support.random_nets import make, supported

pytestmark = pytest.mark.thorough

BATCH = 30
SOFTMAX_ULPS = 4  # 2 of the exponential, 1 of the sum, 1 of the quotient


def graphs(kind: str, first: int, folder: Path) -> dict[str, Graph]:
    return supported(kind, range(first, first + BATCH), folder)


def compare(kind: str, first: int, folder: Path, flags: tuple[str, ...]) -> Counter[str]:
    """Compare a batch with the reference; the operators in it, counted."""
    met: Counter[str] = Counter()
    models = graphs(kind, first, folder)
    assert len(models) >= BATCH - 2, "hardly any network is refused"
    for name, native in library(models, folder, flags).items():
        x = inputs(native.graph, 6, first)
        out = native.run(x)
        # the previous content of the arena must not matter
        assert out.tobytes() == native.run(x, poison=0x00).tobytes()
        reference = (litert if kind == "float32" else oracle)(folder / f"{name}.tflite")
        expected = reference.predict(x)
        codes = [o.code for o in native.graph.operators]
        if "SOFTMAX" in codes and native.graph.output.dtype == 0:
            assert ulps(out, expected) <= SOFTMAX_ULPS, (name, codes)
        else:
            assert out.tobytes() == expected.tobytes(), (name, codes)
        met.update(codes)
    return met


@pytest.mark.parametrize("first", [0, 30, 60, 90])
def test_float32_networks_equal_litert(first: int, tmp_path: Path) -> None:
    met = compare("float32", first, tmp_path, ("-O1",))
    assert len(met) >= 9


@pytest.mark.parametrize("first", [0, 30, 60, 90])
def test_int8_networks_equal_tflm(first: int, tmp_path: Path) -> None:
    met = compare("int8", first, tmp_path, ("-O1",))
    assert len(met) >= 9


# the last one uses the kernels for an AVR, which keep 16 bits where they can, but not its flash
@pytest.mark.parametrize(
    ("first", "flags"), [(0, "-O1"), (30, "-O2"), (60, "-D__AVR__ -DHIL_PROGMEM=")]
)
def test_int8_networks_that_widen_their_inputs_equal_tflm(
    first: int, flags: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "WORTH", 0)
    for limit in ("_AVR_FLASH", "_AVR_ARRAY"):
        monkeypatch.setattr(engine, limit, 1 << 30)  # this computer's memory has no such limits
    steps = [s for graph in graphs("in fours", first, tmp_path).values() for s in plan(graph)]
    gathered = [s for s in steps if isinstance(s, Conv) and s.gathered]
    assert len(gathered) >= BATCH
    assert {tile(s).points for s in gathered} == {1, 2}
    assert any(s.padded and s.pool for s in gathered)
    assert any(s.averaged for s in gathered)
    compare("in fours", first, tmp_path, tuple(flags.split()))


@pytest.mark.parametrize("bands", ["whole", "rows"])
@pytest.mark.parametrize(("first", "flags"), [(0, "-O1"), (30, "-D__AVR__ -DHIL_PROGMEM=")])
def test_depthwise_networks_that_copy_channels_apart_equal_tflm(
    first: int, flags: str, bands: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    force_planes(monkeypatch, bands)
    for limit in ("_AVR_FLASH", "_AVR_ARRAY"):
        monkeypatch.setattr(engine, limit, 1 << 30)
    steps = [s for graph in graphs("apart", first, tmp_path).values() for s in plan(graph)]
    found = [s for s in steps if isinstance(s, Planar)]
    assert len(found) >= BATCH // 3
    assert {s.whole for s in found} == {bands == "whole"}
    assert any(s.cin != s.cout for s in found)
    assert any(s.cin % 2 for s in found)
    assert bands == "rows" or any(planes(s).transposed for s in found)
    compare("apart", first, tmp_path, tuple(flags.split()))


@pytest.mark.parametrize("first", [0, 30])
def test_networks_without_their_constant_channels_equal_tflm(first: int, tmp_path: Path) -> None:
    fewer = 0
    for graph in graphs("idle", first, tmp_path).values():
        every, left = plan_nodes(graph, whole=True).steps, plan(graph)
        pairs = [(a, b) for a, b in zip(every, left, strict=True) if isinstance(b, Conv)]
        fewer += any(isinstance(a, Conv) and a.cin > b.cin for a, b in pairs)
        depthwise = [b for _, b in pairs if b.depthwise]
        assert all(b.cout % b.cin == 0 for b in depthwise)
        shown = generate(graph, "net", "", layers=True).text
        assert shown.count("observer->layer(") == len(engine.layers_of(graph))
    assert fewer >= BATCH // 3
    compare("idle", first, tmp_path, ("-O1",))


def test_int8_networks_with_float32_edges_equal_tflm(tmp_path: Path) -> None:
    compare("mixed", 0, tmp_path, ("-O1",))


def test_fused_networks_are_close_to_litert(tmp_path: Path) -> None:
    models = graphs("float32", 240, tmp_path)
    # the C library's fmaf() where the processor has none
    fused = library(models, tmp_path, ("-O1", "-D__FP_FAST_FMAF"), fused=True)
    other = 0
    for name, native in fused.items():
        x = inputs(native.graph, 6, 240)
        expected = litert(tmp_path / f"{name}.tflite").predict(x).astype(np.float32)
        out = native.run(x).astype(np.float32)
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
        other += out.tobytes() != expected.tobytes()
    assert other >= BATCH // 2, "hardly anything was fused"


def test_fusing_does_not_change_int8(tmp_path: Path) -> None:
    for graph in graphs("int8", 240, tmp_path).values():
        assert generate(graph, "net", "").text == generate(graph, "net", "", fused=True).text


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["float32", "int8", "mixed", "in fours", "apart"])
@pytest.mark.parametrize("first", range(1000, 2200, BATCH))
def test_many_more(kind: str, first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind in ("in fours", "apart"):
        monkeypatch.setattr(choosing, "WORTH", 0)
    compare(kind, first, tmp_path, ("-O2",))


def test_the_networks_are_worth_comparing() -> None:
    """All kinds of scalings occur, including rare ones that have their own code."""
    networks = [read_model(make(seed, "int8")) for seed in range(60)]
    convolutions = [step for graph in networks for step in plan(graph) if isinstance(step, Conv)]
    shifts = [s for c in convolutions if c.quant for s in c.quant.shifts.tolist()]
    assert {-128, 127} <= {graph.input.zero_point for graph in networks}
    assert max(shifts) > 0, "some sums are scaled up"
    assert min(shifts) < -12
    assert any(c.padded for c in convolutions)
    assert any(c.depthwise for c in convolutions)
    assert any(c.pool and c.pool.average for c in convolutions)
