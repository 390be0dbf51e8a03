# SPDX-License-Identifier: Apache-2.0
"""Benches of a sketch that takes plain samples and prints lines, against LiteRT's answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import UNSET

from hil import datasets
from hil.bench.cases import Network
from hil.bench.host import HostTiming
from hil.bench.lines import Outcome, TextSetup
from hil.bench.store import dataset_used
from hil.bench.text import Sending, bench
from hil.core.errors import DataError, LinkError, NoAnswer, StorageError, UsageError, WrongReply
from hil.core.records import Dataset, DType
from hil.link import Link
from hil.reference import encode_inputs, litert
from hil.report import write
from hil.runs.load import load_run, read_manifest
from hil.runs.schema import Sample
from hil.runs.summary import SummaryRow
from hil.testing.text import FakeSketch
from hil.tflite import read_model
from hil.wire.patterns import choose_patterns

PROJECT = Path(__file__).parents[2]
FILE = PROJECT / "models" / "digits" / "student_float32.tflite"
INT8 = PROJECT / "models" / "digits" / "student_int8.tflite"
LABEL = (r"class (?P<label>\d+)",)
WHOLE = (r"(?P<outputs>[-\d.,]+)", r"class (?P<label>\d+)", r"(?P<ms>\S+) ms")


PLAIN = Sending()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return datasets.subset(datasets.load("digits"), 8)


def network(file: Path = FILE) -> Network:
    return Network("student", file, read_model(file))


def setup(*patterns: str, model: Network | None = None) -> TextSetup:
    outputs = model.graph.output.elements if model else None
    return TextSetup(PROJECT, choose_patterns(patterns), "fake", model=model, outputs=outputs)


def predicting(decimals: int = 6, ms: str = "52.00") -> Callable[[bytes], bytes]:
    """A sketch that parses a line of pixels and prints LiteRT's outputs of the student."""
    reference = litert(FILE)
    spec = reference.graph.input

    def answer(request: bytes) -> bytes:
        pixels = np.array(request.split(b","), "u1").reshape(1, *spec.shape)
        outputs = reference.predict(encode_inputs(pixels, spec))[0]
        text = ",".join(f"{value:.{decimals}f}" for value in outputs)
        return f"{text}\r\nclass {outputs.argmax()}\r\n{ms} ms\r\n".encode()

    return answer


@contextmanager
def opened_once(sketch: FakeSketch) -> Iterator[Link]:
    """The sketch as an open port."""
    yield sketch


def benched(
    sketch: FakeSketch,
    what: TextSetup,
    data: Dataset,
    folder: Path,
    sending: Sending = PLAIN,
    host: HostTiming | None = None,
) -> Outcome:
    used = dataset_used(data, len(data), "")
    return bench(
        what, sending, data, used, folder, lambda _: None, lambda: opened_once(sketch), host
    )


def samples(folder: Path) -> tuple[Sample, ...]:
    (found,) = load_run(folder).samples.values()
    return found


def row(folder: Path) -> SummaryRow:
    (found,) = write(folder).summary.runs
    return found


def test_a_sketch_is_compared_with_litert(tmp_path: Path, data: Dataset) -> None:
    sketch = FakeSketch(predicting(), seconds=0.06)
    outcome = benched(sketch, setup(*WHOLE, model=network()), data, tmp_path)
    found, expected = samples(tmp_path), litert(FILE)
    outputs = expected.predict(encode_inputs(data.x, expected.graph.input))
    for one, right in zip(found, outputs, strict=True):
        device = np.frombuffer(one.device, "<f4")
        assert np.abs(device - right).max() <= 1.5e-6  # half a digit, and float32
        assert one.litert == (None if one.device == right.tobytes() else right.tobytes())
        assert one.time == 52_000
        assert one.round_trip == 60_000
    manifest = read_manifest(tmp_path)
    (plan,), (end,) = manifest.runs, manifest.ends
    assert (plan.engine, plan.protocol, plan.answers, plan.litert) == (
        "user",
        "text",
        "outputs",
        True,
    )
    assert plan.tolerance == pytest.approx(1e-4 + 0.5e-6, rel=1e-2)
    assert (end.clock_step, end.retries, end.faults) == (1000.0, 0, UNSET)
    summary = row(tmp_path)
    assert summary.wrong == 0
    assert summary.accuracy
    assert summary.accuracy.device == (outputs.argmax(axis=1) == data.y).mean()
    assert summary.time.median == 52_000
    assert not outcome.dropped
    assert "no check sum" in (tmp_path / "report.md").read_text()


