# SPDX-License-Identifier: Apache-2.0
"""Studies: several ways to one end, carried out, measured on a board, and laid side by side."""
