# SPDX-License-Identifier: Apache-2.0
"""What every stored record has in common."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that is stored: frozen, unknown keys refused."""


SCHEMA = 2  # of what is written; 1, which had neither seal nor owners of memory, is read too
READABLE = (1, 2)
MANIFEST = "manifest.json"
SAMPLES = "samples.jsonl"
DIGITS = "digits.json"
LAYERS = "layers.json"
PROFILE = "profile.json"
SUMMARY = "summary.json"
MLPERF = "mlperf.json"  # of a session of MLPerf Tiny (hil.mlperf.submission), which has no samples
PAGES = (SUMMARY, "report.md", "report.html")  # made anew by `hil report`
FIGURES = "figures/"  # as these
State: TypeAlias = Literal["running", "interrupted", "failed", "complete"]


# --- manifest.json: written when the run starts, rewritten when its state changes ---


class Git(Stored, frozen=True):
    commit: str
    dirty: bool


class Host(Stored, frozen=True):
    platform: str
    cpu: str
    python: str
    packages: dict[str, str]


class DatasetUsed(Stored, frozen=True):
    name: str
    split: str
    fingerprint: str
    total: int  # samples in the split
    n: int  # samples asked for
    note: str = ""  # why this data set, when it was not the first choice


class Tensor(Stored, frozen=True):
    dtype: int  # TFLite TensorType code
    shape: tuple[int, ...]
    scale: float
    zero_point: int


class Memory(Stored, frozen=True):
    """Bytes. ``arena``: RAM of one inference beyond its input and output buffers."""

    arena: int
    flash_model: int
    flash_code: int
    ram_static: int
    stack: int


class Share(Stored, frozen=True):
    """Bytes of one owner in one section of the linked image; a section's shares add up to it.

    ``owner``: "model NAME" (constants of a network), "arena", "engine", "firmware", "board's core",
    "C library", "start-up", "padding", "unknown". ``flash`` and ``ram`` both count what is copied
    from the one into the other when the board starts. ``ram`` is the memory that the arena lies in;
    ``other_ram`` is any other, such as an ESP32's IRAM.
    """

    section: str
    owner: str
    flash: int
    ram: int
    other_ram: int = 0


class Marks(Stored, frozen=True):
    """Memory in use, in bytes; None where the board, or the linked image, cannot tell.

    ``arena_reserved`` is the image's buffer, for the largest of its models. ``stack`` is the
    high-water mark from the first inference on; ``heap_start`` is taken before it, ``heap_end``
    after the last. ``allocator``: the image holds a malloc.
    """

    arena_reserved: int | None
    ram_static: int | None
    stack: int | None
    stack_size: int | None
    heap_start: int | None
    heap_end: int | None
    allocator: bool | None


class Predicted(Stored, frozen=True):
    """What the host said before anything was linked, in bytes.

    ``arena``, ``flash_model``: of this network, by its engine's plan. ``arena_reserved``: the
    largest arena of the image's networks. ``peak``: RAM of one inference at the least, its arena,
    input and output together. ``folded`` is found in the linked image: bytes of ``flash_model`` in
    arrays that it does not hold, since the compiler wrote their values into the code.
    """

    arena: int
    flash_model: int
    arena_reserved: int
    peak: int
    folded: int = 0


class Identity(Stored, frozen=True):
    """Which board answered, as it said in HELLO and as this machine saw it."""

    board: str
    firmware: str
    toolchain: str
    protocol: int
    port: str
    usb: str = ""  # vid:pid in hex; empty: no USB port
    serial: str = ""  # USB serial number; empty: none


def run_key(board: str, engine: str, model: str, precision: str) -> str:
    """What names one run of the matrix within its folder, its limits and its comparisons."""
    return f"{board}/{engine}/{model}/{precision}"


class Clock(Stored, frozen=True):
    unit: Literal["instructions", "us", "none"]
    detail: str  # how the board's clock is read, in words


class RunPlan(Stored, frozen=True):
    """One cell of the matrix: a model in a precision by an engine on a board."""

    key: str  # see `run_key`
    board: str
    board_title: str
    emulated: bool
    engine: str
    model: str
    precision: str
    model_file: str
    model_sha256: str
    parameters: int
    macs: int
    input: Tensor
    output: Tensor
    firmware_sha256: str
    toolchain: str
    clock: Clock
    oracle: str = ""  # what the byte oracle is, in words; empty: none was run
    tolerance: float = 0.0  # difference of a float32 output that is expected: 0 means bit for bit
    tolerance_why: str = ""
    xnnpack: str = ""  # LiteRT's default kernels, in words; empty: they were not run
    predicted: Predicted | None = None
    emulator: str = ""  # its own word of its version; empty: none, or it has none to say


