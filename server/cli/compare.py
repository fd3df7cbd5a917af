"""`tinyfleet server compare`: runs side by side."""

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import AsJson, print_json, print_table


def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of runs, of many runs, or of sweeps.")
    ],
    plot: Annotated[
        Path | None, typer.Option(help="Draw the learning curves here (.png, .svg or .pdf).")
    ] = None,
    clients: Annotated[int, typer.Option(min=1, help="Unseen clients, at most.")] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="Episodes of each.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Put runs side by side: what unseen clients reach, and the rounds, bytes and energy it took.

    Runs are measured anew, on the same episodes. Energy is an estimate of training on the Arduino
    Nano 33 BLE.

    Example: tinyfleet server compare runs/20250131-101500 runs/latest --plot curves.png
    """
    from server.compare import compared
    from server.report.panels import byte_text
    from server.report.side_by_side import draw_comparison

    entries = compared(folders, clients=clients, seeds=range(seeds))
    if plot is not None:
        draw_comparison(plot, entries)
    if as_json:
        print_json([{**entry.figures, "curve": list(entry.curve)} for entry in entries])
        return

    def sized(count: int | None) -> str:
        return "-" if count is None else byte_text(count)

    rows = []
    for found in (entry.figures for entry in entries):
        joules = found["training J"]
        rows.append([
            *(found[name] or "-" for name in ("run", "task", "strategy", "rounds", "metric")),
            *(
                "-" if found[name] is None else f"{found[name]:.4f}"
                for name in ("after", "low", "high")
            ),
            *(sized(found[name]) for name in ("bytes up", "bytes down")),
            "-" if joules is None else f"{joules:.3g}",
        ])  # fmt: skip
    header = [
        "run", "task", "strategy", "rounds", "metric", "adapted", "95 % from", "to", "bytes up",
        "bytes down", "training J",
    ]  # fmt: skip
    print_table(header, rows)
    if plot is not None:
        typer.echo(f"\ncurves in {plot}")
