# SPDX-License-Identifier: Apache-2.0
"""The registry of findings. docs/checks.md has a heading for each code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hil.runs.schema_checks import Severity

PAGE: Final = "docs/checks.md"


@dataclass(frozen=True, slots=True)
class Code:
    """``what``: the change that makes answers right, or what is wrong with the answers; its fields
    in braces are filled in. ``advice``: what to do, unless the finding has its own."""

    name: str
    what: str
    advice: str
    severity: Severity = "warning"


_EVERY: Final = (
    Code(
        "input-range",
        "with input values {how}",
        "prepare the samples as in training, see --input",
    ),
    Code(
        "input-inverted",
        "with inverted input values",
        "invert the samples: save limit - x, where limit is the largest value",
    ),
    Code(
        "input-cast",
        "with its int8 values read as {how}",
        "the pixels were converted to int8: save them as uint8",
    ),
    Code(
        "orientation",
        "with samples {how}",
        "save the samples as the network was trained on them",
    ),
    Code(
        "channels",
        "with the channels in reverse order (RGB and BGR)",
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
        "labels-permuted",
        "with renamed labels ({how})",
        "number the labels as in training",
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
        "outputs-saturated",
        "in {share} of the answers several outputs are at the upper limit of their range, so that "
        "the first of them wins",
        "calibrate the network on data like that of its training, or bench float32",
    ),
)
CODES: Final = {code.name: code for code in _EVERY}


def page_of(code: str) -> str:
    """Where a code is documented."""
    return f"{PAGE}#{code}"
