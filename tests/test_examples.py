# SPDX-License-Identifier: Apache-2.0
"""The files in examples/: figures are drawn from the committed run, the notebook runs."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import reports
from tests.support.needs import skip_without

pytestmark = pytest.mark.thorough

PROJECT = Path(__file__).parents[1]
needs_matplotlib = skip_without([] if importlib.util.find_spec("matplotlib") else ["matplotlib"])


def redraw(*words: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROJECT / "examples" / "redraw.py", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_matplotlib
def test_it_draws_four_figures(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    done = redraw(PROJECT / "results" / "example", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"history.png", "sizes.png", "accuracy-and-time.png", "disagreements.png"}
    for name in names:
        with image.open(tmp_path / name) as drawn:
            assert min(drawn.size) > 200
            assert len(drawn.convert("RGB").getcolors(1 << 24)) > 20  # not blank


@needs_matplotlib
def test_instructions_and_time_never_share_an_axis(tmp_path: Path) -> None:
    """`hil.stats.series` refuses runs with two clocks before anything is drawn."""
    plans = [
        reports.plan(m, board="mps2", unit="instructions" if m == "teacher" else "us")
        for m in ("teacher", "student")
    ]
    stored = [sample for plan in plans for sample in reports.samples(plan, 20)]
    folder = reports.write(tmp_path / "run", reports.manifest(*plans, n=20), stored)
    done = redraw(folder, tmp_path / "figures")
    assert done.returncode != 0
    assert "MixedUnits" in done.stderr
    assert not (tmp_path / "figures" / "accuracy-and-time.png").exists()


def displayed(cell: str, names: dict[str, object]) -> str:
    """Run a cell of a notebook; returns what Jupyter would show of its last line."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)  # noqa: S102 - our own notebook
    if last is None:
        return ""
    assert isinstance(last, ast.Expr)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307
    html = getattr(value, "_repr_html_", None)  # Jupyter's own protocol
    return str(html() if html else repr(value))


@pytest.mark.firmware
@needs_matplotlib
def test_the_notebook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = json.loads((PROJECT / "examples" / "notebook.ipynb").read_text("utf-8"))
    cells = ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == "code"]
    names: dict[str, object] = {}
    shown = {cell: displayed(cell, names) for cell in cells}
    assert "native" in shown[cells[0]]
    assert "Not as expected" not in shown[cells[0]]
    assert shown["run.problems"] == "()"
    assert all("<table" in shown[cell] for cell in cells if "[[" in cell)
    assert "ModelError - cannot read my.tflite" in capsys.readouterr().out
    assert len(list((tmp_path / "results").iterdir())) == 2
    from matplotlib import pyplot as plt

    plt.close("all")
