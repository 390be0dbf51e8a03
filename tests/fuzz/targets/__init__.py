# SPDX-License-Identifier: Apache-2.0
"""One module per family of readers; see `tests.fuzz`."""
