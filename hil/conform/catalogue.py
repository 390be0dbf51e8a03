# SPDX-License-Identifier: Apache-2.0
"""All kernels by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hil.conform.elementwise import ELEMENTWISE
from hil.conform.kernel import Kernel
from hil.conform.recurrent import RECURRENT
from hil.conform.spatial import SPATIAL
from hil.conform.weighted import WEIGHTED

KERNELS: Final[Mapping[str, Kernel]] = MappingProxyType(
    {kernel.name: kernel for kernel in (*WEIGHTED, *SPATIAL, *ELEMENTWISE, *RECURRENT)}
)
