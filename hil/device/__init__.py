# SPDX-License-Identifier: Apache-2.0
"""One board behind one link: requests, retransmission, rate, stream, layers, refusals."""

from hil.device.device import Device, LayerOutput, ask_layer
from hil.device.line import Timing
from hil.device.stream import Answer, Failure

__all__ = ["Answer", "Device", "Failure", "LayerOutput", "Timing", "ask_layer"]
