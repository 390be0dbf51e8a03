# SPDX-License-Identifier: Apache-2.0
"""Readers of what a stranger may have made, held to one property whatever they are given.

A target is a module of `tests.fuzz.targets`: ``SEEDS`` (valid inputs), ``damage(random, data)``,
which spoils one, and ``check(data, folder)``, which gives it to the readers. `tests.fuzz.guard`
says what must hold; `python -m tests.fuzz TARGET --cases N --seed S` runs many cases.
"""
