# SPDX-License-Identifier: Apache-2.0
"""Bench a sketch that takes samples in a plain format and prints lines of text."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.bench.cases import Network
from hil.bench.checking import Known, check, check_before
from hil.bench.events import BenchStored, Emit, Finished, Streaming
from hil.bench.expected import Expected
from hil.bench.host import HostTiming, time_networks
from hil.bench.inputs import Taken, check_data, taken_by
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
    type_of,
)
from hil.bench.plan import criterion_of
from hil.bench.session import Opens
from hil.bench.store import opened, started
from hil.bench.task import targets_of
from hil.checks import Order
from hil.core.errors import DataError, NoAnswer, UsageError, WrongReply
from hil.core.records import Dataset, DType, TensorSpec
from hil.device.text import (
    Format,
    Heard,
    TextDevice,
    TextTiming,
    encode_sample,
)
from hil.link import clock_of
from hil.reference import encode_inputs
from hil.runs.load import load_run
from hil.runs.schema import (
    DatasetUsed,
    RunPlan,
    Sample,
)
from hil.runs.tensors import spec_of
from hil.wire.lines import TextAnswer

BOOT_S: Final = 15.0  # until the first answer, unless the board's file says more
ATTEMPTS: Final = 3  # requests per sample
GIVE_UP: Final = 5  # samples in a row without an answer, after which the sketch is taken for dead
RESUME: Final = "the answers so far are stored: run the same command with the same --out to resume"


@dataclass(frozen=True, slots=True)
class Sending:
    """How samples are sent: ``kind`` is the type of their values; ``repeat`` 2 sends each twice.

    ``timeout``: seconds until an answer; ``boot``: until the first.
    """

    form: Format = "csv"
    kind: DType | None = None  # None: as the data set has them
    end: bytes = b"\n"
    repeat: int = 1
    timeout: float = 10.0
    boot: float = BOOT_S


def bench(
    setup: TextSetup,
    sending: Sending,
    data: Dataset,
    used: DatasetUsed,
    folder: Path,
    emit: Emit,
    opens: Opens,
    host: HostTiming | None = None,
    order: Order | None = None,
) -> Outcome:
    """Send each sample of ``data`` and store its answer, continuing where an earlier try ended.

    ``order``: of the samples in their file, to check them. ``host``: how to time LiteRT afterwards,
    if a model was named; None: not at all.
    Raises WrongReply if the first answer does not count, NoAnswer when the sketch is silent, and
    LinkError when the port vanishes; what was answered by then is stored.
    """
    if setup.patterns.by_value and setup.outputs is None and not setup.classes:
        raise UsageError(
            "the outputs come one per line, so their number must be known",
            "add --classes a,b,c or --outputs N",
        )
    known: Known = {}
    if setup.model:
        check_data(data, taken_by(setup.model))
        criterion = criterion_of(setup.model, data)  # refuses labels that its outputs cannot have
        known = check_before([(setup.model, criterion)], data, order, emit)
    values = _values(data, sending.kind, setup.model)
    began = time.monotonic()
    with opens() as link:
        reader = setup.reader()
        timing = TextTiming(sending.timeout, boot=sending.boot, clock=clock_of(link))
        device = TextDevice(link, reader, timing)
        asking = _Asking(device, sending, values, setup.emulated)
        first = asking.first()
        reader.outputs = reader.outputs or len(first.outputs) or None
        plan = describe(setup, first, data)
        manifest = started(setup.project, used, (plan,), folder.name, setup.command)
        targets = targets_of(data, [(plan.task, Taken(plan.sketch, (spec_of(plan.input),)))])
        with opened(folder, manifest, targets) as log:
            expected = expect(setup, plan, data, emit)
            done = log.done[plan.key]
            for i in range(done, len(data)):
                emit(Streaming(plan.key, i, len(data), asking.retries))
                log.append(asking.sample(plan, data, expected, i))
            emit(Streaming(plan.key, len(data), len(data), asking.retries))
            seconds = time.monotonic() - began
            if not log.manifest.ends:
                end = ended(
                    plan,
                    setup,
                    bytes_out=device.bytes_out,
                    bytes_in=device.bytes_in,
                    seconds=seconds,
                    retries=asking.retries,
                    answered=len(data) - done,
                    step=clock_step(log, plan, asking.step),
                    baud=link.baud,
                    counts=faults(reader, device.timeouts),
                )
                log.finish(end)
            save_pictures(log, log.manifest, data)
            log.save_checks(check({plan.key: setup.model}, data, load_run(folder), known))
            if host and setup.model:
                before = load_run(folder).host
                time_networks([setup.model], data, host, before, log.save_host, emit)
    emit(Finished(plan.key, seconds))
    emit(BenchStored(folder))
    return Outcome(folder, reader.dropped, reader.first)


def _values(
    data: Dataset, kind: DType | None, model: Network | None
) -> Callable[[int], npt.NDArray[np.generic]]:
    """The values of sample i, in the type that is sent; DataError if they cannot be converted."""
    own = type_of(data).dtype
    wanted = own if kind is None else kind
    if wanted is own:
        return lambda i: data.x[i]
    if wanted is DType.FLOAT32 and own is DType.UINT8:
        spec = TensorSpec(DType.FLOAT32, tuple(data.x.shape[1:]))
    elif wanted is DType.INT8 and model and model.graph.input.dtype is DType.INT8:
        spec = model.graph.input
    else:
        raise DataError(
            f"{data.name}: {own.name.lower()} samples cannot be sent as {wanted.name.lower()}",
            "choose another --send-type; int8 needs the --model with the scale of its input",
        )
    return lambda i: encode_inputs(data.x[i : i + 1], spec)[0]


@dataclass
class _Asking:
    """One sample after the other, each until an answer counts."""

    device: TextDevice
    sending: Sending
    values: Callable[[int], npt.NDArray[np.generic]]
    emulated: bool = False  # the sketch's clock is not that of this computer
    retries: int = 0
    step: int | None = None  # of the times so far
    _silent: int = 0  # samples in a row

    def first(self) -> TextAnswer:
        """The answer to the first sample, which is not stored; WrongReply if it never counts."""
        request = self._request(0)
        found = self.device.start(request).answer
        for _ in range(ATTEMPTS - 1):
            if not found.fault:
                break
            found = self.device.ask(request).answer
        if found.fault:
            raise WrongReply(
                f"the sketch's answer to the first sample does not count: {found.fault}",
                "correct the sketch or the --pattern; docs/text.md shows what is read",
            )
        return found

    def sample(self, plan: RunPlan, data: Dataset, expected: Expected | None, i: int) -> Sample:
        """The answer to sample i, or why there is none; with ``repeat`` 2, two must be equal.

        NoAnswer after `GIVE_UP` samples without an answer.
        """
        heard: list[Heard] = []
        why, silence, sent = "", None, 0
        while sent < self.sending.repeat + ATTEMPTS - 1 and len(heard) <= self.sending.repeat:
            sent += 1
            try:
                found = self.device.ask(self._request(i))
            except NoAnswer as problem:
                why, silence = problem.what, problem
                self.device.wait_out()
                continue
            if fault := fits(found.answer, plan):
                why, silence = fault, None
                continue
            heard.append(found)
            if agreed := self._agreed(heard):
                self._count(sent, None)
                return self._stored(plan, data, expected, i, agreed, sent)
        self._count(sent, None if heard else silence)
        why = "answers differ" if len(heard) > 1 else why
        return failed(plan, i, data.ids[i], int(data.y[i]), why)

    def _count(self, sent: int, silence: NoAnswer | None) -> None:
        self.retries += sent - self.sending.repeat
        self._silent = self._silent + 1 if silence else 0
        if silence and self._silent >= GIVE_UP:
            raise NoAnswer(
                f"{silence.what}, {ATTEMPTS} times for each of {GIVE_UP} samples in a row",
                f"reset the board; {RESUME}",
            )

    def _stored(
        self,
        plan: RunPlan,
        data: Dataset,
        expected: Expected | None,
        i: int,
        heard: Heard,
        sent: int,
    ) -> Sample:
        waited = math.inf if self.emulated else heard.round_trip / 1e6
        us = possible(heard.answer, waited, self.device.reader)
        if us is not None:
            self.step = min(self.step or heard.answer.step, heard.answer.step)
        return stored(
            plan,
            i,
            data.ids[i],
            int(data.y[i]),
            heard.answer,
            expected,
            i,
            us=us,
            attempts=1 + sent - self.sending.repeat,
            round_trip=heard.round_trip,
        )

    def _agreed(self, heard: list[Heard]) -> Heard | None:
        """The first of as many equal answers as are wanted; None if there are not yet as many."""
        last = heard[-1].answer.predicted
        same = [one for one in heard if one.answer.predicted == last]
        return same[0] if len(same) >= self.sending.repeat else None

    def _request(self, i: int) -> bytes:
        return encode_sample(self.values(i), self.sending.form, self.sending.end)
