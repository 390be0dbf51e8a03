# SPDX-License-Identifier: Apache-2.0
"""Fuzzers for the readers of untrusted input.

A target is a module of `tests.fuzz.targets`: ``SEEDS`` (valid inputs), ``damage(random, data)``,
which damages one, and ``check(data, folder)``, which passes it to the readers. `tests.fuzz.guard`
defines what must hold; `python -m tests.fuzz TARGET --cases N --seed S` runs many cases.
"""
