# SPDX-License-Identifier: Apache-2.0
"""What `--json` prints: one record per command, all listed in docs/json.md. Those of MLPerf Tiny's
commands are in `hil.api.records_mlperf`.

Keys are a contract. A field may be added with a default; to change one otherwise, raise ``schema``.
Strings may come from boards and files: they are untrusted.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hil.compare.records import ComparedFigure
from hil.conform.records import Conformance
from hil.core.records import TimeUnit
from hil.runs.schema_checks import CheckFinding
from hil.runs.schema_quant import QuantPair
from hil.runs.summary import Summary


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What every record has: the version of its fields."""

    schema: int = 1


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A record inside of another."""


# --- errors ---


class Error(Part, frozen=True, kw_only=True):
    """``type``: a class of `hil.errors`, or "KeyboardInterrupt". ``what`` went wrong and where;
    ``hint``: what to do. ``exit_code``: that of the process."""

    type: str
    what: str
    hint: str
    exit_code: int


class ErrorOutput(Output, frozen=True, kw_only=True):
    """Instead of a command's record, when it failed."""

    error: Error


# --- hil bench, hil listen, hil report ---


class NotCountedLines(Part, frozen=True, kw_only=True):
    """``times`` lines of a sketch that did not count as answers, with an ``example``."""

    why: str
    times: int
    example: str


class ReportOutput(Output, frozen=True, kw_only=True):
    """A stored run and its report.

    ``folder``, ``report``: paths of the run's folder and of report.html. ``state``: complete,
    running (it was cut off) or failed. ``as_expected``: whether ``problems``, one line each, is
    empty; without it the exit code is 1. ``not_run``: why parts of the matrix did not run.
    ``checks``: what explains wrong answers (docs/checks.md). ``quant``: what int8 loses to float32,
    of models that were benched in both (docs/quantcheck.md). ``summary``: the content of
    summary.json.
    """

    folder: str
    report: str
    state: str
    as_expected: bool
    problems: tuple[str, ...]
    not_run: tuple[str, ...]
    not_counted: tuple[NotCountedLines, ...] = ()
    checks: tuple[CheckFinding, ...] = ()
    quant: tuple[QuantPair, ...] = ()
    summary: Summary


# --- hil conform ---


class ConformOutput(Output, frozen=True, kw_only=True):
    """``folder``, ``report``: paths of the run's folder and of report.html. ``result``: the content
    of conform.json. The exit code is 1 if it has failures."""

    folder: str
    report: str
    result: Conformance


# --- hil verify ---


class VerifiedRun(Part, frozen=True, kw_only=True):
    """``intact``: no faults and no error. ``faults``: "NAME: FAULT", one per file. ``state``: as in
    `ReportOutput`; empty if unknown. ``files``, ``size``: intact files and their bytes."""

    folder: str
    intact: bool
    faults: tuple[str, ...] = ()
    state: str = ""
    files: int = 0
    size: int = 0
    error: Error | None = None


class VerifyOutput(Output, frozen=True, kw_only=True):
    """The run folders that were checked, in the order given."""

    runs: tuple[VerifiedRun, ...]


# --- hil history ---


class HistoryRun(Part, frozen=True, kw_only=True):
    """One run in a trend. ``figures`` compare it with the previous run, or the first run with
    itself; ``changed`` names those that changed more than their limit, or exactly."""

    run_id: str
    created: str
    commit: str
    figures: dict[str, ComparedFigure]
    changed: tuple[str, ...]


class HistoryTrend(Part, frozen=True, kw_only=True):
    """Comparable runs of one key, oldest first. ``why``: why they are not comparable with earlier
    runs of that key, if there are any. ``since``: the last run compared with the first."""

    key: str
    sentence: str
    why: str
    runs: tuple[HistoryRun, ...]
    since: dict[str, ComparedFigure]


class HistoryOutput(Output, frozen=True, kw_only=True):
    """``page``: path of the file that was written. ``left_out``: why folders or runs are in no
    trend, one line each."""

    page: str
    trends: tuple[HistoryTrend, ...]
    left_out: tuple[str, ...]


