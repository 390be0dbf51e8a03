# SPDX-License-Identifier: Apache-2.0
"""Places of a labgrid lab: acquired, asked for their serial port, and released whatever happens.

labgrid (https://labgrid.readthedocs.io) comes with a pyserial of its own, so it lives in an
environment of its own, and only its `labgrid-client` is spoken to. Which coordinator that asks is
labgrid's business (``LG_COORDINATOR``).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import yaml

from hil.core.errors import LabError, ToolMissing, UsageError

SCHEME: Final = "labgrid:"
CLIENT: Final = "HIL_LABGRID_CLIENT"  # where `labgrid-client` is, when not on PATH
_LIMIT_S: Final = 60.0
# characters of a place's description: Python's loader is slow, C's may overflow its stack
_MOST: Final = 1 << 14
_BRACKETS: Final = 100  # each may take the loader as long as all before it
_HOST: Final = re.compile(r"[\w.:%-]{1,255}")  # a name or an address, and nothing that a URL minds
_TAG: Final = re.compile(r"^\s*tags: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """An acquired place: the board that its tag names, and a pyserial URL of its serial port."""

    name: str
    board: str
    port: str


@contextmanager
def hold(name: str) -> Iterator[Place]:
    """Acquire place ``name`` for the length of a `with`.

    LabError when it is taken, unknown, or has no serial port; UsageError when its tag ``board``
    is missing; ToolMissing without `labgrid-client`.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UsageError(f"{name!r} names no labgrid place", "list them: labgrid-client places")
    board = _board(name)
    _client(name, "acquire")
    try:
        yield Place(name, board, serial_port(name, _client(name, "env")))
    except BaseException:
        with suppress(LabError):  # the first problem is the one to tell
            _client(name, "release")
        raise
    _client(name, "release")


def serial_port(place: str, environment: str) -> str:
    """The URL of the one serial port in what `labgrid-client env` says (YAML).

    LabError when it says something else, as it may: exporters and other users fill it.
    """
    brackets = sum(environment.count(c) for c in "[{")
    if len(environment) > _MOST or brackets > _BRACKETS:
        what = f"{len(environment):,} characters with {brackets:,} brackets"
        raise LabError(
            f"labgrid-client describes place {place} in {what}; {_MOST:,} and {_BRACKETS} are read",
            f"look: labgrid-client -p {place} env",
        )
    try:
        (target,) = yaml.safe_load(environment)["targets"].values()
        resources = target["resources"]
        ports = [one["NetworkSerialPort"] for one in resources if "NetworkSerialPort" in one]
        urls = [_url(port) for port in ports]
    except (
        *(yaml.YAMLError, LookupError, TypeError, ValueError),
        *(AttributeError, OverflowError, RecursionError),
    ) as problem:
        why = f"{type(problem).__name__}: {problem}"[:200]
        raise LabError(
            f"labgrid-client describes place {place} in a way that is not understood ({why})",
            f"compare: labgrid-client -p {place} env",
        ) from problem
    if len(urls) != 1:
        raise LabError(
            f"labgrid place {place} has {len(urls) or 'no'} serial ports, where one is needed",
            f"match one: labgrid-client -p {place} add-match EXPORTER/GROUP/NetworkSerialPort",
        )
    return urls[0]


def _url(port: dict[str, Any]) -> str:
    host, number = str(port["host"]), int(port["port"])
    if not _HOST.fullmatch(host) or not 0 < number < 1 << 16:
        raise ValueError(f"{host[:100]!r} port {str(number)[:9]} is no address")
    place = f"{f'[{host}]' if ':' in host else host}:{number}"
    urls = {
        # labgrid's default; its exporter (ser2net) answers no SET_CONTROL
        "rfc2217": f"rfc2217://{place}?ign_set_control",
        "raw": f"socket://{place}",
    }
    return urls[port.get("protocol", "rfc2217")]


def _board(place: str) -> str:
    """The board that tag ``board`` of ``place`` names."""
    tags = _TAG.search(_client(place, "show"))
    for word in tags.group(1).split(", ") if tags else []:
        key, _, value = word.partition("=")
        if key == "board":
            return value
    raise UsageError(
        f"labgrid place {place} does not say which board is there",
        f"tag it: labgrid-client -p {place} set-tags board=NAME (`hil boards` lists the names)",
    )


def _client(place: str, command: str) -> str:
    """What `labgrid-client` prints; LabError with its own last words when it fails."""
    program = os.environ.get(CLIENT) or shutil.which("labgrid-client")
    if not program:
        raise ToolMissing(
            "labgrid-client is not installed",
            "install labgrid in an environment of its own (docs/labgrid.md) and put it on PATH "
            f"or name it in {CLIENT}",
        )
    try:
        done = subprocess.run(
            [program, "-p", place, command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
            start_new_session=True,  # Ctrl-C is for the harness, which then releases in order
        )
    except OSError as problem:
        raise ToolMissing(
            f"{program} cannot be run ({problem.strerror})", f"correct {CLIENT}"
        ) from problem
    except subprocess.TimeoutExpired as late:
        raise LabError(
            f"labgrid-client {command} of place {place} took longer than {_LIMIT_S:.0f} s",
            "is the coordinator up? LG_COORDINATOR names it",
        ) from late
    if done.returncode:
        raise _failed(place, command, done.stderr or done.stdout)
    return done.stdout


def _failed(place: str, command: str, said: str) -> LabError:
    last = (said.strip().splitlines() or ["nothing"])[-1]
    last = re.sub(r"^(labgrid-client: |Server )?[Ee]rror: (Error: )?", "", last)[:300]
    hint = "is the coordinator up? LG_COORDINATOR names it"
    if "already acquired" in last:
        hint = f"wait for it, or look who has it (labgrid-client who) and have it released: \
labgrid-client -p {place} release"
    elif "matches nothing" in last:
        hint = "list the places: labgrid-client places"
    elif "no matching" in last:
        hint = "is its exporter running? labgrid-client resources"
    return LabError(f"labgrid place {place} cannot be {_DONE[command]}: {last}", hint)


_DONE: Final = {
    "show": "looked at",
    "acquire": "acquired",
    "env": "asked for its port",
    "release": "released",
}
