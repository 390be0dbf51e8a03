# SPDX-License-Identifier: Apache-2.0
"""`hil compare` and `hil history`: compare stored runs."""

from hil.compare.compare import compare_runs, compare_stored
from hil.compare.records import Comparison

__all__ = ["Comparison", "compare_runs", "compare_stored"]
