# SPDX-License-Identifier: Apache-2.0
"""The top of a report: the verdict, which claims only what was checked, and the warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from hil import stats
from hil.core.records import Task
from hil.report.cost import contradictions
from hil.report.cycles import counted_cycles
from hil.report.errors import score_interval, score_words
from hil.report.host import noise_words
from hil.report.memory import memory_warnings
from hil.report.pairs import compare, precision_losses, teacher_and_student
from hil.report.text import count, interval, listed, magnitude, noun, percent, plural, points
from hil.report.times import drift_words, drifted
from hil.runs.agreement import LARGEST, REFERENCES, Difference, is_ours, must_equal
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.restarts import pattern
from hil.runs.schema import Manifest
from hil.runs.scores import AUC, TITLES
from hil.stats.series import Latencies


@dataclass(frozen=True, slots=True)
class Verdict:
    """``grade`` is a key of `_WORDS`, or "doubted"; ``word`` is the same as text."""

    grade: str
    word: str
    sentence: str


_WORDS = {
    "exact": "Exact",
    "within": "Within tolerance",
    "answers": "Same answers",
    "differs": "Differs",
    "failed": "Answers missing",
    "unchecked": "Not checked by an oracle",
    "labels": "Labels alone",
    "targets": "Targets alone",
    "uncompared": "Not compared",
    "partial": "Partial",
}


_REASONS = 3  # of failed requests that a verdict names


def verdict(manifest: Manifest, cells: Sequence[Cell]) -> Verdict:
    """Scope, exactness, answers, and what the student costs compared with the teacher."""
    answered = [cell for cell in cells if cell.n]
    grade = _grade(manifest, cells)
    whole = _whole(manifest, cells)
    if not answered:
        head = _scope(manifest, cells) if whole else _stopped(manifest, cells)
        said = [_failures(cells), "no answers to judge"]
        return Verdict(grade, _WORDS[grade], f"{head}: " + "; ".join(s for s in said if s) + ".")
    head = _scope(manifest, cells) if whole else _stopped(manifest, cells) + "; so far"
    said = [
        _failures(cells),
        _exactness(answered),
        _answers(manifest, answered),
        _cost(answered),
    ]
    return Verdict(grade, _WORDS[grade], f"{head}: " + "; ".join(s for s in said if s) + ".")


def _grade(manifest: Manifest, cells: Sequence[Cell]) -> str:
    # a difference matters more than an incomplete run
    if any(cell.unexpected for cell in cells if cell.n):
        return "differs"
    if any(cell.failures for cell in cells):
        return "failed"
    if not _whole(manifest, cells):
        return "partial"
    if all(cell.litert is None for cell in cells):
        return _alone(cells) or "uncompared"
    if any(cell.unexpected is None for cell in cells):
        return "unchecked"
    if all(_same_bytes(cell) for cell in cells):
        return "exact"
    same = all(_same_bytes(cell) or _same_answers(cell) for cell in cells)
    return "answers" if same else "within"


def _alone(cells: Sequence[Cell]) -> str:
    """What judges runs without a host: "targets", "labels", or nothing."""
    if any(cell.targets is not None for cell in cells):
        return "targets"
    return "labels" if any(cell.labels is not None for cell in cells) else ""


def _reference(cell: Cell) -> Difference | None:
    """The difference to the reference that counts, as `must_equal` has it."""
    return cell.to_oracle if must_equal(cell.plan) == "oracle" else cell.to_litert


def _same_bytes(cell: Cell) -> bool:
    """Whether all bytes equal the reference that counts."""
    found = _reference(cell)
    return found is not None and not found.elements


def _same_answers(cell: Cell) -> bool:
    """Whether only answers are known, and all of them are the host's."""
    return cell.device is None and cell.changed == 0


def _whole(manifest: Manifest, cells: Sequence[Cell]) -> bool:
    return manifest.state == "complete" and bool(cells) and all(cell.complete for cell in cells)


