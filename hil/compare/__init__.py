# SPDX-License-Identifier: Apache-2.0
"""`hil compare` and `hil history`: stored runs held against each other."""

from hil.compare.compare import compare_runs, compare_stored
from hil.compare.records import Comparison

__all__ = ["Comparison", "compare_runs", "compare_stored"]
