# SPDX-License-Identifier: Apache-2.0
"""Convolutions, dense layers, matrix products and poolings."""
