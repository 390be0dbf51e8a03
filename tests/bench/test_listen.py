# SPDX-License-Identifier: Apache-2.0
"""Runs made of what a sketch prints by itself, on a port or in a saved log."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil import datasets
from hil.bench.cases import Network
from hil.bench.lines import Outcome, TextSetup
from hil.bench.listen import Chunk, Listening, from_file, from_link, listen
from hil.core.errors import LinkError, NoAnswer, UsageError
from hil.core.records import Dataset
from hil.reference import encode_inputs, litert
from hil.report import write
from hil.runs.load import load_run, read_manifest
from hil.runs.schema import Sample
from hil.testing.text import FakeSketch
from hil.tflite import read_model
from hil.wire.patterns import choose_patterns

PROJECT = Path(__file__).parents[2]
FILE = PROJECT / "models" / "digits" / "student_float32.tflite"
LABEL = (r"class (?P<label>\d+)",)


ALWAYS = Listening()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return datasets.load("digits")


def setup(*patterns: str, model: Path | None = None) -> TextSetup:
    network = Network("student", model, read_model(model)) if model else None
    return TextSetup(PROJECT, choose_patterns(patterns), "the log", model=network)


def heard(text: bytes, what: TextSetup, folder: Path, how: Listening = ALWAYS) -> Outcome:
    return listen(what, how, folder, lambda _: None, from_file(io.BytesIO(text)))


def samples(folder: Path) -> tuple[Sample, ...]:
    (found,) = load_run(folder).samples.values()
    return found


def chosen(folder: Path) -> list[int]:
    return [int(np.frombuffer(one.device, "<i4")[0]) for one in samples(folder)]


def tutorial(outputs: np.ndarray, ms: str = "52.00") -> bytes:
    """What the tutorial's sketch prints for its only input."""
    best = outputs.argmax()
    text = ",".join(f"{value:.2f}" for value in outputs)
    return (
        f"{text}\nPredicted class is: {best}\r\nSanity check: {best}\r\n - Time (ms): {ms}\r\n"
    ).encode()


def outputs_of(data: Dataset, i: int) -> np.ndarray:
    reference = litert(FILE)
    return np.asarray(reference.predict(encode_inputs(data.x[i : i + 1], reference.graph.input))[0])


def test_the_tutorials_sketch_is_compared_with_its_only_sample(
    tmp_path: Path, data: Dataset
) -> None:
    text = tutorial(outputs_of(data, 7)) * 4 + tutorial(outputs_of(data, 7), "53.00")
    heard(text, setup("tutorial", model=FILE), tmp_path, Listening(data, sample=7))
    found = samples(tmp_path)
    assert [one.id for one in found[:2]] == [data.ids[7], f"{data.ids[7]}#2"]
    assert {one.label for one in found} == {data.y[7]}
    assert [one.time for one in found] == [52_000] * 4 + [53_000]
    manifest = read_manifest(tmp_path)
    assert (manifest.state, manifest.dataset.n, manifest.dataset.total) == ("complete", 5, 500)
    assert data.ids[7] in manifest.dataset.note
    assert manifest.ends[0].clock_step == 1000.0
    (row,) = write(tmp_path).summary.runs
    assert (row.n, row.wrong, row.time.median) == (5, 0, 52_000)


def test_an_index_names_the_sample(tmp_path: Path, data: Dataset) -> None:
    text = b"".join(b"%d: class %d\n" % (i, data.y[i % 500]) for i in (3, 9, 3, 500))
    what = setup(r"(?P<index>\d+): class (?P<label>\d+)")
    heard(text, what, tmp_path, Listening(data))
    found = samples(tmp_path)
    assert [one.id for one in found] == [
        data.ids[3],
        data.ids[9],
        f"{data.ids[3]}#2",
        "answer-00003",
    ]
    assert found[3].failed == "index 500, digits has 500 samples"
    (row,) = write(tmp_path).summary.runs
    assert (row.n, row.failed) == (3, 1)
    assert row.accuracy
    assert row.accuracy.device == 1.0


def test_without_data_there_are_predictions_and_times_alone(tmp_path: Path) -> None:
    heard(b"7 52.25 ms\n3 51.50 ms\n", setup(r"(?P<label>\d) (?P<ms>\S+) ms"), tmp_path)
    manifest = read_manifest(tmp_path)
    assert (manifest.dataset.labelled, manifest.dataset.n) == (False, 2)
    assert {one.label for one in samples(tmp_path)} == {-1}
    assert manifest.ends[0].clock_step == 10.0
    (row,) = write(tmp_path).summary.runs
    assert (row.accuracy, row.agreement, row.time.median) == (None, None, 51_875)


