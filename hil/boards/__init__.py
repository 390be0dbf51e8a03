"""Boards: one TOML file each, built, started, opened and released here."""
