# SPDX-License-Identifier: Apache-2.0
"""Section "Provenance": data, models, firmware and tools, and how each figure is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from hil.core.records import DType, Precision, Task
from hil.report.blocks import Bullets, Facts, Section, Table, section
from hil.report.text import UNKNOWN, count
from hil.runs.agreement import is_ours
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import DIGITS, SAMPLES, TARGETS, Manifest, RunPlan, Tensor
from hil.runs.scores import AUC
from hil.runs.tensors import is_sequence, name_of, tensors_of

_OURS: Final = (
    "Expected: int8 and int16 outputs equal the oracle byte for byte; float32 outputs equal "
    "LiteRT's bit for bit, or within the tolerance that the run states."
)
_SKETCH: Final = (
    "Expected of a user's sketch: the outputs of the oracle, or LiteRT's if no oracle was run, "
    "within the tolerance that the run states."
)
_CLASSES: Final = (
    "Where only the class that the device chose is known, it is as expected if outputs within the "
    "tolerance may have chosen it."
)
_ACCURACY: Final = (
    "Accuracy: share of samples whose largest output (the first if several are equal) is at the "
    "label. Interval: Wilson's score interval, 95%."
)
_BINARY: Final = (
    "A run with one output and labels answers class 1 if the output is at least the threshold: 0.5 "
    "for a probability, 0 for a logit."
)
_ERRORS: Final = (
    "Errors: outputs, dequantised, against the targets in targets.npy (of a reconstruction: the "
    "inputs), with the BCa bootstrap interval over samples (Efron 1987; 9,999 resamples, a fixed "
    "seed)."
)
_AREA: Final = (
    "AUC: Mann-Whitney's statistic over the number of pairs, ties counting half. Interval: method "
    "5 of Newcombe (2006), 95%."
)
_OUTPUTS: Final = (
    "Of several outputs, answers and accuracy are those of the first; values that differ are "
    "counted in all of them, each in its own unit."
)
_SEQUENCE: Final = (
    "A network with state got all samples in the order of the data set, from a reset state; so "
    "did the host's references. After a fault that may have changed the state, the sequence "
    "started again, and an answer that was already stored was not stored again."
)
_HOST: Final = (
    "Host: LiteRT's reference kernels on this computer, from the same .tflite file. "
    "Oracle: a reference that computes exactly what the device must.",
    "A value differs if its bytes differ, so a NaN equals only the same NaN.",
    "If a run says so, LiteRT's default kernels (XNNPACK) also ran, with one thread. Most programs "
    "on a computer use them; they are not used to judge a run.",
)
_REST: Final = (
    "Time: the engine's invoke alone, read from the board's clock. Median with its BCa bootstrap "
    "interval (Efron 1987; 9,999 resamples, a fixed seed); 5th and 95th percentile are linear "
    "between order statistics. An emulator counts instructions, which are never converted to "
    "cycles or time. No figure or axis mixes two kinds of time, with one exception: a board's "
    "latency and LiteRT's on the host, both real time, share an axis and form a ratio.",
    "A board's latencies are compared with this computer's clock. There is a warning if a time is "
    "longer than its round trip, or all times together are longer than the run, by more than 1% "
    "and a step of the clock.",
    "Arena, stack and static RAM as the firmware reports them; flash from the linked image.",
    "This page is made from the stored run alone (manifest.json, samples.jsonl, digits.json, and "
    "host.json, checks.json, quant.json, layers.json, profile.json and cycles.json if the bench "
    "wrote them); "
    "'hil report' regenerates it, byte for byte.",
)


def methods(cells: Sequence[Cell]) -> tuple[str, ...]:
    """How the figures of these runs are computed."""
    compared = [cell.plan for cell in cells if cell.plan.litert]
    return (
        *([_OURS] if any(map(is_ours, compared)) or not cells else []),
        *([_SKETCH] if not all(map(is_ours, compared)) else []),
        *([_CLASSES] if any(plan.answers == "class" for plan in compared) else []),
        *([_ACCURACY] if any(cell.right is not None for cell in cells) or not cells else []),
        *([_BINARY] if any(cell.task is Task.BINARY for cell in cells) else []),
        *([_ERRORS] if any(cell.targets is not None for cell in cells) else []),
        *([_AREA] if any(AUC in cell.scores for cell in cells) else []),
        *([_OUTPUTS] if any(cell.others for cell in cells) else []),
        *([_SEQUENCE] if any(is_sequence(cell.plan) for cell in cells) else []),
        *(_HOST if compared or not cells else ()),
        *_REST,
    )


def provenance_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    return section(
        "provenance",
        "Provenance",
        [
            Bullets("How the figures are computed", methods(cells)),
            Facts(run_table(run.manifest), open=True),
            *(Facts(table) for table in cell_tables(cells)),
        ],
    )


def run_table(manifest: Manifest) -> Table:
    """Facts about the run as a whole."""
    git, data = manifest.git, manifest.dataset
    samples = f"{data.name}: {count(data.n)} samples"  # only the sketch knows them
    if data.total:
        samples = f"{data.name}, {data.split}: {count(data.n)} of {count(data.total)} samples"
    if not data.labelled:
        samples += ", without labels"
    commit = UNKNOWN
    if git:
        commit = git.commit + (" with uncommitted changes" if git.dirty else "")
    rows = (
        ("Run", manifest.run_id),
        ("Created", manifest.created),
        ("State", manifest.state),
        ("Command", " ".join(manifest.command)),
        ("hil", manifest.hil),
        ("Git commit", commit),
        ("Data", samples),
        *([("Data, SHA-256", data.fingerprint)] if data.fingerprint else []),
        *([("Input", data.input)] if data.input else []),
        *((f"Seed: {name}", value) for name, value in sorted(manifest.seeds.items())),
        *(
            (f"{name}, SHA-256", manifest.files[name].sha256)
            for name in (SAMPLES, TARGETS, DIGITS)  # not of the pages: this is one of them
            if name in manifest.files
        ),
        ("Host", f"{manifest.host.platform}, {manifest.host.cpu}, Python {manifest.host.python}"),
        ("Packages", ", ".join(f"{k} {v}" for k, v in sorted(manifest.host.packages.items()))),
    )
    return Table("Run", ("What", "Value"), rows)


def cell_tables(cells: Sequence[Cell]) -> tuple[Table, ...]:
    """One table per run of the matrix."""
    return tuple(_cell(cell) for cell in cells)


def _tensors(what: str, tensors: Sequence[Tensor]) -> Iterator[tuple[str, str]]:
    """A row for each input or output: type and shape, and its name if there are several."""
    for i, tensor in enumerate(tensors):
        words = DType(tensor.dtype).name.lower()
        if tensor.shape:
            words += f", {' x '.join(map(str, tensor.shape))}"
        if tensor.scale:
            words += f"; scale {tensor.scale:.6g}, zero point {tensor.zero_point}"
        yield (f"{what} {name_of(tensor, i)}" if len(tensors) > 1 else what), words


def _cell(cell: Cell) -> Table:
    plan, end = cell.plan, cell.end
    size = ("Size", f"{count(plan.parameters)} parameters, {count(plan.macs)} MACs")
    rows = [
        ("Board", f"{plan.board_title} ({plan.board})" + (", emulated" if plan.emulated else "")),
        ("Engine", plan.engine),
        *([("Kernels", plan.kernels)] if plan.kernels else []),
        *([("Sketch", plan.sketch)] if plan.sketch else []),
        *([("Protocol", "lines of text")] if plan.protocol == "text" else []),
        *([("Toolchain", plan.toolchain)] if plan.toolchain else []),
        *([("Emulator", plan.emulator)] if plan.emulator else []),
        ("Clock", f"{plan.clock.unit}: {plan.clock.detail}"),
        ("Oracle", plan.oracle or _no_oracle(plan)),
        *([("Host", f"{plan.host}: {_cannot('LiteRT', plan.litert_why)}")] if plan.host else []),
        *_default_kernels(plan),
        ("Model file", plan.model_file or "none was named"),
        *([("Model, SHA-256", plan.model_sha256)] if plan.litert else []),
        *_conversion(plan),
        *([("Firmware, SHA-256", plan.firmware_sha256)] if plan.firmware_sha256 else []),
        *([size] if plan.litert else []),
        *_tensors("Input", tensors_of(plan, "inputs")),
        *_tensors("Output", tensors_of(plan, "outputs")),
        *_task(cell),
        *([("State", "kept from sample to sample")] if is_sequence(plan) else []),
    ]
    if end and end.identity:
        who = end.identity
        usb = f", USB {who.usb}, serial number {who.serial or 'none'}" if who.usb else ""
        if plan.protocol == "frames":
            rows.append(("Board says", f"{who.board}; {who.firmware}; {who.toolchain}"))
            rows.append(("Port", f"{who.port}{usb}, protocol {who.protocol}"))
        else:
            rows.append(("Port", f"{who.port}{usb}"))
    if end:
        rows.append(
            (
                "Link",
                f"{count(end.bytes_out)} B out, {count(end.bytes_in)} B in, "
                f"{end.seconds:.1f} s, {count(end.retries)} retries",
            )
        )
    return Table(cell.name, ("What", "Value"), tuple(rows))


def _conversion(plan: RunPlan) -> Iterator[tuple[str, str]]:
    """How the bench made the model file."""
    if made := plan.converted:
        yield "Converted from", f"{made.source} by {made.by}"
        yield f"{made.source}, SHA-256", made.source_sha256
        if Precision(plan.precision).integer:  # float32 needs no calibration
            yield "Calibrated on", made.calibration
            yield "Calibration data, SHA-256", made.fingerprint


def _task(cell: Cell) -> Iterator[tuple[str, str]]:
    """What the run is judged by, if the bench stored that."""
    plan = cell.plan
    if plan.task is UNSET:
        return
    why = f": {plan.task_why}" if plan.task_why else ""
    limit = "" if plan.threshold is UNSET else f"; class 1 from {plan.threshold:g} on"
    yield "Task", f"{plan.task}{why}{limit}"


def _no_oracle(plan: RunPlan) -> str:
    if plan.oracle_why:
        return f"none: {_cannot('TFLM', plan.oracle_why)}"
    return "none was run"


def _cannot(who: str, why: str | UnsetType) -> str:
    return f"{who} cannot run the model" + (f" ({why})" if why else "")


def _default_kernels(plan: RunPlan) -> Iterator[tuple[str, str]]:
    """A row if LiteRT's default kernels refuse the model."""
    if plan.xnnpack_why:
        yield "LiteRT, default kernels", f"none: {_cannot('XNNPACK', plan.xnnpack_why)}"
