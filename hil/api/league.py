# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny's published results in cycles per MAC, with stored runs among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import structs

from hil.api.records_mlperf import LeagueOutput, LeagueRun, LeagueTable
from hil.core.errors import UsageError, unknown
from hil.cycles.calibration import hertz_of
from hil.league.entries import (
    SORTS,
    Entry,
    Sort,
    ordered,
    own,
    own_session,
    published,
    recognised,
)
from hil.league.published import NETWORKS, NetworkName, network, results
from hil.mlperf.measure import SHORTEST_S, WINDOWS
from hil.mlperf.submission import StoredResult, read_result
from hil.runs.cells import cells
from hil.runs.load import load_run
from hil.runs.schema import MLPERF


def league(
    folders: Sequence[Path] = (),
    *,
    networks: Sequence[str] = (),
    core: str = "",
    sort: str = "cycles",
    clock: str = "",
) -> LeagueOutput:
    """A table per network: those of ``networks``, else those of the runs, else all.

    ``core``: only published results on that core, such as "m4"; own runs always stay.
    ``clock``: of the physical boards that were timed, as "480MHz".

    Raises:
        UsageError: an option is unknown, or no run has one of the networks.
        StorageError: a folder cannot be read.

    A folder may also be a session of `hil mlperf` in performance or energy mode: then ``networks``
    names its network.
    """
    wanted = tuple(_network(name) for name in networks)
    by = _sort(sort)
    hertz = hertz_of(clock) if clock else None
    runs, entries, left_out = _own(folders, wanted, hertz)
    shown = [one for one in results() if _matches(core, one.core)]
    if core and not shown:
        raise unknown(f"--core {core}: no result is on it", core, {one.core for one in results()})
    used = wanted or tuple(dict.fromkeys(one.network for one in entries)) or NETWORKS
    tables = (_table(name, (*published(shown), *entries), by) for name in NETWORKS if name in used)
    return LeagueOutput(tables=tuple(tables), runs=runs, left_out=left_out)


def _table(name: NetworkName, entries: Sequence[Entry], by: Sort) -> LeagueTable:
    of = network(name)
    found = ordered((one for one in entries if one.network == name), by)
    return LeagueTable(network=name, title=of.title, macs=of.macs, entries=found)


def _own(
    folders: Sequence[Path], wanted: Sequence[NetworkName], hertz: float | None
) -> tuple[tuple[LeagueRun, ...], tuple[Entry, ...], tuple[str, ...]]:
    """The runs of the folders, their entries, and those without one of the networks."""
    runs: list[LeagueRun] = []
    entries: list[Entry] = []
    others: list[str] = []
    for folder in folders:
        of_folder = f"{folder.resolve().name}: " if len(folders) > 1 else ""
        for key, how, entry in _entries(folder, wanted, hertz):
            name = f"{of_folder}{key}"
            if entry is None or (wanted and entry.network not in wanted):
                others.append(name)
            else:
                runs.append(LeagueRun(run=name, network=entry.network, how=how))
                entries.append(structs.replace(entry, run=name))
    if folders and not entries:
        raise UsageError(
            f"{', '.join(map(str, folders))}: no run has "
            f"{' or '.join(wanted) or 'a network of MLPerf Tiny'} (runs: {', '.join(others)})",
            "docs/league.md says which networks these are, and how they are recognised",
        )
    if hertz is not None and not any(one.kind == "measured" for one in entries):
        raise UsageError(
            "--clock has no effect: no run was timed on a physical board",
            "name the folder of a run that was; `hil bench --cycles` estimates an emulator's",
        )
    return tuple(runs), tuple(entries), tuple(others)


def _entries(
    folder: Path, wanted: Sequence[NetworkName], hertz: float | None
) -> Iterator[tuple[str, str, Entry | None]]:
    """(key, how its network is known, entry) of each run; None: another network."""
    if (folder / MLPERF).exists():
        yield _session(folder, wanted, hertz)
        return
    stored = load_run(folder)
    for cell in cells(stored.manifest, stored.samples, stored.host, stored.targets):
        known = recognised(cell.plan)
        entry = own(cell, known.network, stored.estimates, hertz, stored.energy) if known else None
        yield cell.plan.key, known.how if known else "", entry


def _session(
    folder: Path, wanted: Sequence[NetworkName], hertz: float | None
) -> tuple[str, str, Entry]:
    """The entry of a session of `hil mlperf`. Its device does not report its network."""
    found = read_result(folder)
    joules = found.energy.median if found.energy and not found.energy.simulated else None
    if found.emulated or (found.median is None and joules is None):
        raise UsageError(
            f"{folder} is an MLPerf Tiny session without a throughput or a measured energy",
            "name one of a physical board: hil mlperf --port PORT --mode performance",
        )
    if found.median is not None and not _valid(found):
        raise UsageError(
            f"{folder}: its windows are not {WINDOWS} of at least {SHORTEST_S:g} s, so its "
            "throughput does not count",
            "run the session again",
        )
    if len(wanted) != 1:
        raise UsageError(
            f"{folder} is an MLPerf Tiny session, which does not record its network",
            "name it, as --network kws",
        )
    (name,) = wanted
    device = found.device
    uj = None if joules is None else 1e6 * joules
    entry = own_session(name, device.vendor, device.model, found.median, uj, hertz)
    return device.model, "its network is the one that --network names", entry


def _valid(found: StoredResult) -> bool:
    """Whether the windows are those that MLPerf Tiny prescribes, as `Performance.valid`."""
    long_enough = (window.us >= 1e6 * SHORTEST_S for window in found.windows)
    return len(found.windows) == WINDOWS and all(long_enough)


def _network(name: str) -> NetworkName:
    for one in NETWORKS:
        if name == one:
            return one
    raise unknown(f"--network {name} is unknown", name, NETWORKS)


def _sort(name: str) -> Sort:
    for one in SORTS:
        if name == one:
            return one
    raise unknown(f"--sort {name} is unknown", name, SORTS)


def _matches(core: str, one: str) -> bool:
    """Whether ``core`` names the core of a result: m4, cortex-m4, Cortex-M4 name the same."""
    asked = core.lower().removeprefix("cortex-")
    return not core or one.lower().removeprefix("cortex-") == asked
