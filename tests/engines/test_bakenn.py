# SPDX-License-Identifier: Apache-2.0
"""Engine `bakenn`: it compiles the same model, and refuses unsupported ones in one line."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hil.bench import Request, make_plan
from hil.boards.config import load_board
from hil.core.errors import ModelError, ToolMissing, UsageError
from hil.core.records import Precision
from hil.engines import ENGINES, check, write_image
from hil.engines.bakenn import KINDS, acceptable, compile_model
from hil.reference import oracle
from hil.tflite import read_model
from tests.support.needs import skip_without
from tests.support.tflite import Net

PROJECT = Path(__file__).parents[2]
MODELS = PROJECT / "models" / "mnist"
DATA = Path(__file__).parent / "data"
STUDENT = MODELS / "student_int8.tflite"
LACKING = [
    name for name in ("bakenn", "tflite", "tflite_micro") if importlib.util.find_spec(name) is None
]
needs_bakenn = skip_without(LACKING)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    networks = [(name, MODELS / f"{name}_int8.tflite") for name in ("teacher", "student")]
    write_image("bakenn", networks, folder)
    return folder


@needs_bakenn
def test_every_kind_of_chip_has_its_files(image: Path) -> None:
    for kind in KINDS:
        for name in ("teacher", "student"):
            folder = image / "bakenn" / kind
            sources = (folder / f"{name}.sources").read_text().split()
            include = (folder / f"{name}.include").read_text().split()
            assert all((folder / file).is_file() for file in sources)
            assert include[0] == "."
            assert (folder / f"bknn_{name}.h").is_file()
            vendors = {Path(file).parts[1] for file in sources if file.startswith("third_party")}
            expected = {"portable": set(), "cmsis_nn": {"cmsis_nn"}}.get(kind, {"esp_nn"})
            assert vendors == expected
            # the licences lie beside the sources, for those who ship the firmware
            assert {
                v for v in vendors if any((folder / "third_party" / v).glob("LICENSE*"))
            } == vendors


@needs_bakenn
def test_the_reserved_arena_is_that_of_the_kind_that_takes_most() -> None:
    made = compile_model(read_model(STUDENT), "student")
    sizes = [
        int(line.split()[-1].rstrip("u"))
        for kind in KINDS
        for line in made.files[f"bakenn/{kind}/bknn_student.h"].splitlines()
        if line.startswith("#define BKNN_STUDENT_ARENA_SIZE")
    ]
    assert len(sizes) == len(KINDS)
    assert made.info.arena == max(sizes)
    flash, arena = ENGINES["bakenn"].at_least(read_model(STUDENT))
    assert flash <= made.info.flash
    assert arena <= min(sizes)
    said = load_board("mega2560", PROJECT).refused_engines["bakenn"]
    assert f"{made.info.flash:,} bytes" in said
    assert f"{min(sizes):,} of arena" in said


@needs_bakenn
def test_generating_again_gives_the_same_files(image: Path, tmp_path: Path) -> None:
    networks = [(name, MODELS / f"{name}_int8.tflite") for name in ("teacher", "student")]
    write_image("bakenn", networks, tmp_path)
    files = sorted(p.relative_to(image) for p in image.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert all((image / file).read_bytes() == (tmp_path / file).read_bytes() for file in files)


@pytest.mark.parametrize(
    "path",
    [
        MODELS / "student_int8.tflite",
        MODELS / "teacher_int8.tflite",
        DATA / "reshape_new_code_int8.tflite",
        DATA / "bias_axis3_int8.tflite",
        DATA / "autoenc_int8.tflite",
    ],
    ids=lambda path: path.stem,
)
@needs_bakenn
def test_the_patched_file_is_the_same_model_and_is_accepted(path: Path, tmp_path: Path) -> None:
    patched = tmp_path / "patched.tflite"
    patched.write_bytes(acceptable(path.read_bytes()))
    check("bakenn", read_model(path))
    shape = (20, *read_model(path).input.shape)
    x = np.random.default_rng(5).integers(-128, 128, shape, dtype=np.int8)
    assert np.array_equal(oracle(path).predict(x), oracle(patched).predict(x))
    before, after = read_model(path), read_model(patched)
    assert (before.input, before.output, before.macs) == (after.input, after.output, after.macs)


def test_float32_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"float32 model: the engine bakenn computes in int8 only"):
        write_image("bakenn", [("net", MODELS / "student_float32.tflite")], tmp_path / "image")
    assert not (tmp_path / "image").exists()


def test_an_open_batch_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(Net().input((1, 4), "int8", 0.5).op("SHAPE", (1, 4)).finish())
    with pytest.raises(ModelError, match=r"does not have SHAPE; .*fixed batch"):
        write_image("bakenn", [("net", path)], tmp_path / "image")


def test_all_that_bakenn_does_not_have_is_named_and_who_takes_it() -> None:
    with pytest.raises(ModelError) as refused:
        check("bakenn", read_model(DATA / "softmax_int8.tflite"))
    assert refused.value.what.endswith(
        "softmax_int8.tflite: the engine bakenn does not have SOFTMAX"
    )
    assert refused.value.hint.startswith("the engine aot or tflm takes it; it has ADD, ")


@needs_bakenn
def test_an_unsupported_operator_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(Net().input((1, 4), "int8", 0.5).op("LEAKY_RELU", (1, 4)).finish())
    with pytest.raises(ModelError, match="engine bakenn does not have LEAKY_RELU; ") as refused:
        write_image("bakenn", [("net", path)], tmp_path / "image")
    assert "\n" not in str(refused.value)


def test_without_the_package_the_error_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ToolMissing, match=r"pip install 'tinyml-hil\[bakenn\]'"):
        write_image("bakenn", [("net", STUDENT)], tmp_path)


def test_it_cannot_be_broken_on_purpose(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bakenn cannot be broken on purpose"):
        write_image("bakenn", [("net", STUDENT)], tmp_path, fault="weight:net:0")


def planned(**asked: object) -> list[tuple[str, Precision]]:
    words = {"dataset": "digits", "limit": 1, "engines": ("aot", "bakenn"), **asked}
    plan = make_plan(Request(project=PROJECT, **words))  # type: ignore[arg-type]
    return [(case.image.engine, case.image.precision) for case in plan.cases]


def test_a_bench_gives_it_only_int8() -> None:
    both = planned(models=("student",))
    assert set(both) == {
        ("aot", Precision.FLOAT32),
        ("aot", Precision.INT8),
        ("bakenn", Precision.INT8),
    }
    only = ("aot", Precision.FLOAT32)
    assert set(planned(precisions=("float32",))) == {only}
    assert planned(models=(str(PROJECT / "models" / "digits" / "student_float32.tflite"),)) == [
        only
    ]
    assert set(planned(boards=("mega2560",), precisions=("int8",))) == {("aot", Precision.INT8)}


def test_alone_it_says_what_it_does_not_take() -> None:
    for precisions in (("float32",), ("float32", "int8")):
        with pytest.raises(UsageError, match="not support float32: it computes in int8 only"):
            planned(engines=("bakenn",), precisions=precisions)
    file = PROJECT / "models" / "digits" / "student_float32.tflite"
    with pytest.raises(UsageError, match="engine bakenn does not support float32"):
        planned(engines=("bakenn",), models=(str(file),))
    with pytest.raises(UsageError, match="engine bakenn does not fit board mega2560"):
        planned(engines=("bakenn",), boards=("mega2560",), precisions=("int8",))
