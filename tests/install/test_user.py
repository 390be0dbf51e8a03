# SPDX-License-Identifier: Apache-2.0
"""What a user does after `pip install` of the wheel, in empty folders, without a checkout."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.boards.station import missing_tools
from tests.support.needs import skip_without
from tests.support.wheel import PROJECT, Installed, build_wheel, install

pytestmark = [
    pytest.mark.firmware,
    pytest.mark.timeout(1200),
    skip_without([*missing_tools(load_board("native")), *missing_tools(load_board("mps2"))]),
]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("a user (ö)")
    return install(build_wheel(folder / "dist"), folder)


def test_the_checkout_is_out_of_reach(user: Installed, tmp_path: Path) -> None:
    code = "import hil, sys; print(hil.__file__, *sys.path, sep='\\n')"
    file, *path = user.run(tmp_path, "python", "-c", code).stdout.splitlines()
    assert Path(file).is_relative_to(user.prefix)
    assert not any(Path(entry or tmp_path).resolve() == PROJECT for entry in path)


@pytest.mark.parametrize("board", ["native", "mps2"])
def test_bench_in_an_empty_folder(user: Installed, tmp_path: Path, board: str) -> None:
    words = ("hil", "bench", "--board", board, "--dataset", "digits", "--precision", "int8")
    done = user.run(tmp_path, *words, "--limit", "20", "--no-open")
    assert done.returncode == 0, done.stderr
    assert "every output is as expected" in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    (run,) = (tmp_path / "results").iterdir()
    rows = json.loads((run / "summary.json").read_text())["runs"]
    assert len(rows) == 2
    assert all(row["agreement"]["differing_oracle"] == 0 for row in rows)
    regenerated = user.run(tmp_path, "hil", "report", str(run), "--no-open")
    assert regenerated.returncode == 0, regenerated.stderr
    assert user.run(tmp_path, "hil", "verify", str(run)).returncode == 0


def test_other_commands_in_an_empty_folder(user: Installed, tmp_path: Path) -> None:
    listed = user.run(tmp_path, "hil", "boards")
    assert "mps2" in listed.stdout
    checked = user.run(tmp_path, "hil", "doctor", "--board", "native")
    assert checked.returncode == 0, checked.stdout
    model = PROJECT / "models" / "digits" / "student_int8.tflite"
    (tmp_path / "my.tflite").write_bytes(model.read_bytes())
    exported = user.run(tmp_path, "hil", "export", "my.tflite", "--out", "c")
    assert exported.returncode == 0, exported.stderr
    assert {path.name for path in (tmp_path / "c").iterdir()} >= {"my.h"}


def test_training_says_in_one_line_what_to_install(user: Installed, tmp_path: Path) -> None:
    done = user.run(tmp_path, "hil", "train", "--recipe", "digits")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "pip install tinyml-hil-train" in line


def test_flash_starts_an_emulator_that_bench_uses(user: Installed, tmp_path: Path) -> None:
    flashed = user.run(tmp_path, "hil", "flash", "--board", "mps2", "--dataset", "digits")
    try:
        assert flashed.returncode == 0, flashed.stderr
        lines = flashed.stdout.splitlines()
        said = next(line for line in lines if line.startswith("run it: "))
        words = shlex.split(said.removeprefix("run it: "))
        benched = user.run(tmp_path, *words, "--limit", "10", "--no-open")
        assert benched.returncode == 0, benched.stderr
    finally:
        user.run(tmp_path, "hil", "emulate", "mps2", "--stop")
