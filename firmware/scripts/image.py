# SPDX-License-Identifier: Apache-2.0
"""Before a build: finds or generates the image's C sources, and adds them and the board's port.

`hil` generates the sources itself and passes their folder in HIL_IMAGE_DIR. For a plain `pio run`,
this script calls `python -m hil headers` with HIL_ENGINE, HIL_IMAGE, HIL_LAYERS and HIL_FAULT, or
with the env's custom_hil_ options. In both cases `image.json` in the folder describes the image.
HIL_ARENA sets how much RAM to reserve. With HIL_SKETCH there is no image: sketch.py builds a user's
sketch. The envs of a project made by `hil init` name the sketch and this folder of firmware in
custom_hil_sketch and custom_hil_firmware. Unit tests (`pio test`) are built with the golden vectors
and, except for test_engine, with firmware/test/fake_image.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from SCons.Script import COMMAND_LINE_TARGETS, Import
from SCons.Subst import Literal

Import("env")
env = globals()["env"]

PROJECT = Path(env.subst("$PROJECT_DIR"))
FIRMWARE = Path(env.GetProjectOption("custom_hil_firmware", str(PROJECT / "firmware")))
PORTS_WITHOUT_PINS = ("rv32", "lx106")  # QEMU's virt and sim have none
GOLDEN = Path(env.subst("$BUILD_DIR")) / "golden"


def fail(message):
    sys.stderr.write(f"Error: {message}\n")
    env.Exit(1)


def find_python():
    """The Python with `hil` installed: $HIL_PYTHON, the project's .venv, or this one."""
    if chosen := os.environ.get("HIL_PYTHON"):
        return chosen
    for inside in ("bin/python", "Scripts/python.exe"):
        if (PROJECT / ".venv" / inside).is_file():
            return str(PROJECT / ".venv" / inside)
    return sys.executable


def chosen_models():
    """The models of the image as [(name, file)], from HIL_IMAGE or custom_hil_models."""
    if text := os.environ.get("HIL_IMAGE"):
        words = text.split(os.pathsep)
    else:
        words = env.GetProjectOption("custom_hil_models", "").splitlines()
    pairs = [word.strip().partition("=") for word in words if word.strip()]
    for name, equals, file in pairs:
        if not (name and equals and file):
            fail(f"{name!r} is not NAME=FILE.tflite; see custom_hil_models in platformio.ini")
    models = [(name, PROJECT / file) for name, _, file in pairs]
    if not models:
        fail("the image has no models; set custom_hil_models in platformio.ini or HIL_IMAGE")
    for _, file in models:
        if not file.is_file():
            fail(f"there is no model {file}; run `hil train`, or name other models in HIL_IMAGE")
    return models


def chosen_arena():
    """Bytes of RAM to reserve, from HIL_ARENA or custom_hil_arena; empty: as many as needed."""
    arena = os.environ.get("HIL_ARENA") or env.GetProjectOption("custom_hil_arena", "")
    if arena and not (arena.isdecimal() and int(arena)):
        fail(f"{arena} is not a positive number of bytes; correct HIL_ARENA or custom_hil_arena")
    return arena


def marker_pin():
    """The pin that is high during an inference, from HIL_MARKER_PIN; empty: none."""
    pin = os.environ.get("HIL_MARKER_PIN", "")
    if pin and not pin.isdecimal():
        fail(f"HIL_MARKER_PIN={pin} is not the number of a pin; correct it, or unset it")
    if pin and port_name in PORTS_WITHOUT_PINS:
        fail(f"HIL_MARKER_PIN={pin}: this board has no pins; unset it")
    return pin


def mlperf_energy(pin):
    """Whether the firmware is for MLPerf Tiny's energy mode, from HIL_MLPERF_ENERGY."""
    if os.environ.get("HIL_MLPERF_ENERGY", "0") in ("", "0"):
        return False
    if not pin:
        fail("HIL_MLPERF_ENERGY: its timestamps are edges of a pin; set HIL_MARKER_PIN too")
    return True


def shows_layers():
    return os.environ.get("HIL_LAYERS", "0") not in ("", "0")


def check_core():
    """Reject a value of HIL_ESP32_CORE for which platformio.ini found no file."""
    core = os.environ.get("HIL_ESP32_CORE", "")
    known = [file.stem.removeprefix("esp32-") for file in FIRMWARE.glob("cores/esp32-*.ini")]
    if core and core not in known:
        fail(
            f"HIL_ESP32_CORE={core} is not known; set it to {' or '.join(sorted(known))}, "
            "or unset it for core 2"
        )


