"""The bench from first build to last sample: events out, a run folder behind."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

import hil
from hil.bench.ahead import computed_ahead
from hil.bench.events import Emit, Referencing, Stored
from hil.bench.expecting import expect
from hil.bench.lab import Lab, RealLab
from hil.bench.lanes import carry_out, lanes
from hil.bench.parting import part
from hil.bench.pictures import pictures
from hil.bench.plan import Plan
from hil.bench.prepare import Prepared, prepare
from hil.bench.profiling import profile
from hil.bench.provenance import git_state, host
from hil.bench.sink import Sink
from hil.bench.stream import stream
from hil.compare import differences
from hil.datasets import made
from hil.datasets.sampling import SALT
from hil.errors import HilError, StorageError
from hil.records import Dataset
from hil.runlog.load import load, read_manifest, read_samples
from hil.runlog.log import RunLog
from hil.runlog.schema import MANIFEST, SCHEMA, DatasetUsed, Manifest, NoPlace
from hil.runlog.seal import check_data


def run(
    plan: Plan,
    folder: Path,
    emit: Emit,
    lab: Lab | None = None,
    jobs: int = 1,
    *,
    layers: bool = False,
    profiles: bool = False,
) -> None:
    """Carry out ``plan`` and store it in ``folder``, going on where an earlier try was cut off.

    With ``jobs`` > 1 boards run side by side, that many emulators at most. Any error, Ctrl-C
    included, leaves a readable run that the same call resumes; a board that fails does not keep
    the others from finishing. Where an output is not what it must be, the board is asked for the
    layers of that sample; with ``layers`` it is asked for those of the first one anyway, and with
    ``profiles`` for what each takes.
    """
    lab = lab or RealLab(plan.project)
    with computed_ahead([cell.network for cell in plan.cells], plan.data):
        _carry_through(plan, folder, emit, lab, jobs, layers=layers, profiles=profiles)
    emit(Stored(folder))


def _carry_through(
    plan: Plan, folder: Path, emit: Emit, lab: Lab, jobs: int, *, layers: bool, profiles: bool
) -> None:
    prepared, no_place = prepare(plan, lab, emit)
    manifest = _manifest(plan, prepared, no_place, folder.name)
    if (folder / MANIFEST).exists():
        manifest = _resumed(read_manifest(folder), manifest, folder)
    with RunLog(folder, manifest) as log:
        log.save(manifest)
        ended = {end.key for end in manifest.ends}
        waiting = lanes([item for item in prepared if item.plan.key not in ended])
        try:
            carry_out(waiting, partial(_run_one, plan.data, lab), log, emit, jobs)
            answers = load(folder).samples
            if partings := part(plan, prepared, answers, lab, emit, always=layers):
                log.save_partings(partings)
            if profiles:
                log.save_profile(profile(plan, prepared, answers, lab, emit))
        except BaseException as problem:
            with suppress(StorageError):  # a full disk is no reason to hide the first problem
                if isinstance(problem, HilError):
                    log.set_state("failed", str(problem))
                else:
                    log.set_state("interrupted")
            raise
        dtypes = {item.plan.key: item.cell.network.graph.output.dtype for item in prepared}
        log.save_pictures(pictures(plan.data, read_samples(folder), dtypes))
        log.set_state("complete")


def _run_one(data: Dataset, lab: Lab, item: Prepared, sink: Sink, emit: Emit) -> None:
    """One run, from what the host expects to the last answer."""
    cell = item.cell

    def tell(reference: str, done: int, total: int) -> None:
        emit(Referencing(item.plan.key, reference, done, total))

    with_oracle, with_xnnpack = bool(item.plan.oracle), bool(item.plan.xnnpack)
    expected = expect(cell.network, data, tell, with_oracle=with_oracle, with_xnnpack=with_xnnpack)
    with lab.open(cell.station, cell.image, item.firmware) as link:
        stream(item, link, data, expected, sink, emit)


def _manifest(
    plan: Plan, prepared: tuple[Prepared, ...], no_place: tuple[NoPlace, ...], run_id: str
) -> Manifest:
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
        no_place=no_place,
        seeds=_seeds(data.name),
    )


def _seeds(dataset: str) -> dict[str, str]:
    """What stands for chance in a bench: which samples a limit takes, and data that are made."""
    found = {"order of samples": f"BLAKE2b of the ids, key {SALT.decode()}"}
    found["bootstrap of intervals"] = "0, NumPy's default_rng"
    drawn = {"tabular": made.SEED, "noise": made.NOISE_SEED}
    return found | ({"data": str(drawn[dataset])} if dataset in drawn else {})


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
    check_data(folder, old)  # what is damaged now would be sealed in the end
    return msgspec.structs.replace(old, schema=SCHEMA, state="running", error="", files={})
