# SPDX-License-Identifier: Apache-2.0
"""Plans: requested names are resolved, and every mistake is reported before a build."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hil.bench import Request, make_plan
from hil.bench.inputs import Inputs, taken_by
from hil.bench.plan import choose_image
from hil.boards.config import load_board
from hil.boards.station import only_station
from hil.core.errors import DataError, ModelError, UsageError
from hil.core.records import Encoding, Precision
from tests.support.laboratory import cifar10, dense_only

PROJECT = Path(__file__).parents[2]
STUDENT = PROJECT / "models" / "digits" / "student_int8.tflite"


def request(**changes: object) -> Request:
    return Request(**{"project": PROJECT, "dataset": "digits", "limit": 5, **changes})  # type: ignore[arg-type]


def keys(**changes: object) -> list[str]:
    return [case.key for case in make_plan(request(**changes)).cases]


def arrays(tmp_path: Path, x: np.ndarray, y: np.ndarray) -> Path:
    np.savez(tmp_path / "my.npz", x=x, y=y)
    return tmp_path / "my.npz"


def test_the_whole_matrix_by_default() -> None:
    assert keys() == [
        "mps2/aot/teacher/float32",
        "mps2/aot/student/float32",
        "mps2/aot/teacher/int8",
        "mps2/aot/student/int8",
    ]


def test_one_case() -> None:
    assert keys(boards=("native", "native"), models=("student",), precisions=("int8",)) == [
        "native/aot/student/int8"
    ]


def test_own_network_and_data(tmp_path: Path) -> None:
    model = tmp_path / "My net-2.tflite"
    shutil.copy(STUDENT, model)
    data = arrays(tmp_path, np.zeros((4, 28, 28, 1), "f4"), np.arange(4))
    plan = make_plan(request(models=(str(model),), data=data, dataset="auto", limit=None))
    assert [case.key for case in plan.cases] == ["mps2/aot/my_net_2/int8"]
    assert len(plan.data) == 4


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"boards": ("mars",)}, "no board is called 'mars'"),
        ({"models": ("pupil",)}, "no model is called 'pupil'"),
        ({"precisions": ("int4",)}, "no precision is called 'int4'"),
        ({"engines": ("magic",)}, "no engine is called 'magic'"),
        ({"dataset": "cifar"}, "cifar"),
        ({"limit": 0}, "--limit must be at least 1"),
        ({"models": ("teacher", str(STUDENT))}, "cannot run both teacher/student"),
        ({"models": (str(STUDENT),), "dataset": "auto"}, "needs data"),
        ({"models": (str(STUDENT),), "precisions": ("float32",)}, "computes in float32"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_plan(request(**changes))


def test_data_without_a_network(tmp_path: Path) -> None:
    data = arrays(tmp_path, np.zeros((4, 28, 28, 1), "u1"), np.arange(4))
    with pytest.raises(UsageError, match="--data needs a model of your own"):
        make_plan(request(data=data, dataset="auto"))


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (np.zeros((4, 27, 28, 1), "u1"), np.arange(4), "a sample has 756 values"),
        (np.zeros((4, 28, 28, 1), "u1"), np.arange(4) + 7, "labels run from 7 to 10"),
        (np.zeros((4, 28, 28, 1), "u1"), np.arange(4) - 1, "labels"),
    ],
)
def test_data_that_does_not_fit(tmp_path: Path, x: np.ndarray, y: np.ndarray, says: str) -> None:
    data = arrays(tmp_path, x, y)
    with pytest.raises(DataError, match=says):
        make_plan(request(models=(str(STUDENT),), data=data, dataset="auto"))


def test_data_by_name_is_a_data_set_with_its_networks() -> None:
    plan = make_plan(request(data="digits", dataset="auto"))
    assert [case.key for case in plan.cases] == keys()
    assert plan.data.name == "digits"
    with pytest.raises(UsageError, match="contradict"):
        make_plan(request(data="mnist"))
    with pytest.raises(UsageError, match="needs data; pass --data my.npz .* or --data random"):
        make_plan(request(models=(str(STUDENT),), data="auto", dataset="auto"))


@pytest.mark.parametrize(
    ("models", "kind"), [((), "float32"), (("student",), "float32"), ((str(STUDENT),), "int8")]
)
def test_random_inputs_for_the_networks(models: tuple[str, ...], kind: str) -> None:
    """Float32 and int8 networks get real values, a network of int8 its codes."""
    plan = make_plan(request(models=models, data="random:20:3", limit=None))
    assert (len(plan.data), plan.data.x.dtype.name, plan.data.labelled) == (20, kind, False)
    assert plan.data.x.shape == (20, 28, 28, 1)
    assert plan.note.startswith("random inputs (seed 3), uniform: x is")
    few = make_plan(request(models=models, data="random:20:3", limit=4))
    assert (len(few.data), few.total) == (4, 20)


def test_a_table_and_its_column(tmp_path: Path) -> None:
    names = [f"p{i}" for i in range(784)]
    (tmp_path / "my.csv").write_text(
        ",".join([*names, "digit"]) + "\n" + "".join(f"{'0.5,' * 784}{i}\n" for i in range(6))
    )
    own = request(models=(str(STUDENT),), data=str(tmp_path / "my.csv"), dataset="auto", limit=None)
    plan = make_plan(replace(own, target="digit"))
    assert (plan.data.y.tolist(), plan.data.x.shape) == (list(range(6)), (6, 784))
    with pytest.raises(DataError, match="a sample has 785 values"):
        make_plan(own)


def test_missing_and_corrupt_network(tmp_path: Path) -> None:
    data = arrays(tmp_path, np.zeros((4, 28, 28, 1), "u1"), np.arange(4))
    broken = tmp_path / "broken.tflite"
    for content in (None, b"", b"TFL3" * 10, STUDENT.read_bytes()[:5000]):
        if content is not None:
            broken.write_bytes(content)
        with pytest.raises(ModelError, match="broken"):
            make_plan(request(models=(str(broken),), data=data, dataset="auto"))


def test_a_small_board_gets_what_fits() -> None:
    assert keys(boards=("mega2560",)) == ["mega2560/aot/student/int8"]
    assert keys(boards=("mega2560", "native"), models=("student",)) == [
        "mega2560/aot/student/int8",
        "native/aot/student/float32",
        "native/aot/student/int8",
    ]
    (case,) = make_plan(request(boards=("mega2560",))).cases
    assert [network.name for network in case.image.networks] == ["student"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"models": ("teacher",)}, "teacher does not fit board mega2560: an AVR has 8 KB of RAM"),
        (
            {"precisions": ("float32",)},
            r"float32 does not fit .*; choose what fits there \(student",
        ),
        ({"models": ("student", "teacher"), "precisions": ("int8",)}, "teacher does not fit"),
    ],
)
def test_what_a_small_board_excludes_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_plan(request(boards=("mega2560",), **changes))


def test_own_network_on_a_small_board_is_checked_for_its_precision(tmp_path: Path) -> None:
    data = arrays(tmp_path, np.zeros((4, 28, 28, 1), "u1"), np.arange(4))
    own = {"boards": ("mega2560",), "data": data, "dataset": "auto", "limit": None}
    assert keys(models=(str(STUDENT),), **own) == ["mega2560/aot/student_int8/int8"]
    wide = STUDENT.with_name("student_float32.tflite")
    with pytest.raises(UsageError, match="float32 does not fit board mega2560"):
        make_plan(request(models=(str(wide),), **own))


def project_with(folder: Path, dataset: str) -> Path:
    """Random dense networks as models/<dataset> of a project."""
    models = folder / "models" / dataset
    models.mkdir(parents=True)
    for name, precision in product(("teacher", "student"), ("float32", "int8")):
        made = (
            dense_only(20, (8, 3), precision)
            if dataset == "tabular"
            else cifar10("student", precision)
        )
        (models / f"{name}_{precision}.tflite").write_bytes(made)
    return folder


def test_features_travel_as_float32_whatever_the_network_computes_in(tmp_path: Path) -> None:
    plan = make_plan(request(project=project_with(tmp_path, "tabular"), dataset="tabular"))
    assert {case.image.precision for case in plan.cases} == {"float32", "int8"}
    inputs = Inputs(plan.data, taken_by(plan.networks[0]))
    assert inputs.encoding is Encoding.FLOAT32
    assert np.array_equal(np.frombuffer(inputs[0], "<f4"), plan.data.x[0])


@pytest.mark.parametrize("folder", ["cifar10", "cifar10-made"])
def test_generated_pictures_use_the_networks_of_cifar10_or_their_own(
    folder: str, tmp_path: Path
) -> None:
    """The networks of CIFAR-10, unless some were trained on the generated data set itself."""
    project = project_with(tmp_path, folder)
    plan = make_plan(request(project=project, dataset="cifar10-made"))
    assert plan.cases[0].network.path.parent == project / "models" / folder
    assert Inputs(plan.data, taken_by(plan.networks[0]))[0] == plan.data.x[0].tobytes()
    assert len(Inputs(plan.data, taken_by(plan.networks[0]))[0]) == 3_072


def test_a_data_set_without_networks_says_how_to_train_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.bench.networks.firmware_tree", lambda project: project)
    with pytest.raises(
        UsageError, match="no models for noise; train them: hil train --recipe noise"
    ):
        make_plan(request(project=tmp_path, dataset="noise"))


def test_the_image_of_own_files_needs_no_data() -> None:
    files = tuple(str(STUDENT.with_name(f"student_{p}.tflite")) for p in ("float32", "int8"))
    image = choose_image(Request(project=PROJECT, boards=("native",), models=files))
    assert image.precision is Precision.INT8
    assert [network.name for network in image.networks] == ["student_int8"]


def test_an_engine_too_large_for_a_board_is_refused_with_figures() -> None:
    """It would take the model file itself and the arena that was measured."""
    measured = tomllib.loads((PROJECT / "benchmarks" / "tflm.toml").read_text())
    arena = measured["mps2"]["tflm"]["student int8"]["arena"]
    model = (PROJECT / "models" / "mnist" / "student_int8.tflite").stat().st_size
    with pytest.raises(UsageError) as refused:
        make_plan(request(boards=("mega2560",), engines=("tflm",)))
    said = str(refused.value)
    assert "engine tflm does not fit board mega2560" in said
    assert f"{arena + model:,} bytes of RAM" in said
    assert f"{arena:,} of arena, and {model:,} of model" in said
    assert "has 8,192; choose another --engine" in said
    assert "\n" not in said
    plan = make_plan(request(boards=("mega2560",), engines=("aot", "tflm")))
    assert {case.image.engine for case in plan.cases} == {"aot"}
    (missing,) = plan.refused
    assert (missing.engine, missing.model, missing.failed) == ("tflm", "student", False)
    assert said.startswith(missing.why)


def test_every_board_can_be_a_station() -> None:
    """No board's file prevents a plan."""
    for name in ("mega2560", "native"):
        station = only_station(load_board(name))
        (key,) = keys(boards=(station, station), models=("student",), precisions=("int8",))
        assert key == f"{name}/aot/student/int8"


