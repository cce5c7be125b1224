"""``rsa-face report``: a finished study as one page that opens anywhere."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[Path, typer.Argument(help="A study's output folder: results/demo.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The file to write; RESULTS/report.html if not given.")] = None,
) -> None:
    """Write a finished study as one self-contained HTML page: it opens offline and can be mailed."""
    from rsa_face.report.page import write_report

    path = write_report(results, out=out)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
