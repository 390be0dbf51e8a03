# SPDX-License-Identifier: Apache-2.0
"""Estimated cycles: how often an emulator ran each block, times what a model of LLVM's says."""
