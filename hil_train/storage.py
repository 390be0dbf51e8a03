# SPDX-License-Identifier: Apache-2.0
"""The Optuna study of a sweep in its database: opened, checked, and shared by many processes.

A trial that was interrupted (its process was killed, or is silent for a minute) does not count.
Another trial takes its *ordinal*, which determines the seeds of the sampler and of the training. So
a sweep that was killed and is resumed makes the trials that it would have made without that.
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import optuna
import sqlalchemy as sa
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.trial import FrozenTrial, TrialState

from hil.core import files
from hil.core.errors import InUse, StorageError, UsageError, unknown
from hil.core.records import Precision
from hil_train.recipe import Values

ACCURACY: Final = "accuracy"  # on the validation split; more is better
PLANNED: Final = ("parameters", "macs", "arena", "flash")  # known without a board; less is better
MEASURED: Final = "instructions"  # on the emulated Cortex-M7; less is better
FIGURES: Final = (*PLANNED, MEASURED)
UNITS: Final = {"arena": "B", "flash": "B"}

# user attributes of the study and of its trials
_SETTINGS: Final = "settings"
ORDINAL: Final = "ordinal"
WORKER: Final = "process"
REASON: Final = "reason"  # why a trial failed; an interrupted one has none

_HEARTBEAT_S: Final = 10
_GRACE_S: Final = 60  # of silence, after which a trial counts as interrupted
_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_SQLITE_WAIT_S: Final = 60  # for another process's write


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What makes trials comparable: stored in the study, and equal for everyone who adds to it.

    ``limits``: figure -> the most it may be. ``data``: fingerprint of the training split.
    ``ancestors``: fingerprints of the networks that the stage learns or starts from.
    """

    recipe: str
    stage: str
    axes: dict[str, Values]  # what is varied
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
        """The figures that are objectives or limits."""
        return tuple(f for f in FIGURES if f in self.objectives or f in self.limits)


def parse_objectives(names: Sequence[str]) -> tuple[str, ...]:
    """Checked names, accuracy first; UsageError."""
    for name in names:
        if name not in (ACCURACY, *FIGURES):
            raise unknown(f"no objective is called {name!r}", name, (ACCURACY, *FIGURES))
    found = tuple(dict.fromkeys(names)) or (ACCURACY,)
    if ACCURACY not in found:
        what = f"the objectives {', '.join(found)} do not include accuracy"
        raise UsageError(what, "the smallest network would win; add --objective accuracy")
    return (ACCURACY, *(name for name in found if name != ACCURACY))


def parse_limits(words: Sequence[str]) -> dict[str, int]:
    """``figure=N`` words as a dict; UsageError."""
    found: dict[str, int] = {}
    for word in words:
        name, _, number = word.partition("=")
        known = name in FIGURES and number.isascii() and number.isdigit() and int(number) > 0
        if not known or name in found:
            fix = f"write NAME=N, once per name, with N > 0; names: {', '.join(FIGURES)}"
            raise UsageError(f"--at-most {word!r} is not a limit", fix)
        found[name] = int(number)
    return found


def formatted(figure: str, value: float) -> str:
    """A figure with its unit."""
    if figure == ACCURACY:
        return f"{value:.4f}"
    unit = UNITS.get(figure, "")
    return f"{value:,.0f}" + (f" {unit}" if unit else "")


