"""One module a family of readers; see `tests.fuzz`."""
