# SPDX-License-Identifier: Apache-2.0
"""Whole benches on fake boards: what is stored, what is resumed, what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil import datasets
from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.cases import Image, Program
from hil.bench.events import BenchStored, Event, Finished, Streaming
from hil.bench.inputs import Inputs
from hil.bench.lab import Firmware
from hil.bench.ready import WARM_UP
from hil.core.errors import DamagedRun, HilError, NoAnswer, StorageError, WrongFirmware
from hil.engines import write_image
from hil.report import write
from hil.runs.load import load_run, read_manifest, read_samples, verify
from hil.runs.schema import Picture, Sample
from hil.testing.board import corrupt, cut, drop
from hil.testing.lab import FakeLab, Tamper
from tests.support.benches import PROJECT, ignore, planned
from tests.support.runs import known

N = 12


@pytest.fixture(scope="module")
def plan() -> BenchPlan:
    """Both models in both precisions on twelve digits."""
    return planned(N, models=(), precisions=())


def untimed(folder: Path) -> list[Sample]:
    """Everything that a run stored, except the host's times."""
    return [msgspec.structs.replace(s, round_trip=None) for s in read_samples(folder)]


def stop_at(n: int, problem: BaseException) -> Callable[[Event], None]:
    """Raise ``problem`` when the ``n``-th answer of any run is stored."""

    def emit(event: Event) -> None:
        if isinstance(event, Streaming) and event.done == n:
            raise problem

    return emit


def test_every_sample_of_every_run_is_stored(plan: BenchPlan, tmp_path: Path) -> None:
    events: list[Event] = []
    run(plan, tmp_path, events.append, FakeLab())
    manifest = read_manifest(tmp_path)
    keys = [f"mps2/aot/{m}/{p}" for p in ("float32", "int8") for m in ("teacher", "student")]
    assert [plan.key for plan in manifest.runs] == keys
    assert [end.key for end in manifest.ends] == keys
    assert manifest.state == "complete"
    samples = list(read_samples(tmp_path))
    assert [(s.run, s.i) for s in samples] == [(key, i) for key in keys for i in range(N)]
    assert all(sample.oracle is None for sample in samples)
    assert {s.time for s in samples if "teacher" in s.run} == {10}
    assert [e.run for e in events if isinstance(e, Finished)] == keys
    assert events[-1] == BenchStored(tmp_path)
    assert manifest.dataset.fingerprint == plan.data.fingerprint
    memory = known(manifest.ends[0].memory)
    assert (memory.arena, memory.flash_model, memory.flash_code) == (1_000, 20_000, 10_000)


def test_facts_that_qualify_a_time_are_stored(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab())
    manifest = read_manifest(tmp_path)
    for of, end in zip(manifest.runs, manifest.ends, strict=True):
        assert "XNNPACK" in of.xnnpack
        assert end.first == (10 if of.model == "teacher" else 20)
        assert end.clock_step == 1  # the fake's clocks step by one tick
        assert end.answered == N
        assert end.idle_us is not None
        assert end.alone_us is not None
        assert end.baud == 115200
    samples = list(read_samples(tmp_path))
    assert all(sample.round_trip is not None for sample in samples)
    # in float32 XNNPACK's last bits are others; where all are the device's, nothing is stored
    assert any(sample.xnnpack for sample in samples if "float32" in sample.run)
    assert not any(sample.xnnpack == sample.device for sample in samples)


def test_a_resumed_run_counts_only_its_own_answers(plan: BenchPlan, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, stop_at(5, KeyboardInterrupt()), FakeLab())
    run(plan, tmp_path, ignore, FakeLab())
    assert [end.answered for end in read_manifest(tmp_path).ends] == [N - 5, N, N, N]


