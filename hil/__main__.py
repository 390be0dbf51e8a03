# SPDX-License-Identifier: Apache-2.0
"""`python -m hil` is the command line."""

from hil.cli.main import main

main()
