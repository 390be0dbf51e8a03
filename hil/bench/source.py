# SPDX-License-Identifier: Apache-2.0
"""Which samples a command takes: ``--data`` or ``--dataset``, and the options that say how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hil import datasets
from hil.bench.inputs import Taken
from hil.bench.preprocessing import Rule, parse_rule, preprocessed
from hil.core.errors import UsageError
from hil.core.records import Dataset
from hil.datasets import Progress


@dataclass(frozen=True, slots=True)
class Source:
    """Samples as they were asked for.

    ``data``: see `hil.datasets.load_data`; None: the data set ``dataset``, which may have networks.
    ``target``: the column of a .csv with labels or targets. ``resize``: HEIGHTxWIDTH[xCHANNELS] of
    pictures. ``input``: see `hil.bench.preprocessing`; None: its default.
    """

    data: datasets.Given | None = None
    dataset: str = "auto"
    target: str | None = None
    resize: str | None = None
    input: str | None = None

    @property
    def drawn(self) -> bool:
        """Whether they are random, so that the networks' inputs must be known first."""
        return self.data is not None and datasets.is_random(self.data)

    @property
    def drawing(self) -> datasets.Drawing:
        """Which random samples; UsageError if the words are wrong."""
        return datasets.drawn.parse(str(self.data))

    def resolved(self) -> Source:
        """The same, with the name of a data set that has networks as ``dataset``.

        UsageError if both are given; with random inputs, ``dataset`` says whose networks run.
        """
        if self.drawn and self.input is not None:
            raise UsageError("--input and --data random contradict", "leave --input out")
        if self.data is None or self.drawn:
            return self
        name = self.data.name if isinstance(self.data, Dataset) else self.data
        if self.dataset not in ("auto", name):
            raise UsageError("--data and --dataset contradict", "give one of them")
        if isinstance(self.data, str) and self.data in ("auto", *datasets.NAMES):
            return replace(self, dataset=self.data, data=None)
        return self

    def read(
        self,
        takers: Sequence[Taken] = (),
        *,
        split: str = "test",
        progress: Progress | None = None,
    ) -> tuple[Dataset, str]:
        """The samples for networks that take ``takers``, and a note on them, usually empty.

        Raises UsageError and DataError for what is wrong with them.
        """
        if self.data is None:
            datasets.check_name(self.dataset)
        return datasets.load_data(
            self.dataset if self.data is None else self.data,
            target=self.target,
            resize=self.resize,
            takers=[taken.by_name for taken in takers],
            split=split,
            progress=progress,
        )

    @property
    def rule(self) -> Rule | None:
        """How values become inputs; UsageError if it is unknown."""
        return None if self.input is None else parse_rule(self.input)

    def fed(self, data: Dataset, takers: Sequence[Taken]) -> Dataset:
        """`hil.bench.preprocessing.preprocessed`."""
        return preprocessed(data, self.rule, takers)

    def calibration(self, data: datasets.Given) -> Source:
        """Other samples for int8's ranges, read in the same way."""
        table = isinstance(data, Path | str) and str(data).lower().endswith(".csv")
        folder = isinstance(data, Path | str) and Path(data).is_dir()
        target, resize = self.target if table else None, self.resize if folder else None
        return Source(data, target=target, resize=resize, input=self.input).resolved()