# --- hil boards, hil flash, hil emulate ---

State: TypeAlias = Literal["ready", "running", "attached", "bootloader", "absent", "tools missing"]


class BoardState(Part, frozen=True, kw_only=True):
    """A board of a board file.

    ``state``: ready (an emulator that can start), running (one that `hil emulate --detach` or
    `hil flash` left), attached (a port may be of this board), bootloader, absent (no port can be),
    or tools missing. ``ports``: where it runs or may be. ``missing``: programs to install first.
    ``optional``: an emulator that users install themselves. ``where``: the device in its
    bootloader. ``said``: with --probe, what a running emulator reports.
    """

    name: str
    title: str
    clock: TimeUnit
    emulated: bool
    state: State
    optional: bool = False
    ports: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    where: str = ""
    said: str = ""


class PortState(Part, frozen=True, kw_only=True):
    """A serial port. ``boards``: those that it may be, by its USB identity ``usb``, vid:pid in hex
    (empty: not USB). ``bootloader_of``: boards of which it shows the bootloader. ``said``: with
    --probe, what the board reports."""

    port: str
    boards: tuple[str, ...]
    description: str
    usb: str
    serial: str
    bootloader_of: tuple[str, ...] = ()
    said: str = ""


class BoardsOutput(Output, frozen=True, kw_only=True):
    """Every known board by name, and every serial port."""

    boards: tuple[BoardState, ...]
    ports: tuple[PortState, ...]


class OnBoard(Part, frozen=True, kw_only=True):
    """A network of an image, as HELLO reports it."""

    name: str
    sha256: str
    engine: str


class FlashOutput(Output, frozen=True, kw_only=True):
    """What runs on a board. ``command``: how to bench it."""

    board: str
    port: str
    firmware: str
    models: tuple[OnBoard, ...]
    command: str


class EmulateOutput(Output, frozen=True, kw_only=True):
    """``port``: where the emulated board is; empty if ``stopped`` says whether one was stopped."""

    board: str
    port: str = ""
    stopped: bool | None = None


# --- hil init, hil clean ---


class InitOutput(Output, frozen=True, kw_only=True):
    """The files of a project. ``kept``: those that existed before."""

    folder: str
    wrote: tuple[str, ...]
    kept: tuple[str, ...]


class CleanedPath(Part, frozen=True, kw_only=True):
    """``left``: why it was not removed; empty if it was, and had ``size`` bytes."""

    path: str
    size: int
    left: str


class CleanOutput(Output, frozen=True, kw_only=True):
    """What was removed from the user's cache. ``size``: bytes in all."""

    size: int
    paths: tuple[CleanedPath, ...]


# --- hil fit ---


class FitMemory(Part, frozen=True, kw_only=True):
    """Bytes of flash or of RAM. ``needs`` may be off by ``error``; ``has``: of the board, for RAM
    without the stack. ``spare``: what is left, or missing if negative."""

    needs: int
    error: int
    has: int
    spare: int


class FitBoard(Part, frozen=True, kw_only=True):
    """A network on a board.

    ``fits``: null if it is too close to the limit for the error, or only a minimum is known.
    ``how``: "linked" (exact, by a dry link), "estimated", or "network" (a minimum: constants,
    arena and buffers alone). ``ram``: static RAM, of which ``arena`` and ``buffers`` are the
    network's; ``stack``: what the board reserves besides. ``code``: the engine's, null if not
    known. ``constants``: in flash, of the network; ``readable``: how many the board's code can
    read, null without such a limit. ``engines``: those with which it fits. ``why``: why there are
    no figures; all of them are null then.
    """

    board: str
    title: str
    emulated: bool
    fits: bool | None
    how: Literal["linked", "estimated", "network"] | None = None
    flash: FitMemory | None = None
    ram: FitMemory | None = None
    arena: int | None = None
    buffers: int | None = None
    stack: int | None = None
    constants: int | None = None
    readable: int | None = None
    code: int | None = None
    engines: tuple[str, ...] = ()
    why: str = ""