def test_the_class_that_the_sketch_expects_is_the_label(tmp_path: Path) -> None:
    text = b"expcted class 0, predicted class 0\nexpcted class 1, predicted class 2\n"
    heard(text, setup("eloquent"), tmp_path)
    assert [one.label for one in samples(tmp_path)] == [0, 1]
    (row,) = write(tmp_path).summary.runs
    assert row.accuracy
    assert row.accuracy.device == 0.5


def test_one_output_per_answer(tmp_path: Path) -> None:
    text = b"x_value: 0.0, y_value: 0.01\nx_value: 0.3, y_value: 0.31\n"
    heard(text, setup("hello_world"), tmp_path)
    assert [np.frombuffer(one.device, "<f4")[0] for one in samples(tmp_path)] == [
        np.float32(0.01),
        np.float32(0.31),
    ]
    assert write(tmp_path).summary.runs[0].n == 2


def test_answers_that_do_not_count_are_stored_as_failures(tmp_path: Path) -> None:
    text = b"0.1,nan\n0.5,0.5\n0.1,0.2,0.3\n0.25,0.75\n"
    heard(text, setup(r"(?P<outputs>[\dna.,]+)"), tmp_path)
    assert [one.failed for one in samples(tmp_path)] == [
        "output nan is not finite",
        "",
        "3 outputs, expected 2",
        "",
    ]
    assert write(tmp_path).summary.runs[0].failed == 2


# --- a port ---


def printing(every: float, *texts: bytes) -> FakeSketch:
    sketch = FakeSketch()
    for i, text in enumerate(texts):
        sketch.say(text, after=every * i)
    return sketch


def on_port(
    sketch: FakeSketch, what: TextSetup, folder: Path, how: Listening, *, joined: bool = True
) -> Outcome:
    chunks = from_link(sketch)
    return listen(what, how, folder, lambda _: None, chunks, joined=joined, clock=sketch.clock)


def test_it_stops_after_count_answers(tmp_path: Path) -> None:
    sketch = printing(2.0, b"ss 1\n", *[b"class %d\n" % i for i in range(9)])
    on_port(sketch, setup(*LABEL), tmp_path, Listening(count=3))
    assert chosen(tmp_path) == [0, 1, 2]
    assert sketch.now == 6.0  # it did not wait for another


def test_it_stops_after_the_seconds(tmp_path: Path) -> None:
    sketch = printing(2.0, b"\n", *[b"class %d\n" % i for i in range(9)])
    on_port(sketch, setup(*LABEL), tmp_path, Listening(seconds=7.0))
    assert chosen(tmp_path) == [0, 1, 2]
    assert read_manifest(tmp_path).dataset.n == 3


def test_the_rest_of_a_line_is_not_an_answer(tmp_path: Path) -> None:
    sketch = printing(1.0, b"class 9\n", b"class 1\n", b"class 2\n")
    on_port(sketch, setup(*LABEL), tmp_path, Listening(count=2))
    assert chosen(tmp_path) == [1, 2]


def test_a_time_longer_than_between_two_answers_is_dropped(tmp_path: Path) -> None:
    text = [b"\n", *[b"class 1 in %d ms\n" % ms for ms in (5000, 900, 5000, 900)]]
    what = setup(r"class (?P<label>\d) in (?P<ms>\d+) ms")
    on_port(printing(1.0, *text), what, tmp_path, Listening(count=4))
    # there was no answer before the first one
    assert [one.time for one in samples(tmp_path)] == [5_000_000, 900_000, None, 900_000]


def test_answers_that_were_waiting_have_no_known_distance(tmp_path: Path) -> None:
    sketch = printing(1.0, b"\n" + b"class 1 in 900 ms\n" * 3)
    what = setup(r"class (?P<label>\d) in (?P<ms>\d+) ms")
    on_port(sketch, what, tmp_path, Listening(count=3))
    assert {one.time for one in samples(tmp_path)} == {900_000}


def test_a_port_that_vanishes_leaves_the_answers_and_the_run_continues(tmp_path: Path) -> None:
    def vanishing() -> Iterator[Chunk]:
        yield b"class 1\nclass 2\n", 1.0
        raise LinkError("port fake vanished", "check the cable")

    how = Listening(count=4)
    with pytest.raises(LinkError, match="vanished"):
        listen(setup(*LABEL), how, tmp_path, lambda _: None, vanishing())
    manifest = read_manifest(tmp_path)
    assert (manifest.state, manifest.error) == ("failed", "port fake vanished; check the cable")
    on_port(printing(1.0, b"class 3\n", b"class 4\n"), setup(*LABEL), tmp_path, how, joined=False)
    assert chosen(tmp_path) == [1, 2, 3, 4]
    manifest = read_manifest(tmp_path)
    assert (manifest.state, len(manifest.ends)) == ("complete", 1)


