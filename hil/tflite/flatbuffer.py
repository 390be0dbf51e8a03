# SPDX-License-Identifier: Apache-2.0
"""Bounds-checked access to a FlatBuffers file that may be damaged or hostile.

The generated accessors follow any offset in the file without checks. Here every offset, vector
length and string is checked to lie inside the file before it is used, so a corrupt file can only
raise `ModelError`. Format: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")


def corrupt(where: str, why: str) -> ModelError:
    """The error for a damaged file: ``where`` is the part, ``why`` is what is wrong there."""
    return ModelError(f"corrupt .tflite file: {where}: {why}", "export the model again")


class Table:
    """One table at ``pos``; fields are addressed by their slot number (0, 1, 2, ...)."""

    def __init__(self, data: bytes, pos: int, where: str) -> None:
        self.data, self.pos, self.where = data, pos, where
        self._vtable = pos - self._unpack(_I32, pos)
        self._slots = (self._unpack(_U16, self._vtable) - 4) // 2
        self._size = self._unpack(_U16, self._vtable + 2)
        if self._slots < 0 or self._size < 4 or pos + self._size > len(data):
            raise corrupt(where, "its field table is outside the file")

    @classmethod
    def root(cls, data: bytes, where: str) -> Table:
        """The root table of a whole file."""
        if len(data) < 8:
            raise corrupt(where, f"only {len(data)} bytes")
        return cls(data, _U32.unpack_from(data, 0)[0], where)

    def _unpack(self, form: struct.Struct, pos: int) -> int:
        if pos < 0 or pos + form.size > len(self.data):
            raise corrupt(self.where, "an offset leads outside the file")
        return int(form.unpack_from(self.data, pos)[0])

    def _field(self, slot: int, size: int) -> int:
        """Position of a field; 0 if the table omits it."""
        if slot >= self._slots:
            return 0
        offset = self._unpack(_U16, self._vtable + 4 + 2 * slot)
        if offset and offset + size > self._size:
            raise corrupt(self.where, "a field is outside its table")
        return self.pos + offset if offset else 0

    def _target(self, slot: int) -> int:
        pos = self._field(slot, 4)
        return pos + self._unpack(_U32, pos) if pos else 0

    def has(self, slot: int) -> bool:
        """Whether the table has the field."""
        return self._field(slot, 0) != 0

    def integer(self, slot: int, form: str, default: int = 0) -> int:
        """A scalar field; ``form`` is its `struct` letter."""
        layout = struct.Struct("<" + form)
        pos = self._field(slot, layout.size)
        return self._unpack(layout, pos) if pos else default

    def real(self, slot: int, default: float = 0.0) -> float:
        """A float32 field."""
        pos = self._field(slot, 4)
        return float(struct.unpack_from("<f", self.data, pos)[0]) if pos else default

    def table(self, slot: int, where: str) -> Table | None:
        """A sub-table; None if it is omitted."""
        pos = self._target(slot)
        return Table(self.data, pos, where) if pos else None

    def _vector(self, slot: int, item: int) -> tuple[int, int]:
        pos = self._target(slot)
        if not pos:
            return 0, 0
        count = self._unpack(_U32, pos)
        if pos + 4 + count * item > len(self.data):
            raise corrupt(self.where, f"a list of {count} items is longer than the file")
        return pos + 4, count

    def numbers(self, slot: int, dtype: str, limit: int | None = None) -> npt.NDArray[np.generic]:
        """A vector of scalars (a read-only view of the file); empty if omitted."""
        start, count = self._vector(slot, np.dtype(dtype).itemsize)
        if limit is not None and count > limit:
            raise corrupt(self.where, f"a list of {count} items, at most {limit} are read")
        return np.frombuffer(self.data, dtype=dtype, count=count, offset=start)

    def tables(self, slot: int, where: str, limit: int) -> list[Table]:
        """A vector of tables; ``limit`` bounds its length."""
        start, count = self._vector(slot, 4)
        if count > limit:
            raise corrupt(where, f"{count} of them, at most {limit} are read")
        places = [start + 4 * i for i in range(count)]
        return [
            Table(self.data, p + self._unpack(_U32, p), f"{where} {i}")
            for i, p in enumerate(places)
        ]

    def text(self, slot: int) -> str:
        """A string; "" if omitted. Bytes that are not UTF-8 are replaced."""
        start, count = self._vector(slot, 1)
        return self.data[start : start + count].decode("utf-8", "replace")
