# SPDX-License-Identifier: Apache-2.0
"""Operators that compute each value by itself, or reduce values: no weights."""
