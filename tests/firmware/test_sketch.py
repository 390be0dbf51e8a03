# SPDX-License-Identifier: Apache-2.0
"""HIL_SKETCH: a user's sketch in place of an image, found, merged and compiled as Arduino does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.errors import BuildFailed, DeviceRefused
from hil.core.records import Encoding
from hil.device import Device
from hil.firmware import build
from tests.support.firmware import DIGITS, FIRMWARE, PROJECT
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(600)]
EXAMPLES = FIRMWARE / "lib" / "TinymlHil" / "examples"
BOARDS = ("native", "mps2", "rv32", "lx106", "mega2560")


def built(board: str, sketch: Path) -> Path:
    found = load_board(board)
    needs(missing_tools(found))
    return build(found.pio_env, [], "user", PROJECT, sketch=sketch).elf


def outputs(board: str, elf: Path, inputs: list[bytes], encoding: Encoding) -> list[bytes]:
    with open_board(load_board(board), elf) as link:
        device = Device(link)
        device.hello()
        return [answer.result.output for answer in device.infer(0, encoding, inputs)]


@pytest.mark.parametrize("example", ["Float", "Int8", "Bytes"])
def test_an_example_answers_the_same_on_every_board(example: str) -> None:
    """In float32 too: no operation is fused, and sums have one order."""
    sent = [digit.tobytes() for digit in DIGITS[:3]]
    found = {
        board: outputs(board, built(board, EXAMPLES / example), sent, Encoding.PIXELS)
        for board in BOARDS
    }
    assert len({tuple(values) for values in found.values()}) == 1
    assert len(set(found["native"])) == 3


# A sketch in several files: a function is used before its definition, which is in another .ino
# file; there is a C file, a header beside the folder, and a folder `src`.
FILES = {
    "adder/adder.ino": """
#include <TinymlHil.h>
#include "scale.h"
#include "../shared.h"
#include "src/deep/offset.h"
/* a comment with a function(int x) { of its own */
bool predict(const float *in, float *out) {
  out[0] = sum_of(in, COUNT) * scale() + offset();  // "sum_of" is below, in more.ino
  const char *text = "// not a comment";
  return text[0] == '/' && millis() + 1 > 0;
}
TinymlHil<float, COUNT, float, 1> hil("adder", "2", predict);
void setup() { hil.begin(115200); }
void loop() { hil.poll(); }
""",
    "adder/more.ino": "float sum_of(const float *in, int count) {\n  float sum = 0;\n"
    "  for (int i = 0; i < count; i++) sum += in[i];\n  return sum;\n}\n",
    "adder/scale.c": '#include "scale.h"\nfloat scale(void) { int unused; return 2.0f; }\n',
    "adder/scale.h": '#pragma once\n#ifdef __cplusplus\nextern "C"\n#endif\nfloat scale(void);\n',
    "adder/src/deep/offset.cpp": '#include "offset.h"\nfloat offset() { return 0.5f; }\n',
    "adder/src/deep/offset.h": "#pragma once\nfloat offset();\n",
    "adder/notes/not_compiled.c": "#error not a part of the sketch\n",
    "shared.h": "enum { COUNT = 3 };\n",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("named", ["adder", "adder/adder.ino"])
def test_a_sketch_of_several_files(named: str, tmp_path: Path) -> None:
    """Its warnings are not errors, as they are for our own code."""
    write(tmp_path, FILES)
    elf = built("native", tmp_path / named)
    values = np.array([1.0, 2.5, -0.25], "<f4")
    (found,) = outputs("native", elf, [values.tobytes()], Encoding.FLOAT32)
    assert np.frombuffer(found, "<f4") == pytest.approx([7.0])


def test_a_change_is_compiled(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    values = np.array([1.0, 1.0, 1.0], "<f4").tobytes()
    results = []
    for scale in ("2.0f", "3.0f"):
        text = FILES["adder/scale.c"].replace("2.0f", scale)
        (tmp_path / "adder" / "scale.c").write_text(text)
        (found,) = outputs(
            "native", built("native", tmp_path / "adder"), [values], Encoding.FLOAT32
        )
        results.append(float(np.frombuffer(found, "<f4")[0]))
    assert results == [6.5, 9.5]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("nowhere", "nowhere does not exist; set it to an .ino file or the folder of a sketch"),
        ("empty", "empty has no sketch: no .ino, .cpp or .c file; correct HIL_SKETCH"),
    ],
)
def test_a_sketch_that_is_not_there(named: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BuildFailed, match=says):
        built("native", tmp_path / named)


def test_an_error_names_the_users_file_and_line(tmp_path: Path) -> None:
    wrong = FILES["adder/adder.ino"].replace("return text", "wrong();\n  return text")
    write(tmp_path, FILES | {"adder/adder.ino": wrong})
    with pytest.raises(
        BuildFailed, match=r"adder/adder\.ino:10:3: error: .wrong. was not declared"
    ):
        built("native", tmp_path / "adder")


BAD = """
#include <TinymlHil.h>
static bool predict(const uint8_t *in, uint8_t *out) {
  out[0] = in[0];
  if (in[0] == 2) out[1] = 1;
  if (in[0] == 3) out[-1] = 1;
  return in[0] != 1;
}
TinymlHil<uint8_t, 1, uint8_t, 1> hil("bad", "1", predict);
void setup() { hil.begin(); }
void loop() { hil.poll(); }
"""


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_bad_answer_is_refused_and_the_next_one_is_right(code: int, tmp_path: Path) -> None:
    write(tmp_path, {"bad/bad.ino": BAD})
    elf = built("native", tmp_path / "bad")
    with open_board(load_board("native"), elf) as link:
        device = Device(link)
        device.hello()
        with pytest.raises(DeviceRefused, match=f"code {code}"):
            list(device.infer(0, Encoding.PIXELS, [bytes([code])]))
        (answer,) = device.infer(0, Encoding.PIXELS, [b"\x07"])
        assert answer.result.output == b"\x07"
