# SPDX-License-Identifier: Apache-2.0
"""Fakes for tests and benchmarks: boards, lines, labs, MLPerf Tiny devices."""
