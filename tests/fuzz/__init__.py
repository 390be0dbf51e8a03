"""Readers of what a stranger may have made, held to one property whatever they are given.

A target is a module of `tests.fuzz.targets`: ``SEEDS`` (whole, valid inputs), ``check(data)``, and
``damage`` (a Hypothesis strategy of inputs; the usual one mutates the seeds). `tests.fuzz.guard`
says what must hold; `python -m tests.fuzz TARGET --cases N --seed S` runs many cases.
"""
