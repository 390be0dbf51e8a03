# SPDX-License-Identifier: Apache-2.0
"""Sweeps: many trainings of one stage, in search of the best settings. Optuna, an extra, does
the searching; importing this package, or `space`, does not import it."""