def _scope(manifest: Manifest, cells: Sequence[Cell]) -> str:
    boards = listed(list(dict.fromkeys(cell.plan.board for cell in cells)))
    models = {(cell.plan.model, cell.plan.precision) for cell in cells}
    what = plural(len(cells), "model" if len(models) == len(cells) else "run")
    sizes = {cell.n + cell.failures for cell in cells}
    each = plural(max(sizes), noun(manifest.dataset.name))
    sketches = list(dict.fromkeys(cell.plan.sketch for cell in cells if cell.plan.sketch))
    by = f", by the user's sketch {listed(sketches)}" if sketches else ""
    return f"{what} × {each if len(sizes) == 1 else 'up to ' + each} on {boards}{by}"


def _stopped(manifest: Manifest, cells: Sequence[Cell]) -> str:
    state = {"interrupted": "Interrupted", "failed": "Failed", "running": "Not finished"}
    word = state.get(manifest.state, "Incomplete")
    got, asked = sum(cell.n for cell in cells), sum(cell.asked for cell in cells)
    done = sum(cell.complete for cell in cells)
    boards = listed(list(dict.fromkeys(cell.plan.board for cell in cells)))
    on = f" on {boards}" if boards else ""
    return (
        f"{word} after {count(got)} of {plural(asked, 'answer')}{on}, "
        f"{count(done)} of {plural(len(cells), 'run')} finished"
    )


def _failures(cells: Sequence[Cell]) -> str:
    """How many requests got no answer that counts, by reason."""
    failed = sum((Counter(cell.failed) for cell in cells), Counter[str]())
    if not failed:
        return ""
    named = failed.most_common(_REASONS)
    if rest := failed.total() - sum(n for _, n in named):
        named.append(("other reasons", rest))
    reasons = ", ".join(f"{why} ({count(n)})" for why, n in named)
    asked = count(sum(cell.n + cell.failures for cell in cells))
    return f"{count(failed.total())} of {asked} requests got no answer that counts: {reasons}"


def _exactness(cells: Sequence[Cell]) -> str:
    checked = [cell for cell in cells if cell.unexpected is not None]
    alone = [cell for cell in cells if cell.litert is None]
    if len(alone) == len(cells):
        alone_by = _alone(cells)
        return "nothing was compared with the host" + (f" ({alone_by} alone)" if alone_by else "")
    if not checked:
        return "no oracle was run"
    if wrong := _wrong(checked):
        return wrong
    exact = [cell for cell in checked if _same_bytes(cell)]
    said = [*_equal(exact), *_near(checked), *_by_class(checked)]
    if alone:
        said.append(f"{_names(alone)} not compared with the host")
    unchecked = [cell for cell in cells if cell.unexpected is None and cell.litert is not None]
    if unchecked:
        said.append(f"{_names(unchecked)} not checked: no oracle available")
    return ", ".join(said)


def _names(cells: Sequence[Cell]) -> str:
    return listed([cell.name for cell in cells])


def _wrong(checked: Sequence[Cell]) -> str:
    """The output values and the answers that are not as expected; empty without any."""
    said = []
    for what, cells in (
        ("output value", [cell for cell in checked if cell.device is not None]),
        ("answer", [cell for cell in checked if cell.device is None]),
    ):
        wrong = [cell for cell in cells if cell.unexpected]
        if not wrong:
            continue
        values = sum(cell.unexpected or 0 for cell in wrong)
        of = {REFERENCES[name] for cell in wrong if (name := must_equal(cell.plan))}
        total = count(sum(cell.values for cell in cells))
        verb = "differs" if values == 1 else "differ"
        said.append(f"{count(values)} of {total} {what}s {verb} from {' or '.join(sorted(of))}")
    return ", ".join(said)


