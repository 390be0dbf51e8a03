"""Before a build: generate the networks' C sources, and add them and the board's port.

Unit tests (`pio test`) build against the golden vectors and, but for test_engine, against
firmware/test/fake_image.
Run by PlatformIO; `python -m hil headers` does the generating.
"""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from SCons.Script import COMMAND_LINE_TARGETS, Import
from SCons.Subst import Literal

Import("env")
env = globals()["env"]

PROJECT = Path(env.subst("$PROJECT_DIR"))
FIRMWARE = PROJECT / "firmware"
GENERATED = Path(env.subst("$BUILD_DIR")) / "gen"
GOLDEN = Path(env.subst("$BUILD_DIR")) / "golden"
LAYERS = os.environ.get("HIL_LAYERS", "0") not in ("", "0")


def fail(message):
    sys.stderr.write(f"Error: {message}\n")
    env.Exit(1)


def find_python():
    """The interpreter that has `hil`: $HIL_PYTHON, the project's .venv, or this one."""
    if chosen := os.environ.get("HIL_PYTHON"):
        return chosen
    for inside in ("bin/python", "Scripts/python.exe"):
        if (PROJECT / ".venv" / inside).is_file():
            return str(PROJECT / ".venv" / inside)
    return sys.executable


def chosen_models():
    """[(name, file)] of the image, from HIL_IMAGE or custom_hil_models."""
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
            fail(f"there is no model {file}; `hil train` makes them, HIL_IMAGE names others")
    return models


def check_core():
    """Refuse a value of HIL_ESP32_CORE that platformio.ini did not take, rather than ignore it."""
    core = os.environ.get("HIL_ESP32_CORE", "")
    known = [file.stem.removeprefix("esp32-") for file in FIRMWARE.glob("cores/esp32-*.ini")]
    if core and core not in known:
        fail(
            f"HIL_ESP32_CORE={core} is not known; set it to {' or '.join(sorted(known))}, "
            "or unset it for core 2"
        )


def special():
    """For `hil headers`, of the environment: HIL_LAYERS=1 shows layers, HIL_FAULT breaks one."""
    fault = os.environ.get("HIL_FAULT")
    return [*(["--layers"] if LAYERS else []), *(["--fault", fault] if fault else [])]


def fingerprint(engine, models, arena):
    """Changes when the models, the engine's name, the options or the generator do."""
    options = (engine, arena, special(), [name for name, _ in models])
    digest = hashlib.sha256(repr(options).encode())
    generator = [*PROJECT.glob("hil/engines/**/*"), *PROJECT.glob("hil/tflite/*.py")]
    for file in [*(path for _, path in models), *sorted(generator)]:
        if file.is_file() and file.suffix != ".pyc":
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def generate(python, engine):
    """Write hil_image.{h,c} and the networks' headers, unless they are there already."""
    models = chosen_models()
    arena = os.environ.get("HIL_ARENA") or env.GetProjectOption("custom_hil_arena", "")
    stamp = GENERATED / "fingerprint"
    wanted = fingerprint(engine, models, arena)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    pairs = [f"{name}={file}" for name, file in models]
    words = [python, "-m", "hil", "headers", "--engine", engine, "--out", str(GENERATED), *pairs]
    words += ["--arena", arena] if arena else []
    words += special()
    done = subprocess.run(
        words, cwd=PROJECT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode == 2:  # the harness's own: its last line says what and what to do
        fail(done.stdout.strip().splitlines()[-1])
    if done.returncode:
        sys.stderr.write(done.stdout)
        fail(
            f"`{python} -m hil headers` failed (above); "
            "set HIL_PYTHON to a Python with tinyml-hil installed if this one has not"
        )
    stamp.write_text(wanted)


check_core()
python = find_python()
engine = os.environ.get("HIL_ENGINE") or env.GetProjectOption("custom_hil_engine")
port = FIRMWARE / "port" / env.GetProjectOption("custom_hil_port")
libraries = [FIRMWARE / "lib" / name for name in ("hil_engine", "hil_wire", "hil_session")]
version = re.search(r'__version__ = "(.+)"', (PROJECT / "hil/__init__.py").read_text())[1]
include = [*libraries, FIRMWARE / "port", port]
says = f"tinyml-hil {version}"
if fault := os.environ.get("HIL_FAULT"):
    says += f", broken on purpose: {fault}"
env.Append(CPPDEFINES=[("HIL_FIRMWARE", env.StringifyMacro(says))])
if LAYERS:
    env.Append(CPPDEFINES=["HIL_LAYERS"])
# which object each byte comes from (hil/platformio/owners.py reads it beside the ELF)
# relative: SCons does not quote a flag, and the project's path may hold what a shell reads;
# -Xlinker, for -Wl ends at a comma
build_folder = os.path.relpath(env.subst("$BUILD_DIR"), PROJECT)
env.Append(LINKFLAGS=["-Xlinker", f"-Map={build_folder}/${{PROGNAME}}.map"])
env.Replace(HIL_PYTHON=Literal(python))  # quoted, whatever its path holds

GENERATED.mkdir(parents=True, exist_ok=True)
GOLDEN.mkdir(exist_ok=True)
testing = "__test" in COMMAND_LINE_TARGETS
if testing:
    words = [sys.executable, str(FIRMWARE / "scripts" / "golden_header.py"), str(GOLDEN)]
    subprocess.run([*words, str(FIRMWARE / "golden" / "wire.json")], check=True)
    include += [FIRMWARE / "test", GOLDEN]
if testing and env.get("PIOTEST_RUNNING_NAME") != "test_engine":
    image = FIRMWARE / "test" / "fake_image"
else:
    image = GENERATED
    generate(python, engine)
    if engine == "tflm":
        include.append(FIRMWARE / "lib" / "hil_tflm")
        env.SConscript(str(FIRMWARE / "scripts" / "tflm.py"), exports={"env": env})
    if engine == "bakenn":
        names = [name for name, _ in chosen_models()]
        env.SConscript(
            str(FIRMWARE / "scripts" / "bakenn.py"), exports={"env": env, "names": names}
        )
env.Append(CPPPATH=[str(path) for path in [*include, image]])
env.BuildSources("$BUILD_DIR/image", str(image), "+<hil_image.c>")
env.BuildSources("$BUILD_DIR/port", str(port))
