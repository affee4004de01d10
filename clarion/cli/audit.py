"""`clarion audit`: prove that everything adds up."""

from typing import Annotated

import typer

from clarion.cli.output import FAILED, err, now, out, table
from clarion.flows import audit as flow


def audit(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Count everything again and name what does not add up."""
    findings = flow.run(now())
    rows = [(finding.kind, finding.sentence, " ".join(map(str, finding.rows))) for finding in findings]
    if findings or as_json:
        table("Does not add up", ("kind", "what", "rows"), rows, as_json=as_json)
    if findings:
        err.print("clarion trace <id> shows the life of a row.")
        raise typer.Exit(FAILED)
    if not as_json:
        out.print("Everything adds up.")
