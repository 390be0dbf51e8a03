# SPDX-License-Identifier: Apache-2.0
"""Whether data is plausible for a network: computed from the network, the data and the answers.

codes    every finding's code, severity, wording and advice
inputs   the same samples with other values, or turned
labels   the same labels, shifted or renamed
causes   which of these make the answers right, by an exact test
answers  answers that do not depend on the samples
"""

from hil.checks.answers import FEW, of_answers
from hil.checks.causes import (
    GAIN,
    LEVEL,
    SAMPLES,
    Answered,
    Subject,
    find_causes,
    find_label_causes,
    right_answers,
    samples_for,
)
from hil.checks.codes import CODES, Code, page_of

__all__ = [
    "CODES",
    "FEW",
    "GAIN",
    "LEVEL",
    "SAMPLES",
    "Answered",
    "Code",
    "Subject",
    "find_causes",
    "find_label_causes",
    "of_answers",
    "page_of",
    "right_answers",
    "samples_for",
]
