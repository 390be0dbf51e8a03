# SPDX-License-Identifier: Apache-2.0
"""Outputs are computed once per model, data and interpreter; damaged entries are recomputed."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.core import files
from hil.reference import BATCH, Progress, Values, predict_cached
from hil.reference import cache as host
from hil.tflite import Graph, read_model
from tests.support.tflite import float_cnn


@dataclass
class Counting:
    """A reference that counts its calls."""

    name: str = "counting"
    version: str = "1"
    calls: int = 0
    graph: Graph = field(default_factory=lambda: read_model(float_cnn().finish()))

    def predict(self, x: Values, progress: Progress | None = None) -> npt.NDArray[np.generic]:
        del progress
        self.calls += 1
        return np.arange(3 * len(x), dtype=np.float32).reshape(len(x), 3)

    def outputs(
        self, x: Values, progress: Progress | None = None
    ) -> tuple[npt.NDArray[np.generic], ...]:
        return (self.predict(x, progress),)

    def reset(self) -> None: ...


X = np.zeros((2, 1, 8, 8, 1), np.float32)


def ask(reference: Counting, folder: Path, **changes: object) -> npt.NDArray[np.generic]:
    values: dict[str, object] = {"fingerprint": "data", "ids": ("a", "b"), **changes}
    return predict_cached(reference, X, directory=folder, **values)  # type: ignore[arg-type]


def test_the_second_call_computes_nothing(tmp_path: Path) -> None:
    reference = Counting()
    first = ask(reference, tmp_path)
    second = ask(reference, tmp_path)
    assert reference.calls == 1
    assert first.tobytes() == second.tobytes()
    assert first.dtype == second.dtype


@pytest.mark.parametrize(
    "changes", [{"fingerprint": "other"}, {"ids": ("a", "c")}, {"ids": ("ab", "")}]
)
def test_other_data_is_another_entry(tmp_path: Path, changes: dict[str, object]) -> None:
    reference = Counting()
    ask(reference, tmp_path)
    ask(reference, tmp_path, **changes)
    assert reference.calls == 2


def test_another_version_is_another_entry(tmp_path: Path) -> None:
    ask(Counting(), tmp_path)
    newer = Counting(version="2")
    ask(newer, tmp_path)
    assert newer.calls == 1


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "foreign"])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, damage: str) -> None:
    reference = Counting()
    expected = ask(reference, tmp_path)
    (entry,) = tmp_path.glob("*.outputs")
    stored = bytearray(entry.read_bytes())
    if damage == "flip":
        stored[-1] ^= 1
    entry.write_bytes(
        {"flip": bytes(stored), "truncate": bytes(stored[:50]), "empty": b"", "foreign": b"x" * 99}[
            damage
        ]
    )
    assert ask(reference, tmp_path).tobytes() == expected.tobytes()
    assert reference.calls == 2
    ask(reference, tmp_path)
    assert reference.calls == 2, "the entry was not repaired"


def test_a_folder_that_cannot_be_written_disables_the_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    reference = Counting()
    first = ask(reference, blocked / "cache")
    assert first.tobytes() == ask(reference, blocked / "cache").tobytes()
    assert reference.calls == 2


def test_two_runs_at_once_compute_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one has missed the cache and waits for the lock when the first one stores."""
    second_waits = threading.Event()
    second: list[npt.NDArray[np.generic]] = []

    class Slow(Counting):
        def predict(self, x: Values, progress: Progress | None = None) -> npt.NDArray[np.generic]:
            if not self.calls:
                thread.start()
                assert second_waits.wait(60)
            return super().predict(x, progress)

    def locked(file: Path) -> AbstractContextManager[None]:
        if threading.current_thread() is thread:
            second_waits.set()
        return files.locked(file)

    monkeypatch.setattr(host, "locked", locked)
    reference = Slow()
    thread = threading.Thread(target=lambda: second.append(ask(reference, tmp_path)))
    first = ask(reference, tmp_path)
    thread.join()
    assert reference.calls == 1
    assert second[0].tobytes() == first.tobytes()


def test_progress_of_a_cached_result(tmp_path: Path) -> None:
    reference = Counting()
    ask(reference, tmp_path)
    seen: list[tuple[int, int]] = []
    ask(reference, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 2)]


def test_many_samples_are_encoded_in_batches_and_answered_in_order(tmp_path: Path) -> None:
    """A reference that returns the sample itself."""

    class Numbering(Counting):
        def predict(self, x: Values, progress: Progress | None = None) -> npt.NDArray[np.generic]:
            answers = super().predict(x)
            if progress:
                progress(len(x), len(x))
            first = np.asarray(x).reshape(len(x), -1)[:, :1]
            return np.asarray(answers * 0 + first.astype(np.float32))

    count = 2 * BATCH + 5
    samples = np.arange(count, dtype=np.int64)
    encoded: list[int] = []
    reported: list[tuple[int, int]] = []

    def encode(batch: Values) -> Values:
        encoded.append(len(batch))
        return np.broadcast_to(np.asarray(batch)[:, None], (len(batch), 64)).astype(np.float32)

    reference = Numbering()
    for _ in range(2):
        found = predict_cached(
            reference,
            samples,
            fingerprint="many",
            ids=("all",),
            directory=tmp_path,
            progress=lambda done, total: reported.append((done, total)),
            encode=encode,
        )
        assert found[:, 0].tolist() == samples.tolist()
    assert encoded == [BATCH, BATCH, 5]
    assert reported == [(n, count) for n in (BATCH, 2 * BATCH, count, count)]
