# SPDX-License-Identifier: Apache-2.0
"""The Arduino port with fakes of cores that are not available to tests.

The fakes are in tests/firmware/arduino: Espressif's core 2 (IDF 4.4, gnu++11) and core 3 (IDF 5,
gnu++2b), and the main thread of Mbed OS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.firmware import ARDUINO_PORT, INCLUDES, STRICT, run

pytestmark = [pytest.mark.firmware, pytest.mark.usefixtures("needs_gcc")]
FAKES = Path(__file__).parent / "arduino"
PORT = ARDUINO_PORT
ESP32 = ["-DARDUINO=10810", "-DARDUINO_ARCH_ESP32", "-DF_CPU=240000000L"]
CORES = {
    "core 2": ["-std=gnu++11", "-DESP_IDF_VERSION_MAJOR=4", *ESP32],
    "core 3": ["-std=gnu++2b", "-DESP_IDF_VERSION_MAJOR=5", *ESP32],
}
MBED = [
    "-std=gnu++14",
    "-DARDUINO=10810",
    "-DESP_IDF_VERSION_MAJOR=4",
    "-DARDUINO_ARCH_MBED",
    "-D__ARM_ARCH=7",
]
TASK_STACK, DEEP = 65_536, 20_000  # as in task.h
Ask = Callable[..., dict[str, str]]


def program(folder: Path, flags: list[str], *sources: Path) -> Ask:
    """Compile a fake with the port; a function that runs it and reads its NAME=VALUE lines."""
    place = folder / "program"
    words = ["g++", *flags, *STRICT, "-O2", *INCLUDES]
    words += [f"-I{FAKES}", f"-I{FAKES / 'core'}", f"-I{PORT}"]
    run([*words, str(PORT / "port.cpp"), *map(str, sources), "-o", str(place)])

    def ask(*what: object) -> dict[str, str]:
        lines = run([str(place), *map(str, what)]).splitlines()
        return dict(line.split("=", 1) for line in lines)

    return ask


@pytest.fixture(scope="module", params=CORES)
def esp32(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    folder = tmp_path_factory.mktemp("esp32")
    return program(folder, CORES[request.param], PORT / "chip_esp32.cpp", FAKES / "esp32.cpp")


@pytest.mark.parametrize("offset", [0, 1, 4, 28, 31, 32, 63])
def test_the_watchpoint_at_the_end_of_a_freertos_stack_is_not_touched(
    esp32: Ask, offset: int
) -> None:
    check_stack_marks(esp32("stack", offset))


def test_the_magic_word_at_the_end_of_an_rtx_stack_is_not_touched(tmp_path: Path) -> None:
    check_stack_marks(program(tmp_path, MBED, FAKES / "mbed.cpp")())


def test_the_marker_pin_is_high_around_the_measured_time(tmp_path: Path) -> None:
    pin = [*MBED, "-DHIL_MARKER_PIN=5"]
    assert list(program(tmp_path, pin, FAKES / "marker.cpp")().values()) == [
        *("output 5", "low 5"),
        *("high 5", "micros 0", "cycles 0"),
        *("cycles 0", "micros 0", "low 5"),
    ]


def test_without_a_marker_pin_no_pin_changes(tmp_path: Path) -> None:
    said = program(tmp_path, MBED, FAKES / "marker.cpp")()
    assert list(said.values()) == ["micros 0", "cycles 0", "cycles 0", "micros 0"]


def check_stack_marks(said: dict[str, str]) -> None:
    found = {name: int(value) for name, value in said.items()}
    assert found["guard_kept"] == 1
    assert found["size"] == TASK_STACK
    assert 0 < found["booted"] < DEEP
    assert DEEP < found["deep"] < DEEP + 4096
    assert found["reset"] < DEEP  # STATUS paints again
    assert found["almost_full"] == TASK_STACK  # the lowest byte above the guard is used
    assert found["full"] == TASK_STACK


# The clock of the UART: core 2 uses APB on an ESP32; S3 and C3 use the crystal; core 3 uses
# REF_TICK for a low rate and, up to 3.3.0, keeps it when the rate changes.
@pytest.mark.parametrize("source", ["apb", "xtal", "3.0.0", "3.0.7", "3.3.11"])
def test_every_rate_is_set_as_requested(esp32: Ask, source: str) -> None:
    rates = [921_600, 2_000_000, 115_200, 9_600, 5_000_000]
    said = {name: int(value) for name, value in esp32("rate", source, *rates).items()}
    assert said.pop("boot") == pytest.approx(115_200, rel=0.02)
    assert said.pop("again") == pytest.approx(115_200, rel=0.02)
    assert said == {str(rate): pytest.approx(rate, rel=0.02) for rate in rates}


@pytest.mark.parametrize("rate", [1, 1_199, 5_000_001, 4_294_967_295])
def test_a_rate_beyond_the_uart_is_refused(esp32: Ask, rate: int) -> None:
    said = esp32("rate", "apb", rate)
    assert said[str(rate)] == "refused"
    assert int(said["again"]) == pytest.approx(115_200, rel=0.02)


def test_with_only_the_slow_clock_no_rate_above_the_boot_rate_is_accepted(
    esp32: Ask,
) -> None:
    said = esp32("rate", "slow", 921_600, 57_600, 2_000_000)
    assert (said.pop("921600"), said.pop("2000000")) == ("refused", "refused")
    rates = {name: int(value) for name, value in said.items()}
    assert rates == {
        "boot": pytest.approx(115_200, rel=0.02),
        "57600": pytest.approx(57_600, rel=0.02),
        "again": pytest.approx(115_200, rel=0.02),
    }


def test_a_rate_that_the_core_did_not_set_is_reported_as_failed(esp32: Ask) -> None:
    said = esp32("rate", "slow_update", 921_600, 1_500_000)
    assert said["921600"] == "failed"  # the divider gives 941,176
    assert said["1500000"] == "failed"
    assert int(said["again"]) == pytest.approx(115_200, rel=0.02)


WATCHED = {"waits": "60000", "idle": "1", "task": "1", "resets": "1"}


@pytest.mark.parametrize("state", ["none", "there_already"])
def test_the_task_watchdog_watches_the_loop_and_idle_tasks(esp32: Ask, state: str) -> None:
    said = esp32("watchdog", state)
    assert said.pop("name").endswith(", 240 MHz")
    assert said == WATCHED


def test_a_watchdog_that_the_sdk_did_not_start_is_started(esp32: Ask) -> None:
    said = esp32("watchdog", "not_started")
    assert said.pop("name").endswith(", 240 MHz")
    assert {**said, "idle": "1"} == WATCHED  # core 2 does not add the idle task


@pytest.mark.parametrize(("fault", "waits"), [("no_memory", "5000"), ("cannot_add", "60000")])
def test_a_board_without_a_working_watchdog_says_so(esp32: Ask, fault: str, waits: str) -> None:
    said = esp32("watchdog", fault)
    assert said.pop("name").endswith(", no watchdog")
    assert said == {"waits": waits, "idle": "1", "task": "0", "resets": "0"}
