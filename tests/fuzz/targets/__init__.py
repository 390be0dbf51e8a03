# SPDX-License-Identifier: Apache-2.0
"""One module a family of readers; see `tests.fuzz`."""
