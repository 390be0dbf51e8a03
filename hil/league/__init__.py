# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny's published results in cycles per MAC, beside one's own runs.

published   the results as MLCommons published them, and the reference networks
entries     published results and own runs as rows of one table; which network a run has
"""
