# SPDX-License-Identifier: Apache-2.0
"""Energy mode: five windows that an instrument records, with a fake device that marks them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import DataError, UsageError, WrongReply
from hil.energy import Capabilities, Instrument, Trace, open_instrument
from hil.energy.windows import marked
from hil.mlperf.dut import DutTiming
from hil.mlperf.energy import Energy, per_millisecond
from hil.mlperf.session import Outcome, run
from hil.mlperf.submission import SIMULATED, read_result
from hil.runs.load import verify
from hil.testing.mlperf import FakeDut, FakeDutLink
from tests.support.mlperf_devices import infer, sample, write_set

SET = [(label, sample(label)) for label in (0, 1, 2)]
ACTIVE, IDLE, VOLTS = 0.030, 0.004, 3.0  # watts
PULSE = 0.003  # seconds
TAIL = 0.2  # seconds that an instrument records after the last line


@dataclass
class Marking(FakeDut):
    """Notes when its inferences began and ended. ``pulses``: it sends no time."""

    pulses: bool = True
    spans: list[tuple[float, float]] = field(default_factory=list)

    def _infer(self, times: int, warmups: int) -> Sequence[str]:
        lines = super()._infer(times, warmups)
        self.spans.append((self.clock.now - times * self.seconds, self.clock.now))
        return [line for line in lines if not (self.pulses and line.startswith("m-lap-us"))]


@dataclass
class Timed(FakeDutLink):
    """What a device prints before the inferences arrives before them."""

    dut: Marking

    def write(self, data: bytes) -> None:
        before = self.clock.now
        replies = self.dut.answer(data)
        head, line, tail = replies.partition(b"m-infer-start")
        if line:
            count, newline, tail = tail.partition(b"\n")
            start, end = self.dut.spans[-1]
            self.clock.now = before
            self.arrive(head + line + count + newline, start)
            self.arrive(tail, end)
        elif replies:
            self.arrive(replies, self.clock.now)


@dataclass
class Recorder:
    """An instrument that sees ``device``'s pin. ``fast``: how fast its clock runs."""

    device: Marking
    rate: float = 5000
    fast: float = 1.0
    gate: bool = True
    ended: str = ""
    lost: bool = False
    silent: bool = False
    began: float = 0.0
    log: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "recorder"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(rate=self.rate, voltage=True, gate=self.gate, supply=False)

    def supply(self, volts: float) -> None:
        raise UsageError(f"cannot supply {volts:g} V", "")

    def start(self) -> None:
        self.began = self.device.clock.now
        self.log.append("start")

    def stop(self) -> Trace:
        self.log.append("stop")
        start, end = self.device.spans[-1] if self.device.spans else (0.0, 0.0)
        n = int((self.device.clock.now - self.began + TAIL) * self.rate * self.fast)
        at = self.began + np.arange(n) / (self.rate * self.fast)
        busy = (at >= start) & (at < end)
        high = busy
        if self.device.pulses:
            high = np.ones(n, np.bool_)
            for mark in (start, end):
                high &= ~((at >= mark) & (at < mark + PULSE))
        if self.silent:
            high = np.full(n, self.device.pulses)
        current = np.where(busy, ACTIVE, IDLE) / VOLTS
        if self.lost:
            current[np.flatnonzero(busy)[7]] = np.nan
        return Trace(self.name, self.rate, current, np.full(n, VOLTS), high, None, self.ended)

    def close(self) -> None:
        self.log.append("close")


def session(
    tmp_path: Path, device: Marking, instrument: Instrument, *, emulated: bool = False
) -> tuple[Outcome, Path]:
    line = Timed(device)
    data, out = write_set(tmp_path / "set", SET), tmp_path / "run"
    timing = DutTiming(clock=line.clock)
    found = run(line, data, out, "energy", emulated=emulated, timing=timing, instrument=instrument)
    return found, out


