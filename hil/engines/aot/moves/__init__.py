# SPDX-License-Identifier: Apache-2.0
"""Operators that only move values."""
