# SPDX-License-Identifier: Apache-2.0
"""What the command line and a notebook share: whole jobs, without printing.

    options.py     the options of a bench, as `hil bench` and `hil.bench` take them
    bench.py       plan, build, run and store a bench
    text.py        the same for a sketch that prints lines of text
    boards.py      the known boards, and what is on the ports
    words.py       the events of a bench in words
    functions.py   `hil.bench`, `hil.compare` and `hil.boards` of Python code
    progress.py    what these show in a notebook

Progress goes to a function that takes the events of `hil.bench.events`.
"""

from hil.api.bench import run_bench
from hil.api.options import BenchOptions

__all__ = ["BenchOptions", "run_bench"]