def test_two_decimals_are_compared_as_two_decimals(tmp_path: Path, data: Dataset) -> None:
    benched(FakeSketch(predicting(2)), setup(*WHOLE, model=network()), data, tmp_path)
    assert row(tmp_path).wrong == 0
    (plan,) = read_manifest(tmp_path).runs
    assert plan.tolerance == pytest.approx(0.005 + 1e-4, rel=1e-2)
    assert "to 0.01" in plan.tolerance_why


def test_another_network_on_the_board_is_noticed(tmp_path: Path, data: Dataset) -> None:
    teacher = network(PROJECT / "models" / "digits" / "teacher_float32.tflite")
    benched(FakeSketch(predicting()), setup(*WHOLE, model=teacher), data, tmp_path)
    assert row(tmp_path).wrong


def test_classes_alone_are_compared_with_an_int8_model(tmp_path: Path, data: Dataset) -> None:
    reference = litert(INT8)
    chosen = reference.predict(encode_inputs(data.x, reference.graph.input)).argmax(axis=1)
    answers = {encoded(data, i): b"class %d\n" % c for i, c in enumerate(chosen)}
    sketch = FakeSketch(answers.__getitem__)
    benched(sketch, setup(*LABEL, model=network(INT8)), data, tmp_path)
    found = row(tmp_path)
    assert (found.wrong, found.time.unit) == (0, "none")
    assert found.accuracy
    assert found.accuracy.device == (chosen == data.y).mean()


def encoded(data: Dataset, i: int) -> bytes:
    return b",".join(b"%d" % value for value in data.x[i].reshape(-1).tolist())


def test_without_a_model_there_are_labels_alone(tmp_path: Path, data: Dataset) -> None:
    benched(FakeSketch(lambda _: b"class 3\n"), setup(*LABEL), data, tmp_path)
    found = row(tmp_path)
    assert found.accuracy
    assert found.accuracy.device == (data.y == 3).mean()
    assert (found.accuracy.host, found.agreement) == (None, None)


@pytest.mark.parametrize("form", ["csv", "json", "bytes"])
@pytest.mark.parametrize("kind", [None, DType.FLOAT32])
def test_what_is_sent(tmp_path: Path, data: Dataset, form: str, kind: DType | None) -> None:
    real = kind is DType.FLOAT32
    size = data.x[0].size * (4 if real else 1) if form == "bytes" else 0
    sketch = FakeSketch(lambda _: b"class 1\n", size=size)
    forms = {"csv": Sending("csv", kind), "json": Sending("json", kind)}
    benched(sketch, setup(*LABEL), data, tmp_path, forms.get(form, Sending("bytes", kind)))
    last = sketch.requests[-1]
    if form == "bytes":
        got = np.frombuffer(last, "<f4" if real else "u1")
    else:
        got = np.array(last.strip(b"[]").split(b","), "f4" if real else "u1")
    right = data.x[-1].reshape(-1)
    assert np.array_equal(got, right.astype("f4") / np.float32(255) if real else right)
    assert len(sketch.requests) == len(data) + 1  # and the first one, which is not stored


