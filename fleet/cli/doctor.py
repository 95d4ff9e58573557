"""`fleet doctor`."""

from __future__ import annotations

import typer

from fleet.cli.app import Json, StoreName, app, print_json, print_table


@app.command(rich_help_panel="Start here")
def doctor(store: StoreName = None, as_json: Json = False) -> None:
    """Check this machine, its packages and the store; exits 1 when something does not work."""
    from dataclasses import asdict

    from fleet.doctor import examine

    findings = examine(store)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        print_table("fleet doctor", ("what", "state", ""), [(f.what, f.state, f.told) for f in findings])
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)