def _equal(cells: Sequence[Cell]) -> list[str]:
    """What equals what, for runs with `_same_bytes`."""
    if all(cell.to_oracle and not cell.to_oracle.elements for cell in cells):
        return ["every output byte equals the oracle"] if cells else []
    said: dict[str, None] = {}
    for cell in sorted(cells, key=lambda cell: must_equal(cell.plan) != "oracle"):
        kind = f"{cell.plan.precision} output" if is_ours(cell.plan) else f"output of {cell.name}"
        if must_equal(cell.plan) == "oracle":
            said[f"every {kind} byte equals the oracle"] = None
        else:
            said[f"every {kind} equals LiteRT bit for bit"] = None
    return list(said)


def _near(cells: Sequence[Cell]) -> Iterator[str]:
    """How close the runs are that are within a tolerance."""
    for name, who in REFERENCES.items():
        near = [
            (cell, found)
            for cell in cells
            if must_equal(cell.plan) == name and (found := _reference(cell)) and found.elements
        ]
        if near:
            largest = magnitude(max(found.max_abs for _, found in near))
            yield f"{_names([cell for cell, _ in near])} within {largest} of {who}, as expected"


def _by_class(cells: Sequence[Cell]) -> Iterator[str]:
    """The runs of which only answers are known."""
    sent = [cell for cell in cells if cell.device is None]
    if sent:
        yield f"only the answers of {_names(sent)} are known, not the outputs"


def _answers(manifest: Manifest, cells: Sequence[Cell]) -> str:
    known = [cell.changed for cell in cells if cell.changed is not None]
    if not known:
        return ""
    changed = sum(known)
    if not changed:
        return f"device and host give the same answer for every {noun(manifest.dataset.name)}"
    return f"device and host answer {plural(changed, noun(manifest.dataset.name))} differently"


def _cost(cells: Sequence[Cell]) -> str:
    pairs = teacher_and_student(cells)
    if not pairs:
        known = [(cell, cell.accuracy) for cell in cells if cell.accuracy]
        if not known:
            return _errors(cells)
        best, value = max(known, key=lambda pair: pair[1].point)
        prefix = "" if len(known) == 1 else "at best "
        return (
            f"{prefix}{best.name} is right on {percent(value.point, value.n)} ({interval(value)})"
        )
    teacher, student = pairs[0]
    pair, ratio = compare(teacher, student), _ratio(teacher, student)
    if pair is None:
        beside = _beside(teacher, student)
        if not beside:
            return f"{student.name} {ratio} of the teacher" if ratio else ""
        return f"{beside}, and {ratio}" if ratio else beside
    gap = pair.difference
    # the sign of the table: student - teacher
    reach = f"95% interval {points(gap.low, gap.n)} to {points(gap.high, gap.n)}"
    if gap.point:
        amount = points(abs(gap.point), gap.n).lstrip("+")
        word = "less" if gap.point < 0 else "more"
        said = (
            f"{student.name} is {amount} points {word} accurate than the teacher "
            f"(difference: {reach})"
        )
    else:
        said = f"{student.name} is as accurate as the teacher (difference: {reach} points)"
    if gap.n < max(teacher.n, student.n):
        said += f" over the {count(gap.n)} that both answered"
    return f"{said} and {ratio}" if ratio else said


def _beside(teacher: Cell, student: Cell) -> str:
    """The student's error or area beside its teacher's; empty if they have none."""
    name = student.headline
    if not name or name not in teacher.scores:
        return ""
    ours, theirs = student.scores[name].device, teacher.scores[name].device
    if ours is None or theirs is None:
        return ""
    return (
        f"{student.name} has an {TITLES[name]} of {score_words(name, ours)} "
        f"({score_interval(name, ours)}), the teacher {score_words(name, theirs)} "
        f"({score_interval(name, theirs)})"
    )


