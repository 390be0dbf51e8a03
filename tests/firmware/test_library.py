# SPDX-License-Identifier: Apache-2.0
"""The library TinymlHil as its users get it: a folder for the Arduino IDE, and a library for
PlatformIO. Its examples run in a simulated ATmega2560 with the real Arduino core."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hil import __version__
from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.records import Encoding
from hil.device import Device
from hil.firmware.build import pio_environment
from hil.firmware.toolchain import ensure_scons
from tests.support.firmware import DIGITS, FIRMWARE, SOURCES, STRICT, pio, run
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(600)]

LIBRARY = FIRMWARE / "lib" / "TinymlHil"
SKETCHES = sorted(path.name for path in (LIBRARY / "examples").iterdir() if path.is_dir())
EXAMPLES = ("Bytes", "Float", "Int8")  # the others need the libraries of others
ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr")
# the flags of arduino-core-avr's platform.txt, without -flto and -w
AVR = ("-Os", "-g", "-ffunction-sections", "-fdata-sections", "-mmcu=atmega2560")
AVR_CXX = ("-std=gnu++11", "-fpermissive", "-fno-exceptions", "-fno-threadsafe-statics")
DEFINES = ("-DF_CPU=16000000L", "-DARDUINO=10819", "-DARDUINO_AVR_MEGA2560", "-DARDUINO_ARCH_AVR")


def needs_avr() -> None:
    needs(missing_tools(load_board("mega2560")))


def properties() -> dict[str, str]:
    lines = (LIBRARY / "library.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_versions_are_one() -> None:
    assert properties()["version"] == __version__
    assert json.loads((LIBRARY / "library.json").read_text())["version"] == __version__
    (macro,) = re.findall(r'TINYML_HIL_VERSION "(.+)"', (SOURCES / "hil_device.h").read_text())
    assert macro == __version__


def test_the_layout_is_that_of_an_arduino_library() -> None:
    """The specification's format 1.5: `src` is compiled recursively, and only it is searched."""
    found = properties()
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph"} <= set(found)
    assert found["architectures"] == "*"
    assert found["name"] == LIBRARY.name
    allowed = {"src", "examples", "library.properties", "library.json", "keywords.txt"}
    assert {path.name for path in LIBRARY.iterdir()} == allowed
    assert not [path for path in LIBRARY.rglob("*") if path.is_symlink()]
    assert set(EXAMPLES) < set(SKETCHES)
    for name in SKETCHES:
        assert (LIBRARY / "examples" / name / f"{name}.ino").is_file()
    for header in found["includes"].split(","):
        assert (SOURCES / header).is_file()


def test_every_include_is_inside_the_library() -> None:
    """Relative to the including file or to `src`: there is no other folder of ours."""
    for file in SOURCES.rglob("*.*"):
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read_text(), re.MULTILINE):
            places = [file.parent / name, SOURCES / name]
            assert any(place.is_file() for place in places), f"{file}: {name}"


def test_keywords_are_the_public_functions() -> None:
    text = (SOURCES / "TinymlHil.h").read_text()
    public = text[text.index(" public:") : text.index(" private:")]
    names = set(re.findall(r"^  (?:\w+ &|bool |void )(\w+)\(", public, re.MULTILINE)) - {"operator"}
    lines = (LIBRARY / "keywords.txt").read_text().splitlines()
    words = [line.split("\t") for line in lines if not line.startswith("#")]
    assert {word for word, kind in words if kind == "KEYWORD2"} == names
    assert [word for word, kind in words if kind == "KEYWORD1"] == ["TinymlHil"]


