# SPDX-License-Identifier: Apache-2.0
"""A user's sketches, built with TinymlHil and benched: the library's example, a network in C
compared with its .tflite file, and a predict function that fails in every way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil.bench import BenchPlan, run
from hil.boards.config import Timeouts, load_board
from hil.boards.station import missing_tools, only_station
from hil.core.errors import SketchHangs
from hil.engines import write_image
from hil.link.chaos import parse_chaos
from hil.runs.agreement import unexpected
from hil.runs.load import read_manifest, read_samples
from hil.runs.rows import summarise
from hil.runs.schema import RunEnd, RunPlan, Sample
from hil.tflite import read_model
from tests.support.benches import PROJECT, ignore, planned

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]

N = 40
BOARDS = ("native", "mps2")
MODELS = PROJECT / "models" / "digits"
EXAMPLE = PROJECT / "firmware" / "lib" / "TinymlHil" / "examples" / "Float"


def user_plan(board: str, sketch: Path, n: int = N, **changes: object) -> BenchPlan:
    """``sketch`` on the emulated ``board``, asked for ``n`` digits."""
    if missing := missing_tools(load_board(board, PROJECT)):
        pytest.skip(f"not installed: {', '.join(missing)}")
    wanted: dict[str, object] = {
        "boards": (board,),
        "engines": ("user",),
        "models": (),
        "precisions": (),
    }
    return planned(n, **{**wanted, "sketch": sketch, **changes})


def stored(folder: Path) -> tuple[RunPlan, tuple[Sample, ...], RunEnd]:
    """The only run of a folder."""
    manifest = read_manifest(folder)
    (plan,), (end,) = manifest.runs, manifest.ends
    return plan, tuple(read_samples(folder)), end


def faults(folder: Path) -> list[str]:
    """What is not as expected in a stored run."""
    manifest = read_manifest(folder)
    return unexpected(manifest, summarise(manifest, read_samples(folder)))


@pytest.mark.parametrize("board", BOARDS)
def test_the_example_is_benched_with_labels_alone(tmp_path: Path, board: str) -> None:
    run(user_plan(board, EXAMPLE), tmp_path, ignore)
    plan, samples, end = stored(tmp_path)
    assert plan.key == f"{board}/user/float-example/float32"
    assert (plan.sketch, plan.litert) == ("float-example 1.0", False)
    assert len(plan.firmware_sha256) == 64
    assert not any(sample.failed for sample in samples)
    assert len({sample.device for sample in samples}) > N // 2, "every digit has the same answer"
    assert end.memory
    assert (end.memory.arena, end.memory.flash_model) == (None, None)
    assert end.memory.flash_code
    assert end.shares
    assert faults(tmp_path) == []


# in, out: C types of the sketch; body: of its predict function
EXPORTED = """
#include <TinymlHil.h>
#include "net.h"
static uint32_t arena[NET_ARENA_BYTES / 4 + 1];
static bool predict(const {kind} *in, {out} *out) {{ {body} return true; }}
static TinymlHil<{kind}, 784, {out}, 10> hil("exported", "2.1", predict);
static const uint8_t sha256[32] = {{{sha256}}};
void setup() {{
  hil.inputShape(28, 28, 1).sha256(sha256){scale};
  hil.begin(115200);
}}
void loop() {{ hil.poll(); }}
"""
PLAIN = "net_invoke(in, out, arena);"
DEQUANTISES = """
  int8_t q[10];
  net_invoke(in, q, arena);
  for (int i = 0; i < 10; i++) out[i] = (float)(q[i] - ({zero})) * {scale}f;
"""


def exported(folder: Path, precision: str, out: str) -> Path:
    """A sketch that runs the digits' student, in the C that `hil export` writes, with ``out``."""
    file = MODELS / f"student_{precision}.tflite"
    graph = read_model(file)
    write_image("aot", [("net", file)], folder, table=False)
    kind = "int8_t" if precision == "int8" else "float"
    given, found = graph.input, graph.output
    text = EXPORTED.format(
        kind=kind,
        out=out,
        body=(PLAIN if kind == out else DEQUANTISES).format(
            zero=found.zero_point, scale=repr(found.scale)
        ),
        scale=f".inputScale({given.scale!r}f, {given.zero_point})" if kind == "int8_t" else "",
        sha256=", ".join(f"0x{byte:02x}" for byte in bytes.fromhex(graph.sha256)),
    )
    (folder / f"{folder.name}.ino").write_text(text)
    return folder


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(
    ("precision", "out", "tolerance"),
    [("int8", "int8_t", 0.0), ("int8", "float", 0.0), ("float32", "float", 1e-4)],
)
def test_a_network_in_c_equals_its_tflite_file(
    tmp_path: Path, board: str, precision: str, out: str, tolerance: float
) -> None:
    model = MODELS / f"student_{precision}.tflite"
    plan = user_plan(board, exported(tmp_path, precision, out), models=(str(model),))
    run(plan, tmp_path / "run", ignore, chaos=parse_chaos("3:flip=1e-5,drop=1e-3"))
    described, samples, _ = stored(tmp_path / "run")
    assert described.key == f"{board}/user/exported/{precision}"
    assert (described.model_file, described.tolerance) == (model.name, tolerance)
    assert len(samples) == N
    assert not any(sample.failed for sample in samples)
    if precision == "int8":
        assert all(sample.oracle is None for sample in samples), "differs from the byte oracle"
    assert faults(tmp_path / "run") == []


