"""What a network costs on a board, before it is trained: kept per architecture.

Parameters, MACs and arena follow from the architecture. Flash and instructions depend a little
on the weights too (constants are compiled in; docs/sweeps.md says how much), so these are a fresh
network's: near enough to choose by, and `hil bench` on the trained one has the exact ones.
"""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

import msgspec
import numpy as np

import hil
from hil import files
from hil.bench import Request, make_plan, run
from hil.boards.choice import missing_tools
from hil.boards.config import load_board
from hil.config import NO_RECORD
from hil.datasets import subset
from hil.engines import write_image
from hil.errors import ToolMissing
from hil.kd import export, networks
from hil.kd.backend import require
from hil.kd.layers import Network
from hil.kd.sweep.goal import MEASURED, PLANNED
from hil.records import Dataset, Precision
from hil.runlog.load import load
from hil.tflite import read_model

BOARD: Final = "mps2"
ENGINE: Final = "aot"
SAMPLES: Final = 4  # on the board
_CALIBRATION: Final = 100


@dataclass(frozen=True)
class Costs:
    """Figures of networks for one kind of sample.

    ``data``: samples to calibrate with and to run, never of the test set. ``folder`` keeps a
    """

    folder: Path
    project: Path
    data: Dataset
    precision: Precision
    measured: bool

    def of(self, network: Network) -> dict[str, float]:
        """Figure -> value.

        Raises:
            ModelError: it cannot be converted.
            BuildFailed: it has no place on the board.
        """
        path = self.folder / f"{self._key(network)}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be measuring it
            found = _read(path)
            wanted = (*PLANNED, MEASURED) if self.measured else PLANNED
            if not set(wanted) <= set(found):
                found |= self._take(network)
                files.replace_file(path, msgspec.json.encode(found))
        return {name: found[name] for name in wanted}

    def _key(self, network: Network) -> str:
        shape = self.data.x.shape[1:]
        what = (hil.__version__, ENGINE, BOARD, self.precision, self.data.x.dtype.str, shape)
        text = msgspec.json.encode((what, network))
        return hashlib.sha256(text).hexdigest()[:24]

    def _take(self, network: Network) -> dict[str, float]:
        keras, _ = require()
        keras.utils.set_random_seed(1)
        model = networks.build(network, self.data.x.shape[1:], "student")
        # engines leave out biases that are all 0, as no trained network's are
        random = np.random.default_rng(1)
        model.set_weights(
            [w if w.any() else random.normal(0, 0.05, w.shape) for w in model.get_weights()]
        )
        with tempfile.TemporaryDirectory(prefix="hil-sweep-") as made:
            folder = Path(made)
            model.save(folder / "student.keras")
            file = export.export(
                folder / "student.keras",
                self.data,
                folder,
                calibration=_CALIBRATION,
                precisions=(self.precision,),
            )[self.precision]
            graph = read_model(file)
            (info,) = write_image(ENGINE, [("student", graph)], folder / "image").models
            found: dict[str, float] = {
                "parameters": model.count_params(),
                "macs": graph.macs,
                "arena": info.arena,
                "flash": info.flash,
            }
            if self.measured:
                found[MEASURED] = instructions(file, self.precision, self.data, self.project)
        return found


def instructions(file: Path, precision: Precision, data: Dataset, project: Path) -> float:
    """Mean instructions of an inference of a .tflite file on the emulated Cortex-M7."""
    with tempfile.TemporaryDirectory(prefix="hil-sweep-") as made:
        few, folder = subset(data, SAMPLES), Path(made)
        np.savez(folder / "few.npz", x=few.x, y=few.y)
        request = Request(
            project=project,
            boards=(BOARD,),
            models=(str(file),),
            precisions=(precision.value,),
            engines=(ENGINE,),
            data=folder / "few.npz",
        )
        run(make_plan(request), folder / "run", _unheard)
        (samples,) = load(folder / "run").samples.values()
    return mean(sample.time for sample in samples if sample.time is not None)


def require_board(project: Path) -> None:
    """Raise ToolMissing when the board cannot be had."""
    missing = missing_tools(load_board(BOARD, project))
    if missing:
        what = f"{' and '.join(missing)} not installed, and instructions are counted on {BOARD}"
        raise ToolMissing(what, f"install them with: hil doctor --install --board {BOARD}")


def _read(path: Path) -> dict[str, float]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except (OSError, *NO_RECORD):
        return {}


def _unheard(_: Any) -> None:
    pass
