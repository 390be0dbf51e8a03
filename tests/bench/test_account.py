"""What a bench knows of a network's memory before anything is built."""

from __future__ import annotations

import pytest

from hil.bench import account
from hil.tflite import read_model
from tests.firmware.conftest import PROJECT


@pytest.mark.parametrize("name", ["student_int8", "student_float32", "teacher_int8"])
def test_every_constant_of_the_generated_code_is_found(name: str) -> None:
    """By name and size, whatever its type and alignment: the report subtracts what is linked."""
    path = PROJECT / "models" / "mnist" / f"{name}.tflite"
    planned = account._planned("aot", "net", path, read_model(path).sha256)
    assert sum(planned.arrays.values()) == planned.info.flash
