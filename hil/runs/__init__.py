# SPDX-License-Identifier: Apache-2.0
"""A stored run, `results/<run-id>/`: its records, how it is written, read, sealed and judged."""
