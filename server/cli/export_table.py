"""What `tinyfleet server export` says of its files on the console."""

from collections.abc import Iterator
from pathlib import Path

import typer

from server.cli.options import print_table
from server.export.costs import signed
from server.exporting import ExportedFile

__all__ = ["few_samples", "show"]

FEW_RANGES = 50
"""Samples below which ranges are likely to clip what a device will see."""
FEW_TRIED = 30
"""Samples below which a metric says little: one is more than 3 %."""


def show(files: list[ExportedFile], *, failed: bool) -> None:
    """Print the table and what its columns are.

    Args:
        files: what was written, one or more.
        failed: whether a bound is broken.
    """
    metric = next((entry.metric_name for entry in files if entry.metric_name), "")
    measured = [metric, "change"] if metric else []
    print_table(
        ["file", "bytes", "SQNR dB", *measured, "instructions", "RAM", "sha256"],
        [
            [
                f.file, f.bytes, "-" if f.sqnr is None else f.sqnr,
                *(_metric_cells(f) if metric else ()),
                f.instructions or "-", f.arena or "-", f.sha256[:12],
            ]
            for f in files
        ],
    )  # fmt: skip
    for line in _remarks(files):
        typer.echo(line)
    report = "" if files[0].as_is else ", with parity.md, .json and .html"
    typer.echo(f"in {Path(files[0].path).parent}{report}")
    ran = dict.fromkeys(name for entry in files for name in entry.runtimes)
    if ran:
        typer.echo(f"{'ran' if failed else 'agreed'}: {'; '.join(ran)}")


def few_samples(files: list[ExportedFile]) -> Iterator[str]:
    """Say where too few samples make ranges or figures that are worth little."""
    calibrated = max(entry.calibrated for entry in files)
    tried = max(entry.samples for entry in files)
    if 0 < calibrated < FEW_RANGES:
        yield f"only {calibrated} of the samples set int8 ranges; {FEW_RANGES} or more are wanted."
    if 0 < tried < FEW_TRIED:
        yield f"only {tried} of the samples are tried; {FEW_TRIED} or more are wanted."


def _remarks(files: list[ExportedFile]) -> Iterator[str]:
    measured = next((entry for entry in files if entry.samples), None)
    if measured is not None:
        count = measured.samples
        yield f"measured on {count} sample{'s' * (count != 1)} {measured.of}"
        if measured.change is not None:
            yield f"change: of the {measured.metric_name}, as a share of that of float64"
    if any(entry.file.endswith(".h") for entry in files):
        yield "bytes of a header are those of the model that it holds"
    board = next((entry.board for entry in files if entry.board), "")
    if board:
        yield f"instructions of a prediction, and RAM that the model takes, on {board}, emulated"
    for entry in files:
        if entry.learn_arena:
            count = entry.learn_instructions
            step = f", {count} instructions a step" if count else ""
            yield f"{entry.file} learns: {entry.learns}, {entry.learn_arena} bytes of RAM{step}"


def _metric_cells(entry: ExportedFile) -> tuple[str, str]:
    if entry.metric is None:
        return "-", "-"
    return f"{entry.metric:.4f}", signed(entry.change)
