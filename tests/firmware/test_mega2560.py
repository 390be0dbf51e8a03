# SPDX-License-Identifier: Apache-2.0
"""The Arduino port with the real Arduino core in 8 KB of RAM: an ATmega2560 of simavr."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from hil import datasets
from hil.bench import Request, make_plan, run
from hil.bench.events import Event
from hil.boards.config import Board, load_board
from hil.boards.emulator import start
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.errors import BuildFailed, DataError, DeviceError
from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.firmware import BuiltFirmware, build, sizes
from hil.link import Deadline, Link
from hil.report import write
from hil.runs.summary import SummaryRow
from tests.support.firmware import MODELS, PROJECT, copied_project, pio
from tests.support.needs import needs
from tests.support.runs import known

BOARD = load_board("mega2560")
RAM = 8192
SENDS = 5.0  # seconds until a request is resent; an answer takes 0.2

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def firmware() -> BuiltFirmware:
    needs(missing_tools(BOARD))
    return build(BOARD.pio_env, [("student", MODELS / "student_int8.tflite")], "aot", PROJECT)


@pytest.fixture
def link(firmware: BuiltFirmware) -> Iterator[Link]:
    with open_board(BOARD, firmware.elf) as opened:
        yield opened


def on_line(carries: int) -> Board:
    """The board on a line that garbles all bytes at more than ``carries`` baud."""
    assert BOARD.emulator is not None
    command = (*BOARD.emulator.command, str(carries))
    return replace(BOARD, emulator=replace(BOARD.emulator, command=command))


def pixels(count: int) -> list[bytes]:
    return [x.tobytes() for x in datasets.load("digits").x[:count]]


def benched(folder: Path, dataset: str, limit: int) -> SummaryRow:
    def ignore(_: Event) -> None:
        """Events do not matter here."""

    plan = make_plan(Request(project=PROJECT, boards=("mega2560",), dataset=dataset, limit=limit))
    run(plan, folder, ignore)
    (row,) = write(folder).summary.runs
    return row


def check(row: SummaryRow, count: int) -> None:
    assert (row.model, row.precision, row.n) == ("student", "int8", count)
    assert known(row.agreement).differing_oracle == 0
    accuracy = known(row.accuracy)
    assert accuracy.device == known(accuracy.host) > 0.9
    assert row.time.unit == "cycles"
    assert row.time.n == count
    # measured: 2,985,000 to 2,997,000, of which an interrupt of millis() is a hundred
    assert 2_800_000 < known(row.time.median) < 3_200_000
    assert row.link is not None
    assert row.link.retries == 0
    memory = known(row.memory)
    assert known(memory.ram_static) + known(memory.stack) < RAM


@pytest.mark.usefixtures("firmware", "patient")
def test_100_digits_in_8_kilobytes(tmp_path: Path) -> None:
    check(benched(tmp_path, "digits", 100), 100)


@pytest.mark.slow
@pytest.mark.usefixtures("firmware")
def test_1000_digits_in_8_kilobytes(tmp_path: Path) -> None:
    dataset, _ = datasets.choose("auto")
    count = min(1000, len(datasets.load(dataset)))  # `digits` has 500
    check(benched(tmp_path, dataset, count), count)


def test_hello_and_status_are_right(firmware: BuiltFirmware, link: Link) -> None:
    device = Device(link)
    hello = device.hello()
    status = device.status()
    assert [model.name for model in hello.models] == ["student"]
    assert hello.board == "Arduino ATmega2560"
    assert hello.max_payload == 4 + 784
    assert (hello.has_micros, hello.tick_hz, hello.window) == (True, 16_000_000, 1)
    assert hello.toolchain.split()[1] in firmware.toolchain
    assert status.ram_static == sizes(firmware.elf).ram
    # all of the RAM is static data or stack: the firmware has no heap
    assert status.ram_static + status.stack_size == RAM
    assert status.heap_used == 0
    assert 0 < status.stack_used < status.stack_size


def test_weights_stay_in_flash(firmware: BuiltFirmware) -> None:
    """Static RAM is the receive buffer, the bytes of a load, the arena, and little else: neither
    weights nor text lie in .data."""
    arena, received = 1368, 4 + 784 + 784
    assert arena + received < sizes(firmware.elf).ram < arena + received + 1024


def test_stack_marks_are_reset(link: Link) -> None:
    device = Device(link)
    device.hello()
    list(device.infer(0, Encoding.PIXELS, pixels(1)))
    deep = device.status(reset=True).stack_used
    assert device.status().stack_used < deep
    list(device.infer(0, Encoding.PIXELS, pixels(1)))
    assert device.status().stack_used == pytest.approx(deep, abs=40)  # with or without an interrupt


def test_microseconds_are_those_of_the_simulated_chip(firmware: BuiltFirmware) -> None:
    """The same at each start, except for the moments of the timer's interrupts."""
    runs = []
    for _ in range(2):
        with open_board(BOARD, firmware.elf) as link:
            device = Device(link)
            device.hello()
            answers = device.infer(0, Encoding.PIXELS, pixels(4))
            runs.append([answer.result.micros for answer in answers])
    assert runs[0] == pytest.approx(runs[1], rel=1e-3)
    assert all(50_000 < micros < 1_000_000 for micros in runs[0])  # all four may be equal


