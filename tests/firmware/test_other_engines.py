# SPDX-License-Identifier: Apache-2.0
"""The examples for engines of others: with small stand-ins, always; with the libraries, if present.

A stand-in has the names that a sketch uses, and its network copies ten pixels, so that it shows
whether the sketch passes inputs and outputs on. It does not show that the library still has these
names: `HIL_OTHERS_DIR` is for that. It has a folder per example with the sketch, its model's files,
`reference.tflite` and `flags.txt` (docs/engines-of-others.md), and `libraries/` with the libraries.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from hil.bench import run
from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.records import DType, Encoding
from hil.device import Device
from hil.firmware import build
from hil.reference import encode_inputs
from hil.runs.load import read_samples
from hil.tflite import Graph, read_model
from tests.firmware.test_user_sketch import faults, user_plan
from tests.support.benches import ignore
from tests.support.firmware import DIGITS, FIRMWARE, PROJECT
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]

EXAMPLES = FIRMWARE / "lib" / "TinymlHil" / "examples"
FIRST = 300  # the pixels that a stand-in copies start here
ENTRY = f"""
void {{name}}(const float in[1][28][28][1], float out[1][10]) {{{{
  for (int i = 0; i < 10; i++) out[0][i] = (&in[0][0][0][0])[{FIRST} + i];
}}}}
"""
MODEL = "#include <string.h>\nstatic const unsigned char model[] = {1};\n"
TFLM = """#pragma once
#include <stddef.h>
#include <stdint.h>
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
struct TfLiteTensor {
  union { int8_t *int8; } data;
  struct { float scale; int32_t zero_point; } params;
};
namespace tflite {
struct Model {};
inline const Model *GetModel(const void *) { return nullptr; }
template <unsigned> struct MicroMutableOpResolver {
  void AddConv2D() {}
  void AddMaxPool2D() {}
  void AddReshape() {}
  void AddFullyConnected() {}
};
struct MicroInterpreter {
  template <typename R> MicroInterpreter(const Model *, const R &, uint8_t *, size_t) {}
  int8_t x[784], y[10];
  TfLiteTensor in, out;
  TfLiteStatus AllocateTensors() {
    in.data.int8 = x;
    out.data.int8 = y;
    in.params.scale = out.params.scale = 1.0f / 255;
    in.params.zero_point = out.params.zero_point = -128;
    return kTfLiteOk;
  }
  TfLiteTensor *input(int) { return &in; }
  TfLiteTensor *output(int) { return &out; }
  TfLiteStatus Invoke() {
    for (int i = 0; i < 10; i++) y[i] = x[FIRST + i];
    return kTfLiteOk;
  }
};
}
""".replace("FIRST", str(FIRST))
STAND_INS: Final = {
    "EloquentTinyML": {
        "model.h": MODEL,
        "EloquentTinyML.h": "",
        "eloquent_tinyml/tensorflow.h": f"""
namespace Eloquent {{ namespace TinyML {{ namespace TensorFlow {{
template <unsigned N, unsigned M, unsigned A> struct TensorFlow {{
  bool begun;
  bool begin(const unsigned char *) {{ return begun = true; }}
  bool isOk() {{ return begun; }}
  float predict(float *in, float *out) {{
    for (unsigned i = 0; i < M; i++) out[i] = in[{FIRST} + i];
    return out[0];
  }}
}};
}} }} }}
""",
    },
    "TensorFlowLiteMicro": {
        "model.h": MODEL,
        "tensorflow/lite/micro/micro_interpreter.h": TFLM,
        "tensorflow/lite/micro/micro_mutable_op_resolver.h": "",
        "tensorflow/lite/schema/schema_generated.h": "",
    },
    "EdgeImpulse": {
        "edge-impulse-sdk/porting/ei_classifier_porting.h": """#pragma once
#include <stddef.h>
#include <stdint.h>
enum EI_IMPULSE_ERROR { EI_IMPULSE_OK };
""",
        "edge-impulse-sdk/classifier/ei_run_classifier.h": f"""
