"""`hil compare` and `hil history`: stored runs held against each other."""

from hil.compare_runs.compare import compare_runs, compare_stored
from hil.compare_runs.records import Comparison

__all__ = ["Comparison", "compare_runs", "compare_stored"]
