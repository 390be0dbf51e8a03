# SPDX-License-Identifier: Apache-2.0
"""What a user does after `pip install` of the wheel, in empty folders, without a checkout."""

from __future__ import annotations

import json
import re
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


def test_clean_removes_builds_and_keeps_results(user: Installed, tmp_path: Path) -> None:
    own = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ["hil", "bench", "--board", "native", "--dataset", "digits", "--limit", "5"]
    words += ["--model", "student", "--precision", "int8", "--host-samples", "0"]
    benched = user.run(tmp_path, *words, "--no-open", **own)
    assert benched.returncode == 0, benched.stderr
    cleaned = user.run(tmp_path, "hil", "clean", "--all", **own)
    assert re.search(r"^[\d,]{9,} bytes removed$", cleaned.stdout, re.MULTILINE), cleaned.stdout
    left = {path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert left <= {".lock", ".new"}
    assert len(list((tmp_path / "results").iterdir())) == 1


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


def test_a_new_project_runs_at_once(user: Installed, tmp_path: Path) -> None:
    made = user.run(tmp_path, "hil", "init", "my project")
    assert made.returncode == 0, made.stderr
    project = tmp_path / "my project"
    benched = user.run(project, "hil", "bench", "--no-open", "--limit", "20")
    assert benched.returncode == 0, benched.stderr
    (run,) = (project / "results").iterdir()
    rows = json.loads((run / "summary.json").read_text())["runs"]
    assert [row["engine"] for row in rows] == ["aot", "user"]
    assert all(row["agreement"]["differing_oracle"] == 0 for row in rows)
    tested = user.run(project, "python", "-m", "pytest", "-W", "error", "-m", "hil", "-ra")
    assert tested.returncode == 0, tested.stdout
    assert "4 passed" in tested.stdout
    for env, program in (("mps2", "firmware.elf"), ("native", "program")):
        built = user.run(project, "python", "-m", "platformio", "run", "-e", env)
        assert built.returncode == 0, built.stdout + built.stderr
        assert (project / ".pio" / "build" / env / program).is_file()
    words = ("--engine", "user", "--firmware", ".pio/build/mps2/firmware.elf", "--limit", "5")
    of_elf = user.run(project, "hil", "bench", "--no-open", *words)
    assert of_elf.returncode == 0, of_elf.stderr


def test_the_example_of_the_documents_passes_as_written(user: Installed, tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "pytest.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "test_example.py").write_text(example)
    words = ("-W", "error", "--strict-markers", "-m", "hil", "--hil-board", "mps2")
    done = user.run(tmp_path, "python", "-m", "pytest", *words, "--hil-dataset", "digits")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_tests_of_a_board_run_in_an_empty_folder(user: Installed, tmp_path: Path) -> None:
    words = ("-W", "error", "--strict-markers", "--pyargs", "hil.board_tests", "-m", "hil")
    given = ("--hil-board", "native", "--hil-dataset", "digits", "--hil-limit", "20", "-rs")
    done = user.run(tmp_path, "python", "-m", "pytest", "-p", "no:cacheprovider", *words, *given)
    assert done.returncode == 0, done.stdout
    assert " passed, 1 skipped" in done.stdout  # no limits
    assert list(tmp_path.iterdir()) == []
