"""Hardware-in-the-loop benchmark for TinyML."""

__version__ = "0.1.0"
