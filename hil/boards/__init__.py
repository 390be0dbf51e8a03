# SPDX-License-Identifier: Apache-2.0
"""Boards: their TOML files, attached boards, emulators, labs, and an open link to one of them."""