def fingerprint(words, models):
    """A hash of the models, the options of `hil headers` and the generator's sources."""
    digest = hashlib.sha256(repr(words).encode())
    generator = [*PROJECT.glob("hil/engines/**/*"), *PROJECT.glob("hil/tflite/*.py")]
    for file in [*(path for _, path in models), *sorted(generator)]:
        if file.is_file() and file.suffix != ".pyc":
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def generate(python):
    """The folder of the image's sources; `hil headers` updates them if they are out of date."""
    folder = Path(env.subst("$BUILD_DIR")) / "gen"
    folder.mkdir(parents=True, exist_ok=True)
    models = chosen_models()
    engine = os.environ.get("HIL_ENGINE") or env.GetProjectOption("custom_hil_engine")
    words = ["headers", "--engine", engine, "--out", str(folder)]
    words += ["--layers"] if shows_layers() else []
    words += ["--fault", fault] if (fault := os.environ.get("HIL_FAULT")) else []
    words += [f"{name}={file}" for name, file in models]
    stamp = folder / "fingerprint"
    wanted = fingerprint(words, models)
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    done = subprocess.run(
        [python, "-m", "hil", *words],
        cwd=PROJECT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode == 2:  # an error of hil: its last line says what is wrong and what to do
        fail(done.stdout.strip().splitlines()[-1])
    if done.returncode:
        sys.stderr.write(done.stdout)
        fail(
            f"`{python} -m hil headers` failed (above); "
            "set HIL_PYTHON to a Python that has tinyml-hil installed"
        )
    stamp.write_text(wanted)
    return folder


def add_image(python):
    """Compile against the image's sources, and return their folder."""
    ready = os.environ.get("HIL_IMAGE_DIR")
    folder = Path(ready) if ready else generate(python)
    image = json.loads((folder / "image.json").read_text("utf-8"))
    if image["fault"]:
        says.append(f"broken on purpose: {image['fault']}")
    if not image.get("more", True):
        env.Append(CPPDEFINES=[("HIL_MORE", 0)])
    if image["layers"]:
        env.Append(CPPDEFINES=["HIL_LAYERS"])
    if arena := chosen_arena():
        env.Append(CPPDEFINES=[("HIL_ARENA_BYTES", arena)])
    exports = {"env": env, "generated": folder, "names": image["models"], "says": says}
    if image["engine"] == "tflm":
        include.append(FIRMWARE / "lib" / "hil_tflm")
        env.SConscript(str(FIRMWARE / "scripts" / "tflm.py"), exports=exports)
    if image["engine"] == "bakenn":
        env.SConscript(str(FIRMWARE / "scripts" / "bakenn.py"), exports=exports)
    return folder


check_core()
python = find_python()
LIBRARY = FIRMWARE / "lib" / "TinymlHil" / "src"
port_name = env.GetProjectOption("custom_hil_port")
on_arduino = port_name == "arduino"  # that port is a part of the library
port = LIBRARY / "hil_arduino" if on_arduino else FIRMWARE / "port" / port_name
libraries = [LIBRARY / name for name in ("", "hil_engine", "hil_wire", "hil_session")]
version = json.loads((LIBRARY.parent / "library.json").read_text("utf-8"))["version"]
include = [*libraries, FIRMWARE / "port", port]
says = [f"tinyml-hil {version}"]
if pin := marker_pin():
    env.Append(CPPDEFINES=[("HIL_MARKER_PIN", pin)])
    says.append(f"marker pin {pin}")  # HELLO reports it
if mlperf_energy(pin):
    env.Append(CPPDEFINES=[("HIL_MLPERF_ENERGY", 1)])
    says.append("MLPerf energy mode")
# The map says which object each byte comes from; hil reads it beside the ELF. Its path is relative,
# because SCons does not quote flags and a shell would interpret some paths. -Xlinker, because -Wl
# splits at commas.
build_folder = os.path.relpath(env.subst("$BUILD_DIR"), PROJECT)
env.Append(LINKFLAGS=["-Xlinker", f"-Map={build_folder}/${{PROGNAME}}.map"])
env.Replace(HIL_PYTHON=Literal(python))  # quoted, for any path

testing = "__test" in COMMAND_LINE_TARGETS
sketch = os.environ.get("HIL_SKETCH") or env.GetProjectOption("custom_hil_sketch", "")
sketch = "" if testing else sketch
if testing:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, str(FIRMWARE / "scripts" / "golden_header.py"), str(GOLDEN)]
    subprocess.run([*words, str(FIRMWARE / "golden" / "wire.json")], check=True)
    include += [FIRMWARE / "test", GOLDEN]
if testing and env.get("PIOTEST_RUNNING_NAME") != "test_engine":
    image = FIRMWARE / "test" / "fake_image"
    env.Append(CPPDEFINES=["HIL_LAYERS"] if shows_layers() else [])
elif not sketch:
    image = add_image(python)
if sketch:
    env.SConscript(str(FIRMWARE / "scripts" / "sketch.py"), exports={"env": env, "sketch": sketch})
    include += [] if on_arduino else [FIRMWARE / "sketch"]  # a small Arduino.h
else:
    env.Append(CPPDEFINES=["HIL_WITH_IMAGE"])
    env.Append(CPPDEFINES=[("HIL_FIRMWARE", env.StringifyMacro(", ".join(says)))])
    env.BuildSources("$BUILD_DIR/image", str(image), "+<hil_image.c>")
    include.append(image)
env.Append(CPPPATH=[str(path) for path in include])
if not on_arduino:
    env.BuildSources("$BUILD_DIR/port", str(port))
    if not testing:
        env.BuildSources("$BUILD_DIR/entry", str(FIRMWARE / "sketch"))
