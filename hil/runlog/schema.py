"""What is stored of a run. `summary.json` is a contract; its keys never change within a schema."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

SCHEMA = 1
MANIFEST = "manifest.json"
SAMPLES = "samples.jsonl"
DIGITS = "digits.json"
LAYERS = "layers.json"
SUMMARY = "summary.json"
State: TypeAlias = Literal["running", "interrupted", "failed", "complete"]


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that is stored: frozen, unknown keys refused."""


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


class Clock(Stored, frozen=True):
    unit: Literal["instructions", "us", "none"]
    detail: str  # how the board's clock is read, in words


class RunPlan(Stored, frozen=True):
    """One cell of the matrix: a model in a precision by an engine on a board."""

    key: str  # board/engine/model/precision
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


class RunEnd(Stored, frozen=True):
    """What is known of a cell only after it ran."""

    key: str
    memory: Memory
    bytes_out: int
    bytes_in: int
    seconds: float  # host wall time, of the link, never of the device
    retries: int


class NoPlace(Stored, frozen=True):
    """A cell that was asked for and could not run: the board's memory is too small.

    ``needs``, ``has`` in bytes. ``linked``: needs is what the whole image takes as it was linked,
    else what the network alone takes at the least.
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


class Manifest(Stored, frozen=True):
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
    no_place: tuple[NoPlace, ...] = ()


# --- samples.jsonl: one line an answered sample, append-only ---


class Sample(Stored, frozen=True, omit_defaults=True):
    """One answer. Outputs are raw little-endian bytes, base64 in JSON.

    ``litert`` and ``oracle`` are left out when they equal ``device`` (and ``oracle`` always
    when ``RunPlan.oracle`` is empty).
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


class Parting(Stored, frozen=True, omit_defaults=True):
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
    bytes_out: int
    bytes_in: int
    seconds: float
    retries: int


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


class Summary(Stored, frozen=True):
    schema: int
    runs: tuple[SummaryRow, ...]
