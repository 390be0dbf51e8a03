# SPDX-License-Identifier: Apache-2.0
"""Tests of a board, to run in any folder: `pytest --pyargs hil.board_tests -m hil`.

They need pytest only, no plugin and no marker of another package.
"""
