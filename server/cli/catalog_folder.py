"""Where the catalogue is that a command reads."""

import re
from pathlib import Path

from edge.errors import UsageError

__all__ = ["existing", "located"]


_ADDRESS = re.compile(r"(https?):/+(.*)")


def located(path: Path) -> str | Path:
    """The folder; or the address of an endpoint, which a path has cut."""
    found = _ADDRESS.fullmatch(str(path))
    return f"{found[1]}://{found[2]}" if found else path


def existing(path: Path) -> str | Path:
    """The same, and the folder is there.

    Raises:
        UsageError: there is none.
    """
    place = located(path)
    if isinstance(place, Path) and not place.is_dir():
        raise UsageError(f"there is no catalogue at {path}.", hint="--catalog runs/ID/catalog")
    return place
