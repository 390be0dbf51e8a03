# SPDX-License-Identifier: Apache-2.0
"""Runs of a few samples with everything that a run may have, as JSON trees by file name."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np

from hil.runs.schema import (
    Identity,
    Marks,
    Memory,
    NamedTensor,
    Picture,
    Predicted,
    Refused,
    RunEnd,
    RunPlan,
    Share,
    Tensor,
    Tensors,
    TooLarge,
)
from hil.runs.schema_checks import CheckFinding
from hil.runs.schema_cycles import CycleEstimate, CycleLayer, CyclePart
from hil.runs.schema_host import HostLatencies, HostMachine, HostTimes
from hil.runs.schema_layers import LayerCheck, LayerSeen, LayerTime, Profiled
from hil.runs.task import encode_targets
from tests.support.quant_pairs import quant_pair
from tests.support.runs import KEY, manifest, plan, sample

_OTHER = "fake/aot/student/float32"


def stored() -> list[dict[str, Any]]:
    """A run of one network, one of two with layers, profile, pictures and marks, and others."""
    one = manifest(n=3)
    rows = [sample(i) for i in range(3)]
    rich = msgspec.structs.replace(_rich(), state="complete")
    others = [sample(i, litert=b"\x01\x03", oracle=b"\x02\x02", round_trip=900) for i in range(3)]
    others += [sample(i, _OTHER, device=b"\0\0\x80?" * 2, label=i % 2) for i in range(3)]
    return [
        {"manifest.json": _tree(one), "samples.jsonl": ["lines", *map(_tree, rows)]},
        {
            "manifest.json": _tree(rich),
            "samples.jsonl": ["lines", *map(_tree, others)],
            "digits.json": _tree({"digits-0": Picture(shape=(2, 3), pixels=bytes(range(6)))}),
            "layers.json": _tree([_check()]),
            "profile.json": _tree([_profiled()]),
            "cycles.json": _tree([_estimate()]),
            "host.json": _tree(_host()),
            "checks.json": _tree([_found()]),
            "quant.json": _tree([quant_pair()]),
        },
        {
            "manifest.json": _tree(manifest(_several(), n=3)),
            "samples.jsonl": ["lines", *(_tree(sample(i, device=bytes(6))) for i in range(3))],
        },
        {
            "manifest.json": _tree(manifest(plan(task="regression", task_why="floats"), n=7)),
            "samples.jsonl": ["lines", *(_tree(sample(i, device=bytes((i, 2)))) for i in range(7))],
            "targets.npy": encode_targets(np.arange(14).reshape(7, 2)).decode("latin-1"),
        },
    ]


def _found() -> CheckFinding:
    return CheckFinding(
        code="orientation",
        severity="warning",
        runs=(KEY, _OTHER),
        what="student int8: 10.0% of 3 samples are answered right; with samples mirrored, 90.0%",
        advice="save the samples as the network was trained on them",
        page="docs/checks.md#orientation",
        n=3,
        right=0.1,
        otherwise=0.9,
        p=0.001,
        hypotheses=14,
    )


def _several() -> RunPlan:
    """Two outputs, two int8 and one int16, and state."""
    first = plan()

    def named(tensor: Tensor, name: str) -> NamedTensor:
        return NamedTensor(name=name, **msgspec.structs.asdict(tensor))

    wide = NamedTensor(name="wide", dtype=7, shape=(1, 1), scale=0.25, zero_point=0)
    outputs = (named(first.output, "first"), wide)
    return plan(tensors=Tensors(inputs=(named(first.input, "in"),), outputs=outputs, stateful=True))


def _rich() -> Any:
    float_plan = plan(
        _OTHER,
        input={"dtype": 0, "shape": (1, 4), "scale": 0.0, "zero_point": 0},
        output={"dtype": 0, "shape": (1, 2), "scale": 0.0, "zero_point": 0},
        tolerance=1e-4,
        tolerance_why="an FMA",
        xnnpack="XNNPACK",
        predicted=Predicted(arena=64, flash_model=100, arena_reserved=64, peak=80),
    )
    float_plan = msgspec.convert(msgspec.to_builtins(float_plan), type(float_plan))
    memory = Memory(arena=64, flash_model=100, flash_code=900, ram_static=400, stack=200)
    marks = Marks(
        arena_reserved=64,
        ram_static=400,
        stack=200,
        stack_size=4096,
        heap_start=0,
        heap_end=0,
        allocator=False,
    )
    identity = Identity(
        board="fake", firmware="hil 1", toolchain="gcc 13", protocol=1, port="/dev/ttyUSB0"
    )
    ends = tuple(
        RunEnd(
            key=key,
            memory=memory,
            bytes_out=100,
            bytes_in=90,
            seconds=1.5,
            retries=1,
            answered=3,
            first=9,
            clock_step=1.0,
            idle_us=100,
            alone_us=200,
            baud=115200,
            shares=(Share(section=".text", owner="firmware", flash=900, ram=0),),
            marks=marks,
            identity=identity,
        )
        for key in (KEY, _OTHER)
    )
    missing = TooLarge(
        board="fake",
        board_title="a fake board",
        engine="aot",
        model="teacher",
        precision="int8",
        memory="ram",
        needs=9000,
        has=800,
        linked=False,
    )
    refused = Refused(
        board="fake",
        board_title="a fake board",
        engine="tflm",
        model="teacher",
        precision="int8",
        why="TensorFlow Lite Micro does not have GELU",
        advice="the engine aot takes it",
        failed=True,
    )
    return msgspec.structs.replace(
        manifest(plan(), float_plan),
        ends=ends,
        no_place=(missing,),
        refused=(refused,),
        seeds={"order": "BLAKE2b"},
    )


def _check() -> LayerCheck:
    seen = LayerSeen(
        name="conv1", op="CONV_2D", shape=(1, 2), differing=1, element=(0, 1), device=3, expected=4
    )
    return LayerCheck(run=KEY, id="digits-0", reference="LiteRT", layers=(seen,), same_output=True)


def _profiled() -> Profiled:
    times = (LayerTime(name="conv1", op="CONV_2D", macs=8, time=5),)
    return Profiled(run=KEY, id="digits-0", layers=times, total=7)


def _estimate() -> CycleEstimate:
    part = CyclePart(
        function="f", instructions=6, cycles=4.5, runs=3, code=("nop", "bx lr"), bottleneck="issue"
    )
    layer = CycleLayer(name="l", op="CONV_2D", macs=3, instructions=6, cycles=4, functions=(part,))
    return CycleEstimate(
        run=KEY,
        id="digits-0",
        core="cortex-m4",
        llvm="14",
        instructions=6,
        cycles=5,
        assumptions=("none",),
        functions=(part,),
        hottest=(part,),
        layers=(layer,),
    )


def _host() -> HostLatencies:
    machine = HostMachine(
        cpu="a CPU", cores=2, governor="powersave", load=0.5, busy=0.2, noisy="a virtual machine"
    )
    times = HostTimes(
        model="student",
        precision="int8",
        model_sha256=plan().model_sha256,
        kernels="xnnpack",
        version="LiteRT 2",
        threads=1,
        first=9000,
        times=(5000, 5010, 4990),
    )
    other = msgspec.structs.replace(times, kernels="reference", times=(90_000,))
    return HostLatencies(machine=machine, times=(times, other))


def _tree(record: Any) -> Any:
    return json.loads(msgspec.json.encode(record))
