# SPDX-License-Identifier: Apache-2.0
"""Random networks under AddressSanitizer and UBSan, with buffers of exactly the stated size."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from hil.engines.aot import generate
from hil.engines.aot.steps import CTYPES
from hil.engines.aot.weighted import choosing
from hil.reference import oracle
from hil.tflite import read_model
from tests.support.native import STRICT, inputs
from tests.support.random_nets import make

pytestmark = pytest.mark.thorough

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1")

# Buffers come from malloc, so that one byte too many is detected.
CASE = """
static void run_{name}(void) {{
  {source} *in = ({source} *)malloc({inputs});
  {target} *out = ({target} *)malloc({outputs});
  void *arena = malloc({name}_ARENA);
  for (int i = 0; i < {count}; ++i) {{
    if (fread(in, 1, {inputs}, stdin) != {inputs}) exit(9);
    {name}_invoke(in, out, arena);
    fwrite(out, 1, {outputs}, stdout);
  }}
  free(in);
  free(out);
  free(arena);
}}
"""


@pytest.mark.parametrize(
    ("kind", "first"),
    [("float32", 400), ("int8", 400), ("mixed", 400), ("in fours", 400), ("apart", 400)],
)
def test_nothing_is_undefined_or_out_of_bounds(
    kind: str, first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind in ("in fours", "apart"):
        monkeypatch.setattr(choosing, "WORTH", 0)
    count, lines, calls, sent, expected = (
        4,
        ["#include <stdio.h>", "#include <stdlib.h>"],
        "",
        b"",
        b"",
    )
    for seed in range(first, first + 8):
        data, name = make(seed, kind), f"net{seed}"
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(data)
        graph = read_model(data)
        header = generate(graph, name, path.name)
        (tmp_path / f"{name}.h").write_text(header.text)
        lines.append(f'#include "{name}.h"\n#define {name}_ARENA {header.arena}')
        lines.append(
            CASE.format(
                name=name,
                source=CTYPES[graph.input.dtype],
                target=CTYPES[graph.output.dtype],
                inputs=graph.input.nbytes,
                outputs=graph.output.nbytes,
                count=count,
            )
        )
        calls += f"  run_{name}();\n"
        x = inputs(graph, count, seed)
        sent += x.tobytes()
        expected += oracle(path).predict(x).tobytes()
    lines.append(f"int main(void) {{\n{calls}  return 0;\n}}\n")
    (tmp_path / "all.c").write_text("\n".join(lines))
    command = ["gcc", *STRICT, *SANITIZERS, "all.c", "-o", "all", "-lm"]
    subprocess.run(command, check=True, timeout=110, cwd=tmp_path)
    done = subprocess.run([tmp_path / "all"], input=sent, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert len(done.stdout) == len(expected)
    if kind in ("int8", "in fours", "apart"):
        assert done.stdout == expected
    else:  # Softmax may differ in the last places
        got, want = (np.frombuffer(b, np.float32) for b in (done.stdout, expected))
        np.testing.assert_allclose(got, want, rtol=1e-6)
