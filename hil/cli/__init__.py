# SPDX-License-Identifier: Apache-2.0
"""The command line: the only package that prints, draws progress bars and sets exit codes. Other
distributions add commands to it by entry points."""