def test_the_manifest_records_provenance(plan: BenchPlan, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(plan, folder, ignore, FakeLab())
    manifest = read_manifest(folder)
    assert verify(folder).faults == ()
    assert set(manifest.files) == {"samples.jsonl", "digits.json", "quant.json"}
    assert manifest.seeds == {
        "order of samples": "BLAKE2b of the ids, key tinyml-hil",
        "bootstrap of intervals": "0, NumPy's default_rng",
    }
    assert manifest.host.packages["numpy"] == np.__version__
    for case, found, end in zip(plan.cases, manifest.runs, manifest.ends, strict=True):
        assert len(found.model_sha256) == len(found.firmware_sha256) == 64
        assert found.toolchain
        assert end.identity is not None
        assert (end.identity.board, end.identity.port) == ("mps2", "fake")
        assert (end.identity.firmware, end.identity.toolchain) == ("fake", "fake")
        assert end.marks is not None
        assert (end.marks.stack, end.marks.stack_size) == (64, 4096)
        assert (end.marks.heap_start, end.marks.heap_end) == (0, 0)
        assert end.shares == ()  # nothing was linked
        graph = case.network.graph
        written = write_image("aot", [("net", case.network.path)], tmp_path / "image")
        (image,) = written.models
        assert found.predicted is not None
        assert (found.predicted.arena, found.predicted.flash_model) == (image.arena, image.flash)
        io = graph.input.nbytes + graph.output.nbytes
        assert found.predicted.peak == image.arena + io
    arenas = {run.precision: set[int]() for run in manifest.runs}
    for one in manifest.runs:
        assert one.predicted is not None
        arenas[one.precision].add(one.predicted.arena_reserved)
    assert all(len(found) == 1 for found in arenas.values())  # one buffer an image


def test_a_run_with_damaged_data_is_not_resumed(plan: BenchPlan, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, stop_at(5, KeyboardInterrupt()), FakeLab())
    assert read_manifest(tmp_path).state == "interrupted"
    samples = tmp_path / "samples.jsonl"
    content = samples.read_bytes()
    samples.write_bytes(content.replace(b'"i":1', b'"i":9', 1))
    with pytest.raises(DamagedRun, match=r"samples\.jsonl: changed"):
        run(plan, tmp_path, ignore, FakeLab())
    samples.write_bytes(content)
    run(plan, tmp_path, ignore, FakeLab())
    assert verify(tmp_path).faults == ()


def test_models_of_one_precision_share_an_image(plan: BenchPlan, tmp_path: Path) -> None:
    lab = FakeLab()
    run(plan, tmp_path, ignore, lab)
    assert [(i.precision, [n.name for n in i.networks]) for i in lab.built] == [
        ("float32", ["teacher", "student"]),
        ("int8", ["teacher", "student"]),
    ]


def test_a_bad_line_changes_only_attempts(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path / "good", ignore, FakeLab())
    faults = [None] * 9 + [drop, None, corrupt, None, None, cut]
    run(plan, tmp_path / "bad", ignore, FakeLab(faults=faults))
    good, bad = (untimed(tmp_path / name) for name in ("good", "bad"))
    assert [msgspec.structs.replace(s, attempts=1, disturbed=False) for s in bad] == good
    assert [sample.disturbed for sample in bad] == [sample.attempts > 1 for sample in bad]
    assert sum(end.retries for end in read_manifest(tmp_path / "bad").ends) > 0


def test_differing_answers_are_stored_with_their_references(
    plan: BenchPlan, tmp_path: Path
) -> None:
    def flip(output: bytes) -> bytes:
        return bytes([output[0] ^ 1]) + output[1:]

    run(plan, tmp_path, ignore, FakeLab(tamper=flip))
    for sample in read_samples(tmp_path):
        assert sample.oracle is not None
        assert sample.oracle != sample.device


@pytest.mark.parametrize(
    ("problem", "answered"), [(KeyboardInterrupt(), [5]), (NoAnswer("cable pulled"), [5] * 4)]
)
def test_an_interrupted_bench_is_readable_and_resumed(
    plan: BenchPlan, tmp_path: Path, problem: BaseException, answered: list[int]
) -> None:
    """Ctrl-C ends all runs; after an error, the runs on other emulators go on."""
    folder, whole = tmp_path / "cut", tmp_path / "whole"
    with pytest.raises(type(problem)):
        run(plan, folder, stop_at(5, problem), FakeLab())
    cut_short = read_manifest(folder)
    assert cut_short.state == ("failed" if isinstance(problem, HilError) else "interrupted")
    found = Counter(sample.run for sample in read_samples(folder))
    assert list(found.values()) == answered
    lab = FakeLab()
    run(plan, folder, ignore, lab)
    run(plan, whole, ignore, FakeLab())
    assert untimed(folder) == untimed(whole)
    assert read_manifest(folder).state == "complete"
    assert read_manifest(folder).error == ""


def test_a_finished_run_is_not_repeated(plan: BenchPlan, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, stop_after_first_run(), FakeLab())
    lab = FakeLab()
    run(plan, tmp_path, ignore, lab)
    assert len(lab.opened) == len(plan.cases) - 1


def stop_after_first_run() -> Callable[[Event], None]:
    def emit(event: Event) -> None:
        if isinstance(event, Finished):
            raise KeyboardInterrupt

    return emit


def test_a_resumed_run_encodes_only_the_samples_that_it_sends(
    plan: BenchPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, stop_at(5, KeyboardInterrupt()), FakeLab())
    encoded: list[int] = []
    encode = Inputs.__getitem__

    def recorded(self: Inputs, i: int) -> bytes:
        encoded.append(i)
        return encode(self, i)

    monkeypatch.setattr(Inputs, "__getitem__", recorded)
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, stop_after_first_run(), FakeLab())
    assert encoded == [*range(WARM_UP), *range(5, N)]