def _errors(cells: Sequence[Cell]) -> str:
    """The best of the runs that have no accuracy, by the figure of its task."""
    found = [
        (cell, name, score.device)
        for cell in cells
        if (name := cell.headline) and (score := cell.scores[name]).device
    ]
    if not found:
        return ""
    first = found[0][1]
    same = [(cell, one) for cell, name, one in found if name == first and one]
    pick = max if first == AUC else min
    cell, best = pick(same, key=lambda pair: pair[1].point)
    prefix = "" if len(same) == 1 else "at best "
    figure = f"{score_words(first, best)} ({score_interval(first, best)})"
    if first == AUC:
        return f"{prefix}{cell.name} tells anomalous from normal samples with an AUC of {figure}"
    if first == "mse":
        return f"{prefix}{cell.name} reconstructs its inputs with an mse of {figure}"
    r2 = cell.scores["r2"].device if "r2" in cell.scores else None
    beside = f", R² {score_words('r2', r2)}" if r2 else ""
    return f"{prefix}{cell.name} predicts the targets with an rmse of {figure}{beside}"


def _ratio(teacher: Cell, student: Cell) -> str:
    slow, fast = teacher.time, student.time
    alike = type(teacher.series) is type(student.series)
    if not (alike and slow and fast and slow.point and fast.point):
        return ""
    unit = student.plan.clock.unit
    what = "time" if unit == "us" else unit
    ratio = slow.point / fast.point
    if ratio >= 2:
        return f"takes 1/{ratio:.0f} of the {what}"
    return f"takes {1 / ratio:.2g} times the {what}"


# --- warnings ---

FEW = 100  # samples; with fewer, a Wilson interval is wider than ±4 points at 95% accuracy


def warnings(run: StoredRun, cells: Sequence[Cell]) -> tuple[str, ...]:
    """One line each, the most serious first."""
    left_out = tuple(f"Not run: {found.reason}." for found in run.manifest.left_out)
    return (
        *_state(run, cells),
        *left_out,
        *contradictions(cells),
        *_drifts(cells),
        *_cells(cells),
        *precision_losses(cells),
        *memory_warnings(cells),
        *_data(run, cells),
        *_boards(cells),
        *_host(run),
    )


def _state(run: StoredRun, cells: Sequence[Cell]) -> Iterator[str]:
    manifest = run.manifest
    because = f" ({manifest.error})" if manifest.error else ""
    if manifest.state == "interrupted":
        yield f"The run was interrupted{because}: figures are of the answers stored until then."
    elif manifest.state == "failed":
        yield f"The run failed{because}: figures are of the answers stored until then."
    elif manifest.state == "running":
        yield "The run is in progress or was killed: figures are of the answers stored so far."
    if manifest.chaos:
        yield (
            f"Faults were injected on purpose (--chaos {manifest.chaos}): the answers count, but "
            "no time of a board or of the link is a latency."
        )
    if lines := [cell.name for cell in cells if cell.plan.protocol == "text"]:
        yield (
            f"The lines of {listed(lines)} had no check sum: a damaged sample or answer can pass "
            "unnoticed, except where --repeat found it."
        )
    if run.torn:
        yield "The last line of samples.jsonl is incomplete; that answer is excluded."


def _cells(cells: Sequence[Cell]) -> Iterator[str]:
    empty = [cell.name for cell in cells if not cell.n and not cell.failures]
    if empty:
        yield f"Not run: {listed(empty)}."
    for cell in cells:
        if 0 < cell.n < cell.asked - cell.failures:
            yield f"{cell.name}: {count(cell.n)} of {count(cell.asked)} answers."
        yield from _times(cell)
        if LARGEST in (found.max_abs for found in (cell.to_litert, cell.to_oracle) if found):
            yield (
                f"{cell.name}: some outputs are NaN or infinite on one side only; summary.json "
                "shows that as a difference of the largest float32."
            )
        if cell.repeats:
            yield f"{cell.name}: {plural(cell.repeats, 'answer')} took more than one attempt."
        yield from _faults(cell)


def _times(cell: Cell) -> Iterator[str]:
    if not cell.n or cell.plan.clock.unit == "none" or cell.times.size == cell.n or cell.chaos:
        return
    missing = cell.n - int(cell.times.size)
    hurt = cell.left_out if cell.plan.clock.unit == "us" else 0
    if hurt:
        yield (
            f"{cell.name}: the times of {plural(hurt, 'answer')} are excluded because a fault of "
            "the link or the board disturbed them; the figures are of the others."
        )
    if missing > hurt:
        yield (
            f"{cell.name}: {plural(missing - hurt, 'answer')} had no time; the figures are of the "
            "others."
        )