#include <string.h>
#include "../porting/ei_classifier_porting.h"
#define EI_CLASSIFIER_DSP_INPUT_FRAME_SIZE 784
#define EI_CLASSIFIER_LABEL_COUNT 10
#define EI_CLASSIFIER_PROJECT_NAME "stand-in"
enum {{ EIDSP_OK }};
namespace ei {{
struct signal_t {{ size_t total_length; int (*get_data)(size_t, size_t, float *); }};
}}
struct ei_impulse_result_t {{ struct {{ float value; }} classification[10]; }};
inline EI_IMPULSE_ERROR run_classifier(ei::signal_t *from, ei_impulse_result_t *to, bool) {{
  for (int i = 0; i < 10; i++) from->get_data({FIRST} + i, 1, &to->classification[i].value);
  return EI_IMPULSE_OK;
}}
""",
    },
    "emlearn": {
        "model.h": f"""
enum {{ EmlOk }};
static int digits;
static int eml_net_predict_proba(int *, const float *in, int, float *out, int n) {{
  for (int i = 0; i < n; i++) out[i] = in[{FIRST} + i];
  return EmlOk;
}}
""",
    },
    "TinyMaix": {
        "model.h": "#define MDL_BUF_LEN 784\nstatic const unsigned char mdl_data[1] = {1};\n",
        "tinymaix.h": """#pragma once
#if !defined(TM_ARCH) || !defined(TM_MAX_CSIZE)
#error "the port comes first"
#endif
typedef enum { TM_OK } tm_err_t;
typedef struct { unsigned char *buf; } tm_mdl_t;
typedef struct { union { signed char *data; float *dataf; }; } tm_mat_t;
tm_err_t tm_load(tm_mdl_t *, const unsigned char *, unsigned char *, void *, tm_mat_t *);
tm_err_t tm_run(tm_mdl_t *, tm_mat_t *, tm_mat_t *);
""",
        "tm_layers.c": "",
        "tm_model.c": f"""
#include "tinymaix.h"
tm_err_t tm_load(tm_mdl_t *m, const unsigned char *b, unsigned char *buf, void *cb, tm_mat_t *in) {{
  (void)m; (void)b; (void)cb;
  in->data = (signed char *)buf;
  return TM_OK;
}}
tm_err_t tm_run(tm_mdl_t *m, tm_mat_t *in, tm_mat_t *out) {{
  static float values[10];
  (void)m;
  for (int i = 0; i < 10; i++) values[i] = (in->data[{FIRST} + i] + 128) / 256.0f;
  out->dataf = values;
  return TM_OK;
}}
""",
    },
    "onnx2c": {"model.c": ENTRY.format(name="entry")},
    "emx-onnx-cgen": {"model.c": ENTRY.format(name="student")},
}


@pytest.mark.parametrize("example", STAND_INS)
def test_an_example_passes_inputs_and_outputs_on(example: str, tmp_path: Path) -> None:
    board = load_board("mps2")
    needs(missing_tools(board))
    sketch = tmp_path / example
    shutil.copytree(EXAMPLES / example, sketch)
    for name, text in STAND_INS[example].items():
        file = sketch / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("tm_"):  # included by the sketch, so not compiled once more
            file = tmp_path / name
        file.write_text(text)
    if example == "TinyMaix":
        (sketch / "tinymaix.c").write_text(
            (sketch / "tinymaix.c").read_text().replace("<tm_", f"<{tmp_path}/tm_")
        )
    pixels = DIGITS[0].reshape(-1)[FIRST : FIRST + 10]
    with open_board(board, build(board.pio_env, [], "user", PROJECT, sketch=sketch).elf) as link:
        device = Device(link)
        dtype = device.hello().models[0].output.dtype
        (answer,) = device.infer(0, Encoding.PIXELS, [DIGITS[0].tobytes()])
    output = np.frombuffer(answer.result.output, dtype.numpy)
    if dtype is DType.INT8:
        assert output.tolist() == (pixels.astype(int) - 128).tolist()
    else:
        assert output == pytest.approx(pixels / 255, abs=1e-6)
    assert pixels.any()


def truncated(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """C's conversion to int8: towards zero, without a limit."""
    return np.trunc(values).astype(np.int64).astype(np.int8).astype(np.int64)