def test_all_encodings_that_fit_give_the_same_answer(link: Link) -> None:
    device = Device(link)
    device.hello()
    shown = pixels(3)
    as_int8 = [(np.frombuffer(x, "u1").astype("i2") - 128).astype("i1").tobytes() for x in shown]
    outputs = [
        [answer.result.output for answer in device.infer(0, encoding, values)]
        for encoding, values in ((Encoding.PIXELS, shown), (Encoding.INT8, as_int8))
    ]
    assert outputs[0] == outputs[1]


def test_a_second_request_overruns_the_ring_of_64_bytes(link: Link) -> None:
    """The line has no flow control, so HELLO announces window 1. Retries replace lost requests."""
    device = Device(link, Timing(reply=SENDS))
    assert device.hello().window == 1
    right = [a.result.output for a in device.infer(0, Encoding.PIXELS, pixels(2))]
    assert device.retries == 0
    hurried = [a.result.output for a in device.infer(0, Encoding.PIXELS, pixels(2), window=2)]
    assert hurried == right
    assert device.retries > 0


@pytest.mark.usefixtures("patient")
def test_the_rate_goes_up_as_the_board_file_says(link: Link) -> None:
    """Serial.begin of the real core; at the new rate, neither end loses a byte."""
    device = Device(link, Timing(reply=SENDS))
    device.hello()
    slow = [a.result.output for a in device.infer(0, Encoding.PIXELS, pixels(5))]
    assert BOARD.serial.faster == (250_000,)
    assert device.speed_up(BOARD.serial.faster) == link.baud == 250_000
    assert [a.result.output for a in device.infer(0, Encoding.PIXELS, pixels(5))] == slow
    assert device.retries == 0
    device.slow_down()
    assert link.baud == 115_200
    assert Device(link).hello().models


@pytest.mark.parametrize("rate", [230_400, 921_600, 3_000_000])
def test_a_rate_without_a_divisor_is_refused(link: Link, rate: int) -> None:
    """3.5 % off, 8.5 % off, and above an eighth of 16 MHz."""
    device = Device(link)
    device.hello()
    assert device.speed_up((rate,)) == link.baud == 115_200
    assert device.status().frames_bad == 0  # refused by a reply, without trying


@pytest.mark.parametrize("rate", [250_000, 500_000, 1_000_000, 2_000_000])
def test_a_rate_that_the_line_does_not_carry_is_not_kept(
    firmware: BuiltFirmware, rate: int
) -> None:
    with open_board(on_line(200_000), firmware.elf) as link:
        device = Device(link, Timing(reply=SENDS))
        device.hello()
        assert device.speed_up((rate,)) == link.baud == 115_200
        assert [a.index for a in device.infer(0, Encoding.PIXELS, pixels(2))] == [0, 1]
        assert device.retries == 0


