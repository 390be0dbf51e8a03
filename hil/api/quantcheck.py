# SPDX-License-Identifier: Apache-2.0
"""`hil quantcheck` and `hil.quantcheck`: two files and samples to what int8 loses, and where."""

from __future__ import annotations

from pathlib import Path

from hil import quant
from hil.bench.events import Downloading, Emit, Note, QuantChecking
from hil.bench.inputs import Taken
from hil.bench.quant import samples_for
from hil.bench.source import Source
from hil.bench.task import choose
from hil.core.errors import UsageError
from hil.runs.schema_quant import QuantPair
from hil.tflite import read_model


def check_files(
    plain: Path, coded: Path, source: Source, limit: int | None, emit: Emit
) -> QuantPair:
    """Compare the int8 file ``coded`` with the float32 file ``plain``; ``limit``: samples at most.

    Raises ModelError if they are not two precisions of one network, DataError if the samples do
    not fit them.
    """
    wanted = quant.SAMPLES if limit is None else limit
    if wanted < 1:
        raise UsageError("--limit must be at least 1", f"leave it out for {quant.SAMPLES}")
    ours, theirs = read_model(plain), read_model(coded)
    pair = quant.match(ours, theirs)
    takers = [Taken(one.where, one.inputs, one.names_in) for one in (ours, theirs)]
    source = source.resolved()
    data, note = source.read(takers, progress=lambda *done: emit(Downloading(*done)))
    if note:
        emit(Note(note))
    data = source.fed(data, takers)
    criterion = choose(ours.where, ours.output, takers[0], data, ours)
    budget = quant.Budget()
    samples = samples_for(data, ours, theirs, criterion, wanted, budget, typical=not source.drawn)
    if len(samples) < min(wanted, len(data)):
        emit(Note(f"compared on {len(samples)} samples, since the network is large"))
    return quant.compare(
        pair, samples, "", budget, lambda *done: emit(QuantChecking(coded.name, *done))
    )
