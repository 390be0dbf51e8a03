"""What is stored of a network's layers: `layers.json` and `profile.json`."""

from __future__ import annotations

from hil.runlog.stored import Stored

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
