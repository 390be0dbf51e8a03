# SPDX-License-Identifier: Apache-2.0
"""The records of layers.json and profile.json: what each layer gave, and how long it took.

Keys are a contract, as in `hil.runs.schema`.
"""

from __future__ import annotations

from hil.runs.schema import Stored

# --- layers.json: layer by layer, samples whose output is wrong ---


class LayerSeen(Stored, frozen=True, omit_defaults=True):
    """One layer's output on the device compared with the reference's.

    ``element``: index into ``shape`` of the first of the ``differing`` values, in memory order;
    empty when all are equal. A value that JSON cannot express as a number is a string: "nan",
    "inf".
    """

    name: str  # in the network; joined by " + " where the engine fused several
    op: str  # TFLite's operators, joined in the same way
    shape: tuple[int, ...]
    differing: int = 0
    element: tuple[int, ...] = ()
    device: int | float | str = 0
    expected: int | float | str = 0
    allowed: float = 0.0  # difference that counts as equal; 0: bit for bit


class LayerCheck(Stored, frozen=True, omit_defaults=True):
    """Every layer of one run on one sample, first to last; or ``why`` there are none.

    They come from firmware built to show its layers, which is not the program that was measured:
    ``same_output``: whether both give the same output for this sample.
    """

    run: str  # RunPlan.key
    id: str  # Sample.id
    reference: str = ""
    layers: tuple[LayerSeen, ...] = ()
    same_output: bool | None = None
    firmware_sha256: str = ""
    why: str = ""
    input: LayerSeen | None = None  # the sample as the first layer gets it


# --- profile.json: the time of each layer ---


class LayerTime(Stored, frozen=True):
    """One layer: its names as in `LayerSeen`; ``time`` in the run's clock unit."""

    name: str
    op: str
    macs: int  # multiply-accumulates, padding included; 0: none
    time: int | None  # None: the clock wrapped


class Profiled(Stored, frozen=True, omit_defaults=True):
    """The times of one run's layers on one sample, first to last; or ``why`` they are not known.

    They come from firmware built to show its layers; ``total`` is one of its inferences without
    timing layers. The time of the measured firmware is the sample's own.
    """

    run: str  # RunPlan.key
    id: str  # Sample.id
    layers: tuple[LayerTime, ...] = ()
    total: int | None = None
    firmware_sha256: str = ""
    why: str = ""
