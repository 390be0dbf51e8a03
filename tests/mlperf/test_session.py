# SPDX-License-Identifier: Apache-2.0
"""Whole sessions with a fake device: figures, the three files, and a sealed folder."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hil.core.errors import DataError, NoAnswer, UsageError
from hil.mlperf.data import DataFolder
from hil.mlperf.dut import DutTiming, Identity
from hil.mlperf.measure import Accuracy, Performance
from hil.mlperf.protocol import NO_TIME
from hil.mlperf.session import Mode, Outcome, run
from hil.mlperf.submission import EMULATED, read_result
from hil.runs.load import read_manifest, verify
from hil.testing.mlperf import FakeDut, FakeDutLink, lost
from tests.support.mlperf_devices import infer, sample, write_set

# the device takes one of five for another class
SET = [(0, sample(0)), (1, sample(1)), (2, sample(2)), (1, sample(2, 60)), (0, sample(0, 60))]


def session(
    tmp_path: Path, mode: Mode, device: FakeDut, *, emulated: bool = False
) -> tuple[Outcome, Path]:
    line = FakeDutLink(device, boots_at=0.5)
    data, out = write_set(tmp_path / "set", SET), tmp_path / "run"
    timing = DutTiming(clock=line.clock)
    words = ("hil", "mlperf")
    found = run(line, data, out, mode, emulated=emulated, command=words, timing=timing)
    return found, out


def whole(out: Path) -> None:
    found = verify(out)
    assert (found.state, found.faults, found.files) == ("complete", (), 5)


def test_accuracy_and_its_files(tmp_path: Path) -> None:
    outcome, out = session(tmp_path, "accuracy", FakeDut(infer, seconds=0.02))
    assert isinstance(outcome.found, Accuracy)
    assert (outcome.found.correct, outcome.found.top1, outcome.faults) == (4, 80.0, ())
    whole(out)
    text = (out / "results.txt").read_text()
    assert re.search(r"^\d{4}\.\d{6} ulp-mlperf: Top 1% = 80\.0$", text, re.M)
    assert re.search(rf"ulp-mlperf: AUC = {outcome.found.auc:.3f}$", text, re.M)
    assert "ERROR" not in text
    records = json.loads((out / "results.json").read_text())
    assert len(records) == len(SET)
    # keys and types as MLCommons' runner writes them
    assert records[3].keys() == {
        "file", "classes", "class", "bytes_to_send", "stride", "total_length", "infer", "mode",
    }  # fmt: skip
    assert (records[3]["file"], records[3]["class"], records[3]["mode"]) == ("s3.bin", "1", "a")
    inferred = records[3]["infer"]
    assert inferred["results"] == [0.2, 0.2, 0.6]
    assert inferred["elapsed_time"] == inferred["end_time"] - inferred["start_time"] == 20_000
    assert (inferred["iterations"], inferred["warmups"], inferred["total_inferences"]) == (1, 0, 1)
    log = (out / "log.txt").read_text()
    assert "RX:m-name-dut-[fake]" in log
    assert "RX:m-init-done" in log
    assert "ulp-mlperf: Loading file s4.bin segment 0" in log
    assert log.count("RX:m-results-[") == len(SET)
    assert "m-ready" not in log
    ours = read_result(out)
    assert (ours.n, ours.correct, ours.top1, ours.auc) == (5, 4, 80.0, outcome.found.auc)
    assert (ours.device.vendor, ours.device.model, ours.emulated) == ("fake", "fake01", False)
    manifest = read_manifest(out)
    assert (manifest.dataset.n, manifest.command) == (5, ("hil", "mlperf"))


def test_performance_and_its_files(tmp_path: Path) -> None:
    outcome, out = session(tmp_path, "performance", FakeDut(infer, seconds=0.0125))
    assert isinstance(outcome.found, Performance)
    assert outcome.found.median == pytest.approx(80)
    whole(out)
    text = (out / "results.txt").read_text()
    assert text.count("    Runtime requirements have been met.\n") == 5
    assert "Performance results for window 5\n    # Inferences : 840\n" in text
    assert "    Runtime: 10.5 sec.\n    Throughput: 80.0 inf./sec.\n" in text
    assert re.search(r"ulp-mlperf: Median throughput is     80\.000 inf\./sec\.$", text, re.M)
    records = json.loads((out / "results.json").read_text())
    assert [one["file"] for one in records] == [f"s{i}.bin" for i in range(5)]
    assert {one["infer"]["throughput"] for one in records} == {80.0}
    assert {one["mode"] for one in records} == {"p"}
    ours = read_result(out)
    assert ours.median == pytest.approx(80)
    assert [one.us for one in ours.windows] == [10_500_000] * 5


def test_no_file_has_an_emulators_time(tmp_path: Path) -> None:
    outcome, out = session(tmp_path, "accuracy", FakeDut(infer, seconds=0.02), emulated=True)
    assert isinstance(outcome.found, Accuracy)
    assert outcome.found.top1 == 80.0
    whole(out)
    for name in ("log.txt", "results.txt"):
        assert (out / name).read_text().splitlines()[0] == EMULATED
        assert "lap" not in (out / name).read_text()
    for record in json.loads((out / "results.json").read_text()):
        assert record["emulated"] is True
        assert not {"start_time", "end_time", "elapsed_time", "throughput"} & set(record["infer"])
    assert read_result(out).emulated
    with pytest.raises(UsageError, match="cannot be measured on an emulator"):
        session(tmp_path / "b", "performance", FakeDut(infer), emulated=True)


def test_our_emulated_boards_are_recognised_by_their_name(tmp_path: Path) -> None:
    vendor = f"tinyml-hil mps2-an500, {NO_TIME}"
    outcome, out = session(tmp_path, "accuracy", FakeDut(infer, vendor=vendor))
    assert outcome.emulated
    assert read_result(out).emulated
    with pytest.raises(UsageError, match="cannot be measured on an emulator"):
        session(tmp_path / "b", "performance", FakeDut(infer, vendor=vendor))


def test_results_that_are_not_probabilities_are_a_fault(tmp_path: Path) -> None:
    device = FakeDut(lambda values: [5.0 if c == values[0] else -1.0 for c in range(3)])
    outcome, _ = session(tmp_path, "accuracy", device)
    assert "not probabilities" in outcome.faults[0]
    assert read_result(tmp_path / "run").improper == 5


def test_retries_are_counted(tmp_path: Path) -> None:
    outcome, out = session(tmp_path, "accuracy", FakeDut(infer, faults=[*[None] * 9, lost]))
    assert (outcome.retries, read_result(out).retries) == (1, 1)
    assert len(json.loads((out / "results.json").read_text())) == len(SET)


def test_a_device_that_dies_leaves_a_sealed_folder(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer):
        session(tmp_path, "accuracy", FakeDut(infer, faults=[*[None] * 9, *[lost] * 1000]))
    found = verify(tmp_path / "run")
    assert (found.state, found.faults) == ("failed", ())
    assert "no MLPerf Tiny device answered" in read_manifest(tmp_path / "run").error


def test_a_session_that_is_stopped_leaves_a_sealed_folder(tmp_path: Path) -> None:
    class Impatient:
        def found(self, device: Identity, data: DataFolder) -> None:
            assert (device.model, len(data.items)) == ("fake01", len(SET))

        def done(self, count: int, total: int) -> None:
            assert total == len(SET)
            if count == 2:
                raise KeyboardInterrupt

    line = FakeDutLink(FakeDut(infer))
    data, out = write_set(tmp_path / "set", SET), tmp_path / "run"
    timing, watcher = DutTiming(clock=line.clock), Impatient()
    with pytest.raises(KeyboardInterrupt):
        run(line, data, out, "accuracy", emulated=False, watcher=watcher, timing=timing)
    found = verify(out)
    assert (found.state, found.faults) == ("interrupted", ())
    assert "Loading file s1.bin" in (out / "log.txt").read_text()


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    session(tmp_path, "accuracy", FakeDut(infer))
    with pytest.raises(UsageError, match="is not empty"):
        session(tmp_path, "accuracy", FakeDut(infer))
    whole(tmp_path / "run")


def test_without_data_nothing_is_written(tmp_path: Path) -> None:
    line = FakeDutLink(FakeDut(infer))
    timing = DutTiming(clock=line.clock)
    with pytest.raises(DataError):
        run(line, tmp_path / "no", tmp_path / "run", "accuracy", emulated=False, timing=timing)
    assert not (tmp_path / "run").exists()