@pytest.mark.parametrize("rate", [500_000, 2_000_000])
def test_a_rate_at_which_requests_overrun_is_lowered_during_the_run(link: Link, rate: int) -> None:
    """HELLO is short enough for the ring, INFER is not. A board at 2 Mbaud then receives only zeros
    from a host at 115,200."""
    device = Device(link, Timing(reply=SENDS))
    device.hello()
    right = [a.result.output for a in device.infer(0, Encoding.PIXELS, pixels(3))]
    assert device.speed_up((rate,)) == rate
    assert [a.result.output for a in device.infer(0, Encoding.PIXELS, pixels(3))] == right
    assert device.retries > 0
    assert link.baud == 115_200


def test_two_ends_at_different_rates_do_not_understand_each_other(link: Link) -> None:
    Device(link).hello()
    link.set_baud(57_600)
    with pytest.raises(DeviceError):
        Device(link, Timing(boot=1)).hello()
    link.set_baud(115_200)
    assert Device(link).hello().models


@pytest.mark.usefixtures("firmware")
def test_every_digit_is_right_on_a_line_that_carries_no_faster_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def bad_cable(name: str, _: Path) -> Board:
        loaded.append(name)
        return on_line(200_000)

    monkeypatch.setattr("hil.bench.plan.load_board", bad_cable)
    check(benched(tmp_path, "digits", 20), 20)
    assert loaded == ["mega2560"]


def test_the_board_survives_noise_on_the_line(link: Link) -> None:
    noise = np.random.default_rng(1).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    for begin in range(0, len(noise), 500):
        link.write(noise[begin : begin + 500])
        while link.read(Deadline.after(0.01)):
            pass
    device = Device(link)
    assert device.hello().models
    assert device.status().frames_bad > 0


@pytest.mark.usefixtures("firmware")
def test_float32_samples_are_refused_in_one_line(tmp_path: Path) -> None:
    data = tmp_path / "my.npz"
    np.savez(data, x=np.zeros((2, 28, 28, 1), "f4"), y=np.zeros(2, "i8"))
    request = Request(
        project=PROJECT,
        boards=("mega2560",),
        models=(str(MODELS / "student_int8.tflite"),),
        data=data,
    )
    with pytest.raises(DataError, match="request of 3140 bytes.* accepts at most 788"):
        run(make_plan(request), tmp_path / "run", lambda _: None)


@pytest.mark.usefixtures("firmware")
def test_the_teacher_does_not_fit() -> None:
    teacher = [("teacher", MODELS / "teacher_int8.tflite")]
    with pytest.raises(
        BuildFailed, match=r"227792 bytes of constants, 204800 of them in one array: an AVR"
    ):
        build(BOARD.pio_env, teacher, "aot", PROJECT)


def test_a_file_that_is_not_firmware_is_named(firmware: BuiltFirmware, tmp_path: Path) -> None:
    assert BOARD.emulator is not None
    runner = firmware.elf.with_name("simavr-runner")
    for broken in (tmp_path / "absent.elf", tmp_path / "text.elf"):
        (tmp_path / "text.elf").write_text("no ELF")
        said = subprocess.run(
            [str(runner), str(broken), "atmega2560", "16000000"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert said.returncode == 66
        assert "is not an AVR ELF file" in said.stderr
    stray = tmp_path / "simavr-runner"
    stray.write_bytes(runner.read_bytes())
    stray.chmod(0o755)
    with pytest.raises(DeviceError, match="is not an AVR ELF file"):
        start(BOARD.emulator, tmp_path / "text.elf", tmp_path / "log", Deadline.after(30))


@pytest.mark.usefixtures("firmware")
def test_upload_starts_the_board(environment: dict[str, str], tmp_path: Path) -> None:
    project = copied_project(tmp_path)
    image = {"HIL_IMAGE": f"student={MODELS / 'student_int8.tflite'}"}
    done = pio(["run", "-e", "mega2560", "-t", "upload"], environment | image, project)
    try:
        assert done.returncode == 0, done.stdout[-4000:]
        assert "hil bench --board mega2560 --port /dev/" in done.stdout
    finally:
        words = [sys.executable, "-m", "hil", "emulate", "mega2560", "--stop"]
        stopped = subprocess.run(
            words, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    assert b"stopped" in stopped.stdout
