# SPDX-License-Identifier: Apache-2.0
"""Whether data is plausible for a network: computed from the network, the data and the answers.

codes    every finding's code, severity, wording and advice
subject  a network with samples and labels, and which of its answers are right
inputs   the same samples with other values
layout   the same values at other places: turned, axes exchanged, channels in another order
labels   the same labels, numbered otherwise or of other rows; targets of a regression: `targets`
trials   which of these make the answers right, by an exact test
causes   the search, first for one cause, then for two
samples  samples that repeat, are cut off, or were never filled
answers  answers that do not depend on the samples, and layers that do not
"""

from hil.checks.answers import FEW, late_answers, of_answers
from hil.checks.causes import Search, find_causes, find_label_causes, right_answers
from hil.checks.codes import CODES, Code, page_of
from hil.checks.labels import Order
from hil.checks.plausible import of_network
from hil.checks.samples import of_samples
from hil.checks.subject import SAMPLES, Answered, Subject, samples_for
from hil.checks.trials import GAIN, LEVEL

__all__ = [
    "CODES",
    "FEW",
    "GAIN",
    "LEVEL",
    "SAMPLES",
    "Answered",
    "Code",
    "Order",
    "Search",
    "Subject",
    "find_causes",
    "find_label_causes",
    "late_answers",
    "of_answers",
    "of_network",
    "of_samples",
    "page_of",
    "right_answers",
    "samples_for",
]