def constants(example: str, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """An array of the example's network.h."""
    text = (LIBRARY / "examples" / example / "network.h").read_text()
    body = text[text.index(f"{name}[") :]
    body = body[body.index("=") : body.index("};")]
    return np.array([float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", body)])


def expected(example: str, digit: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[float]:
    """What the example's network must answer: a formula in NumPy, with its weights."""
    weights = constants(example, "WEIGHTS").reshape(10, 49)
    sums = digit.reshape(7, 4, 7, 4).astype(np.float64).sum(axis=(1, 3)).ravel()
    if example == "Int8":
        sums -= 16 * 128
    if example == "Float":
        sums /= 16 * 255
    scores = weights @ sums + constants(example, "BIASES")
    if example == "Float":
        return list(scores)
    zero = 128 if example == "Bytes" else 0
    return list(np.clip(np.trunc(scores / 8192), -128, 127) + zero)


def check_answers(example: str, board: str, elf: Path) -> None:
    """The image answers as the example's network must."""
    with open_board(load_board(board), elf) as link:
        device = Device(link)
        hello = device.hello()
        (model,) = hello.models
        digits = DIGITS[:2]
        sent = (digit.tobytes() for digit in digits)
        found = [answer.result.output for answer in device.infer(0, Encoding.PIXELS, sent)]
    assert (model.name, model.engine) == (f"{example.lower()}-example", "user")
    assert hello.firmware == f"{model.name} 1.0 (tinyml-hil {__version__})"
    assert (model.sha256, model.arena, model.flash) == ("00" * 32, 0, 0)
    assert model.input.shape == (28, 28, 1)
    for digit, output in zip(digits, found, strict=True):
        got = np.frombuffer(output, model.output.dtype.numpy)
        assert got.tolist() == pytest.approx(expected(example, digit), abs=1e-4)


def compiled(folder: Path, sources: Sequence[Path], include: Sequence[Path], *more: str) -> None:
    """Object files of an AVR in ``folder``, as the Arduino IDE compiles them."""
    core = [ARDUINO / "cores/arduino", ARDUINO / "variants/mega"]
    paths = [f"-I{path}" for path in (*core, *include)]
    folder.mkdir(exist_ok=True)
    for suffixes, words in (
        ((".c",), ["avr-gcc", "-std=gnu11"]),
        ((".cpp",), ["avr-g++", *AVR_CXX]),
        ((".S",), ["avr-gcc", "-x", "assembler-with-cpp"]),
    ):
        files = [str(path) for path in sources if path.suffix in suffixes]
        if files:
            run([*words, *AVR, *DEFINES, *paths, *more, "-c", *files], cwd=folder)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real core, compiled; beside it the emulator's runner."""
    needs_avr()
    folder = tmp_path_factory.mktemp("core")
    files = [path for path in (ARDUINO / "cores/arduino").rglob("*.[cS]*") if path.suffix != ".S"]
    # Debian's avr-gcc 5.4 has no DECIMAL_DIG in C++
    compiled(folder, files, [], "-w", "-DDECIMAL_DIG=__DECIMAL_DIG__")
    runner = FIRMWARE / "platforms" / "simavr" / "runner"
    words = ["gcc", "-std=c11", "-O2", f"-I{FIRMWARE / 'port'}", "-o", "simavr-runner"]
    words += [*(str(runner / f"{name}.c") for name in ("runner", "line", "response"))]
    words += ["-lsimavr", "-lelf"]
    run(words, cwd=folder)
    return folder


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_in_the_arduino_ide(example: str, core: Path, tmp_path: Path) -> None:
    """As a folder in `libraries`: all of `src`, with only `src` to include from. No warning."""
    installed = tmp_path / "libraries" / "TinymlHil"
    shutil.copytree(LIBRARY, installed)
    source = installed / "src"
    files = [path for path in source.rglob("*.*") if path.suffix in (".c", ".cpp")]
    compiled(tmp_path / "library", files, [source], "-Wall", "-Wextra", "-Werror")
    sketch = installed / "examples" / example / f"{example}.ino"
    main = tmp_path / f"{example}.ino.cpp"
    main.write_text(f"#include <Arduino.h>\n{sketch.read_text()}")
    compiled(tmp_path / "sketch", [main], [source, sketch.parent], "-Wall", "-Wextra", "-Werror")
    objects = [*(tmp_path / "sketch").glob("*.o"), *(tmp_path / "library").glob("*.o")]
    objects += core.glob("*.o")
    words = ["avr-g++", *AVR, "-Wl,--gc-sections", *map(str, objects), "-lm", "-o", "image.elf"]
    run(words, cwd=tmp_path)
    shutil.copy(core / "simavr-runner", tmp_path)
    check_answers(example, "mega2560", tmp_path / "image.elf")


def user_project(folder: Path, example: str) -> Path:
    """A PlatformIO project whose only links to this repository are lib_deps and, because
    PlatformIO's registry has the real platform, the platform for simavr."""
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    sketch = LIBRARY / "examples" / example
    shutil.copy(sketch / "network.h", project / "src")
    main = f"#include <Arduino.h>\n{(sketch / f'{example}.ino').read_text()}"
    (project / "src" / "main.cpp").write_text(main)
    (project / "platformio.ini").write_text(
        "[platformio]\nplatforms_dir = platforms\n[env:mega]\nboard = mega2560\n"
        f"platform = symlink://{FIRMWARE / 'platforms' / 'simavr'}\nlib_deps = symlink://{LIBRARY}\n"
    )
    return project


def test_an_example_in_a_project_of_platformio(tmp_path: Path) -> None:
    needs_avr()
    project = user_project(tmp_path, "Bytes")
    environment = pio_environment()
    ensure_scons(Path(environment["PLATFORMIO_CORE_DIR"]))
    environment = {k: v for k, v in environment.items() if not k.startswith("HIL_")}
    done = pio(["run", "-e", "mega"], environment, project)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "TinymlHil @ " in done.stdout
    check_answers("Bytes", "mega2560", project / ".pio" / "build" / "mega" / "firmware.elf")


def test_a_shape_of_another_size_is_refused_by_name(tmp_path: Path) -> None:
    """At compile time if it has too many dimensions; else begin() returns false."""
    needs([tool for tool in ("g++",) if not shutil.which(tool)])
    source = tmp_path / "sketch.cpp"
    source.write_text(
        "#include <TinymlHil.h>\nbool p(const float *, float *) { return true; }\n"
        'TinymlHil<float, 4, float, 2> hil("a", "1", p);\n'
        "void f();\nvoid f() { hil.inputShape(DIMS); }\n"
    )
    words = ["g++", "-std=c++11", *STRICT, "-fsyntax-only", f"-I{SOURCES}", str(source)]
    run([*words, "-DDIMS=1,1,1,1,2,2"])
    with pytest.raises(AssertionError, match="one to six dimensions"):
        run([*words, "-DDIMS=1,1,1,1,1,2,2"])
