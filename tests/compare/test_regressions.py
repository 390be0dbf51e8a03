# SPDX-License-Identifier: Apache-2.0
"""Seeded regressions on the emulated Cortex-M7 are caught, and unchanged re-runs raise no alarm."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.compare import Comparison, compare_runs
from tests.support.seeded import STUDENT, ScratchLab, bench, flip_weight, slower, wrong_constant

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, ScratchLab]]:
    """A network, a run of it, and the lab that built it."""
    folder = tmp_path_factory.mktemp("base")
    model = Path(shutil.copy(STUDENT, folder / "student.tflite"))
    lab = ScratchLab()
    yield model, bench(model, folder / "run", lab), lab
    lab.forget()


def beyond(found: Comparison) -> set[str]:
    (one,) = found.runs
    return {figure.name for figure in one.figures if figure.beyond}


def test_a_kernel_made_10_percent_slower_is_caught(
    base: tuple[Path, Path, ScratchLab], tmp_path: Path
) -> None:
    model, run, _ = base
    copy = Path(shutil.copy(model, tmp_path / model.name))
    with ScratchLab(slower) as lab:
        found = compare_runs(run, bench(copy, tmp_path / "run", lab))
    assert found.regression
    assert beyond(found) == {"instructions", "total", "first"}


def test_one_weight_of_the_image_is_caught(
    base: tuple[Path, Path, ScratchLab], tmp_path: Path
) -> None:
    """The oracle reads the .tflite file, so the device differs from it."""
    model, run, _ = base
    copy = Path(shutil.copy(model, tmp_path / model.name))
    with ScratchLab(wrong_constant) as lab:
        found = compare_runs(run, bench(copy, tmp_path / "run", lab))
    assert found.regression
    assert beyond(found) >= {"outputs", "unexpected"}


def test_one_weight_of_the_file_is_caught(
    base: tuple[Path, Path, ScratchLab], tmp_path: Path
) -> None:
    """The oracle reads the same .tflite file: the device agrees with it, but the outputs change."""
    model, run, _ = base
    copy = flip_weight(model, tmp_path / model.name)
    with ScratchLab() as lab:
        found = compare_runs(run, bench(copy, tmp_path / "run", lab))
    assert found.regression
    assert beyond(found) >= {"outputs"}
    assert "unexpected" not in beyond(found)
    assert {fact.name for fact in found.runs[0].facts} >= {"model_sha256", "firmware_sha256"}


def reruns(base: tuple[Path, Path, ScratchLab], folder: Path, times: int) -> list[Comparison]:
    model, run, lab = base
    found = []
    for number in range(times):
        again = bench(model, folder / str(number), lab)
        found.append(compare_runs(run, again))
        shutil.rmtree(again)
    return found


def quiet(found: list[Comparison]) -> bool:
    figures = [figure for one in found for run in one.runs for figure in run.figures]
    same = {figure.word for figure in figures} == {"same"}
    return same and not any(one.regression for one in found)


def test_unchanged_reruns_raise_no_alarm(
    base: tuple[Path, Path, ScratchLab], tmp_path: Path
) -> None:
    assert quiet(reruns(base, tmp_path, 5))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_200_unchanged_reruns_raise_no_alarm(
    base: tuple[Path, Path, ScratchLab], tmp_path: Path
) -> None:
    """Each starts the emulator again; every figure is the same, not just within its limit."""
    assert quiet(reruns(base, tmp_path, 200))