def test_int8_values_need_the_models_scale(tmp_path: Path, data: Dataset) -> None:
    with pytest.raises(DataError, match="uint8 samples cannot be sent as int8"):
        benched(FakeSketch(), setup(*LABEL), data, tmp_path, Sending("csv", DType.INT8))
    sketch = FakeSketch(lambda _: b"class 1\n")
    sending = Sending("csv", DType.INT8)
    benched(sketch, setup(*LABEL, model=network(INT8)), data, tmp_path, sending)
    sent = np.array(sketch.requests[0].split(b","), "i2")
    assert np.array_equal(sent, data.x[0].reshape(-1).astype("i2") - 128)


# --- bad input ---


def scripted(*replies: bytes) -> FakeSketch:
    """A sketch with a reply per request: the first is for the warm-up, the last one repeats."""
    left = list(replies)
    return FakeSketch(lambda _: left.pop(0) if len(left) > 1 else left[0])


def test_a_sample_without_an_answer_fails_and_the_others_count(
    tmp_path: Path, data: Dataset
) -> None:
    sketch = scripted(b"class 1\n", b"class 1\n", b"", b"", b"", b"class 1\n")
    benched(sketch, setup(*LABEL), data, tmp_path)
    found = samples(tmp_path)
    assert [bool(one.failed) for one in found] == [False, True, *[False] * 6]
    assert found[1].failed == "no answer on fake within 10 s; nothing arrived"
    (end,) = read_manifest(tmp_path).ends
    assert end.retries == 2
    assert end.faults is not UNSET
    assert end.faults.timeouts == 3
    assert row(tmp_path).failed == 1


def test_an_answer_that_does_not_count_is_asked_for_again(tmp_path: Path, data: Dataset) -> None:
    sketch = scripted(b"0.5,0.5\n", b"0.5,0.5\n", b"0.5,nan\n", b"0.5\n", b"0.25,0.75\n")
    benched(sketch, setup(r"(?P<outputs>[\dna.,]+)"), data, tmp_path)
    second = samples(tmp_path)[1]
    assert (np.frombuffer(second.device, "<f4") == [0.25, 0.75]).all()
    assert second.attempts == 3


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"0.5,nan\n", "output nan is not finite"),
        (b"0.5,a\n", "output 'a' is not a number"),
        (b"0.5\n", "1 outputs, expected 2"),
        (b"0.5,0.1,0.4\n", "3 outputs, expected 2"),
    ],
)
def test_answers_that_never_count(tmp_path: Path, data: Dataset, line: bytes, why: str) -> None:
    sketch = scripted(b"0.5,0.5\n", b"0.5,0.5\n", line)
    benched(sketch, setup(r"(?P<outputs>[\dna.,]+)"), data, tmp_path)
    assert [one.failed for one in samples(tmp_path)] == ["", *[why] * 7]


