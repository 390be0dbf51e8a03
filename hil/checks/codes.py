# SPDX-License-Identifier: Apache-2.0
"""The registry of findings. docs/checks.md has a heading for each code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hil.runs.schema_checks import Severity

PAGE: Final = "docs/checks.md"
QUANT_PAGE: Final = "docs/quantcheck.md"


@dataclass(frozen=True, slots=True)
class Code:
    """``what``: the change that makes answers right, or what is wrong with the answers; its fields
    in braces are filled in. ``advice``: what to do, unless the finding has its own."""

    name: str
    what: str
    advice: str
    severity: Severity = "warning"
    page: str = PAGE


_EVERY: Final = (
    Code(
        "input-range",
        "with input values {how}",
        "prepare the samples as in training, see --input",
    ),
    Code(
        "input-imagenet",
        "with input values {how}",
        "prepare the samples as in training: with the same preprocess_input or transforms",
    ),
    Code(
        "input-unit",
        "with input values {how}",
        "save the samples in the unit of the training data",
    ),
    Code(
        "input-inverted",
        "with inverted input values",
        "invert the samples: save limit - x, where limit is the largest value",
    ),
    Code(
        "input-cast",
        "with the values read as {how}",
        "the pixels were converted to int8: save them as uint8",
    ),
    Code(
        "input-codes",
        "with the values taken as {how}",
        "save the samples before they are quantised, as float32",
    ),
    Code(
        "input-byte-order",
        "with the two bytes of each RGB565 pixel exchanged",
        "exchange the bytes of each 16-bit pixel before it is unpacked",
    ),
    Code(
        "input-layout",
        "with samples {how}",
        "save the samples in the axis order of the network",
    ),
    Code(
        "orientation",
        "with samples {how}",
        "save the samples as the network was trained on them",
    ),
    Code(
        "channels",
        "with {how}",
        "save x[..., ::-1]",
    ),
    Code(
        "labels-shifted",
        "with every label {how}",
        "number the labels as in training",
    ),
    Code(
        "labels-background",
        "with every label {how} (the network has one more class than the data, such as background)",
        "number the labels as in training",
    ),
    Code(
        "labels-reversed",
        "with labels in reverse order ({how})",
        "number the labels as in training; for one-hot labels, save y[:, ::-1]",
    ),
    Code(
        "labels-alphabetical",
        "with labels by {how}",
        "number the labels as in training",
    ),
    Code(
        "labels-permuted",
        "with renamed labels ({how})",
        "number the labels as in training",
    ),
    Code(
        "labels-rows",
        "with the labels of {how}",
        "samples and labels are out of step: check for a header line, a skipped or an extra sample",
    ),
    Code(
        "labels-constant",
        "every label is {name}",
        "check that the labels were stored",
    ),
    Code(
        "targets-scaled",
        "with targets {how}",
        "save the targets in the unit of the network's outputs",
    ),
    Code(
        "targets-reversed",
        "with the targets of each sample in reverse order",
        "save the targets in the order of the network's outputs",
    ),
    Code(
        "two-causes",
        "with {how}",
        "correct both",
    ),
    Code(
        "samples-constant",
        "{share} of the samples have one value only",
        "check that every sample was stored: arrays are often allocated and not filled",
    ),
    Code(
        "samples-repeated",
        "only {different} of the {n} samples are different",
        "check that each sample is copied before the next one is read into the same buffer",
    ),
    Code(
        "samples-cut",
        "the last {share} of the values are {value} in every sample",
        "check that samples were read to their end",
    ),
    Code(
        "answers-constant",
        "{share} of the answers are class {name}, whatever the sample",
        "check the preparation of the samples and the conversion of the network",
    ),
    Code(
        "answers-chance",
        "the answers do not depend on the labels: chance gives {expected}",
        "check that samples and labels belong together, and are as in training",
    ),
    Code(
        "answers-late",
        "{share} of the answers are those that the host gives {how}",
        "check that the sketch reads a whole sample before it infers, and sends the answer to it",
    ),
    Code(
        "layer-dead",
        "{share} of the channels of layer {layer} are constant over {n} samples",
        "check the range of the samples, the calibration, and whether that layer died in training",
    ),
    Code(
        "outputs-saturated",
        "in {share} of the answers several outputs are at the upper limit of their range, so that "
        "the first of them wins",
        "calibrate the network on data like that of its training, or bench float32",
    ),
)
_QUANT: Final = (  # of `hil.quant`; ``before``, ``after``: int8 as it is, and with the change
    Code(
        "quant-calibration",
        "{count} ranges of int8 do not fit this data: {layer} holds {range}, the data has {data} "
        "({how}); with ranges of this data {after} instead of {before}",
        "calibrate on samples like these, prepared in the same way",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-per-tensor",
        "the weights of {layer} have one scale, although the ranges of its channels differ by a "
        "factor of {spread}; with one scale per channel {after} instead of {before}",
        "convert with one scale per channel (the default of LiteRT's converter)",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-layer",
        "{layer}{place} costs most of the loss by its {part}: with it alone in float32 {after} "
        "instead of {before}",
        "leave it in float32, or give it 16-bit activations",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-outliers",
        "few large values widen the ranges, most of all in {layer}; with narrower ranges {after} "
        "instead of {before}",
        "clip the outliers: calibrate with a percentile, or train with RELU6 instead of RELU",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-activations",
        "8 bits are too few for the activations of several layers; with 16 bits {after} instead "
        "of {before}",
        "convert with 16-bit activations (16x8), or train with quantisation (QAT)",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-spread",
        "int8 has {before}, float32 {float32}, and no single layer or range explains it",
        "train with quantisation (QAT)",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-arithmetic",
        "rounding explains only a part of the loss ({after} instead of {before} if int8 only "
        "rounded): kernels compute something else, the least exact layer is {layer}",
        "compare this layer with another interpreter, and look for sums beyond 32 bits",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-bias-overflow",
        "the bias of {layer} does not fit: it is off by {steps} steps of the output",
        "the input's range is too narrow for it: calibrate on data in use",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-bias-scale",
        "the bias of {layer} has another scale than its input times its weights, which kernels "
        "take for granted: it is off by {steps} steps of the output",
        "convert the network again with a converter that keeps this rule of the int8 specification",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-other-weights",
        "the weights of {layer} are not those of the float32 file (SQNR {sqnr} dB)",
        "give the float32 file that the int8 file was made from",
        page=QUANT_PAGE,
    ),
    Code(
        "quant-dead-channels",
        "channels that are constant in int8, but not in float32: {dead}",
        "see the warnings: ranges that fit bring them back",
        "note",
        page=QUANT_PAGE,
    ),
)
CODES: Final = {code.name: code for code in (*_EVERY, *_QUANT)}


def page_of(code: str) -> str:
    """Where a code is documented."""
    return f"{CODES[code].page}#{code}"
