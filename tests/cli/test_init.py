# SPDX-License-Identifier: Apache-2.0
"""`hil init`: what it writes, keeps and refuses. `tests/install` builds what it wrote."""

from __future__ import annotations

import configparser
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from hil.boards.config import load_board
from hil.cli.main import main
from hil.core.settings import bench_options, read_settings
from hil.tflite import read_model

PROJECT = Path(__file__).parents[2]
MODELS = PROJECT / "models" / "digits"
FILES = {
    ".github/workflows/hil.yml",
    ".gitignore",
    ".hil/installed.ini",
    "hil.toml",
    "network.tflite",
    "platformio.ini",
    "src/main.cpp",
    "src/network.h",
    "tests/test_hil.py",
}


def init(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hil", "init", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert init(monkeypatch, str(tmp_path / "my")) == 0
    return tmp_path / "my"


def test_every_file_is_written_and_valid(made: Path) -> None:
    assert contents(made).keys() == FILES
    assert bench_options(made)["model"] == [str(made / "network.tflite")]
    assert list(read_settings(made).limits) == ["mps2/aot/network/int8"]
    workflow = yaml.safe_load((made / ".github/workflows/hil.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    compile((made / "tests/test_hil.py").read_text(), "test_hil.py", "exec")
    tomllib.loads((made / "hil.toml").read_text())
    assert b"{{" not in b"".join(contents(made).values())


def test_every_emulated_board_has_an_env(made: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read([made / "platformio.ini", made / ".hil/installed.ini"])
    firmware = Path(parser["hil"]["firmware"])
    assert (firmware / "lib/TinymlHil/library.json").is_file()
    emulated = [name.removeprefix("hil:") for name in parser.sections() if "hil:" in name]
    emulated.remove("emulated")
    assert {"lx106", "mega2560", "mps2", "native", "rv32"} < set(emulated)
    ours = configparser.ConfigParser(interpolation=None)
    ours.read(PROJECT / "platformio.ini")
    platforms = (section.get("platform", "") for section in ours.values())
    assert len(emulated) == sum(one.startswith("symlink:") for one in platforms)
    for name in emulated:
        platform = parser[f"hil:{name}"]["platform"].rpartition("/")[2]
        assert (firmware / "platforms" / platform / "platform.json").is_file()
        assert load_board(name).pio_env == name


def test_the_sketch_says_what_the_integers_mean(made: Path) -> None:
    graph = read_model(made / "network.tflite")
    sketch = (made / "src/main.cpp").read_text()
    for name, spec in (("inputScale", graph.input), ("outputScale", graph.output)):
        found = re.search(rf"{name}\((.+)f, (-?\d+)\);", sketch)
        assert found
        assert (float(found[1]), int(found[2])) == (spec.scale, spec.zero_point)


def test_files_that_exist_are_kept(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (made / "hil.toml").write_text("[bench]\n")
    (made / "src/main.cpp").unlink()
    (made / ".hil/installed.ini").write_text("of another machine")
    before = contents(made)
    capsys.readouterr()
    assert init(monkeypatch, str(made)) == 0
    after = contents(made)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"src/main.cpp", ".hil/installed.ini"}
    assert f"kept  {made / 'hil.toml'}" in capsys.readouterr().out
    assert init(monkeypatch, str(made), "--force") == 0
    assert (made / "hil.toml").read_text() != "[bench]\n"


def test_a_network_of_the_users_own_is_put_into_the_sketch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(MODELS / "student_float32.tflite", tmp_path / "network.tflite")
    assert init(monkeypatch, str(tmp_path)) == 0
    sketch = (tmp_path / "src/main.cpp").read_text()
    assert "predict(const float *in, float *out)" in sketch
    assert "inputScale" not in sketch


def test_a_checkout_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(monkeypatch, str(PROJECT)) == 2
    assert "is a checkout of tinyml-hil; choose another folder" in capsys.readouterr().err
