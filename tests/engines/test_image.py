# SPDX-License-Identifier: Apache-2.0
"""The files for a firmware: what they contain, when they are written, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from hil.core.errors import ModelError, StorageError, UsageError
from hil.engines import write_image
from hil.tflite import read_model
from tests.support.native import STRICT
from tests.support.tflite import Net, float_cnn, int8_cnn

INTERFACE = Path(__file__).parents[2] / "firmware" / "lib" / "TinymlHil" / "src" / "hil_engine"

CHECK = r"""
#include <stdio.h>
#include <string.h>
#include "hil_engine.h"
#include "hil_image.h"
static uint32_t arena[HIL_ARENA_BYTES / 4 + 4], in[HIL_INPUT_BYTES / 4 + 1];
static uint32_t out[HIL_OUTPUT_BYTES / 4 + 1];
int main(void) {
  for (int i = 0; i < HIL_MODEL_COUNT; ++i) {
    const hil_model_t *m = &hil_models[i];
    uint32_t needed = 0;
    const int small = (int)m->prepare(m, arena, m->arena_bytes - 1u, &needed);
    const uint32_t wanted = needed;
    const int fits = (int)m->prepare(m, arena, m->arena_bytes, &needed);
    const int ran = (int)m->invoke(m, in, out, arena, &needed);
    printf("%s %s %02x %u %u %u %.9g %d %u %d %u %d %d\n", m->name, m->engine, m->sha256[31],
           m->input.dtype, m->input.rank, m->input.elements, (double)m->input.scale,
           (int)m->input.zero_point, m->output.dims[1], small, wanted, fits, ran);
  }
  return 0;
}
"""


@pytest.fixture
def models(tmp_path: Path) -> list[tuple[str, Path]]:
    found = []
    for name, net in (("alpha", float_cnn()), ("beta", int8_cnn())):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(net.finish())
        found.append((name, path))
    return found


@pytest.mark.parametrize("compiler", [["gcc"], ["g++", "-x", "c++", "-std=c++11"]])
def test_the_firmware_finds_every_model(
    compiler: list[str], models: list[tuple[str, Path]], tmp_path: Path
) -> None:
    out = tmp_path / "image"
    image = write_image("aot", models, out)
    (out / "check.c").write_text(CHECK)
    strict = [flag for flag in STRICT if compiler == ["gcc"] or not flag.startswith("-std")]
    sources = ["check.c", "hil_image.c", "-o", "check", "-lm"]
    command = [*compiler, *strict, "-O1", "-I", str(INTERFACE), *sources]
    subprocess.run(command, check=True, timeout=60, cwd=out)
    printed = subprocess.run(
        [out / "check"], check=True, capture_output=True, text=True, timeout=60
    )
    rows = [line.split() for line in printed.stdout.splitlines()]
    alpha, beta = image.models
    last = [m.sha256[-2:] for m in (alpha, beta)]
    assert rows[0][:9] == ["alpha", "aot", last[0], "0", "4", "64", "0", "0", "3"]
    assert rows[1][:9] == ["beta", "aot", last[1], "9", "4", "64", "0.00392156886", "-128", "3"]
    for row, model in zip(rows, image.models, strict=True):
        # too small: HIL_ENGINE_ARENA and what it takes; then it fits and runs
        assert row[9:] == ["1", str(model.arena), "0", "0"]


def test_sizes_are_the_largest_of_all_models(
    models: list[tuple[str, Path]], tmp_path: Path
) -> None:
    image = write_image("aot", models, tmp_path / "image")
    text = (tmp_path / "image" / "hil_image.h").read_text()
    sizes = dict(re.findall(r"^#define (\w+) (\w+)$", text, re.MULTILINE))
    expected = {
        "HIL_MODEL_COUNT": "2",
        "HIL_ARENA_BYTES": str(image.arena),
        "HIL_INPUT_BYTES": "256",
        "HIL_OUTPUT_BYTES": "12",
    }
    assert expected.items() <= sizes.items()
    assert image.arena == max(m.arena for m in image.models)


def test_a_model_is_a_file_or_the_graph_read_from_it(
    models: list[tuple[str, Path]], tmp_path: Path
) -> None:
    graphs = [(name, read_model(path)) for name, path in models]
    for _, path in models:
        path.unlink()  # the graphs must do
    for engine in ("aot", "tflm"):
        image = write_image(engine, graphs, tmp_path / engine)
        for header, (_, graph) in zip(image.headers, graphs, strict=True):
            assert f"source   {graph.path and graph.path.name}" in header.read_text()


def test_every_constant_array_of_the_code_is_listed(
    models: list[tuple[str, Path]], tmp_path: Path
) -> None:
    """Compared with nm: name and size of each array that a compiler must not drop."""
    image = write_image("aot", models, tmp_path / "image")
    for header, compiled in zip(image.headers, image.compiled, strict=True):
        arrays = {one.name: one.nbytes for one in compiled.arrays}
        uses = "".join(f"const void *use_{name} = {name};\n" for name in arrays)
        (tmp_path / "all.c").write_text(f'#include "{header}"\n{uses}')
        subprocess.run(["gcc", "-O0", "-c", "all.c"], check=True, timeout=60, cwd=tmp_path)
        words = ["nm", "-S", "all.o"]
        done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path)
        rows = [line.split() for line in done.stdout.splitlines()]
        found = {row[3]: int(row[1], 16) for row in rows if len(row) == 4 and row[2] == "r"}
        assert found == arrays
        assert sum(arrays.values()) == compiled.info.flash


def test_the_manifest_records_how_the_image_was_made(
    models: list[tuple[str, Path]], tmp_path: Path
) -> None:
    write_image("aot", models, tmp_path, layers=True, fault="weight:beta:0")
    assert json.loads((tmp_path / "image.json").read_text()) == {
        "engine": "aot",
        "models": ["alpha", "beta"],
        "layers": True,
        "fault": "weight:beta:0",
        "more": False,
    }


def test_the_manifest_says_whether_a_model_has_more_than_one_tensor(tmp_path: Path) -> None:
    net = Net().input((1, 4)).simple("RELU").simple("ABS")
    net.graph.outputs = [1, 2]
    (tmp_path / "two.tflite").write_bytes(net.finish())
    write_image("aot", [("two", tmp_path / "two.tflite")], tmp_path / "image")
    assert json.loads((tmp_path / "image" / "image.json").read_text())["more"]


def test_without_the_table_only_the_models_are_written(
    models: list[tuple[str, Path]], tmp_path: Path
) -> None:
    write_image("aot", models, tmp_path / "image", table=False)
    assert {p.name for p in (tmp_path / "image").iterdir()} == {"alpha.h", "beta.h"}


def test_no_macro_is_zero(tmp_path: Path) -> None:
    path = tmp_path / "copy.tflite"
    path.write_bytes(Net().input((1, 4)).reshape((2, 2)).finish())
    image = write_image("aot", [("copy", path)], tmp_path / "image")
    assert image.models[0].arena == 0
    assert "#define HIL_ARENA_BYTES 1\n" in (tmp_path / "image" / "hil_image.h").read_text()


def test_unchanged_files_keep_their_time(models: list[tuple[str, Path]], tmp_path: Path) -> None:
    out = tmp_path / "image"
    write_image("aot", models, out)
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    assert set(before) == {"alpha.h", "beta.h", "hil_image.h", "hil_image.c", "image.json"}
    write_image("aot", models, out)
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before
    models[1][1].write_bytes(int8_cnn(seed=5).finish())
    write_image("aot", models, out)
    after = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    assert {n for n in after if after[n] != before[n]} == {"beta.h", "hil_image.c"}


@pytest.mark.parametrize(
    "name", ["", "Alpha", "9lives", "a b", "int", "class", "hil_x", "a" * 32, "a-b"]
)
def test_names_that_c_cannot_use(name: str, models: list[tuple[str, Path]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot name a model"):
        write_image("aot", [(name, models[0][1])], tmp_path / "image")


def test_a_name_that_occurs_twice(models: list[tuple[str, Path]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot name a model"):
        write_image("aot", [models[0], ("alpha", models[1][1])], tmp_path / "image")


def test_an_unknown_engine_and_no_models(models: list[tuple[str, Path]], tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="no engine is called 'none'; choose from aot, aot-fast, bakenn, tflm"
    ):
        write_image("none", models, tmp_path / "image")
    with pytest.raises(UsageError, match="needs a model"):
        write_image("aot", [], tmp_path / "image")


def test_nothing_is_written_when_one_model_is_bad(
    models: list[tuple[str, Path]], tmp_path: Path
) -> None:
    models[1][1].write_bytes(b"nonsense")
    with pytest.raises(ModelError):
        write_image("aot", models, tmp_path / "image")
    assert not (tmp_path / "image").exists()


def test_a_folder_that_cannot_be_written(models: list[tuple[str, Path]], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StorageError, match="cannot write"):
        write_image("aot", models, blocked)