def test_a_complete_bench_is_not_overwritten(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(StorageError, match="already contains a complete run"):
        run(plan, tmp_path, ignore, FakeLab())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_different_run_is_refused(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab())
    fewer = make_plan(Request(project=PROJECT, dataset="digits", limit=N - 1))
    with pytest.raises(StorageError, match="another run, which differs in data set digits"):
        run(fewer, tmp_path, ignore, FakeLab())


def test_a_wrong_image_is_refused_before_the_first_sample(plan: BenchPlan, tmp_path: Path) -> None:
    with pytest.raises(WrongFirmware, match=r"runs teacher 111111111111 \(aot\), expected"):
        run(plan, tmp_path, ignore, FakeLab(sha256="11" * 32))
    assert list(read_samples(tmp_path)) == []


def test_an_image_without_the_model_is_refused(plan: BenchPlan, tmp_path: Path) -> None:
    class Forgetful(FakeLab):
        def build(self, image: Program, project: Path) -> Firmware:
            assert isinstance(image, Image)
            return super().build(replace(image, networks=image.networks[1:]), project)

    with pytest.raises(WrongFirmware, match=r"has no model teacher \(it has student\)"):
        run(plan, tmp_path, ignore, Forgetful())


def test_output_of_the_wrong_length_is_refused(plan: BenchPlan, tmp_path: Path) -> None:
    with pytest.raises(WrongFirmware, match="answered 1 bytes of FLOAT32 as model 0"):
        run(plan, tmp_path, ignore, FakeLab(tamper=lambda output: output[:1]))


def test_pictures_are_of_disputed_samples(plan: BenchPlan, tmp_path: Path) -> None:
    run(plan, tmp_path, ignore, FakeLab(tamper=lambda output: output[::-1]))
    drawn = msgspec.json.decode((tmp_path / "digits.json").read_bytes(), type=dict[str, Picture])
    assert drawn
    for key, picture in drawn.items():
        i = plan.data.ids.index(key)
        assert np.array_equal(
            np.frombuffer(picture.pixels, "u1").reshape(picture.shape), plan.data.x[i, :, :, 0]
        )


@pytest.mark.parametrize("tamper", [bytes, lambda output: output[::-1]])
def test_a_bench_without_labels_still_compares_every_output(tmp_path: Path, tamper: Tamper) -> None:
    data = datasets.load("digits")
    np.savez(tmp_path / "my.npz", x=data.x[:20])
    model = PROJECT / "models" / "digits" / "student_int8.tflite"
    plan = planned(20, models=(str(model),), data=tmp_path / "my.npz")
    run(plan, tmp_path / "run", ignore, FakeLab(tamper=tamper))
    manifest = read_manifest(tmp_path / "run")
    assert not manifest.dataset.labelled
    (row,) = write(tmp_path / "run").summary.runs
    assert row.accuracy is None
    assert row.agreement
    assert bool(row.agreement.differing_oracle) == (tamper is not bytes)
    # pictures are of digits that are disputed: no label disputes one
    assert bool(load_run(tmp_path / "run").pictures) == (tamper is not bytes)
