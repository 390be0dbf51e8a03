# SPDX-License-Identifier: Apache-2.0
"""Where device and reference part, against a lab of Python: who is asked, what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.events import Event, Observing
from hil.bench.lab import Firmware, RealLab
from hil.bench.plan import Image
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.core.errors import DoesNotFit, StorageError, WrongFirmware
from hil.link import Link
from hil.report import write
from hil.runs.agreement import unexpected
from hil.runs.load import load_run, read_manifest
from hil.runs.schema import LAYERS, MANIFEST, LayerCheck
from hil.runs.seal import hash_file, sealed
from hil.testing.lab import FakeLab

PROJECT = Path(__file__).parents[2]
N = 6

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")


@pytest.fixture(scope="module")
def plan() -> BenchPlan:
    """The student in int8 on six digits."""
    request = Request(
        project=PROJECT, dataset="digits", limit=N, models=("student",), precisions=("int8",)
    )
    return make_plan(request)


def ignore(_: Event) -> None:
    """Nobody looks."""


def flip(output: bytes) -> bytes:
    return output[:3] + bytes([output[3] ^ 1]) + output[4:]


def spoil(layer: int, at: int) -> Callable[[int, bytes], bytes]:
    """One value of one layer, a step off."""

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


def test_a_right_answer_asks_for_nothing(plan: BenchPlan, tmp_path: Path) -> None:
    lab = FakeLab()
    run(plan, tmp_path, ignore, lab)
    assert len(lab.built) == len(lab.opened) == 1
    assert not (tmp_path / LAYERS).exists()
    assert load_run(tmp_path).layer_checks == ()


def test_the_first_three_wrong_digits_are_asked_for(plan: BenchPlan, tmp_path: Path) -> None:
    events: list[Event] = []
    lab = FakeLab(tamper=flip, spoil=spoil(1, 5))
    run(plan, tmp_path, events.append, lab)
    assert [image.layers for image in lab.built] == [False, True]
    key = "mps2/aot/student/int8"
    ids = plan.data.ids[:3]
    assert Observing(key, ids) in events
    layer_checks = load_run(tmp_path).layer_checks
    assert [(parting.run, parting.id) for parting in layer_checks] == [(key, i) for i in ids]
    for parting in layer_checks:
        assert parting.same_output
        assert parting.input is not None
        assert parting.input.differing == 0
        conv, hidden, logits = parting.layers
        assert (conv.name, conv.op) == ("conv1 + pool1", "CONV_2D + MAX_POOL_2D")
        assert (conv.shape, conv.differing, conv.element) == ((1, 13, 13, 8), 0, ())
        assert (hidden.differing, hidden.element) == (1, (0, 5))
        assert isinstance(hidden.device, int)
        assert isinstance(hidden.expected, int)
        assert hidden.device & 0xFF == (hidden.expected & 0xFF) ^ 1
        assert (logits.differing, logits.element) == (1, (0, 3))


def test_the_report_names_layer_element_and_values(plan: BenchPlan, tmp_path: Path) -> None:
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


def test_layers_are_shown_when_asked_for(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab(), layers=True)
    (parting,) = load_run(tmp_path).layer_checks
    assert parting.id == plan.data.ids[0]
    assert [layer.differing for layer in parting.layers] == [0, 0, 0]
    (said,) = write(tmp_path).layer_findings
    assert said == f"student int8: {parting.id}: all 3 layers equal the oracle's."


def test_float32_is_compared_bit_for_bit(tmp_path: Path) -> None:
    request = Request(
        project=PROJECT, dataset="digits", limit=1, models=("student",), precisions=("float32",)
    )
    run(make_plan(request), tmp_path, ignore, FakeLab(tamper=flip, spoil=spoil(0, 8)))
    (parting,) = load_run(tmp_path).layer_checks
    assert parting.reference == "LiteRT"
    assert [(layer.differing, layer.element) for layer in parting.layers] == [
        (1, (0, 0, 0, 2)),
        (0, ()),
        (1, (0, 0)),
    ]


def test_an_input_that_differs_is_told_apart(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab(tamper=flip, spoil=spoil(-1, 29)))
    said = write(tmp_path).layer_findings
    assert any("the input itself differs" in s and "row 1, column 1, channel 0" in s for s in said)


def test_firmware_that_answers_otherwise_is_told(plan: BenchPlan, tmp_path: Path) -> None:
    """What differs may vanish when the compiler is given another program."""

    class Heals(FakeLab):
        def build(self, image: Image, project: Path) -> Firmware:
            if image.layers:
                self.tamper = bytes
            return super().build(image, project)

    run(plan, tmp_path, ignore, Heals(tamper=flip))
    layer_checks = load_run(tmp_path).layer_checks
    assert [parting.same_output for parting in layer_checks] == [False] * 3
    said = write(tmp_path).layer_findings
    assert "gives another output than the measured firmware" in said[-1]


@pytest.mark.parametrize("found", [1, 0])
def test_what_cannot_be_asked_is_told_and_the_run_is_whole(
    plan: BenchPlan, tmp_path: Path, found: int
) -> None:
    class Small(FakeLab):
        def build(self, image: Image, project: Path) -> Firmware:
            if image.layers and not found:
                raise DoesNotFit("too large by 12 bytes", memory="flash", over=12)
            return super().build(image, project)

        def unobservable(self, station: Station) -> str:
            return f"{station.name} is taken" if found else ""

    run(plan, tmp_path, ignore, Small(tamper=flip))
    assert read_manifest(tmp_path).state == "complete"
    (parting,) = load_run(tmp_path).layer_checks
    assert parting.why == ("mps2 is taken" if found else "too large by 12 bytes")
    (said,) = write(tmp_path).layer_findings
    assert said.endswith(f"were not compared: {parting.why}.")


def test_a_board_on_a_port_is_flashed_only_when_told(tmp_path: Path) -> None:
    station = only_station(load_board("esp32dev"), "/dev/ttyUSB7")
    assert "run the same command with --flash" in RealLab(tmp_path).unobservable(station)
    assert RealLab(tmp_path, flash=True).unobservable(station) == ""
    assert RealLab(tmp_path).unobservable(only_station(load_board("mps2"))) == ""


def test_a_flashed_board_gets_its_firmware_back(
    plan: BenchPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flashed: list[bool] = []

    def flash(image: Image, project: Path, port: str) -> tuple[None, str]:
        assert (project, port) == (tmp_path, "/dev/ttyUSB7")
        flashed.append(image.layers)
        return None, port

    real = RealLab(tmp_path, flash=True)
    monkeypatch.setattr("hil.bench.lab.flash", flash)
    monkeypatch.setattr("hil.bench.lab.open_board", lambda *_: nullcontext())

    class Desk(FakeLab):
        @contextmanager
        def open(self, station: Station, image: Image, firmware: Firmware) -> Iterator[Link]:
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
        def build(self, image: Image, project: Path) -> Firmware:
            return super().build(replace(image, layers=True), project)

    with pytest.raises(WrongFirmware, match="was built to show its layers"):
        run(plan, tmp_path, ignore, Stale())


def test_asking_is_resumed(plan: BenchPlan, tmp_path: Path) -> None:
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
def test_a_damaged_file_is_refused(
    plan: BenchPlan, tmp_path: Path, change: dict[str, object]
) -> None:
    run(plan, tmp_path, ignore, FakeLab(), layers=True)
    (stored,) = msgspec.json.decode((tmp_path / LAYERS).read_bytes())
    (tmp_path / LAYERS).write_bytes(msgspec.json.encode([{**stored, **change}]))
    with pytest.raises(StorageError):
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


def test_values_that_are_no_numbers_are_stored(tmp_path: Path) -> None:
    request = Request(
        project=PROJECT, dataset="digits", limit=1, models=("student",), precisions=("float32",)
    )

    def nan(layer: int, output: bytes) -> bytes:
        return b"\0\0\xc0\x7f" + output[4:] if layer == 0 else output

    run(make_plan(request), tmp_path, ignore, FakeLab(spoil=nan), layers=True)
    (parting,) = load_run(tmp_path).layer_checks
    assert parting.layers[0].device == "nan"
    assert "device nan" in write(tmp_path).layer_findings[0]