@pytest.mark.parametrize("pulses", [True, False], ids=["pulses", "level"])
@pytest.mark.parametrize("rate", [1000, 5000, 100_000])
def test_five_windows_of_ten_seconds_give_the_energy(
    tmp_path: Path, pulses: bool, rate: int
) -> None:
    device = Marking(infer, seconds=0.02, pulses=pulses)
    recorder = Recorder(device, rate)
    outcome, out = session(tmp_path, device, recorder)
    found = outcome.found
    assert isinstance(found, Energy)
    assert found.valid
    assert outcome.faults == ()
    assert len({one.iterations for one in found.windows}) == 1
    assert all(10 <= one.seconds < 11 for one in found.windows)
    # one sample of 10 s at either end, at most
    assert found.median == pytest.approx(ACTIVE * 0.02, rel=2 / (10 * rate))
    assert found.volts == pytest.approx(VOLTS)
    assert recorder.log == ["start", "stop"] * 5
    stored = read_result(out)
    assert stored.mode == "energy"
    assert stored.energy is not None
    assert stored.energy.median == found.median
    assert [one.us is None for one in stored.energy.windows] == [pulses] * 5
    assert (verify(out).state, verify(out).faults) == ("complete", ())


def test_the_files_are_those_of_the_runner(tmp_path: Path) -> None:
    device = Marking(infer, seconds=0.02)
    outcome, out = session(tmp_path, device, Recorder(device))
    assert isinstance(outcome.found, Energy)
    text = (out / "results.txt").read_text()
    assert text.startswith("Power Edition Output\nEnergy data for trial 0\n")
    # the expression that the submission checker searches for, with another beginning
    (median,) = re.findall(r"^Median energy cost is ([\d.]+) uJ/inf\.$", text, re.M)
    assert float(median) == pytest.approx(outcome.found.median * 1e6, abs=5e-5)
    assert len(re.findall(r"  Energy/Inf    : [\d.]+ uJ/inf", text)) == 5
    assert "<<<<" not in text
    records = json.loads((out / "results.json").read_text())
    assert len(records) == 5
    for record in records:
        assert record["mode"] == "e"
        assert record["infer"].keys() == {"results", "total_inferences", "iterations", "warmups"}
        power = record["power"]
        assert power.keys() == {"samples", "timestamps", "extracted_power", "voltage"}
        # as benchmark/runner/main.py computes it
        (first, begin), (second, end) = power["timestamps"]
        assert int(second) - int(first) == 1
        joules = sum(power["samples"][begin:end]) / record["infer"]["iterations"]
        assert joules == pytest.approx(ACTIVE * 0.02, rel=2e-4)  # two samples of 10,000
        assert power["voltage"] == pytest.approx(VOLTS)
    assert "m-lap-us" not in (out / "log.txt").read_text()


class Deaf(Marking):
    """The answer to its sixth `infer`, in a window, is lost."""

    dropped = False

    def answer(self, data: bytes) -> bytes:
        replies = super().answer(data)
        if len(self.spans) == 6 and not self.dropped:
            self.dropped = True
            return b""
        return replies


def test_a_fault_of_the_line_repeats_the_recording(tmp_path: Path) -> None:
    device = Deaf(infer, seconds=0.02)
    recorder = Recorder(device)
    outcome, _ = session(tmp_path, device, recorder)
    assert outcome.retries == 1
    assert isinstance(outcome.found, Energy)
    assert outcome.found.valid
    assert recorder.log.count("start") == recorder.log.count("stop")


class Hasty(Marking):
    """Twice as fast from its fifth `infer` on."""

    def answer(self, data: bytes) -> bytes:
        self.seconds = 0.01 if len(self.spans) >= 3 else 0.02
        return super().answer(data)


