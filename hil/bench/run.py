"""The bench from first build to last sample: events out, a run folder behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

import hil
from hil.bench.events import Event, Referencing, Stored
from hil.bench.pictures import pictures
from hil.bench.plan import Plan
from hil.bench.prepare import Prepared, prepare
from hil.bench.provenance import git_state, host
from hil.bench.stream import stream
from hil.compare import Expected, differences
from hil.errors import HilError, StorageError
from hil.records import Dataset
from hil.reference import encode_inputs, references
from hil.runlog.log import MANIFEST, RunLog, read_manifest, read_samples
from hil.runlog.schema import SCHEMA, DatasetUsed, Manifest


def run(plan: Plan, folder: Path) -> Iterator[Event]:
    """Carry out ``plan`` and store it in ``folder``, going on where an earlier try was cut off.

    Closing the iterator, or any error, leaves a readable run that the same call resumes.
    """
    prepared: tuple[Prepared, ...] = ()
    for step in prepare(plan):
        if isinstance(step, tuple):
            prepared = step
        else:
            yield step
    manifest = _manifest(plan, prepared, folder.name)
    if (folder / MANIFEST).exists():
        manifest = _resumed(read_manifest(folder), manifest, folder)
    dtypes = {item.plan.key: item.cell.network.graph.output.dtype for item in prepared}
    with RunLog(folder, manifest) as log:
        log.save(manifest)
        try:
            yield from _run_cells(plan, prepared, log)
        except HilError as problem:
            log.set_state("failed", str(problem))
            raise
        except BaseException:
            log.set_state("interrupted")
            raise
        log.save_pictures(pictures(plan.data, read_samples(folder), dtypes))
        log.set_state("complete")
    yield Stored(folder)


def _run_cells(plan: Plan, prepared: tuple[Prepared, ...], log: RunLog) -> Iterator[Event]:
    ended = {end.key for end in log.manifest.ends}
    for item in prepared:
        if item.plan.key in ended:
            continue
        expected = None
        for step in _expect(item, plan.data):
            if isinstance(step, Expected):
                expected = step
            else:
                yield step
        assert expected is not None
        yield from stream(item, plan.data, expected, log, plan.port)


def _expect(item: Prepared, data: Dataset) -> Iterator[Event | Expected]:
    """What the host answers to every sample; cached, so that it is computed once a model."""
    graph = item.cell.network.graph
    x = encode_inputs(data.x, graph.input)
    outputs: dict[str, npt.NDArray[np.generic]] = {}
    for reference in references(item.cell.network.path):
        for done, result in reference.predict_cached(x, data):
            yield Referencing(item.plan.key, reference.name, done, len(data))
            if result is not None:
                outputs[reference.name] = result
    yield Expected(outputs["litert"], outputs.get("tflm"))


def _manifest(plan: Plan, prepared: tuple[Prepared, ...], run_id: str) -> Manifest:
    data = plan.data
    return Manifest(
        schema=SCHEMA,
        run_id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        state="running",
        command=tuple(sys.argv[1:]),
        hil=hil.__version__,
        git=git_state(plan.project),
        host=host(),
        dataset=DatasetUsed(
            name=data.name,
            split=data.split,
            fingerprint=data.fingerprint,
            total=plan.total,
            n=len(data),
            note=plan.note,
        ),
        runs=tuple(item.plan for item in prepared),
    )


def _resumed(old: Manifest, new: Manifest, folder: Path) -> Manifest:
    """The stored manifest, set running again; refused when it is another run, or a whole one."""
    if found := differences(old, new):
        raise StorageError(
            f"{folder} holds another run, which differs in {', '.join(found)}",
            "choose another --out; nothing was changed",
        )
    if old.state == "complete":
        raise StorageError(
            f"{folder} holds this run already, complete",
            f"look at it: `hil report {folder}`, or choose another --out",
        )
    return msgspec.structs.replace(old, state="running", error="")
