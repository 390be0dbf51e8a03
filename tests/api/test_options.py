# SPDX-License-Identifier: Apache-2.0
"""The options of a bench are the same on the command line, in Python and in `BenchOptions`."""

from __future__ import annotations

import inspect
import typing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from hil.api.functions import More, bench
from hil.api.options import DEFAULTS, BenchOptions
from hil.cli.bench import bench as command
from hil.core.errors import UsageError
from hil.datasets import digits

ONLY_CLI = {"open_report"}
ONLY_PYTHON = {"progress", "more"}


def listed(value: Any) -> Any:
    """A list of an option and a single value of an argument, as `BenchOptions` has them."""
    return tuple(value) if isinstance(value, list) else value


def test_the_command_line_has_the_same_options_and_defaults() -> None:
    found = inspect.signature(command).parameters
    assert found.keys() - ONLY_CLI == {field.name for field in fields(BenchOptions)}
    differ = [
        name
        for name, one in found.items()
        if name not in ONLY_CLI and listed(one.default) != getattr(DEFAULTS, name)
    ]
    assert differ == []


def test_python_has_the_same_options_and_defaults() -> None:
    found = inspect.signature(bench).parameters
    more = typing.get_type_hints(More)
    assert not found.keys() & more.keys()
    assert (found.keys() | more.keys()) - ONLY_PYTHON == {one.name for one in fields(BenchOptions)}
    several = {"board", "engine"}
    for name in found.keys() - ONLY_PYTHON:
        default = found[name].default
        assert ((default,) if name in several else default) == getattr(DEFAULTS, name), name


def test_options_of_another_protocol_are_refused() -> None:
    with pytest.raises(UsageError, match="--send-type needs --protocol text"):
        replace(DEFAULTS, send_type="int8").check()
    with pytest.raises(UsageError, match="--flash and --protocol text contradict"):
        replace(DEFAULTS, protocol="text", flash=True).check()
    with pytest.raises(UsageError, match="--protocol morse is unknown; choose from frames, text"):
        replace(DEFAULTS, protocol="morse").check()
    replace(DEFAULTS, protocol="text", send_type="int8").check()


def test_a_data_set_is_an_option_like_others() -> None:
    data = digits.load("test")
    options = replace(DEFAULTS, data=data, out=Path("run"))
    assert options.given() == {"data": data, "out": Path("run")}
