# SPDX-License-Identifier: Apache-2.0
"""A failing network as files: the .tflite, its samples, and a bug report that is ready to send."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from hil.conform.expected import NAMES
from hil.conform.planted import renamed
from hil.conform.records import Conformance
from hil.conform.verdicts import Verdict
from hil.core.files import replace_file
from hil.core.records import TensorSpec, unpack_rows
from hil.report.markdown import table_lines
from hil.report.text import escape
from hil.runs.agreement import differing

NETWORKS: Final = "networks"
FAILURES: Final = "failures"
_VALUES: Final = 16  # differing values that a bug report lists


def write_failure(folder: Path, verdict: Verdict, record: Conformance, planted: str) -> None:
    """``NAME.tflite``, ``NAME.npz`` and ``NAME.md``, by the name of the network that was shrunk.

    The .npz has the samples as `hil bench --data` takes them.
    """
    case, name = verdict.case, verdict.case.origin
    replace_file(folder / f"{name}.tflite", case.graph.data)
    order = [verdict.sample, *(i for i in range(len(case.samples[0])) if i != verdict.sample)]
    names = case.graph.names_in if len(case.samples) > 1 else ("x",)
    arrays = {one: values[order] for one, values in zip(names, case.samples, strict=True)}
    memory = io.BytesIO()
    np.savez(memory, **arrays)  # type: ignore[arg-type]  # NumPy names an argument of it
    replace_file(folder / f"{name}.npz", memory.getvalue())
    text = "\n".join(_report(verdict, record, planted)) + "\n"
    replace_file(folder / f"{name}.md", text.encode("utf-8", "replace"))


def _report(verdict: Verdict, record: Conformance, planted: str) -> Iterator[str]:
    case, expected = verdict.case, verdict.expected
    kernel, name = case.kernel, case.origin
    engine = record.engine + (f" with {record.kernels_of}" if record.kernels_of else "")
    yield f"# {kernel.operator} {case.recipe.dtype}: wrong result of {escape(engine)}"
    yield ""
    if planted:
        yield f"**This firmware was broken on purpose: HIL_FAULT={escape(planted)}.**"
        yield ""
    what = f"A network of one {kernel.operator}"
    if verdict.answer.problem:
        yield f"{what} fails on board {escape(record.board)}: {escape(verdict.words)}."
    else:
        yield (
            f"{what} gives other bytes on board {escape(record.board)} than {NAMES[expected.by]} "
            f"on the host. {escape(verdict.words)}."
        )
    yield from _references(verdict)
    yield ""
    yield "## Shape"
    yield ""
    rows = [(key, str(value)) for key, value in case.recipe.values.items()]
    rows += [(f"input {i}", _tensor(spec)) for i, spec in enumerate(case.graph.inputs)]
    rows += [(f"output {i}", _tensor(spec)) for i, spec in enumerate(case.graph.outputs)]
    yield from table_lines(("parameter", "value"), rows)
    if not verdict.answer.problem:
        yield ""
        yield "## Values that differ"
        yield ""
        yield f"Sample {verdict.sample} of the run, which is the first one in the .npz."
        yield ""
        yield from table_lines(("output", "index", "expected", "board"), list(_values(verdict)))
    yield ""
    yield "## Versions"
    yield ""
    versions = {**record.versions, "toolchain": record.toolchain, "kernels": record.kernels_of}
    yield from table_lines(
        ("what", "version"), [(key, value) for key, value in versions.items() if value]
    )
    yield ""
    yield "## How to reproduce"
    yield ""
    yield "With tinyml-hil, in the folder of this file:"
    yield ""
    yield "```console"
    fault = f"HIL_FAULT={renamed(planted, name)} " if planted else ""
    yield (
        f"$ {fault}hil bench --board {record.board} --engine {record.engine} "
        f"--model {name}.tflite --data {name}.npz"
    )
    yield "```"
    yield ""
    place = verdict.answer.place
    yield (
        f"If that is right there, its place matters: it was network {place + 1} of image "
        f"{verdict.answer.image + 1}. The whole run: `hil conform --board {record.board} "
        f"--engine {record.engine} --kernel {kernel.name} --precision {case.recipe.dtype} "
        f"--seed {record.seed} --count {record.count}`."
    )


def _references(verdict: Verdict) -> Iterator[str]:
    expected = verdict.expected
    others = [NAMES[one] for one in expected.answers if one != expected.by]
    if others:
        same = "gives the same bytes" if expected.agreed else "gives other bytes than that"
        yield f"On the host, {' and '.join(others)} {same}."


def _tensor(spec: TensorSpec) -> str:
    words = f"{list(spec.shape)} {spec.dtype.name.lower()}"
    return f"{words}, scale {spec.scale!r}, zero point {spec.zero_point}" if spec.scale else words


def _values(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    specs = verdict.case.graph.outputs
    row = np.frombuffer(verdict.answer.outputs[verdict.sample], np.uint8)[None]
    wanted = unpack_rows(specs, verdict.expected.rows[verdict.sample : verdict.sample + 1])
    listed = 0
    for number, (got, right) in enumerate(zip(unpack_rows(specs, row), wanted, strict=True)):
        for index in np.flatnonzero(differing(got[0], right[0])):
            if listed == _VALUES:
                yield ("…", "", "", "")
                return
            place = np.unravel_index(int(index), specs[number].shape)
            words = str([int(i) for i in place])
            yield (str(number), words, f"{right[0][index]!s}", f"{got[0][index]!s}")
            listed += 1