def tinymaix(graph: Graph, x: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """What TinyMaix should answer: float32 scales, and values cut towards zero after each layer.

    ``x``: (n, 28, 28, 1) int8. Convolutions have no padding and ReLU; dense layers have one scale.
    """
    tensors, value = graph.tensors, x.astype(np.int64)
    for operator in graph.operators:
        source, target = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
        one, scale, zero = np.float32(1), np.float32(target.scale), np.float32(target.zero_point)
        steps, unit = value - source.zero_point, np.float32(source.scale)
        if operator.code == "MEAN":
            mean = np.trunc(value.mean((1, 2))).astype(np.int64) - source.zero_point
            value = truncated(mean.astype(np.float32) * unit / scale + zero)
        elif operator.code == "SOFTMAX":
            real = steps.astype(np.float32) * unit
            power = np.exp((real - real.max(1, keepdims=True)).astype(float)).astype(np.float32)
            total = np.add.accumulate(power, axis=1)[:, -1:]
            value = truncated((power - np.float32(1e-6)) / total / scale + zero)
        else:
            weights, bias = (tensors[i] for i in operator.inputs[1:])
            assert weights.data is not None
            assert bias.data is not None
            kernel = weights.data.astype(np.int64)
            if operator.code == "CONV_2D":
                size, stride = kernel.shape[1], int(operator.options["stride_h"])
                windows = np.lib.stride_tricks.sliding_window_view(steps, (size, size), (1, 2))
                windows = windows[:, ::stride, ::stride]
                sums = np.einsum("nyxcij,oijc->nyxo", windows, kernel) + bias.data.astype(np.int64)
                real = sums.astype(np.float32) * (np.array(weights.scales, np.float32) * unit)
                value = truncated(np.maximum(real, 0) * (one / scale) + zero)
            else:
                sums = steps @ kernel.T + bias.data.astype(np.int64)
                real = sums.astype(np.float32) * unit * np.float32(weights.scale)
                value = truncated(real / scale + zero)
    return value


def prepared(example: str) -> Path:
    """The folder of an example with its library; skips without one."""
    if not (named := os.environ.get("HIL_OTHERS_DIR")):
        pytest.skip("HIL_OTHERS_DIR is not set: no library of another engine to try")
    folder = Path(named) / example
    if not folder.is_dir():
        pytest.skip(f"HIL_OTHERS_DIR has no folder {example}")
    return folder


@pytest.mark.parametrize("example", STAND_INS)
def test_a_real_library_gives_the_outputs_that_are_expected(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = prepared(example)
    sketch = tmp_path / example
    shutil.copytree(given, sketch)
    shutil.copytree(EXAMPLES / example, sketch, dirs_exist_ok=True)  # ours, as it is now
    monkeypatch.setenv("PLATFORMIO_LIB_EXTRA_DIRS", str(given.parent / "libraries"))
    monkeypatch.setenv("PLATFORMIO_BUILD_FLAGS", (given / "flags.txt").read_text().strip())
    file = given / "reference.tflite"
    own = example == "TinyMaix"  # it rounds in its own way: compared with `tinymaix` below
    plan = user_plan("mps2", sketch, models=(str(file),), tolerance=255.0 if own else None)
    run(plan, tmp_path / "run", ignore)
    assert not faults(tmp_path / "run")
    if own:
        graph = read_model(file)
        x = encode_inputs(plan.data.x, graph.input).reshape(-1, 28, 28, 1)
        samples = read_samples(tmp_path / "run")
        found = {sample.id: np.frombuffer(sample.device, np.int8).tolist() for sample in samples}
        assert [found[i] for i in plan.data.ids] == tinymaix(graph, x).tolist()
