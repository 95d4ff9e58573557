"""`python -m fleet.cli`: the command line without its console script."""

from fleet.cli import main

main()
