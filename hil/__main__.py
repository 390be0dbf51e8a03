"""`python -m hil` is the command line."""

from hil.cli.main import main

main()