def test_ctrl_c_leaves_the_answers(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Chunk]:
        yield b"class 1\nclass 2\ncla", 1.0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        listen(setup(*LABEL), Listening(), tmp_path, lambda _: None, interrupted())
    manifest = read_manifest(tmp_path)
    assert (manifest.state, manifest.dataset.n) == ("interrupted", 2)
    assert write(tmp_path).summary.runs[0].n == 2
    heard(b"class 3\n", setup(*LABEL), tmp_path)
    assert chosen(tmp_path) == [1, 2, 3]


# --- nothing that counts ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "nothing arrived on the log"),
        (b"hello\n" * 2 + b"ERROR: no \x07memory\n\n", "counts in 3 lines; .* such as 'ERROR"),
        (
            b"hello\nERROR: no memory\n\n",
            "no answer on the log counts in 2 lines; the last is 'ERROR: no memory'; check --pat",
        ),
        (b"class 7!\n", "in part, such as 'class 7!'; a --pattern must match the whole line"),
        (b"\xfe\x80\n" * 5, "5 lines with bytes that are not text, such as .*; check --baud"),
        (b"class x\n" * 30, "class"),
    ],
)
def test_nothing_that_counts_is_one_line(tmp_path: Path, text: bytes, words: str) -> None:
    with pytest.raises(NoAnswer, match=words) as raised:
        heard(text, setup(r"class (?P<label>[x\d]+)"), tmp_path)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "manifest.json").exists()


def test_a_silent_port_is_given_up(tmp_path: Path) -> None:
    sketch = printing(1.0, b"\n", b"class 1\n")
    with pytest.raises(NoAnswer, match="no answer on the log"):
        on_port(sketch, setup(*LABEL), tmp_path, Listening(patience=20.0))
    assert read_manifest(tmp_path).state == "failed"
    assert chosen(tmp_path) == [1]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Listening(count=0), "--count must be at least 1"),
        (Listening(sample=3), "--sample needs a data set"),
    ],
)
def test_options_that_contradict(tmp_path: Path, how: Listening, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        heard(b"", setup(*LABEL), tmp_path, how)


def test_data_needs_to_know_the_sample(tmp_path: Path, data: Dataset) -> None:
    with pytest.raises(UsageError, match="it is not known which samples"):
        heard(b"", setup(*LABEL), tmp_path, Listening(data))
    with pytest.raises(UsageError, match="--sample 500: digits has 500 samples"):
        heard(b"", setup(*LABEL), tmp_path, replace(Listening(data), sample=500))


def counted(data: Dataset, n: int, shift: int) -> bytes:
    """A log of ``n`` answers by index, the label of each plus ``shift``."""
    lines = (f"{i}: class {(data.y[i] + shift) % 10}\n" for i in range(n))
    return "".join(lines).encode()


BY_INDEX = (r"(?P<index>\d+): class (?P<label>\d+)",)


def test_labels_are_checked_without_a_network(tmp_path: Path, data: Dataset) -> None:
    heard(counted(data, 100, 1), setup(*BY_INDEX), tmp_path, Listening(data))
    (found,) = load_run(tmp_path).checks
    assert found.code == "labels-shifted"
    assert "with every label plus 1, 100.0%" in found.what


def test_right_answers_and_one_sample_have_no_findings(tmp_path: Path, data: Dataset) -> None:
    heard(counted(data, 100, 0), setup(*BY_INDEX), tmp_path / "right", Listening(data))
    one = f"class {(data.y[7] + 1) % 10}\n".encode()
    heard(one * 100, setup(*LABEL), tmp_path / "one", Listening(data, sample=7))
    assert load_run(tmp_path / "right").checks == load_run(tmp_path / "one").checks == ()


def test_samples_are_checked_with_the_network(tmp_path: Path, data: Dataset) -> None:
    """The sketch computes what the network does with inverted digits."""
    wrong = replace(data, x=255 - data.x, fingerprint="1" * 64)
    answers = [outputs_of(wrong, i) for i in range(60)]
    lines = [f"{i}: {','.join(f'{v:.4f}' for v in one)}\n" for i, one in enumerate(answers)]
    what = setup(r"(?P<index>\d+): (?P<outputs>.*)", model=FILE)
    heard("".join(lines).encode(), what, tmp_path, Listening(wrong))
    assert "input-inverted" in [one.code for one in load_run(tmp_path).checks]
