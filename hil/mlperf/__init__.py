# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny's serial protocol, the host's side: any device that speaks it, ours or not."""
