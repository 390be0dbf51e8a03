# SPDX-License-Identifier: Apache-2.0
"""The events of a bench in words, for a terminal and for a notebook."""

from __future__ import annotations

from hil.bench.events import (
    Asking,
    BenchStored,
    Building,
    BuildingSketch,
    BuildStep,
    Calibrated,
    Converting,
    CountingBlocks,
    Downloading,
    Event,
    Finished,
    Implausible,
    Judged,
    LeftOut,
    MeasuringLayers,
    MeasuringPower,
    NoisyHost,
    NotCounted,
    Note,
    Observing,
    OpenBatch,
    Profiling,
    QuantChecking,
    Referencing,
    Restarted,
    Returned,
    Starting,
    Streaming,
    TimingHost,
    Untimed,
    Waiting,
    Weighed,
    WithKernels,
)


def count(event: Event) -> tuple[str, int, int] | None:
    """What advances, how many are done and how many there are; None for other events."""
    match event:
        case Downloading(name, done, total):
            return f"downloading {name}", done, total
        case Referencing(key, reference, done, total):
            return f"{key} on the host ({reference})", done, total
        case QuantChecking(model, what, done, total):
            return f"{model}: {what}", done, total
        case Streaming(key, done, total, _):
            return key, done, total
        case TimingHost(name, precision, kernels, done, total):
            return f"LiteRT timed on {name} {precision} ({kernels})", done, total
    return None


def words(event: Event) -> str:
    """The event in a line, some in several; empty where `count` says all."""
    match event:
        case Note(text):
            return f"note: {text}"
        case Downloading(name):
            return f"downloading {name}"
        case Converting(source):
            return f"converting {source} with TensorFlow"
        case Calibrated(record, folder, benched):
            how = f"calibrated on {record.calibration}; " if record.n else ""
            line = f"{record.source}: {how}files in {folder}"
            note = "note: these samples are benched, too; --calibrate takes other data"
            return f"{line}\n{note}" if benched else line
        case Weighed(figures):
            return "\n".join([figures, *(f"warning: {line}" for line in event.warnings)])
        case Starting(what, folder):
            return f"{what} -> {folder}"
        case Building(board, precision, engine):
            return f"building {precision} firmware for {board}, engine {engine}"
        case WithKernels(board, engine, kernels):
            return f"engine {engine} on {board} runs {kernels} kernels"
        case BuildingSketch(board, source):
            return f"building {source} for {board}"
        case Asking(where):
            return f"asking the sketch on {where} what it is"
        case OpenBatch(model):
            return f"note: {model} leaves the size of a batch open; it is taken as 1"
        case Judged(model, task, why, threshold):
            limit = "" if threshold is None else f", class 1 from {threshold:g} on"
            return f"{model}: task {task}{limit} ({why})"
        case Implausible(name, found):
            head = f"warning: {name} and this data do not fit together"
            if any(one.about_data for one in found):
                head = f"warning: the data does not look like what {name} was trained on"
            lines = (one.line.removeprefix(f"{name}: ") for one in found)
            return "\n".join([head, *(f"  {line}" for line in lines)])
        case LeftOut(left):
            return f"left out: {left.reason}"
        case Observing(key, samples):
            return f"{key}: asking for the layers of {', '.join(samples)}"
        case Profiling(key, sample):
            return f"{key}: measuring each layer on {sample}"
        case CountingBlocks(key, sample):
            return f"{key}: counting every instruction on {sample}"
        case MeasuringLayers(key, rounds, instrument):
            return f"{key}: measuring the energy of each layer, {rounds} times, with {instrument}"
        case MeasuringPower(key, windows, instrument):
            return f"{key}: measuring the energy of {windows:,} inferences with {instrument}"
        case Untimed(name, precision, why):
            return f"note: {name} {precision} was not timed on the host: {why}"
        case NoisyHost(why):
            return f"note: the host's times may not repeat: {why}"
        case NotCounted(why, times, example):
            return f"did not count: {times:,} {why}" + (f", such as: {example}" if example else "")
        case Restarted(key, said):
            why = f" ({said})" if said else ""
            return f"{key}: the board restarted{why}; the run continues"
        case Waiting(key, port, seconds, why):
            return f"{key}: {why}; waiting up to {seconds:g} s for the board on {port}"
        case Returned(key, port, seconds):
            return f"{key}: the board on {port} is back after {seconds:.1f} s; the run continues"
        case Finished(key, seconds):
            return f"{key}: done in {seconds:.1f} s"
        case (
            Referencing()
            | QuantChecking()
            | Streaming()
            | TimingHost()
            | BuildStep()
            | BenchStored()
        ):
            return ""
