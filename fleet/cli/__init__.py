"""The command line: a file a noun. A command parses, calls one function, prints.

Nothing heavy is imported here: `fleet --help` answers before torch or ray would have been found.
"""

from __future__ import annotations

import sys

from fleet.cli.app import app, print_error
from fleet.errors import FleetError

# Importing a noun registers its commands; `fleet --help` lists them in this order.
from fleet.cli import cameras, recordings, retrain, models, thresholds, scoring, serve, demo, benchmark, doctor  # noqa: F401  isort: skip

__all__ = ["app", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 (the work failed) or 2 (wrong usage), never with a traceback of ours."""
    try:
        app(arguments, prog_name="fleet")
    except FleetError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.code == 130:  # what Typer makes of Ctrl-C
            sys.stderr.write("interrupted: run the same command again to go on\n")
        raise
    except BrokenPipeError:  # `fleet score ... | head`
        sys.stderr.close()
        sys.exit(0)