def _faults(cell: Cell) -> Iterator[str]:
    found = cell.end.faults if cell.end else UNSET
    if found is UNSET:
        return
    if found.resets:
        yield (
            f"{cell.name}: the board rebooted {plural(found.resets, 'time')} during the run; "
            "unanswered samples were sent again."
        )
    if when := pattern(found.restarts):
        yield f"{cell.name}: the board restarts {when}."
    if found.reopenings:
        yield f"{cell.name}: its port was reopened {plural(found.reopenings, 'time')}."
    for why, times in sorted(found.dropped.items()):
        yield f"{cell.name}: did not count: {count(times)} {why}."


def _drifts(cells: Sequence[Cell]) -> Iterator[str]:
    """Times that changed by more than 1%: a board that got hot or was throttled."""
    for cell in cells:
        found = stats.drift(cell.times) if isinstance(cell.series, Latencies) else None
        if drifted(found) and found and found.size and abs(found.size.point - 1) > 0.01:
            yield f"{cell.name}: its times drifted over the run by {drift_words(found)}."


def _data(run: StoredRun, cells: Sequence[Cell]) -> Iterator[str]:
    if run.manifest.dataset.note:
        yield run.manifest.dataset.note
    made = [plan.converted for plan in run.manifest.runs if plan.converted]
    yield from dict.fromkeys(f"{one.misfit}." for one in made if one.misfit)
    answered = [cell for cell in cells if cell.n]
    if not answered:
        return
    word = noun(run.manifest.dataset.name)
    fewest = min(cell.n for cell in answered)
    widest = max(answered, key=lambda cell: cell.n)
    labels, classes = widest.labels, widest.classes
    if fewest < FEW and (_alone(answered) or widest.litert is not None):
        what = "accuracy" if widest.right is not None else "agreement"
        what = "the errors" if widest.targets is not None else what
        yield f"Only {plural(fewest, word)}: too few to judge {what}; see the intervals."
    yield from _tasks(answered)
    if labels is None or widest.right is None:
        return
    seen = {int(label) for label in labels}
    missing = [widest.class_name(label) for label in range(classes) if label not in seen]
    if missing and classes > 1:
        some = missing if len(missing) <= 20 else [*missing[:20], "more"]
        yield f"No {word} of class {listed(some)}, so accuracy does not cover it."
    foreign = sum(not 0 <= int(label) < classes for label in labels)
    if foreign:
        yield f"{plural(foreign, word)} with a label that no output stands for: counted as wrong."


def _tasks(cells: Sequence[Cell]) -> Iterator[str]:
    """What the labels cannot judge, and areas that need both of them."""
    for cell in cells:
        if cell.task is Task.NONE and cell.plan.task_why:
            yield f"{cell.name} is not judged by the data: {cell.plan.task_why}."
        if cell.task is Task.RECONSTRUCTION and cell.labels is not None and AUC not in cell.scores:
            yield f"{cell.name}: all samples are of one kind, so there is no AUC."


def _boards(cells: Sequence[Cell]) -> Iterator[str]:
    for title, unit, protocol in dict.fromkeys(
        (cell.plan.board_title, cell.plan.clock.unit, cell.plan.protocol) for cell in cells
    ):
        if unit == "instructions":
            yield f"{title} is emulated: instruction counts are exact, and there is no latency."
        elif unit == "cycles":
            yield from counted_cycles(
                title, [cell for cell in cells if cell.plan.board_title == title]
            )
        elif unit == "none" and protocol == "text":
            yield f"The lines of {title} contain no times."
        elif unit == "none":
            yield f"{title} has no clock, so there are no times."


def _host(run: StoredRun) -> Iterator[str]:
    if run.host is not None and run.host.machine.noisy:
        yield noise_words(run.host.machine)
