# SPDX-License-Identifier: Apache-2.0
"""The tutorial's four figures from a stored run: history, sizes, accuracy and time, disagreements.

Run it whole, or cell by cell in an editor that knows `# %%`:

    pip install -e '.[examples]'
    python examples/redraw.py [RUN] [FOLDER OF FIGURES]      # results/example, figures
"""

# %% What is drawn, and where it goes
import json
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.ticker
import numpy as np

import hil
from hil.stats.metrics import probabilities
from hil.stats.series import Series, axis

if "ipykernel" not in sys.modules:
    mpl.use("agg")  # files only: no window
from matplotlib import pyplot as plt

PROJECT = Path(__file__).parents[1] if "__file__" in globals() else Path.cwd()
words = [] if "ipykernel" in sys.modules else sys.argv[1:]
run = hil.load(words[0] if words else PROJECT / "results" / "example")
out = Path(words[1] if len(words) > 1 else "figures")
out.mkdir(parents=True, exist_ok=True)
trained = json.loads((PROJECT / "models" / "mnist" / "provenance.json").read_text())

plt.rc("axes", grid=True, axisbelow=True)
plt.rc("axes.spines", top=False, right=False)
plt.rc("grid", color="#e3e6ea")
COLOURS = {"teacher": "#0b62b0", "student": "#c4480a"}
SHADES = {"float32": 0.55, "int8": 1.0}


def save(figure: mpl.figure.Figure, name: str) -> None:
    figure.savefig(out / f"{name}.png", bbox_inches="tight")
    plt.close(figure)
    print(f"wrote {out / f'{name}.png'}")


# %% 1. Training history: both networks, on data that they were not trained on
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for name, colour in COLOURS.items():
    history = trained["stages"][name]["history"]
    epochs = range(1, len(history["loss"]) + 1)
    left.plot(epochs, history["val_accuracy"], color=colour, label=f"{name}, validation")
    left.plot(epochs, history["accuracy"], color=colour, alpha=0.4, ls="--", label=f"{name}, train")
    right.plot(epochs, history["val_loss"], color=colour, label=name)
left.set(xlabel="epoch", ylabel="accuracy", ylim=(0.95, 1.0), title="Accuracy")
right.set(xlabel="epoch", ylabel="loss, validation", yscale="log", title="Loss")
left.legend(fontsize="small", loc="lower right")
save(figure, "history")

# %% 2. Model sizes: the files as they are stored
files = trained["files"]
names = [name.removesuffix(".tflite").replace("_", " ") for name in files]
sizes = [found["nbytes"] / 1000 for found in files.values()]
figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
for name, size in zip(names, sizes, strict=True):
    model, precision = name.split()
    bar = axes.barh(name, size, color=COLOURS[model], alpha=SHADES[precision])
    axes.bar_label(bar, fmt="%.1f kB", padding=4)
axes.invert_yaxis()
axes.set(xlabel=".tflite file, kB", title="Model sizes", xlim=(0, 1.15 * max(sizes)))
save(figure, "sizes")

# %% 3. Accuracy and time, on one board: both with their 95 % intervals
# A clock counts instructions or microseconds: `axis` names the unit, and refuses a mixture.
board = run.cells[0].plan.board
here = [cell for cell in run.cells if cell.plan.board == board and cell.accuracy]
timed: list[Series] = [cell.series for cell in here if cell.series]  # type: ignore[type-arg]
unit = {"us": "µs"}.get(axis(timed), axis(timed)) if timed else ""
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained", sharey=True)
for cell in here:
    style = {"color": COLOURS.get(cell.plan.model, "grey"), "alpha": SHADES[cell.plan.precision]}
    share = cell.accuracy
    assert share  # as selected above
    spread = [[100 * (share.point - share.low)], [100 * (share.high - share.point)]]
    left.errorbar([100 * share.point], [cell.name], xerr=spread, fmt="o", capsize=3, **style)
    if cell.time:
        low, high = cell.time.point - cell.time.low, cell.time.high - cell.time.point
        bar = right.barh(cell.name, cell.time.point, xerr=[[low], [high]], **style)
        right.bar_label(bar, [f"{cell.time.point:,.0f}"], padding=4)
left.invert_yaxis()
left.set(xlabel="right answers on the device, %", title=f"Accuracy, {here[0].n:,} samples")
right.set(xlabel=f"{unit} per inference, median" if unit else "no clock", title=f"Cost on {board}")
right.margins(x=0.25)
right.xaxis.set_major_formatter(mpl.ticker.EngFormatter())
save(figure, "accuracy-and-time")

# %% 4. Disagreements: where teacher and student differ, with what each of them believes
teacher, student = (run.cell(model, "int8", board=board) for model in ("teacher", "student"))
outputs = [run.outputs(model, "int8", board=board, real=True) for model in ("teacher", "student")]
believed = [probabilities(np.asarray(some, np.float64)) for some in outputs]
assert teacher.labels is not None
differ = np.flatnonzero(teacher.answers != student.answers)
shown = [i for i in differ if teacher.ids[i] in run.pictures][:8]
figure, grid = plt.subplots(
    2, max(len(shown), 1), figsize=(9, 3), squeeze=False, layout="constrained"
)
for (picture, bars), i in zip(grid.T, shown, strict=False):
    picture.imshow(run.picture(teacher.ids[i]), cmap="gray_r")
    picture.set_title(f"label {teacher.labels[i]}", fontsize="small")
    for shares, (name, colour), shift in zip(believed, COLOURS.items(), (-0.2, 0.2), strict=True):
        bars.bar(np.arange(10) + shift, shares[i], 0.4, color=colour, label=name)
    bars.set(ylim=(0, 1), xticks=range(10), yticks=[])
    bars.tick_params(labelsize=6)
    bars.grid(visible=False)
for axes in grid[0]:
    axes.axis("off")
if shown:
    figure.legend(*grid[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
figure.suptitle(
    f"{differ.size} of {teacher.n:,} answers of teacher and student differ (int8, {board})"
)
save(figure, "disagreements")
