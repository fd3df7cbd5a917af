"""`tinyfleet server report`: one page on a run."""

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import AsJson, print_json


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of the run, such as runs/latest.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the page here; by default overview.html of the run.")
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also a PDF beside it.")] = False,
    clients: Annotated[int, typer.Option(min=1, help="Unseen clients, at most.")] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="Episodes of each.")] = 3,
    pooled: Annotated[
        int, typer.Option(min=0, help="Steps of the pooled training; 0: leave it out.")
    ] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Write a page on a run: learning curve, unseen clients, baselines, bytes and energy.

    The page holds its pictures. Energy is an estimate of training on the Arduino Nano 33 BLE.

    Example: tinyfleet server report runs/latest --pdf
    """
    from edge.errors import UsageError
    from server.report.run_report import page_of, write_pdf
    from server.report.view import view_of

    view = view_of(folder, clients=clients, seeds=range(seeds), pool_steps=pooled)
    path = out or view.folder / "overview.html"
    written = [path]
    try:
        path.write_text(page_of(view).html(), encoding="utf-8")
        if pdf:
            written.append(path.with_suffix(".pdf"))
            write_pdf(view, written[-1])
    except OSError as error:
        raise UsageError(f"cannot write {written[-1]}: {error.strerror}.") from error
    if as_json:
        print_json(
            {
                **view.figures(),
                "unseen clients": view.baselines and view.baselines.as_dict(),
                "files": [str(entry) for entry in written],
            }
        )
        return
    for entry in written:
        typer.echo(entry)
