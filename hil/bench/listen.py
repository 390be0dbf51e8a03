# SPDX-License-Identifier: Apache-2.0
"""Collect what a sketch prints by itself, from a port or a saved log, as a stored run."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import msgspec
import numpy as np

from hil.bench.checking import check, order_of
from hil.bench.events import BenchStored, Emit, Finished, Streaming
from hil.bench.expected import Expected
from hil.bench.lines import (
    Outcome,
    TextSetup,
    clock_step,
    describe,
    ended,
    expect,
    failed,
    faults,
    fits,
    possible,
    save_pictures,
    stored,
)
from hil.bench.prepare import output_of
from hil.bench.store import dataset_used, opened, started
from hil.checks import FEW, Order
from hil.core.errors import NoAnswer, StorageError, UsageError
from hil.core.records import Dataset
from hil.core.text import printable, shorten
from hil.datasets.sampling import take
from hil.link import Deadline, Link, clock_of
from hil.runs.load import load_run, read_manifest
from hil.runs.log import RunLog
from hil.runs.schema import MANIFEST, DatasetUsed, Manifest, RunPlan, Sample
from hil.wire.lines import INCOMPLETE, NOISE, PARTLY, Line, Reader, Splitter, TextAnswer

_SLICE_S: Final = 0.25  # between two looks at the clock
_EARLY: Final = 20  # answers that do not count, after which none is expected to
_CHUNK: Final = 1 << 16  # bytes of a file
UNKNOWN_INPUT: Final = "sketch"  # name of the data set when only the sketch knows its samples

Chunk: TypeAlias = tuple[bytes, float | None]  # bytes, and when they arrived; None: not known


@dataclass(frozen=True, slots=True)
class Listening:
    """When to stop, and which samples the sketch predicts.

    ``data``: the data set of which the sketch prints an index, or in which its only input has
    position ``sample``; None: its samples are not known. ``count``: answers; ``seconds``: from the
    start; ``patience``: without an answer, after which it is an error.
    """

    data: Dataset | None = None
    sample: int | None = None
    count: int | None = None
    seconds: float | None = None
    patience: float = 60.0

    def check(self, setup: TextSetup) -> None:
        """UsageError if it is not known which samples are predicted, or the options contradict."""
        data, by_index = self.data, "index" in setup.patterns.parts
        if self.count is not None and self.count < 1:
            raise UsageError("--count must be at least 1", "leave it out to listen until Ctrl-C")
        if data is None:
            if self.sample is not None:
                raise UsageError("--sample needs a data set", "add --data or --dataset")
            return
        if self.sample is None and not by_index:
            raise UsageError(
                "it is not known which samples the sketch predicts",
                "add --sample I for the one that is built in, or a group index to the --pattern",
            )
        if self.sample is not None and not 0 <= self.sample < len(data):
            raise UsageError(
                f"--sample {self.sample}: {data.name} has {len(data)} samples",
                f"give a number from 0 to {len(data) - 1}",
            )


def from_link(link: Link) -> Iterator[Chunk]:
    """What arrives on a port, for ever; an empty chunk now and then."""
    clock = clock_of(link)
    while True:
        data = link.read(Deadline.after(_SLICE_S, clock))
        yield data, clock()


def from_file(file: BinaryIO) -> Iterator[Chunk]:
    """A saved log, until its end."""
    while data := file.read(_CHUNK):
        yield data, None


def listen(
    setup: TextSetup,
    listening: Listening,
    folder: Path,
    emit: Emit,
    chunks: Iterator[Chunk],
    *,
    joined: bool = False,
    clock: Callable[[], float] = time.monotonic,
    baud: int = 0,
) -> Outcome:
    """Store each answer that ``chunks`` contain, after those that ``folder`` has.

    ``joined``: the first bytes may be the rest of a line. Ctrl-C, or an error of the port, leaves
    the answers so far. NoAnswer when no answer counts, or none comes any more.
    """
    listening.check(setup)
    before = read_manifest(folder) if (folder / MANIFEST).exists() else None
    former = before.runs[0] if before and before.runs else None
    heard = _Heard(setup, listening, chunks, joined=joined, clock=clock)
    if former and former.answers == "outputs":
        heard.reader.outputs = output_of(former).elements
    answers = heard.answers()
    early, first = _first(answers)
    if first is None:
        raise heard.nothing(early[0][0].fault if early else "")
    heard.reader.outputs = heard.reader.outputs or len(first.outputs) or None
    data = listening.data  # a listener stores no targets: it does not know which samples will come
    plan = describe(setup, first, replace(data, targets=None) if data else None)
    if former and setup.tolerance is None:  # another first answer may have other digits
        plan = msgspec.structs.replace(
            plan, tolerance=former.tolerance, tolerance_why=former.tolerance_why
        )
    used = _used(listening, first, before)
    with opened(folder, started(setup.project, used, (plan,), folder.name, setup.command)) as log:
        log.save(msgspec.structs.replace(log.manifest, ends=()))
        storing = _Storing(setup, listening, plan, log, heard.reader, emit)
        try:
            for answer, waited in chain(early, answers):
                storing.take(answer, waited)
                if storing.enough:
                    break
        except BaseException:
            with suppress(StorageError):  # must not hide the first problem
                storing.finish(heard, baud)
            raise
        storing.finish(heard, baud)
    emit(Finished(plan.key, heard.seconds))
    emit(BenchStored(folder))
    return Outcome(folder, heard.reader.dropped, heard.reader.first)


Timed: TypeAlias = tuple[TextAnswer, float]  # and the seconds since the answer before


def _first(answers: Iterator[Timed]) -> tuple[list[Timed], TextAnswer | None]:
    """Answers up to the first that counts, and that one; None if there is none."""
    early: list[Timed] = []
    for found in answers:
        early.append(found)
        if not found[0].fault:
            return early, found[0]
        if len(early) == _EARLY:
            break
    return early, None


class _Heard:
    """The answers in ``chunks``, in order; ``seconds`` so far."""

    def __init__(
        self,
        setup: TextSetup,
        listening: Listening,
        chunks: Iterator[Chunk],
        *,
        joined: bool,
        clock: Callable[[], float],
    ) -> None:
        self.reader = setup.reader()
        self.size = 0  # bytes
        self._setup, self._listening = setup, listening
        self._chunks, self._clock = chunks, clock
        self._splitter = Splitter(joined=joined)
        self._lines = 0
        self._last = ""  # the last line with text
        self._began = clock()
        self.live = False  # whether bytes come while they are printed, not from a saved log

    @property
    def seconds(self) -> float:
        return self._clock() - self._began

    def answers(self) -> Iterator[Timed]:
        """Each answer, and the seconds since the one before; infinite where they are not known, or
        not those of the sketch's clock. NoAnswer after `Listening.patience` without any."""
        last, known = self._began, False
        for data, at in self._chunks:
            self.size += len(data)
            self.live = self.live or at is not None
            for answer in self._answers(list(self._splitter.feed(data))):
                real = known and at is not None and at > last and not self._setup.emulated
                yield answer, at - last if real and at is not None else math.inf
                last, known = self._clock() if at is None else at, True
            if self._listening.seconds is not None and self.seconds >= self._listening.seconds:
                break
            if at is not None and at - last >= self._listening.patience:
                raise self.nothing("")
        yield from ((one, math.inf) for one in self._answers(list(self._splitter.close())))
        yield from ((one, math.inf) for one in self.reader.flush())

    def _answers(self, lines: list[Line]) -> Iterator[TextAnswer]:
        for line in lines:
            if line.text:
                self._lines += 1
                self._last = shorten(printable(line.text.strip()), 80)
            yield from self.reader.take(line)

    def nothing(self, fault: str) -> NoAnswer:
        """The error when nothing counts: what is wrong with most lines, and what to do."""
        port, dropped = self._setup.port, self.reader.dropped
        hints = {
            NOISE: "check --baud",
            PARTLY: "a --pattern must match the whole line: add .* for the rest of it",
            INCOMPLETE: "check that every --pattern has a line in each answer",
        }
        hint = "check --pattern and --baud, and that the sketch prints"
        if fault:
            return NoAnswer(
                f"no answer on {port} counts: {fault}", "correct the sketch or --pattern"
            )
        if not self._lines:
            return NoAnswer(f"nothing arrived on {port} in {self.seconds:.0f} s", hint)
        said = f"no answer on {port} counts in {self._lines:,} lines"
        if dropped:
            why, times = dropped.most_common(1)[0]
            said = f"{said}; {times:,} {why}, such as {self.reader.first[why]!r}"
            hint = hints.get(why, hint)
        elif self._last:  # often the sketch's own error
            said = f"{said}; the last is {self._last!r}"
        return NoAnswer(said, hint)


