# SPDX-License-Identifier: Apache-2.0
"""Layers and variables that keep values from one inference to the next."""
