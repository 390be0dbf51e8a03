"""A layer's output, asked of a board whose firmware shows them, a piece at a time."""

from __future__ import annotations

from dataclasses import dataclass

from hil.device import Device
from hil.errors import WrongFirmware
from hil.records import DType, Encoding
from hil.wire.frames import Frame
from hil.wire.messages import Piece, layers_request


@dataclass(frozen=True, slots=True)
class LayerOutput:
    """What one layer made of one sample, and how many layers there are."""

    dtype: DType
    data: bytes
    layers: int


def ask_layer(
    device: Device, model: int, encoding: Encoding, values: bytes, layer: int
) -> LayerOutput:
    """The output of layer number ``layer``, from 0 (or `INPUT_LAYER`): an inference a piece.

    Raises as `Device.infer`; DeviceRefused also where there is none."""
    found = bytearray()

    def ask(seq: int) -> Frame:
        return layers_request(seq, model, encoding, values, layer=layer, offset=len(found))

    while True:
        piece = device.insist(ask, Piece, f"LAYERS of layer {layer}")
        if (piece.model, piece.layer, piece.offset) != (model, layer, len(found)):
            raise WrongFirmware(
                f"asked for layer {layer} of model {model}, "
                f"the board answered layer {piece.layer} of model {piece.model}",
                "flash the firmware of this checkout",
            )
        found += piece.data
        if not piece.data or len(found) == piece.nbytes:
            return LayerOutput(piece.dtype, bytes(found), piece.layers)