def test_short_windows_are_repeated_and_only_the_last_five_are_stored(tmp_path: Path) -> None:
    device = Hasty(infer, seconds=0.02)
    outcome, out = session(tmp_path, device, Recorder(device))
    assert isinstance(outcome.found, Energy)
    assert outcome.found.valid
    assert outcome.found.median == pytest.approx(ACTIVE * 0.01, rel=1e-3)
    assert len(json.loads((out / "results.json").read_text())) == 5


@pytest.mark.parametrize(
    ("pulses", "fast", "said"),
    [
        (False, 1.03, "and the device measured"),
        (True, 1.2, "and this computer measured"),
        (False, 1.005, ""),
        (True, 1.03, ""),
    ],
)
def test_clocks_that_disagree_are_a_fault(
    tmp_path: Path, pulses: bool, fast: float, said: str
) -> None:
    device = Marking(infer, seconds=0.02, pulses=pulses)
    outcome, _ = session(tmp_path, device, Recorder(device, fast=fast))
    assert [said in fault for fault in outcome.faults] == [True] * (5 if said else 0)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"ended": "it was unplugged"}, "it was unplugged"),
        ({"lost": True}, "the instrument lost samples"),
        ({"silent": True}, "the gate has 0 falling edges"),
    ],
)
def test_a_bad_recording_is_an_error_and_never_a_figure(
    tmp_path: Path, broken: dict[str, object], said: str
) -> None:
    device = Marking(infer, seconds=0.02)
    recorder = Recorder(device, **broken)  # type: ignore[arg-type]  # one of its fields
    with pytest.raises(DataError, match=said):
        session(tmp_path, device, recorder)
    assert verify(tmp_path / "run").state == "failed"
    assert not (tmp_path / "run" / "results.txt").exists()


def test_an_instrument_without_a_digital_input_is_refused(tmp_path: Path) -> None:
    device = Marking(infer, seconds=0.02)
    with pytest.raises(UsageError, match="recorder has no digital input"):
        session(tmp_path, device, Recorder(device, gate=False))


def test_performance_mode_refuses_firmware_of_energy_mode(tmp_path: Path) -> None:
    line = Timed(Marking(infer, seconds=0.02))
    data = write_set(tmp_path / "set", SET)
    timing = DutTiming(clock=line.clock)
    with pytest.raises(WrongReply, match="its firmware is for energy mode"):
        run(line, data, tmp_path / "run", "performance", emulated=False, timing=timing)


def test_an_emulator_has_energy_only_with_a_simulated_instrument(tmp_path: Path) -> None:
    device = Marking(infer, seconds=0.02)
    with pytest.raises(UsageError, match="has no energy that could be measured"):
        session(tmp_path, device, Recorder(device), emulated=True)
    outcome, out = session(tmp_path, device, open_instrument("sim:"), emulated=True)
    assert isinstance(outcome.found, Energy)
    assert outcome.found.simulated
    assert outcome.found.median == pytest.approx(0.132 * 0.02, rel=0.05)  # that of `sim:`
    assert SIMULATED in (out / "results.txt").read_text()
    assert all(one["simulated"] for one in json.loads((out / "results.json").read_text()))


def test_a_millisecond_has_the_energy_of_its_samples() -> None:
    rng = np.random.default_rng(1)
    power = rng.random(12_345)
    trace = Trace("x", 7000, power / 2, np.full(power.size, 2.0))
    found = per_millisecond(trace)
    assert len(found) == 1764  # 12,345 samples of 1/7 ms
    assert sum(found) == pytest.approx(power.sum() / 7000, rel=1e-5)
    assert found[0] == pytest.approx(power[:7].sum() / 7000, rel=1e-5)


def test_a_pulse_at_boot_does_not_belong_to_the_window() -> None:
    high = np.ones(400, np.bool_)
    for at in (20, 100, 300):
        high[at : at + 3] = False
    span = marked(Trace("x", 1000, np.ones(400), np.ones(400), high))
    assert (span.start, span.end, span.fault) == (100, 300, "")
