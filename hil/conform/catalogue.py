# SPDX-License-Identifier: Apache-2.0
"""All kernels by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hil.conform import weighted
from hil.conform.kernel import Kernel

KERNELS: Final[Mapping[str, Kernel]] = MappingProxyType(
    {
        kernel.name: kernel
        for kernel in (
            weighted.CONV2D,
            weighted.DEPTHWISE,
            weighted.FULLY_CONNECTED,
            weighted.TRANSPOSE_CONV,
        )
    }
)