class FitModel(Part, frozen=True, kw_only=True):
    """A network on every board, those that it fits first, smallest first. ``arena``,
    ``constants``: as the engine plans them. ``advice``: what would make it fit. ``why``: why the
    file cannot be read, or the engine does not take it; without boards then."""

    model: str
    sha256: str
    precision: str
    parameters: int
    macs: int
    engine: str
    arena: int | None
    constants: int | None
    boards: tuple[FitBoard, ...]
    advice: tuple[str, ...] = ()
    why: str = ""


class FitOutput(Output, frozen=True, kw_only=True):
    """``fits``: whether no network fails to fit a board that --board names; null if none is named.
    The exit code is 1 if it is false. ``left_out``: boards without known memory, one line each."""

    models: tuple[FitModel, ...]
    fits: bool | None
    left_out: tuple[str, ...]


# --- hil doctor ---


class DoctorCheck(Part, frozen=True, kw_only=True):
    """``need``: required, board (for some boards) or optional. ``fix``: the command or step that
    installs what is missing; ``packages``: Debian's, if it has any. ``source``: where it comes
    from: apt, brew, npm, pip, url, platformio or user; empty if that is not known."""

    name: str
    ok: bool
    detail: str
    need: Literal["required", "board", "optional"]
    fix: str
    packages: tuple[str, ...]
    source: Literal["", "apt", "brew", "npm", "pip", "url", "platformio", "user"] = ""


class DoctorOutput(Output, frozen=True, kw_only=True):
    """``ok``: no required check failed; without it the exit code is 2. ``install_error``: why
    --install failed; empty if it did not."""

    ok: bool
    checks: tuple[DoctorCheck, ...]
    install_error: str = ""


# --- hil export, hil headers ---


class ExportedModel(Part, frozen=True, kw_only=True):
    """``header``: path of the C header. ``arena``, ``flash``: bytes."""

    name: str
    header: str
    arena: int
    flash: int


class ExportOutput(Output, frozen=True, kw_only=True):
    """The C code of an engine for some networks."""

    engine: str
    models: tuple[ExportedModel, ...]


# --- hil quantcheck ---


class QuantcheckOutput(Output, frozen=True, kw_only=True):
    """What an int8 network loses to the float32 network that it was made from. The exit code is 1
    if one of the findings is a warning."""

    pair: QuantPair


# --- hil energy ---


class Bounds(Part, frozen=True, kw_only=True):
    """A figure with its 95 % interval."""

    point: float
    low: float
    high: float


class EnergyPart(Part, frozen=True, kw_only=True):
    """The energy of one run, or of all windows (``run`` is empty), by ``instrument`` or from that
    recording, at a mean ``voltage`` and with the board in ``idle_mode`` between inferences.
    ``simulated``: no instrument measured a board.

    ``windows`` that count, and how many do not, by reason. ``joules`` and ``above_idle`` (less the
    idle power), per inference, of which each window has ``inferences``. ``seconds``: of an
    inference, by the instrument's clock. ``edge``: how far a window can be off because its edges
    are sampled, as a share. ``gate_over_device``: the gate's time over the device's, median.
    """

    run: str
    instrument: str
    simulated: bool
    voltage: float
    idle_mode: str
    windows: int
    not_counted: dict[str, int]
    inferences: int
    joules: Bounds
    above_idle: Bounds
    idle_watts: Bounds
    seconds: Bounds
    average_amperes: float
    peak_amperes: float
    edge: float
    gate_over_device: float | None = None
    battery_days: float | None = None


class EnergyOutput(Output, frozen=True, kw_only=True):
    """A recording and what it shows. ``by``: what the windows were found by, gate or power;
    ``voltage``: mean, in volts; ``lost``: samples that the instrument lost."""

    trace: str
    samples: int
    rate: float
    seconds: float
    voltage: float
    lost: int
    by: str
    parts: tuple[EnergyPart, ...]