def _used(listening: Listening, first: TextAnswer, before: Manifest | None) -> DatasetUsed:
    """The data set as far as it is known; ``n`` is set at the end if it is not known before."""
    data = listening.data
    n = listening.count or (before.dataset.n if before else 0)
    if data is None:
        return DatasetUsed(
            name=UNKNOWN_INPUT,
            split="",
            fingerprint="",
            total=0,
            n=n,
            note="Only the sketch knows its samples: no host could compute their answers.",
            labelled=first.truth is not None,
        )
    note = ""
    if listening.sample is not None:
        note = (
            f"Every answer is to one sample, {data.ids[listening.sample]}: the accuracy says "
            "nothing about the data set."
        )
    return msgspec.structs.replace(dataset_used(data, len(data), note), n=n)


class _Storing:
    """Stores answers in a run's folder; the same sample may come several times."""

    def __init__(
        self,
        setup: TextSetup,
        listening: Listening,
        plan: RunPlan,
        log: RunLog,
        reader: Reader,
        emit: Emit,
    ) -> None:
        self._setup, self._listening, self._plan = setup, listening, plan
        self._log, self._reader, self._emit = log, reader, emit
        self._seen = Counter(_once(one.id) for one in load_run(log.folder).samples[plan.key])
        self._before = self.done
        self._step: int | None = None
        self._expected, self._row = self._expect()

    @property
    def done(self) -> int:
        return self._log.done[self._plan.key]

    @property
    def enough(self) -> bool:
        return self._listening.count is not None and self.done >= self._listening.count

    def _expect(self) -> tuple[Expected | None, int | None]:
        """The host's answers, and their only row if the sketch has one input."""
        data, sample = self._listening.data, self._listening.sample
        if data is not None and sample is not None:
            data = take(data, np.array([sample]))
        row = None if sample is None else 0
        return expect(self._setup, self._plan, data, self._emit), row

    def take(self, answer: TextAnswer, waited: float) -> None:
        """Store one answer, or why it does not count."""
        data, i = self._listening.data, self.done
        place = answer.index if self._listening.sample is None else self._listening.sample
        why = fits(answer, self._plan)
        if data is not None and (place is None or place >= len(data)):
            why = why or f"index {place}, {data.name} has {len(data)} samples"
            place = None
        label, name = answer.truth, f"answer-{i:05d}" if place is None else f"sample-{place}"
        if data is not None and place is not None:
            label, name = int(data.y[place]), data.ids[place]
        elif self._log.manifest.dataset.labelled and label is None:
            why = why or "without the expected class"
        label = -1 if label is None or not self._log.manifest.dataset.labelled else label
        self._seen[name] += 1
        if self._seen[name] > 1:
            name = f"{name}#{self._seen[name]}"
        if why:
            self._log.append(failed(self._plan, i, name, label, why))
        else:
            self._log.append(self._sample(answer, waited, i, name, label, place))
        self._emit(Streaming(self._plan.key, self.done, self._listening.count or 0, 0))

    def _sample(
        self, answer: TextAnswer, waited: float, i: int, name: str, label: int, place: int | None
    ) -> Sample:
        us = possible(answer, waited, self._reader)
        if us is not None:
            self._step = min(self._step or answer.step, answer.step)
        row = place if self._row is None else self._row
        return stored(
            self._plan, i, name, label, answer, self._expected, 0 if row is None else row, us=us
        )

    def finish(self, heard: _Heard, baud: int) -> None:
        """Store how the run ended, and how many answers it has if none were asked for."""
        plan, log = self._plan, self._log
        if self._listening.count is None:
            used = msgspec.structs.replace(log.manifest.dataset, n=self.done)
            log.save(msgspec.structs.replace(log.manifest, dataset=used))
        end = ended(
            plan,
            self._setup,
            bytes_in=heard.size,
            seconds=heard.seconds if heard.live else 0.0,
            answered=self.done - self._before,
            step=clock_step(log, plan, self._step),
            baud=baud,
            counts=faults(self._reader, 0),
        )
        log.finish(end)
        run = load_run(log.folder)
        heard_of: Dataset | None = None  # each sample once, if that is enough to check them
        order: Order | None = None
        if (data := self._listening.data) is not None:
            places = {name: place for place, name in enumerate(data.ids)}
            rows = np.array([places.get(_once(one.id), 0) for one in run.samples[plan.key]])
            save_pictures(log, log.manifest, take(data, rows))
            if len(different := np.unique(rows)) >= FEW:
                heard_of = take(data, different)
                order = order_of(heard_of, data)
        log.save_checks(check({plan.key: self._setup.model}, heard_of, run, order=order))


def _once(name: str) -> str:
    """The id of a sample, without the number of its answer."""
    return name.partition("#")[0]
