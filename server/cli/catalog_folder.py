"""The folder of a catalogue that a command reads."""

from pathlib import Path

from edge.errors import UsageError

__all__ = ["existing"]


def existing(path: Path) -> Path:
    """The folder, if there is one.

    Raises:
        UsageError: there is none.
    """
    if not path.is_dir():
        raise UsageError(f"there is no catalogue at {path}.", hint="--catalog runs/ID/catalog")
    return path
