# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny, the host's side: measures any device that speaks its serial protocol."""
