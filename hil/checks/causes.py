# SPDX-License-Identifier: Apache-2.0
"""Which change of samples or labels makes a network's answers right.

Every change is tried on the host with the first samples; those that help are tried with all
(`hil.checks.trials`). If no single change explains the answers, two at a time are tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from time import thread_time
from typing import Final

import numpy as np

from hil.checks.codes import CODES, page_of
from hil.checks.inputs import (
    Array,
    Change,
    inverted_changes,
    used_range,
    value_changes,
)
from hil.checks.labels import (
    Numbering,
    Order,
    in_words,
    moved,
    moved_words,
    numberings,
    renaming,
    steps_for,
)
from hil.checks.layout import layout_changes
from hil.checks.subject import Answered, Answers, Bools, Ints, Judge, Subject
from hil.checks.targets import target_trials
from hil.checks.trials import GAIN, MOST, Part, Trial, best_of, better, helps
from hil.core.records import DType
from hil.runs.schema_checks import CheckFinding

_FIRST: Final = 100  # samples of the first try
_FEWEST: Final = 24  # of a large network
_ALIKE: Final = 8  # samples that show whether two changes are the same
_GLANCE: Final = 100_000_000  # multiply-accumulates of the first try of one change
_VALUES: Final = 300_000  # of the samples of the first try
_SECONDS: Final = 2.5  # of this thread's CPU, after which no other change is tried
_PAIR_WORK: Final = 20_000_000_000  # multiply-accumulates of the first tries of all pairs
_PAIRS: Final = 240  # at most
_KEPT: Final = 8  # pairs, and inputs with labels, that are tried with all samples
_ENOUGH: Final = 0.9  # share of right answers from which on no second cause is looked for
_TYPES: Final = (DType.FLOAT32, DType.INT8, DType.UINT8, DType.INT16)


def find_causes(of: Subject, runs: tuple[str, ...]) -> list[CheckFinding]:
    """What explains wrong answers, best first; empty if nothing does, or if they are right.

    Raises DataError or ModelError if the host cannot run the network on the samples.
    """
    return Search(of).causes(runs)


def right_answers(of: Subject) -> Bools:
    """(n,) whether the host answers each sample right; raises as `find_causes`."""
    return Search(of).right


def find_label_causes(of: Answered, runs: tuple[str, ...]) -> list[CheckFinding]:
    """The same from the answers alone, without a network that could be given other samples."""
    if of.right.mean() > 1 - GAIN or max(of.said.max(), of.y.max()) >= of.classes:
        return []
    count, tried = label_trials(of.said, of.y, of.classes, of.names, of.order)
    good = [one for one in tried if helps(one, of.right, count)]
    return _findings(of.name, of.right, best_of(good), count, runs)


def label_trials(
    said: Ints, y: Ints, classes: int, names: Sequence[str], order: Order | None
) -> tuple[int, list[Trial]]:
    """The number of changes of labels, and the results of those that may help."""
    if len(np.unique(y)) < 2:  # one label may be renamed to whatever the answers are
        return 0, []
    known = numberings(y, classes, names)
    found = [_numbered(one, said, y) for one in known]
    count = len(known)
    if order is not None and (steps := steps_for(order)):
        count += len(steps) + 1
        shares = [(said == moved(order, step)).mean() for step in steps]
        step = steps[int(np.argmax(shares))]
        right = said == moved(order, step)
        found.append(Trial((Part("labels-rows", moved_words(step)),), right))
        backwards = order.labels[len(order.labels) - 1 - order.rows]
        part = Part("labels-rows", "the rows in reverse", rare=True)
        found.append(Trial((part,), said == backwards))
    return count + 1, [*found, *_renamed(said, y, classes, known)]


def _numbered(one: Numbering, said: Ints, y: Ints) -> Trial:
    return Trial((Part(one.code, one.how),), said == one.new[y], affected=one.new[y] != y)


def _renamed(said: Ints, y: Ints, classes: int, known: Sequence[Numbering]) -> Iterator[Trial]:
    """Labels renamed as one half of the samples suggests, tried on the other half; nothing if that
    is a numbering which was tried before."""
    if len(y) < 4 or classes < 2:
        return
    new = renaming(said[::2], y[::2], classes)
    if any(np.array_equal(new[y], values) for values in (y, *(one.new[y] for one in known))):
        return
    rest = y[1::2]
    part = Part("labels-permuted", in_words(new, y))
    yield Trial((part,), said[1::2] == new[rest], half=True, affected=new[rest] != rest)


class Search:
    """The search for one subject. ``right``: (n,) whether its answers are right as they are."""

    def __init__(self, of: Subject) -> None:
        self._of, self._judge = of, Judge(of)
        self._until = thread_time() + _SECONDS
        self._now = self._judge.values(of.x)
        self.outputs = self._judge.outputs(self._now)
        self.answers = self._judge.answers(self.outputs)
        self.right = self._judge.right(self.answers, self._judge.wanted(of.x, slice(None)))
        self._macs = max(1, of.graph.macs)
        by_size = _VALUES // of.graph.input.elements
        by_work = max(_FEWEST, min(by_size, _GLANCE // self._macs))
        self._first = slice(0, min(_FIRST, by_work))
        self._rest = slice(self._first.stop, None)
        self._seen = [self._now[:_ALIKE]]
        self._glances: list[tuple[Change, Answers]] = []  # of every single change of the samples
        self._count = 0

    def causes(self, runs: tuple[str, ...]) -> list[CheckFinding]:
        """See `find_causes`."""
        if self.right.mean() > 1 - GAIN:
            return []
        good = self._helping([*self._samples(), *self._labels(self.answers)])
        best = max((one.share for one in good), default=0.0)
        if best < _ENOUGH and not self._constant():
            pairs = self._helping([*self._two_of_samples(), *self._samples_and_labels()])
            single = best_of(good)[:1]
            pairs = [one for one in pairs if not single or better(one, single[0], self._count)]
            good = pairs or good
        found = best_of(good)
        said = {part.code for one in found for part in one.parts}
        facts = any(code.startswith("input-") for code in said - {"input-layout"})
        text = used_range(self._of.x, self._of.graph.input, self._now) if facts else ""
        unit = "" if self._of.has_classes else _unit(self._of)
        return _findings(self._of.name, self.right, found, self._count, runs, text, unit)

    def _helping(self, tried: Sequence[Trial]) -> list[Trial]:
        return [one for one in tried if helps(one, self.right, self._count)]

    def _labels(self, answers: Answers) -> list[Trial]:
        """Changes of labels or targets, for ``answers`` to all samples."""
        of = self._of
        if of.rebuilds:
            return []
        if of.targets is not None:
            count, found = target_trials(answers, of.targets, of.order)
        else:
            count, found = label_trials(
                np.asarray(answers, np.int64), of.y, of.classes, of.names, of.order
            )
        self._count += count
        return found

    def _samples(self) -> Iterator[Trial]:
        """The single changes of the samples that are worth more than a glance."""
        if self._of.graph.input.dtype not in _TYPES:
            return
        x, graph = self._of.x, self._of.graph
        now = float(self.right[self._first].mean())
        for change in (*value_changes(x, graph.input, self._of.rule), *layout_changes(graph, x)):
            if self._late():
                return
            glance = self._glance(change, self._seen)
            if glance is None:
                continue
            answers, right = glance
            self._glances.append((change, answers))
            if right.mean() > now:
                yield self._tried((change,), answers, right)

    def _late(self) -> bool:
        """Whether nothing else should be tried, since the bench waits."""
        return thread_time() > self._until

    def _constant(self) -> bool:
        """Whether the answers are the same whatever is changed, as those of a dead layer."""
        every = [self.answers, *(answers for _, answers in self._glances)]
        return self._of.has_classes and len(np.unique(np.concatenate(every))) == 1

    def _glance(self, change: Change, seen: list[Array]) -> tuple[Answers, Bools] | None:
        """Answers to the first samples; None if the network has ``seen`` the same values."""
        x = change.apply(self._of.x[self._first])
        values = self._judge.values(x)
        if any(_equal(values[:_ALIKE], one) for one in seen):
            return None
        seen.append(values[:_ALIKE])
        self._count += 1
        answers = self._judge.answers(self._judge.outputs(values))
        return answers, self._judge.right(answers, self._judge.wanted(x, self._first))

    def _tried(self, changes: Sequence[Change], answers: Answers, right: Bools) -> Trial:
        """A change of samples, tried with the rest of them, too."""
        rest = self._all(changes, answers)
        parts = tuple(Part(one.code, one.how, one.advice, one.rare) for one in changes)
        if len(rest) == len(right):
            return Trial(parts, right)
        x = _apply(changes, self._of.x)
        return Trial(parts, self._judge.right(rest, self._judge.wanted(x, slice(None))))

    def _all(self, changes: Sequence[Change], answers: Answers) -> Answers:
        """Answers to all changed samples; ``answers``: those to the first."""
        x = self._of.x[self._rest]
        if not len(x):
            return answers
        more = self._judge.answers(self._judge.outputs(self._judge.values(_apply(changes, x))))
        return np.concatenate([answers, more])

    def _two_of_samples(self) -> Iterator[Trial]:
        """Values and places changed at once, or values inverted and in another range: the best."""
        tried: list[tuple[float, int, tuple[Change, ...], Answers, Bools]] = []
        most = _PAIR_WORK // (self._macs * self._first.stop)
        now = float(self.right[self._first].mean())
        seen: list[Array] = []
        last: Change | None = None
        for i, changes in enumerate(islice(self._pairs(), min(_PAIRS, most))):
            if self._late():
                break
            if changes[0] is not last:
                last = changes[0]
                seen = [self._judge.values(last.apply(self._of.x[:_ALIKE]))]
            glance = self._glance(_both(changes), seen)
            if glance is not None and (share := float(glance[1].mean())) >= now + GAIN:
                tried.append((-share, i, changes, *glance))
        tried.sort(key=lambda one: one[:2])
        for _, _, changes, answers, right in tried[:_KEPT]:
            yield self._tried(changes, answers, right)

    def _pairs(self) -> Iterator[tuple[Change, ...]]:
        of = self._of
        spec = of.graph.input
        inverted = Change("input-inverted", "", lambda some: some)
        for change in inverted_changes(of.x[self._first], spec):
            yield inverted, change  # the second inverts, too
        for place in layout_changes(of.graph, of.x):
            for value in value_changes(place.apply(of.x[self._first]), spec, of.rule):
                yield place, value

    def _samples_and_labels(self) -> Iterator[Trial]:
        """Samples and labels changed at once: the best by the first samples."""
        of = self._of
        if not of.has_classes or len(np.unique(of.y)) < 2:
            return
        y = of.y[self._first]
        ranked = []
        for i, (change, answers) in enumerate(self._glances):
            said = np.asarray(answers, np.int64)
            new = renaming(said, y, of.classes)
            shares = [float((said == new[y]).mean())]
            if of.order is not None:
                some = of.order.taken(self._first)
                shares += [float((said == moved(some, step)).mean()) for step in (1, -1)]
            ranked.append((-max(shares), i, change, answers))
        ranked.sort(key=lambda one: one[:2])
        for _, _, change, answers in ranked[:_KEPT]:
            if self._late():
                return
            for one in self._labels(self._all((change,), answers)):
                part = Part(change.code, change.how, change.advice, change.rare)
                yield Trial((part, *one.parts), one.right, one.half)


def _both(changes: Sequence[Change]) -> Change:
    return Change("", "", lambda some: _apply(changes, some))


def _apply(changes: Sequence[Change], x: Array) -> Array:
    for change in changes:
        x = change.apply(x)
    return x


def _equal(one: Array, other: Array) -> bool:
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-6))
    return bool(np.array_equal(one, other))


def _unit(of: Subject) -> str:
    return "reconstructed" if of.rebuilds else "near their target"


def _findings(
    name: str,
    right: Bools,
    causes: Sequence[Trial],
    count: int,
    runs: tuple[str, ...],
    facts: str = "",
    unit: str = "",
) -> list[CheckFinding]:
    """One finding for each code, which names the other causes; ``unit``: what right answers are
    called where they are not classes."""
    by_code: dict[str, Trial] = {}
    for one in causes:
        by_code.setdefault(one.code, one)
    return [
        _finding(
            name, right, one, count, runs, [x.words for x in causes if x is not one], facts, unit
        )
        for one in list(by_code.values())[:MOST]
    ]


def _finding(
    name: str,
    right: Bools,
    one: Trial,
    count: int,
    runs: tuple[str, ...],
    others: Sequence[str],
    facts: str,
    unit: str,
) -> CheckFinding:
    now, n = float(one.of(right).mean()), len(one.right)
    several = [
        *others[: MOST - 1],
        *([f"{len(others) - MOST + 1} more"] if len(others) >= MOST else []),
    ]
    also = f" (equally well: {', or '.join(several)})" if several else ""
    are = f"of {n:,} samples are {unit or 'answered right'}"
    return CheckFinding(
        code=one.code,
        severity=CODES[one.code].severity,
        runs=runs,
        what=f"{name}: {now:.1%} {are}; {one.words}, {one.share:.1%}{also}"
        + (f"; {facts}" if facts else ""),
        advice=one.to_do,
        page=page_of(one.code),
        n=n,
        right=now,
        otherwise=one.share,
        p=min(1.0, one.p(right) * count),
        hypotheses=count,
    )