def test_another_network_than_the_named_one_is_noticed(tmp_path: Path) -> None:
    sketch = exported(tmp_path, "int8", "float")
    file = sketch / f"{sketch.name}.ino"
    file.write_text(file.read_text().replace("return true;", "out[3] += 1e-3f; return true;"))
    model = MODELS / "student_int8.tflite"
    run(user_plan("native", sketch, models=(str(model),)), tmp_path / "run", ignore)
    (fault,) = faults(tmp_path / "run")
    assert f"{N} outputs of the sketch differ from the oracle" in fault


FAILS = """
#include <math.h>
#include <TinymlHil.h>
static bool predict(const uint8_t *in, float *out) {
  unsigned sum = 0;
  for (int i = 0; i < 784; i++) sum += in[i];
  for (int i = 0; i < 10; i++) out[i] = (float)(sum % (unsigned)(i + 2));
  float *volatile beyond = out;
  switch (sum % 15) {
    case 0: return false;
    case 1: out[4] = NAN; break;
    case 2: out[9] = -INFINITY; break;
    case 3: beyond[10] = 1.0f; break;
    case 4: beyond[-1] = 1.0f; break;
  }
  if (HANGS && sum % 15 == 5) { for (;;) beyond[0] = 0.0f; }
  return true;
}
static TinymlHil<uint8_t, 784, float, 10> hil("fails", "0", predict);
void setup() { hil.begin(115200); }
void loop() { hil.poll(); }
"""
REASONS = [
    "predict returned false",
    "an output is NaN",
    "an output is infinite",
    "predict wrote past its output",
    "predict wrote before its output",
    *[""] * 10,
]


def fails(folder: Path, *, hangs: bool = False) -> Path:
    """A sketch whose predict function fails, by the sum of the pixels."""
    (folder / f"{folder.name}.ino").write_text(FAILS.replace("HANGS", str(int(hangs))))
    return folder


@pytest.mark.parametrize("board", BOARDS)
def test_each_failure_is_named_and_the_others_are_answered(tmp_path: Path, board: str) -> None:
    plan = user_plan(board, fails(tmp_path))
    run(plan, tmp_path / "run", ignore, chaos=parse_chaos("5:flip=1e-5,drop=1e-3"))
    _, samples, _ = stored(tmp_path / "run")
    for sample in samples:
        total = int(plan.data.x[sample.i].sum())
        assert sample.failed == REASONS[total % 15]
        if not sample.failed:
            wanted = np.array([total % (i + 2) for i in range(10)], "<f4")
            assert sample.device == wanted.tobytes()
    seen = Counter(sample.failed for sample in samples)
    assert set(seen) == set(REASONS)
    (fault,) = faults(tmp_path / "run")
    assert f"{N - seen['']} of {N} requests got no answer that counts" in fault


def test_an_endless_predict_is_named(tmp_path: Path) -> None:
    board = load_board("native", PROJECT)
    hasty = msgspec.structs.replace(board, timeouts=Timeouts(boot=10, reply=0.5))
    plan = user_plan("native", fails(tmp_path, hangs=True), boards=(only_station(hasty),))
    with pytest.raises(SketchHangs, match=r"predict did not return within 0\.5 s") as caught:
        run(plan, tmp_path / "run", ignore)
    samples = tuple(read_samples(tmp_path / "run"))
    sums = [int(x.sum()) % 15 for x in plan.data.x]
    assert len(samples) == sums.index(5)
    assert plan.data.ids[len(samples)] in caught.value.what


ALLOCATES = """
#include <stdlib.h>
#include <TinymlHil.h>
static bool predict(const float *in, float *out) {
  static float *volatile buffer;
  if (!buffer || LEAKS) buffer = (float *)malloc(2000);
  for (int i = 0; i < 10; i++) { buffer[i] = in[300 + i]; out[i] = buffer[i]; }
  return true;
}
static TinymlHil<float, 784, float, 10> hil("allocates", "0", predict);
void setup() { hil.begin(115200); }
void loop() { hil.poll(); }
"""


@pytest.mark.parametrize("board", ["native", "mps2"])
@pytest.mark.parametrize("leaks", [False, True])
def test_a_sketch_may_allocate_at_first_but_not_for_each_answer(
    tmp_path: Path, leaks: bool, board: str
) -> None:
    text = ALLOCATES.replace("LEAKS", str(int(leaks)))
    (tmp_path / f"{tmp_path.name}.ino").write_text(text)
    run(user_plan(board, tmp_path), tmp_path / "run", ignore)
    _, _, end = stored(tmp_path / "run")
    assert end.marks
    assert end.marks.heap_start
    assert end.marks.heap_end is not None
    grown = end.marks.heap_end - end.marks.heap_start
    assert (grown >= N * 2000) == leaks
    expected = f"{board}/user/allocates/float32: the heap grew by {grown} bytes"
    assert [line.split(" while ")[0] for line in faults(tmp_path / "run")] == [expected] * leaks
