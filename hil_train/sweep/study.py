# SPDX-License-Identifier: Apache-2.0
"""The study in its database: opened, checked, and shared by any number of processes.

A trial that was cut off (its process killed, or silent for a minute) does not count, and another
takes its place: its *ordinal*, which its seed and the sampler's come from. So a sweep that was
killed and goes on makes the trials that it would have made.
"""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import optuna
import sqlalchemy as sa
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.trial import FrozenTrial, TrialState

from hil.core.errors import StorageError, UsageError
from hil.core.records import Precision
from hil_train.recipe import Values

ACCURACY: Final = "accuracy"  # on the validation split; more is better
PLANNED: Final = ("parameters", "macs", "arena", "flash")  # known without a board; less is better
MEASURED: Final = "instructions"  # on the emulated Cortex-M7; less is better
FIGURES: Final = (*PLANNED, MEASURED)
UNITS: Final = {"arena": "B", "flash": "B"}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What makes trials comparable: kept in the study, equal for everyone who adds to it.

    ``limits``: figure -> the most it may be. ``data``: fingerprint of the training split;
    ``ancestors``: of the weights that the stage learns from or starts from.
    """

    recipe: str
    stage: str
    axes: dict[str, Values]
    objectives: tuple[str, ...]
    limits: dict[str, int]
    seed: int
    precision: Precision
    plan: str  # of the stage, before anything is varied
    data: str
    samples: tuple[int, int]  # training, validation
    ancestors: dict[str, str]

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures that are asked for at all."""
        return tuple(f for f in FIGURES if f in self.objectives or f in self.limits)


def objectives(names: Sequence[str]) -> tuple[str, ...]:
    """Checked names, accuracy first; UsageError."""
    for name in names:
        if name not in (ACCURACY, *FIGURES):
            known = ", ".join((ACCURACY, *FIGURES))
            raise UsageError(f"no objective is called {name!r}", f"there are: {known}")
    found = tuple(dict.fromkeys(names)) or (ACCURACY,)
    if ACCURACY not in found:
        what = f"the objective {', '.join(found)} leaves accuracy out"
        raise UsageError(what, "the smallest network would win; add --objective accuracy")
    return (ACCURACY, *(name for name in found if name != ACCURACY))


def limits(words: Sequence[str]) -> dict[str, int]:
    """``figure=N`` words as a dict; UsageError."""
    found: dict[str, int] = {}
    for word in words:
        name, _, number = word.partition("=")
        known = name in FIGURES and number.isascii() and number.isdigit() and int(number) > 0
        if not known or name in found:
            fix = f"write NAME=N once a name, N > 0; names: {', '.join(FIGURES)}"
            raise UsageError(f"--at-most {word!r} is no limit", fix)
        found[name] = int(number)
    return found


def words(figure: str, value: float) -> str:
    """A figure for people."""
    if figure == ACCURACY:
        return f"{value:.4f}"
    unit = UNITS.get(figure, "")
    return f"{value:,.0f}" + (f" {unit}" if unit else "")


HEARTBEAT_S: Final = 10
GRACE_S: Final = 60  # of silence, after which a trial on another machine counts as cut off
SETTINGS: Final = "settings"
ORDINAL: Final = "ordinal"
REASON: Final = "reason"  # why a trial failed; one that was cut off has none
PROCESS: Final = "process"
_DRIVER: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_SQLITE_WAIT_S: Final = 60  # for another process's write


def sqlite(path: Path) -> str:
    """The URL of a file."""
    return f"sqlite:///{path.resolve()}"