class Faults(Stored, frozen=True, omit_defaults=True):
    """What befell a run, since its bench was last started; its retries are in `RunEnd`.

    ``resets``: times the board was found to have started anew. ``reopenings``: times its port was
    opened again, or its emulator started again. ``damaged_out``: frames that the board said came
    damaged; ``damaged_in``: those that came so here; ``unexpected``: replies to nothing that was
    waited for; ``timeouts``: silences that ended a wait.
    ``injected``: faults of the manifest's ``chaos``, by name.
    """

    resets: int = 0
    reopenings: int = 0
    damaged_out: int = 0
    damaged_in: int = 0
    unexpected: int = 0
    timeouts: int = 0
    injected: dict[str, int] = msgspec.field(default_factory=dict)


class RunEnd(Stored, frozen=True):
    """What is known of a cell only after it ran."""

    key: str
    memory: Memory
    bytes_out: int
    bytes_in: int
    seconds: float  # host wall time, of the link, never of the device
    retries: int
    answered: int = 0  # answers of the last boot, which ``seconds`` spans; 0: not known
    first: int | None = None  # time of the first inference of all, which is not among the samples
    clock_step: float | None = None  # smallest step the device saw its clock make, in its unit
    idle_us: int | None = None  # shortest round trip of a request that computes nothing
    alone_us: int | None = None  # shortest round trip of an inference with no other in flight
    baud: int = 0  # the line's rate in the end; 0: not known
    shares: tuple[Share, ...] = ()  # empty: a run of schema 1, or no linked image was at hand
    marks: Marks | None = None
    identity: Identity | None = None
    faults: Faults | UnsetType = UNSET  # not stored when nothing befell the run


class TooLarge(Stored, frozen=True):
    """A run that was asked for and does not fit: the board's memory is too small.

    ``needs``, ``has`` in bytes. ``linked``: ``needs`` is what the whole linked image takes, else
    what the network alone takes at least.
    """

    board: str
    board_title: str
    engine: str
    model: str
    precision: str
    memory: Literal["flash", "ram"]
    needs: int
    has: int
    linked: bool

    @property
    def key(self) -> str:
        return run_key(self.board, self.engine, self.model, self.precision)

    @property
    def reason(self) -> str:
        """One sentence without its full stop."""
        memory = "flash" if self.memory == "flash" else "RAM"
        who, least = ("the image takes", "") if self.linked else ("it takes", " at least")
        return (
            f"{self.model} {self.precision} ({self.engine}) does not fit on {self.board}: "
            f"{who}{least} {self.needs:,} B of {memory}, the board has {self.has:,} B"
        )


class FileHash(Stored, frozen=True):
    sha256: str
    size: int  # bytes


class Manifest(Stored, frozen=True):
    """``files``: every other file of the folder that is complete, by its path in it; empty while
    the bench runs. ``seal``: SHA-256 of this file's own bytes with an empty seal (hil.runs.seal);
    empty in a run of schema 1. ``seeds``: of whatever a figure of the run may depend on."""

    schema: int
    run_id: str
    created: str  # ISO 8601, UTC
    state: State
    command: tuple[str, ...]
    hil: str
    git: Git | None
    host: Host
    dataset: DatasetUsed
    runs: tuple[RunPlan, ...]
    ends: tuple[RunEnd, ...] = ()
    error: str = ""
    chaos: str | UnsetType = UNSET  # SEED:rates of faults injected on purpose; not stored: none
    no_place: tuple[TooLarge, ...] = ()
    seeds: dict[str, str] = msgspec.field(default_factory=dict)
    files: dict[str, FileHash] = msgspec.field(default_factory=dict)
    seal: str = ""


# --- samples.jsonl: one line an answered sample, append-only ---


class Sample(Stored, frozen=True, omit_defaults=True):
    """One answer. Outputs are raw little-endian bytes, base64 in JSON.

    ``litert``, ``oracle`` and ``xnnpack`` are left out when they equal ``device`` (the latter two
    always when ``RunPlan`` has an empty string for them).
    """

    run: str  # RunPlan.key
    i: int  # position in the run's order
    id: str  # stable id of the sample
    label: int
    device: bytes
    litert: bytes | None = None
    oracle: bytes | None = None
    time: int | None = None  # in the run's clock unit
    attempts: int = 1
    xnnpack: bytes | None = None
    round_trip: int | None = None  # microseconds on the host, from before the last sending
    disturbed: bool = False  # a fault came between, or ``attempts`` > 1: no time of it is a latency


