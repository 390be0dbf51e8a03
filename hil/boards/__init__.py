# SPDX-License-Identifier: Apache-2.0
"""Boards: one TOML file each, built, started, opened and released here."""