@contextmanager
def _told(url: sa.URL) -> Iterator[None]:
    """What a database says, in one line that shows no password."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, OptunaError, ModuleNotFoundError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        cause = getattr(cause, "orig", None) or cause
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        if url.password:
            reason = reason.replace(str(url.password), "***")
        hint = "check --storage and that the server runs (docs/sweeps.md)"
        raise StorageError(f"the study's database {shown(url)} fails ({reason})", hint) from None


def parse(url: str) -> sa.URL:
    """A checked URL; UsageError, which does not repeat what could not be read."""
    hint = "write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        parsed = sa.make_url(url)
        parsed = parsed.set(drivername=_DRIVER.get(parsed.drivername, parsed.drivername))
        parsed.get_dialect()
    except (sa.exc.SQLAlchemyError, ValueError):
        raise UsageError("--storage is not the URL of a database", hint) from None
    return parsed


def shown(url: sa.URL) -> str:
    """A URL without its password and its options, which may hold one."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def opened(url: str, name: str, settings: Settings) -> Iterator[optuna.Study]:
    """The study of that name, made when it is missing; closed at the end.

    Raises:
        UsageError: the URL is none, or the study is of other settings.
        StorageError: the database refuses or goes away, also within the block.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parsed = parse(url)
    with _told(parsed):
        storage = _storage(parsed)
        try:
            less = [optuna.study.StudyDirection.MINIMIZE] * (len(settings.objectives) - 1)
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                load_if_exists=True,
                directions=[optuna.study.StudyDirection.MAXIMIZE, *less],
            )
            _agree(study, settings)
            yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _storage(url: sa.URL) -> optuna.storages.RDBStorage:
    """Optuna's tables, made when they are missing; another process may be making them too."""
    file = url.get_backend_name() == "sqlite"
    if file and url.database:
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"the folder of {shown(url)} cannot be made ({error.strerror})"
            raise StorageError(what, "choose another --storage or --out") from None
    for last in (False, False, True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats, since 2.9
                return optuna.storages.RDBStorage(
                    url.render_as_string(hide_password=False),
                    engine_kwargs={
                        "connect_args": {"timeout": _SQLITE_WAIT_S} if file else {},
                        "pool_pre_ping": True,
                    },
                    heartbeat_interval=HEARTBEAT_S,
                    grace_period=GRACE_S,
                )
        except sa.exc.DBAPIError as error:
            made_twice = isinstance(error, sa.exc.IntegrityError) or "already exists" in str(error)
            if last or not made_twice:
                raise
    raise AssertionError("unreachable")


def _agree(study: optuna.Study, settings: Settings) -> None:
    text = msgspec.json.encode(settings, order="sorted").decode()
    stored = study.user_attrs.get(SETTINGS)
    if stored is None:
        study.set_user_attr(SETTINGS, text)
        return
    if stored != text:
        old, new = msgspec.json.decode(stored), msgspec.json.decode(text)
        differ = ", ".join(key for key in settings.__struct_fields__ if old.get(key) != new[key])
        what = f"the study {study.study_name!r} is of another sweep (other {differ})"
        fix = "name another: --study NAME"
        if differ == "ancestors":
            fix = "its teacher was trained elsewhere: copy *.keras and *.stage.json from there"
        raise UsageError(what, fix)


def counted(trial: FrozenTrial) -> bool:
    """Whether a trial is one of the study's, and not one that was cut off."""
    if trial.state is TrialState.FAIL:
        return REASON in trial.user_attrs
    return trial.state is not TrialState.WAITING


def all_of(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count, in order."""
    return [trial for trial in study.get_trials(deepcopy=False) if counted(trial)]


def ordinal(trials: Sequence[FrozenTrial], number: int) -> int:
    """The place of trial ``number`` among those that count: the first free one, where those
    that have not said theirs yet take places in order of number."""
    taken = {trial.user_attrs[ORDINAL] for trial in trials if ORDINAL in trial.user_attrs}
    place = 0
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.number > number or ORDINAL in trial.user_attrs:
            continue
        while place in taken:
            place += 1
        if trial.number == number:
            return place
        taken.add(place)
    raise AssertionError("the trial is not among the study's")


def this_process() -> str:
    """A name that no other process has, on this machine or another."""
    return f"{_machine()}:{os.getpid()}:{_began(os.getpid())}"


def fail_orphans(study: optuna.Study) -> None:
    """Let go of trials whose process is gone: at once on this machine, after a minute of
    silence elsewhere."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        machine, _, process = str(trial.user_attrs.get(PROCESS, "")).partition(":")
        began = trial.datetime_start or datetime.now()
        # killed before its first word: it has no heartbeat that could stop either
        mute = not process and datetime.now() - began > timedelta(seconds=GRACE_S)
        if mute or (process and machine == _machine() and not _alive(process)):
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def _machine() -> str:
    """Its name, its boot, and the process ids' own namespace (containers)."""
    parts = [platform.node().replace(":", "-")]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            found = Path(path)
            parts.append(
                found.readlink().name.replace(":", "")
                if "ns" in path
                else found.read_text().strip()
            )
        except OSError:
            parts.append("")
    return "/".join(parts)


def _alive(process: str) -> bool:
    pid, _, began = process.partition(":")
    return _began(int(pid)) == began


def _began(pid: int) -> str:
    """When a process began, in ticks since boot, as ids come again; empty when it is gone, or
    is dead and nobody fetched its exit status."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # what follows the command's name
    return "" if fields[0] in "ZX" else fields[19]


class Numbered(optuna.samplers.BaseSampler):
    """TPE, seeded anew for every trial with its ordinal: what it proposes depends on the study
    alone, and not on which process asks or how often that was started."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._inner = optuna.samplers.TPESampler(seed=seed)
        self.ordinal = -1

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self.ordinal = ordinal(all_of(study), trial.number)
        seed = np.random.SeedSequence((self.ordinal, self._seed)).generate_state(1)[0]
        self._inner = optuna.samplers.TPESampler(seed=int(seed))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Any:
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Any) -> Any:
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        self._inner.after_trial(study, trial, state, values)