# --- digits.json: the pictures worth drawing ---


class Picture(Stored, frozen=True, omit_defaults=True):
    shape: tuple[int, int]
    pixels: bytes  # uint8, row by row, the channels of a pixel together; base64 in JSON
    channels: Literal[1, 3] = 1  # grey, or red, green, blue


# --- summary.json: the contract ---


class Accuracy(Stored, frozen=True):
    device: float
    host: float


class Agreement(Stored, frozen=True):
    """``outputs``: share of samples whose output bytes all equal LiteRT's;
    ``differing_*``: output elements that differ; ``max_abs``: largest difference to LiteRT,
    in the output's own units (int8 steps, or float32; against a NaN or an infinity it is the
    largest float32). ``differing_oracle`` is null when no oracle was run."""

    argmax: float
    outputs: float
    differing_litert: int
    differing_oracle: int | None
    max_abs: float


class Time(Stored, frozen=True):
    unit: Literal["instructions", "us", "none"]
    median: float | None
    p5: float | None
    p95: float | None
    n: int


class Link(Stored, frozen=True):
    """``faults``, ``left_out``: only of a run that something befell. The latter: answers whose
    times are in no figure, since a fault came between."""

    bytes_out: int
    bytes_in: int
    seconds: float
    retries: int
    faults: Faults | UnsetType = UNSET
    left_out: int | UnsetType = UNSET


class Interval(Stored, frozen=True):
    """What stands behind a figure of the row, in its unit; ``confidence`` is what the interval
    reaches, 1 where nothing varied."""

    low: float
    high: float
    confidence: float
    method: str
    n: int


class SummaryRow(Stored, frozen=True):
    board: str
    engine: str
    model: str
    precision: str
    dataset: str
    n: int
    accuracy: Accuracy
    agreement: Agreement
    time: Time
    memory: Memory | None  # null: the run has not reached its end, so it is not known
    link: Link | None
    marks: Marks | None = None
    intervals: dict[str, Interval] = msgspec.field(
        default_factory=dict
    )  # by "accuracy.device", ...

    @property
    def key(self) -> str:
        return run_key(self.board, self.engine, self.model, self.precision)


class Summary(Stored, frozen=True):
    schema: int
    runs: tuple[SummaryRow, ...]


# --- layers.json: what the layers made of digits whose output is not what it must be ---


class LayerSeen(Stored, frozen=True, omit_defaults=True):
    """One layer's output on the device beside the reference's.

    ``element``: where in ``shape`` the first of the ``differing`` values is, in order of memory;
    empty when all are equal. A value that JSON has no number for is a string: "nan", "inf".
    """

    name: str  # the network's own, joined by " + " where the engine fused several
    op: str  # the same of TFLite's operators
    shape: tuple[int, ...]
    differing: int = 0
    element: tuple[int, ...] = ()
    device: int | float | str = 0
    expected: int | float | str = 0
    allowed: float = 0.0  # difference that counts as equal; 0: bit for bit


class LayerCheck(Stored, frozen=True, omit_defaults=True):
    """Every layer of one run on one sample, first to last; or ``why`` there are none.

    They are of firmware built to show them, which is another program than the run's:
    ``same_output`` says whether it answers this sample as that did.
    """

    run: str  # RunPlan.key
    id: str  # Sample.id
    reference: str = ""
    layers: tuple[LayerSeen, ...] = ()
    same_output: bool | None = None
    firmware_sha256: str = ""
    why: str = ""
    input: LayerSeen | None = None  # what the device made of the sample before the first layer


# --- profile.json: what each layer takes ---


class LayerTime(Stored, frozen=True):
    """One layer: its names as in `LayerSeen`; ``time`` in the run's clock unit."""

    name: str
    op: str
    macs: int  # multiply-accumulates, padding included; 0: none
    time: int | None  # None: the clock wrapped


class Profiled(Stored, frozen=True, omit_defaults=True):
    """What the layers of one run take on one sample, first to last; or ``why`` that is not known.

    They are of firmware built to show its layers; ``total`` is an inference of that in which
    nobody looked. What the measured firmware took is the sample's own time.
    """

    run: str  # RunPlan.key
    id: str  # Sample.id
    layers: tuple[LayerTime, ...] = ()
    total: int | None = None
    firmware_sha256: str = ""
    why: str = ""