def test_models_of_the_project_are_int8_or_float32() -> None:
    with pytest.raises(UsageError, match="no int16 models for digits; choose from float32, int8"):
        make_plan(request(precisions=("int16",)))


def own_pair(tmp_path: Path, *, precision: str = "int8") -> tuple[str, str]:
    """A user's networks with names of their own."""
    for name in ("teacher", "student"):
        shutil.copy(
            STUDENT.with_name(f"{name}_{precision}.tflite"), tmp_path / f"{name[:1]}-1.tflite"
        )
    return str(tmp_path / "t-1.tflite"), str(tmp_path / "s-1.tflite")


def test_own_networks_are_paired_by_options(tmp_path: Path) -> None:
    big, small = own_pair(tmp_path)
    plan = make_plan(
        request(models=(big, small), teachers=(big,), students=(small,), dataset="digits", limit=2)
    )
    assert [(n.name, n.role) for n in plan.networks] == [("t_1", "teacher"), ("s_1", "student")]


def test_own_networks_are_paired_by_name_without_options(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.tflite" for name in ("teacher", "student", "other")]
    for file in files:
        shutil.copy(STUDENT, file)
    plan = make_plan(request(models=tuple(map(str, files)), dataset="digits", limit=2))
    assert [case.network.role for case in plan.cases] == ["teacher", "student", ""]


def test_a_student_needs_a_teacher_of_its_precision(tmp_path: Path) -> None:
    _, small = own_pair(tmp_path)
    big = str(STUDENT.with_name("teacher_float32.tflite"))
    with pytest.raises(UsageError, match=r"s-1.tflite computes in int8, and no --teacher does"):
        make_plan(request(models=(big, small), teachers=(big,), students=(small,)))
    with pytest.raises(UsageError, match="is --teacher and --student"):
        make_plan(request(models=(big, big), teachers=(big,), students=(big,)))


def test_a_data_set_with_a_student_alone_is_benched_with_it() -> None:
    plan = make_plan(request(project=PROJECT, dataset="cifar10", limit=2))
    assert {network.name for network in plan.networks} == {"student"}
    with pytest.raises(UsageError, match=r"there is no \w+ teacher for cifar10"):
        make_plan(request(project=PROJECT, dataset="cifar10", models=("teacher",), limit=2))
