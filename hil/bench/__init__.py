# SPDX-License-Identifier: Apache-2.0
"""A bench runs models on boards and stores every answer. Nothing here prints.

A bench goes plan -> prepare -> stream -> store:

    cases.py     the records: networks, images, and one case per run
    plan.py      the request -> cases (network, image, station) and samples
    prepare.py   cases -> firmware, built by a lab (lab.py), and the manifest's records
    user.py      the user's own sketches: what their HELLO says -> the manifest's records
    lanes.py     which runs go in parallel, each in its own process
    stream.py    one run: samples to the board (session.py, totals.py), answers compared with the
                 host's (expected.py) and stored
    store.py     the run's folder: new or continued, complete or failed
    host.py      after the last answer: how long LiteRT takes for the same samples
    layers.py    afterwards: where outputs differ first, and the time of each layer

run.py calls these in order; events.py defines the progress that it reports. Sketches that print
lines of text go another way to the same folder: text.py sends samples, listen.py only listens, and
lines.py says what such a run is.
"""

from hil.bench.plan import BenchPlan, Request, make_plan
from hil.bench.run import run

__all__ = ["BenchPlan", "Request", "make_plan", "run"]
