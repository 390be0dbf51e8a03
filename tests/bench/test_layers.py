# SPDX-License-Identifier: Apache-2.0
"""Layers of fake boards: of which samples, what is stored, and what the report shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hil.bench import BenchPlan, run
from hil.bench.cases import Image, Program
from hil.bench.events import Event, Observing, Profiling
from hil.bench.lab import Firmware, RealLab
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.core.errors import DoesNotFit, StorageError, WrongFirmware
from hil.link import Link
from hil.report import write
from hil.runs.agreement import unexpected
from hil.runs.load import load_run, read_manifest
from hil.runs.schema import LAYERS, MANIFEST, PROFILE
from hil.runs.schema_layers import LayerCheck
from hil.runs.seal import hash_file, sealed
from hil.testing.lab import FakeLab
from tests.support.benches import PROJECT, ignore, planned

N = 6

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")


@pytest.fixture(scope="module")
def plan() -> BenchPlan:
    """The student in int8 on six digits."""
    return planned(N)


def flip(output: bytes) -> bytes:
    """Change one bit of the fourth byte."""
    return output[:3] + bytes([output[3] ^ 1]) + output[4:]


def spoil(layer: int, at: int) -> Callable[[int, bytes], bytes]:
    """Change one value of one layer by one bit."""

    def change(number: int, output: bytes) -> bytes:
        if number != layer:
            return output
        return output[:at] + bytes([output[at] ^ 1]) + output[at + 1 :]

    return change


def test_layers_are_sealed(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab(), layers=True)
    stored = (tmp_path / LAYERS).read_bytes()
    (tmp_path / LAYERS).write_bytes(stored.replace(b"hidden", b"hiddem"))
    with pytest.raises(StorageError, match="layers.json: changed"):
        write(tmp_path)


def test_no_layers_are_requested_for_right_answers(plan: BenchPlan, tmp_path: Path) -> None:
    lab = FakeLab()
    run(plan, tmp_path, ignore, lab)
    assert len(lab.built) == len(lab.opened) == 1
    assert not (tmp_path / LAYERS).exists()
    assert load_run(tmp_path).layer_checks == ()


def test_the_layers_of_the_first_three_wrong_digits_are_requested(
    plan: BenchPlan, tmp_path: Path
) -> None:
    events: list[Event] = []
    lab = FakeLab(tamper=flip, spoil=spoil(1, 5))
    run(plan, tmp_path, events.append, lab)
    assert [image.layers for image in lab.built] == [False, True]
    key = "mps2/aot/student/int8"
    ids = plan.data.ids[:3]
    assert Observing(key, ids) in events
    layer_checks = load_run(tmp_path).layer_checks
    assert [(check.run, check.id) for check in layer_checks] == [(key, i) for i in ids]
    for check in layer_checks:
        assert check.same_output
        assert check.input is not None
        assert check.input.differing == 0
        conv, hidden, logits = check.layers
        assert (conv.name, conv.op) == ("conv1 + pool1", "CONV_2D + MAX_POOL_2D")
        assert (conv.shape, conv.differing, conv.element) == ((1, 13, 13, 8), 0, ())
        assert (hidden.differing, hidden.element) == (1, (0, 5))
        assert isinstance(hidden.device, int)
        assert isinstance(hidden.expected, int)
        assert hidden.device & 0xFF == (hidden.expected & 0xFF) ^ 1
        assert (logits.differing, logits.element) == (1, (0, 3))


def test_the_report_names_the_layer_the_element_and_the_values(
    plan: BenchPlan, tmp_path: Path
) -> None:
    run(plan, tmp_path, ignore, FakeLab(tamper=flip, spoil=spoil(1, 5)))
    report = write(tmp_path)
    hidden = load_run(tmp_path).layer_checks[0].layers[1]
    (said,) = report.layer_findings
    assert said == (
        f"student int8: {plan.data.ids[0]} first differs at layer 2 (FULLY_CONNECTED hidden), "
        f"element 5: device {hidden.device}, the oracle {hidden.expected}; 1 of 16 values differ "
        "there; layer 1 is equal. The same layer in all 3 samples that were checked."
    )
    for page in (report.markdown, report.html):
        text = page.read_text().replace("\\_", "_")
        assert "First difference" in text
        assert said.split("(")[0] in text
    assert unexpected(report.manifest, report.summary)  # what `hil bench` exits 1 for


def test_layers_are_stored_on_request(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab(), layers=True)
    (check,) = load_run(tmp_path).layer_checks
    assert check.id == plan.data.ids[0]
    assert [layer.differing for layer in check.layers] == [0, 0, 0]
    (said,) = write(tmp_path).layer_findings
    assert said == f"student int8: {check.id}: all 3 layers equal the oracle's."


def test_float32_is_compared_bit_for_bit(tmp_path: Path) -> None:
    run(
        planned(1, precisions=("float32",)),
        tmp_path,
        ignore,
        FakeLab(tamper=flip, spoil=spoil(0, 8)),
    )
    (check,) = load_run(tmp_path).layer_checks
    assert check.reference == "LiteRT"
    assert [(layer.differing, layer.element) for layer in check.layers] == [
        (1, (0, 0, 0, 2)),
        (0, ()),
        (1, (0, 0)),
    ]


def test_an_input_that_differs_is_reported_as_such(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab(tamper=flip, spoil=spoil(-1, 29)))
    said = write(tmp_path).layer_findings
    assert any("the input itself differs" in s and "row 1, column 1, channel 0" in s for s in said)


def test_firmware_with_layers_that_answers_differently_is_reported(
    plan: BenchPlan, tmp_path: Path
) -> None:
    """A difference may disappear when the compiler gets another program."""

    class Heals(FakeLab):
        def build(self, image: Program, project: Path) -> Firmware:
            if isinstance(image, Image) and image.layers:
                self.tamper = bytes
            return super().build(image, project)

    run(plan, tmp_path, ignore, Heals(tamper=flip))
    layer_checks = load_run(tmp_path).layer_checks
    assert [check.same_output for check in layer_checks] == [False] * 3
    said = write(tmp_path).layer_findings
    assert "gives another output than the measured firmware" in said[-1]


@pytest.mark.parametrize("found", [1, 0])
def test_a_board_that_cannot_show_layers_leaves_the_run_complete(
    plan: BenchPlan, tmp_path: Path, found: int
) -> None:
    class Small(FakeLab):
        def build(self, image: Program, project: Path) -> Firmware:
            if isinstance(image, Image) and image.layers and not found:
                raise DoesNotFit("too large by 12 bytes", memory="flash", over=12)
            return super().build(image, project)

        def unobservable(self, station: Station) -> str:
            return f"{station.name} is taken" if found else ""

    run(plan, tmp_path, ignore, Small(tamper=flip))
    assert read_manifest(tmp_path).state == "complete"
    (check,) = load_run(tmp_path).layer_checks
    assert check.why == ("mps2 is taken" if found else "too large by 12 bytes")
    (said,) = write(tmp_path).layer_findings
    assert said.endswith(f"were not compared: {check.why}.")


def test_a_board_on_a_port_shows_layers_only_with_flash(tmp_path: Path) -> None:
    station = only_station(load_board("esp32dev"), "/dev/ttyUSB7")
    assert "run the same command with --flash" in RealLab(tmp_path).unobservable(station)
    assert RealLab(tmp_path, flash=True).unobservable(station) == ""
    assert RealLab(tmp_path).unobservable(only_station(load_board("mps2"))) == ""


def test_a_flashed_board_gets_its_firmware_back(
    plan: BenchPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flashed: list[bool] = []

    def flash(image: Image, project: Path, port: str, _: object) -> tuple[None, str]:
        assert (project, port) == (tmp_path, "/dev/ttyUSB7")
        flashed.append(image.layers)
        return None, port

    real = RealLab(tmp_path, flash=True)
    monkeypatch.setattr("hil.bench.lab.flash", flash)
    monkeypatch.setattr("hil.bench.lab.open_board", lambda *_: nullcontext())

    class Desk(FakeLab):
        @contextmanager
        def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
            real.open(station, image, firmware)
            with super().open(station, image, firmware) as link:
                yield link

    station = only_station(plan.cases[0].image.board, "/dev/ttyUSB7")
    cases = tuple(replace(case, station=station) for case in plan.cases)
    run(replace(plan, cases=cases), tmp_path / "run", ignore, Desk(tamper=flip))
    assert len(load_run(tmp_path / "run").layer_checks) == 3
    assert flashed == [False, True, False]


def test_a_bench_does_not_measure_firmware_that_shows_layers(
    plan: BenchPlan, tmp_path: Path
) -> None:
    class Stale(FakeLab):
        def build(self, image: Program, project: Path) -> Firmware:
            assert isinstance(image, Image)
            return super().build(replace(image, layers=True), project)

    with pytest.raises(WrongFirmware, match="was built to show its layers"):
        run(plan, tmp_path, ignore, Stale())


def test_a_request_for_layers_is_resumed(plan: BenchPlan, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Observing):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, stop, FakeLab(tamper=flip), jobs=2)
    assert read_manifest(tmp_path).state == "interrupted"
    run(plan, tmp_path, ignore, FakeLab(tamper=flip), jobs=2)
    assert len(load_run(tmp_path).layer_checks) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"run": "another"},
        {"layers": [{"name": "x", "op": "x", "shape": [0]}]},
        {"layers": [{"name": "x", "op": "x", "shape": [2], "differing": 3, "element": [0]}]},
        {"layers": [{"name": "x", "op": "x", "shape": [2], "differing": 1, "element": [2]}]},
        {"layers": [{"name": "x", "op": "x", "shape": [2], "differing": 1}]},
        {"input": {"name": "x", "op": "", "shape": [2], "differing": 1, "element": [-1]}},
        {"more": 1},
    ],
)
def test_damaged_layers_are_refused(
    plan: BenchPlan, tmp_path: Path, change: dict[str, object]
) -> None:
    run(plan, tmp_path, ignore, FakeLab(), layers=True)
    (stored,) = msgspec.json.decode((tmp_path / LAYERS).read_bytes())
    (tmp_path / LAYERS).write_bytes(msgspec.json.encode([{**stored, **change}]))
    with pytest.raises(StorageError, match=r"layers\.json(: the layers of run | is corrupt)"):
        load_run(tmp_path)


def test_names_from_a_model_are_escaped(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab(tamper=flip, spoil=spoil(1, 5)))
    layer_checks = msgspec.json.decode((tmp_path / LAYERS).read_bytes(), type=list[LayerCheck])
    layers = tuple(
        msgspec.structs.replace(one, name="<script>", op="|a|") for one in layer_checks[0].layers
    )
    evil = [msgspec.structs.replace(layer_checks[0], layers=layers)]
    (tmp_path / LAYERS).write_bytes(msgspec.json.encode(evil))
    manifest = read_manifest(tmp_path)
    files = manifest.files | {LAYERS: hash_file(tmp_path / LAYERS)}
    (tmp_path / MANIFEST).write_bytes(sealed(msgspec.structs.replace(manifest, files=files)))
    report = write(tmp_path)
    assert report.html.read_text().count("<script") == 1  # the page's own
    assert "<script>" not in report.markdown.read_text()
    assert "|a|" not in report.markdown.read_text()


def test_a_nan_is_stored(tmp_path: Path) -> None:
    def nan(layer: int, output: bytes) -> bytes:
        return b"\0\0\xc0\x7f" + output[4:] if layer == 0 else output

    run(planned(1, precisions=("float32",)), tmp_path, ignore, FakeLab(spoil=nan), layers=True)
    (check,) = load_run(tmp_path).layer_checks
    assert check.layers[0].device == "nan"
    assert "device nan" in write(tmp_path).layer_findings[0]


KEY = "mps2/aot/student/int8"


def test_layer_times_are_measured_only_on_request(plan: BenchPlan, tmp_path: Path) -> None:
    lab = FakeLab()
    run(plan, tmp_path, ignore, lab)
    assert len(lab.built) == 1
    assert not (tmp_path / PROFILE).exists()
    assert load_run(tmp_path).profiled == ()


def test_each_layers_time_is_stored(plan: BenchPlan, tmp_path: Path) -> None:
    events: list[Event] = []
    lab = FakeLab()
    run(plan, tmp_path, events.append, lab, profiles=True)
    assert [image.layers for image in lab.built] == [False, True]
    assert Profiling(KEY, plan.data.ids[0]) in events
    (found,) = load_run(tmp_path).profiled
    assert (found.run, found.id, found.why) == (KEY, plan.data.ids[0], "")
    assert [layer.time for layer in found.layers] == [100, 200, 300]
    assert found.total == 20
    assert [layer.name for layer in found.layers] == ["conv1 + pool1", "hidden", "logits"]
    assert [layer.macs for layer in found.layers] == [26 * 26 * 8 * 9, 1352 * 16, 160]


def test_the_report_compares_the_sum_of_layers_with_the_measurement(
    plan: BenchPlan, tmp_path: Path
) -> None:
    run(plan, tmp_path, ignore, FakeLab(), profiles=True)
    report = write(tmp_path)
    (table,) = report.profiles
    assert table.rows[2] == ("3 logits", "FULLY_CONNECTED", "300", "50.0%", "160", "1.88")
    assert table.rows[3][:4] == ("all layers", "", "600", "100.0%")
    assert table.rows[4][2] == "20"  # the same sample in the firmware that was measured
    assert "580 instructions more than measured (+2900.00%)" in table.note
    for page in (report.markdown, report.html):
        text = page.read_text()
        assert "Time per layer: student int8" in text
        assert "conv1 + pool1" in text


def test_a_board_without_a_clock_has_a_reason_instead_of_times(tmp_path: Path) -> None:
    run(planned(3, boards=("native",)), tmp_path, ignore, FakeLab(), profiles=True)
    (found,) = load_run(tmp_path).profiled
    assert found.why == "board native has no clock"
    report = write(tmp_path)
    assert report.profiles == ()
    assert report.unprofiled == (
        "student int8: the time per layer is not known: board native has no clock.",
    )
    assert "the time per layer is not known" in report.markdown.read_text()


def test_a_board_that_keeps_its_firmware_has_no_layer_times(
    plan: BenchPlan, tmp_path: Path
) -> None:
    class Desk(FakeLab):
        def unobservable(self, station: object) -> str:  # noqa: ARG002 - part of `Lab`
            return "it stays as it is"

    station = only_station(load_board("mps2", PROJECT), "/dev/ttyUSB7")
    cases = tuple(replace(case, station=station) for case in plan.cases)
    run(replace(plan, cases=cases), tmp_path, ignore, Desk(), profiles=True)
    (found,) = load_run(tmp_path).profiled
    assert (found.layers, found.why) == ((), "it stays as it is")


@pytest.mark.parametrize("change", [{"run": "another"}, {"total": -1}, {"more": 1}])
def test_a_damaged_profile_is_refused(
    plan: BenchPlan, tmp_path: Path, change: dict[str, object]
) -> None:
    run(plan, tmp_path, ignore, FakeLab(), profiles=True)
    (stored,) = msgspec.json.decode((tmp_path / PROFILE).read_bytes())
    (tmp_path / PROFILE).write_bytes(msgspec.json.encode([{**stored, **change}]))
    with pytest.raises(StorageError, match=r"profile\.json(: the times of run | is corrupt)"):
        load_run(tmp_path)