def test_a_first_answer_that_never_counts_is_an_error(tmp_path: Path, data: Dataset) -> None:
    with pytest.raises(WrongReply, match="first sample does not count: output nan is not finite"):
        benched(scripted(b"nan,0.5\n"), setup(r"(?P<outputs>[\dna.,]+)"), data, tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_a_model_with_other_outputs_is_refused(tmp_path: Path, data: Dataset) -> None:
    what = replace(setup(*WHOLE[:1], model=network()), outputs=None)
    with pytest.raises(WrongReply, match="prints 2 outputs, student_float32.tflite has 10"):
        benched(scripted(b"0.5,0.5\n"), what, data, tmp_path)


def test_a_sketch_that_dies_ends_the_bench(tmp_path: Path, data: Dataset) -> None:
    with pytest.raises(NoAnswer, match="3 times for each of 5 samples in a row"):
        benched(scripted(b"class 1\n", b"class 1\n", b""), setup(*LABEL), data, tmp_path)
    assert read_manifest(tmp_path).state == "failed"
    assert [bool(one.failed) for one in samples(tmp_path)] == [False, *[True] * 4]


def test_answers_that_differ_are_not_accepted_with_repeat(tmp_path: Path, data: Dataset) -> None:
    one, two, three = b"class 1\n", b"class 2\n", b"class 3\n"
    sketch = scripted(one, one, one, one, two, two, one, two, three, one)
    benched(sketch, setup(*LABEL), data, tmp_path, Sending(repeat=2))
    found = samples(tmp_path)
    labels = [int(np.frombuffer(s.device, "<i4")[0]) if s.device else s.failed for s in found]
    assert labels == [1, 2, "answers differ", *[1] * 5]
    assert [s.attempts for s in found[:2]] == [1, 2]


def test_a_port_that_vanishes_leaves_what_was_answered(tmp_path: Path, data: Dataset) -> None:
    sketch = FakeSketch(lambda _: b"class 1\n", vanishes=4)
    with pytest.raises(LinkError, match="port fake vanished"):
        benched(sketch, setup(*LABEL), data, tmp_path)
    assert read_manifest(tmp_path).state == "failed"
    assert len(samples(tmp_path)) == 3
    benched(FakeSketch(lambda _: b"class 2\n"), setup(*LABEL), data, tmp_path)
    assert read_manifest(tmp_path).state == "complete"
    assert [s.device[0] for s in samples(tmp_path)] == [1, 1, 1, 2, 2, 2, 2, 2]
    with pytest.raises(StorageError, match="already contains a complete run"):
        benched(FakeSketch(lambda _: b"class 2\n"), setup(*LABEL), data, tmp_path)


def test_a_time_longer_than_the_round_trip_is_dropped(tmp_path: Path, data: Dataset) -> None:
    sketch = FakeSketch(lambda _: b"class 1 in 500 ms\n", seconds=0.1)
    what = setup(r"class (?P<label>\d) in (?P<ms>\d+) ms")
    outcome = benched(sketch, what, data, tmp_path)
    assert {one.time for one in samples(tmp_path)} == {None}
    assert dict(outcome.dropped) == {"times that are not possible": len(data)}
    (end,) = read_manifest(tmp_path).ends
    assert end.clock_step is None
    assert end.faults is not UNSET
    assert end.faults.dropped == {"times that are not possible": len(data)}
    write(tmp_path)
    assert "did not count: 8 times that are not possible" in (tmp_path / "report.md").read_text()
    emulated = tmp_path / "emulated"
    benched(sketch, replace(what, emulated=True), data, emulated)
    assert {one.time for one in samples(emulated)} == {500_000}


def test_a_run_is_not_continued_with_what_says_something_else(
    tmp_path: Path, data: Dataset
) -> None:
    sketch = FakeSketch(lambda _: b"class 1 0.5,0.25\n", vanishes=4)
    with pytest.raises(LinkError):
        benched(sketch, setup(r"class (?P<label>\d) .*"), data, tmp_path)
    again = FakeSketch(lambda _: b"class 1 0.25,0.5\n")
    with pytest.raises(StorageError, match="differs in output of .*, answers of"):
        benched(again, setup(r"class (?P<label>\d) (?P<outputs>.*)"), data, tmp_path)
    assert len(samples(tmp_path)) == 3


def test_litert_is_timed_on_this_computer(tmp_path: Path, data: Dataset) -> None:
    ticks = iter(range(0, 10**9, 1000))
    timing = HostTiming(3, clock=ticks.__next__)
    sketch = FakeSketch(predicting(), seconds=0.06)
    benched(sketch, setup(*WHOLE, model=network()), data, tmp_path, host=timing)
    found = row(tmp_path).host_latency
    assert found is not UNSET
    assert {one.median for one in found.values()} == {1000.0}


def test_outputs_one_per_line_need_their_number(tmp_path: Path, data: Dataset) -> None:
    with pytest.raises(UsageError, match="their number must be known; add --classes"):
        benched(FakeSketch(), setup("edge-impulse"), data, tmp_path)