def sqlite_url(path: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{path.resolve()}"


def parse_url(url: str) -> sa.URL:
    """A checked URL; UsageError, which does not repeat a URL that cannot be parsed."""
    hint = "write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        parsed = sa.make_url(url)
        parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
        parsed.get_dialect()
    except (sa.exc.SQLAlchemyError, ValueError):
        raise UsageError("--storage is not the URL of a database", hint) from None
    return parsed


@contextmanager
def opened(url: str, name: str, settings: Settings) -> Iterator[optuna.Study]:
    """The study of that name, created if missing; closed at the end.

    Raises:
        UsageError: the URL is wrong, or the study has other settings.
        StorageError: the database refuses or disconnects, also within the block.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parsed = parse_url(url)
    with _translated(parsed):
        storage = _storage(parsed)
        try:
            less = [optuna.study.StudyDirection.MINIMIZE] * (len(settings.objectives) - 1)
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                load_if_exists=True,
                directions=[optuna.study.StudyDirection.MAXIMIZE, *less],
            )
            _check_settings(study, settings)
            yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()


@contextmanager
def _translated(url: sa.URL) -> Iterator[None]:
    """Errors of a database as StorageError: one line, without a password."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, OptunaError, ModuleNotFoundError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, sa.exc.DBAPIError) and cause.orig is not None:
            cause = cause.orig
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        if url.password:
            reason = reason.replace(str(url.password), "***")
        hint = "check --storage and that the server runs (docs/sweeps.md)"
        raise StorageError(f"the study's database {_shown(url)} fails ({reason})", hint) from None


def _shown(url: sa.URL) -> str:
    """A URL without its password and its options, which may contain one."""
    return url.set(query={}).render_as_string(hide_password=True)


def _storage(url: sa.URL) -> optuna.storages.RDBStorage:
    """Optuna's tables, created if missing; another process may be creating them, too."""
    file = url.get_backend_name() == "sqlite"
    if file and url.database:
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"cannot create the folder of {_shown(url)} ({error.strerror})"
            raise StorageError(what, "choose another --storage or --out") from None
    options = {"connect_args": {"timeout": _SQLITE_WAIT_S} if file else {}, "pool_pre_ping": True}
    engine = sa.create_engine(url, **options)
    engine.connect().close()  # so that an error below is not one of the connection
    engine.dispose()
    for last in (False, False, True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats
                return optuna.storages.RDBStorage(
                    url.render_as_string(hide_password=False),
                    engine_kwargs=options,
                    heartbeat_interval=_HEARTBEAT_S,
                    grace_period=_GRACE_S,
                )
        except sa.exc.DBAPIError:
            if last:  # not a table that two processes created at the same time
                raise
    raise AssertionError("unreachable")


def _check_settings(study: optuna.Study, settings: Settings) -> None:
    text = msgspec.json.encode(settings, order="sorted").decode()
    stored = study.user_attrs.get(_SETTINGS)
    if stored is None:
        study.set_user_attr(_SETTINGS, text)
        return
    if stored != text:
        old, new = msgspec.json.decode(stored), msgspec.json.decode(text)
        differ = ", ".join(key for key in settings.__struct_fields__ if old.get(key) != new[key])
        what = f"the study {study.study_name!r} is of another sweep (different {differ})"
        fix = "choose another name: --study NAME"
        if differ == "ancestors":
            fix = "its teacher was trained elsewhere: copy *.keras and *.stage.json from there"
        raise UsageError(what, fix)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is part of the study: not if it was interrupted."""
    if trial.state is TrialState.FAIL:
        return REASON in trial.user_attrs
    return trial.state is not TrialState.WAITING


def counted_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count, in order."""
    return [trial for trial in study.get_trials(deepcopy=False) if counts(trial)]


def ordinal(trials: Sequence[FrozenTrial], number: int) -> int:
    """The first free place for trial ``number`` among those that count, if all trials that have
    not stored theirs yet take places in order of their numbers."""
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


@contextmanager
def worker_name(folder: Path) -> Iterator[str]:
    """A name for this process that no other has, with a lock in ``folder`` that it holds as long
    as it lives: see `fail_interrupted`."""
    name = uuid.uuid4().hex
    lock = _lock(folder, name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with files.locked(lock):
        yield name
        lock.unlink()  # only after success: an interrupted trial needs it


def fail_interrupted(study: optuna.Study, folder: Path) -> None:
    """Fail trials without a process: at once if it was one of ``folder``, that is, of this machine,
    and after a minute without a heartbeat otherwise."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        name = str(trial.user_attrs.get(WORKER, ""))
        began = trial.datetime_start or datetime.now()
        # killed before it stored its name: it may never have sent a heartbeat
        mute = not name and datetime.now() - began > timedelta(seconds=_GRACE_S)
        lock = _lock(folder, name)
        if mute or (name and lock.exists() and _is_free(lock)):
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            lock.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def _lock(folder: Path, name: str) -> Path:
    return folder / "workers" / f"{name}.lock"


def _is_free(lock: Path) -> bool:
    with suppress(InUse), files.locked(lock, wait=False):
        return True
    return False


class RepeatableSampler(optuna.samplers.BaseSampler):
    """TPE, seeded with each trial's ordinal: its proposals depend on the study only, not on which
    process asks, nor on how often that was restarted."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._inner = optuna.samplers.TPESampler(seed=seed)
        self.ordinal = -1

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self.ordinal = ordinal(counted_trials(study), trial.number)
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
