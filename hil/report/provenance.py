# SPDX-License-Identifier: Apache-2.0
"""Where the figures come from: data, models, firmware, tools, and how each figure is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hil.report.text import UNKNOWN, Table, count
from hil.runs.cells import Cell
from hil.runs.schema import DIGITS, SAMPLES, Manifest

METHODS = (
    "Expected: int8 outputs equal the oracle byte for byte, float32 outputs LiteRT's bit for bit, "
    "or within the tolerance that the run states.",
    "Accuracy: share of samples whose largest output (the first of equals) is at the label. "
    "Interval: Wilson's score interval, 95%.",
    "Host: LiteRT's reference kernels on this computer, from the same .tflite file. "
    "Oracle: a reference that computes as the device must, byte for byte.",
    "A value differs when its bytes differ; a NaN equals itself bit for bit alone.",
    "LiteRT's default kernels (XNNPACK) ran too, one thread, where a run says so: they are what "
    "most programs on a computer use, and judge nothing here.",
    "Time: the engine's invoke alone, read from the board's clock. Median with its BCa bootstrap "
    "interval (Efron 1987; 9,999 resamples, a fixed seed); 5th and 95th percentile are linear "
    "between order statistics. An emulator counts instructions; nothing here turns them into "
    "cycles or time, and no figure or axis has two kinds of time.",
    "A board's latencies are held against this computer's clock: a time longer than its round "
    "trip, or together longer than the run, is warned of, beyond 1% and a step of the clock.",
    "Arena, stack and static RAM as the firmware reports them; flash from the linked image.",
    "This page is made from the stored run alone (manifest.json, samples.jsonl, digits.json, and "
    "layers.json if layers were asked for); 'hil report' makes it again, byte for byte.",
)


def run_table(manifest: Manifest) -> Table:
    """The run as a whole."""
    git, data = manifest.git, manifest.dataset
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
        ("Data", f"{data.name}, {data.split}: {count(data.n)} of {count(data.total)} samples"),
        ("Data, SHA-256", data.fingerprint),
        *((f"Seed: {name}", value) for name, value in sorted(manifest.seeds.items())),
        *(
            (f"{name}, SHA-256", manifest.files[name].sha256)
            for name in (SAMPLES, DIGITS)  # never of the pages: this is one of them
            if name in manifest.files
        ),
        ("Host", f"{manifest.host.platform}, {manifest.host.cpu}, Python {manifest.host.python}"),
        ("Packages", ", ".join(f"{k} {v}" for k, v in sorted(manifest.host.packages.items()))),
    )
    return Table("Run", ("What", "Value"), rows)


def cell_tables(cells: Sequence[Cell]) -> tuple[Table, ...]:
    """One table a run of the matrix."""
    return tuple(_cell(cell) for cell in cells)


def _cell(cell: Cell) -> Table:
    plan, end = cell.plan, cell.end
    rows = [
        ("Board", f"{plan.board_title} ({plan.board})" + (", emulated" if plan.emulated else "")),
        ("Engine", plan.engine),
        ("Toolchain", plan.toolchain),
        *([("Emulator", plan.emulator)] if plan.emulator else []),
        ("Clock", f"{plan.clock.unit}: {plan.clock.detail}"),
        ("Oracle", plan.oracle or "none was run"),
        ("Model file", plan.model_file),
        ("Model, SHA-256", plan.model_sha256),
        ("Firmware, SHA-256", plan.firmware_sha256),
        ("Size", f"{count(plan.parameters)} parameters, {count(plan.macs)} MACs"),
    ]
    if end and end.identity:
        who = end.identity
        usb = f", USB {who.usb}, serial number {who.serial or 'none'}" if who.usb else ""
        rows.append(("Board says", f"{who.board}; {who.firmware}; {who.toolchain}"))
        rows.append(("Port", f"{who.port}{usb}, protocol {who.protocol}"))
    if end:
        rows.append(
            (
                "Link",
                f"{count(end.bytes_out)} B out, {count(end.bytes_in)} B in, "
                f"{end.seconds:.1f} s, {count(end.retries)} retries",
            )
        )
    return Table(cell.name, ("What", "Value"), tuple(rows))


_NOTHING = "not published"


@dataclass(frozen=True, slots=True)
class Published:
    model: str
    precision: str
    accuracy: str
    time: str = _NOTHING
    arena: str = _NOTHING


@dataclass(frozen=True, slots=True)
class WriteUp:
    """``whose`` and ``data`` head its rows; ``note`` says why they are not like for like."""

    whose: str
    data: str
    note: str
    rows: tuple[Published, ...]


_MNIST = WriteUp(
    "tutorial, ESP32",
    "mnist",
    "Not like for like. The tutorial trained on the first 6,000 images, one at a time, for five "
    "epochs, and timed a physical ESP32; its arena is what TFLM asked for as a whole. "
    "Ours are other weights, another engine and another processor, and an emulator has no latency.",
    (
        Published("teacher", "float32", "99.04%", "did not run", "108,160 B needed, 90,148 B free"),
        Published("student", "float32", "92.81%", "52 ms"),
    ),
)
_TABULAR = WriteUp(
    "write-up, Keras",
    "its own draw",
    "Not like for like. The write-up drew its data without a seed, so nobody can draw it again; "
    "its student distilled softmax outputs, in float32 on a computer.",
    (Published("student", "float32", "78.0%"),),
)
_CIFAR10 = WriteUp(
    "write-up, Keras",
    "cifar10",
    "Not like for like. The write-up measured in float32 on a computer, and trained one student on "
    "and on through alpha 0.5, 0.2 and 0.9, so that its later figures are of longer training too.",
    (
        Published("student", "float32", "62.7% (alpha 0.5), 63.7% (0.2), 66.9% (0.9)"),
        Published("student", "float32", "63% (without a teacher)"),
    ),
)
_NOISE = WriteUp(
    "write-up, Keras",
    "its own draw",
    "Labels drawn at random cannot be learnt: whatever differs from 50% here, in the write-up's "
    "figures as in ours, is chance.",
    (
        Published("teacher", "float32", "55.5%"),
        Published("student", "float32", "52.5%"),
    ),
)
# by name of the data set; a network of one's own has nothing published
WRITE_UPS: Mapping[str, WriteUp] = MappingProxyType(
    {
        "mnist": _MNIST,
        "digits": _MNIST,
        "tabular": _TABULAR,
        "cifar10": _CIFAR10,
        "cifar10-made": _CIFAR10,
        "noise": _NOISE,
    }
)
