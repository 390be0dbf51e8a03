# SPDX-License-Identifier: Apache-2.0
"""Sketches that fail, hang, restart or change: each is named, and no answer is wrong for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from hil.bench import run
from hil.bench.cases import Program
from hil.bench.lab import Firmware
from hil.boards.station import Station
from hil.core.errors import (
    DeviceRefused,
    HilError,
    SketchHangs,
    WrongFirmware,
)
from hil.core.records import DType, TensorSpec
from hil.link import Link
from hil.link.chaos import parse_chaos
from hil.testing.board import EngineFails
from hil.testing.lab import FakeLab, FakeSketch
from hil.wire.messages import SketchFault
from tests.support.benches import ignore
from tests.support.troubled import TroubledLab, Watch
from tests.support.user_benches import (
    FLAT,
    TEN,
    N,
    Values,
    brightest,
    stored,
    user_plan,
)


def failing(codes: dict[int, int | Values]) -> Callable[[Values], Values]:
    """`brightest`, but the inferences with these numbers (from 0) fail or give these outputs."""
    count = iter(range(10_000))

    def predict(x: Values) -> Values:
        found = codes.get(next(count))
        if isinstance(found, int):
            raise EngineFails(found)
        return brightest(x) if found is None else found

    return predict


NAN = np.array([0, np.nan, *range(8)], np.float32)
INFINITE = np.array([-np.inf, *range(9)], np.float32)


def test_failed_samples_are_stored_with_their_reason_and_never_as_answers(tmp_path: Path) -> None:
    warm_up = 3
    faults: dict[int, int | Values] = {
        warm_up + 2: SketchFault.REFUSED,
        warm_up + 3: SketchFault.WROTE_AFTER,
        warm_up + 5: NAN,
        warm_up + 8: INFINITE,
        warm_up + 9: SketchFault.WROTE_BEFORE,
        warm_up + 19: 77,
    }
    lab = FakeLab(sketch=FakeSketch(failing(faults), FLAT, TEN))
    run(user_plan(), tmp_path, ignore, lab)
    _, samples = stored(tmp_path)
    assert [sample.i for sample in samples] == list(range(N))
    assert {sample.i: sample.failed for sample in samples if sample.failed} == {
        2: "predict returned false",
        3: "predict wrote past its output",
        5: "an output is NaN",
        8: "an output is infinite",
        9: "predict wrote before its output",
        19: "predict failed with code 77",
    }
    assert all(bool(sample.device) != bool(sample.failed) for sample in samples)
    assert all(sample.time is None for sample in samples if sample.failed)


def test_int8_outputs_are_never_nan(tmp_path: Path) -> None:
    ff = np.full(10, -1)  # each byte of a NaN
    spec = TensorSpec(DType.INT8, (10,), 1.0, 0)
    run(user_plan(), tmp_path, ignore, FakeLab(sketch=FakeSketch(lambda _: ff, FLAT, spec)))
    assert not any(sample.failed for sample in stored(tmp_path)[1])


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (SketchFault.REFUSED, "predict returned false"),
        (SketchFault.CONFIG, r"begin\(\) failed"),
        (NAN, "an output is NaN"),
    ],
)
def test_a_sketch_that_always_fails_ends_the_bench(
    tmp_path: Path, outcome: int | Values, says: str
) -> None:
    sketch = FakeSketch(failing(dict.fromkeys(range(99), outcome)), FLAT, TEN)
    with pytest.raises(DeviceRefused, match=f"failed on each of the first 3 samples: .*{says}"):
        run(user_plan(), tmp_path, ignore, FakeLab(sketch=sketch))
    assert stored(tmp_path)[1] == ()


def test_a_sketch_that_fails_twice_at_first_is_benched(tmp_path: Path) -> None:
    sketch = FakeSketch(failing({0: 1, 2: 1}), FLAT, TEN)
    run(user_plan(), tmp_path, ignore, FakeLab(sketch=sketch))
    assert not any(sample.failed for sample in stored(tmp_path)[1])


@dataclass
class Hangs(FakeLab):
    """Boards whose predict never returns for the sample ``on``, by its place in the run."""

    on: int = 7
    for_ever: bool = False  # the board sends nothing any more, even if it is opened again

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        stuck = False
        endless = user_plan().data.x[self.on].astype(np.float32) / np.float32(255)

        def predict(x: Values) -> Values:
            nonlocal stuck
            stuck = stuck or np.array_equal(x, endless.reshape(x.shape))
            return brightest(x)

        def silence(reply: bytes) -> bytes:
            return b"" if stuck or self.dead else reply

        self.sketch = FakeSketch(predict, FLAT, TEN)
        self.faults = itertools.repeat(silence)
        try:
            with super().open(station, image, firmware) as link:
                yield link
        finally:
            self.dead |= stuck and self.for_ever

    dead: bool = False


@pytest.mark.parametrize("for_ever", [False, True])
@pytest.mark.parametrize("on", [0, 7])
def test_a_predict_that_does_not_return_is_named(tmp_path: Path, on: int, for_ever: bool) -> None:
    watch = Watch()
    with pytest.raises(SketchHangs, match="predict did not return within 20 s for sample") as said:
        run(
            user_plan(),
            tmp_path,
            ignore,
            Hangs(on=on, for_ever=for_ever),
            patience=watch.patience(20),
        )
    _, samples = stored(tmp_path)
    assert [sample.i for sample in samples] == list(range(on))
    assert user_plan().data.ids[on] in said.value.what
    assert "timeouts.reply" in said.value.hint
    assert ("no board came back" in said.value.what) == (for_ever and on > 0)


# --- the line ---


def test_damage_and_resets_change_no_answer_of_a_sketch(tmp_path: Path) -> None:
    def sketch() -> FakeSketch:
        return FakeSketch(lambda x: brightest(x) if x.sum() % 5 >= 1 else NAN, FLAT, TEN)

    plan = user_plan(60)
    quiet = TroubledLab(sketch=sketch())
    run(plan, tmp_path / "quiet", ignore, quiet)
    total = quiet.written
    lab = TroubledLab(sketch=sketch(), resets=[total // 3, total // 2], outs=[2 * total // 3])
    run(plan, tmp_path / "resets", ignore, lab, patience=Watch().patience())
    chaos = parse_chaos("7:flip=1e-4,drop=2e-3,duplicate=2e-3")
    run(plan, tmp_path / "chaos", ignore, FakeLab(sketch=sketch()), chaos=chaos)

    def facts(name: str) -> list[tuple[int, bytes, str]]:
        return [(one.i, one.device, one.failed) for one in stored(tmp_path / name)[1]]

    assert facts("resets") == facts("chaos") == facts("quiet")
    assert 0 < sum(bool(failed) for *_, failed in facts("quiet")) < 60


def test_a_bench_of_a_sketch_is_resumed(tmp_path: Path) -> None:
    lab = FakeLab(
        sketch=FakeSketch(failing({3 + 10: 5, **dict.fromkeys(range(14, 99), 1)}), FLAT, TEN)
    )
    lab.sketch = FakeSketch(stops_after(3 + 8), FLAT, TEN)
    with pytest.raises(KeyboardInterrupt):
        run(user_plan(), tmp_path, ignore, lab)
    assert 0 < len(stored(tmp_path)[1]) < N
    run(user_plan(), tmp_path, ignore, FakeLab(sketch=FakeSketch(brightest, FLAT, TEN)))
    assert len(stored(tmp_path)[1]) == N


def stops_after(count: int) -> Callable[[Values], Values]:
    """`brightest`, until the user interrupts the bench."""
    left = iter(range(count))

    def predict(x: Values) -> Values:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return brightest(x)

    return predict


def test_another_version_of_a_sketch_is_another_run(tmp_path: Path) -> None:
    lab = FakeLab(sketch=FakeSketch(stops_after(3 + 8), FLAT, TEN))
    with pytest.raises(KeyboardInterrupt):
        run(user_plan(), tmp_path, ignore, lab)
    newer = FakeSketch(brightest, FLAT, TEN, calls_itself="digits 1.3")
    with pytest.raises(HilError, match="differs in sketch of mps2/user/digits/float32"):
        run(user_plan(), tmp_path, ignore, FakeLab(sketch=newer))


def test_a_board_whose_sketch_changes_during_a_run_is_refused(tmp_path: Path) -> None:
    class Uploads(FakeLab):
        """After it was asked what it is, the board gets another sketch."""

        @contextmanager
        def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
            with super().open(station, image, firmware) as link:
                yield link
            assert self.sketch
            self.sketch = replace(self.sketch, calls_itself="other 2.0")

    lab = Uploads(sketch=FakeSketch(brightest, FLAT, TEN))
    with pytest.raises(WrongFirmware, match=r"now runs the sketch other 2\.0"):
        run(user_plan(), tmp_path, ignore, lab)


def test_names_that_a_sketch_gives_cannot_control_anything(tmp_path: Path) -> None:
    name = "\x1b[31m<b>a/b</b>\n"
    lab = FakeLab(sketch=FakeSketch(brightest, FLAT, TEN, name=name, calls_itself=f"{name} 1"))
    run(user_plan(), tmp_path, ignore, lab)
    plan, _ = stored(tmp_path)
    assert plan.key == "mps2/user/31m-b-a-b-b/float32"
    assert plan.sketch.isprintable()
    nameless = FakeLab(sketch=FakeSketch(brightest, FLAT, TEN, name="", calls_itself=""))
    run(user_plan(), tmp_path / "nameless", ignore, nameless)
    assert stored(tmp_path / "nameless")[0].sketch == "sketch"
