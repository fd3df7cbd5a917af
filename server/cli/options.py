"""Options that several commands share, and small helpers to print."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.errors import UsageError

DEFAULT_BROKER = "mqtt://127.0.0.1:1883"
DEFAULT_CATALOG = Path("catalog")

Broker = Annotated[
    str, typer.Option("--broker", envvar="TINYFLEET_BROKER", help="mqtt://HOST:PORT or mqtts://.")
]
Site = Annotated[
    str, typer.Option("--site", envvar="TINYFLEET_SITE", help="Name of the fleet in topics.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
CatalogPath = Annotated[
    Path,
    typer.Option("--catalog", envvar="TINYFLEET_CATALOG", help="Folder of the catalogue."),
]

Options = Annotated[
    list[str] | None,
    typer.Option("--option", help="NAME=VALUE: an option of the strategy; again for another."),
]
TaskOptions = Annotated[
    list[str] | None,
    typer.Option("--task-option", help="NAME=VALUE: an option of the task; again for another."),
]
Log = Annotated[
    list[str] | None,
    typer.Option("--log", help="Also tell mlflow:URI or tensorboard:FOLDER; again for another."),
]


def settings_of(given: list[str] | None, flag: str) -> dict[str, str]:
    """Take NAME=VALUE texts apart.

    Raises:
        UsageError: one has no name, or comes twice.
    """
    found: dict[str, str] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            reason = "comes twice" if name in found else "is not NAME=VALUE"
            values = "VALUE1,VALUE2" if flag == "--set" else "VALUE"
            raise UsageError(
                f"{flag} {text} {reason}.", hint=f"{flag} {name.strip() or 'NAME'}={values}"
            )
        found[name.replace("-", "_")] = value
    return found


def values_of(given: list[str] | None, flag: str) -> dict[str, Any]:
    """The same, each value as the number, truth value or text that it spells.

    Raises:
        UsageError: one has no name, or comes twice.
    """
    from server.experiment import parsed

    return {name: parsed(value) for name, value in settings_of(given, flag).items()}


def file_to_write(path: Path, suffix: str) -> Path:
    """Make sure, before long work, that its outcome can be written.

    Args:
        path: of the file.
        suffix: what its name must end in, such as .tflite.

    Raises:
        UsageError: it has another ending, or cannot be written there.
    """
    if path.suffix.lower() != suffix:
        raise UsageError(f"--out {path} does not end in {suffix}.", hint=f"{path.stem}{suffix}")
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {folder}.")
    place = path if path.exists() else folder
    if path.is_dir() or not os.access(place, os.W_OK):
        raise UsageError(f"cannot write {path}: {place} is a folder or not writable.")
    return path


def print_json(value: Any) -> None:
    """Print one JSON document, indented, keys in their order; what is not finite is null."""
    from server.finite import finite

    typer.echo(json.dumps(finite(value), indent=2, default=str, allow_nan=False))


def print_table(header: list[str], rows: list[list[Any]]) -> None:
    """Print rows under a header, each column as wide as its widest cell."""
    cells = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        typer.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
