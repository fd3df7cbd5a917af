"""Tables of samples: .csv files, checked line by line."""

import csv
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.replay import Replay

__all__ = ["read_columns", "read_table"]

Float32 = NDArray[np.float32]

_TABLE = "numbers with commas; the last column, or those called y, are the targets"


def read_table(path: Path) -> Replay:
    """Samples of a .csv: the last column is y, all others x.

    Where the first line has names, columns called y, or y0, y1 and so on, are y instead, in the
    order of their numbers.

    Raises:
        UsageError: it is no table of numbers; the line that is not is named.
    """
    names, table, lines = _read(path)
    if table.shape[1] < 2:
        raise UsageError(f"{path} is a table of shape {table.shape}.", hint=_TABLE)
    targets = _targets(names) or [table.shape[1] - 1]
    inputs = [i for i in range(table.shape[1]) if i not in targets]
    if not inputs:
        raise UsageError(f"{path} has no column but targets.", hint=_TABLE)
    found = Replay(table[:, inputs], table[:, targets])
    if fault := found.fault():
        raise UsageError(f"{path}, line {lines[fault[0]]}: {fault[1]}")
    return found


def read_columns(path: Path) -> tuple[list[str], Float32]:
    """All columns of a .csv: their names, if the first line has any, and float32 [n, columns].

    Raises:
        UsageError: it is no table of numbers; the line that is not is named.
    """
    names, table, _ = _read(path)
    return names, table


def _read(path: Path) -> tuple[list[str], Float32, list[int]]:
    """Names, columns, and the number of each row's line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            numbered = [(reader.line_num, line) for line in reader if line]
    except (ValueError, csv.Error):
        raise UsageError(f"{path} is no text with commas.", hint=_TABLE) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    names = [] if not numbered or all(map(_is_number, numbered[0][1])) else numbered.pop(0)[1]
    try:
        with np.errstate(over="ignore"):
            table = np.array([line for _, line in numbered], np.float32)
    except ValueError:
        raise UsageError(f"{path}, {_fault(numbered)}.", hint=_TABLE) from None
    if table.ndim != 2 or (names and len(names) != table.shape[1]):
        raise UsageError(f"{path} is a table of shape {table.shape}.", hint=_TABLE)
    return names, table, [number for number, _ in numbered]


def _targets(names: list[str]) -> list[int]:
    """Columns that are called y, in the order of their numbers."""
    found = [(i, re.fullmatch(r"y(\d*)", name.strip())) for i, name in enumerate(names)]
    numbered = [(int(match[1] or 0), i) for i, match in found if match]
    return [i for _, i in sorted(numbered)]


def _fault(numbered: list[tuple[int, list[str]]]) -> str:
    """Which line of a table is none, and why."""
    width = len(numbered[0][1])
    for number, line in numbered:
        if len(line) != width:
            return f"line {number}: {len(line)} values, the lines before have {width}"
        wrong = next((text for text in line if not _is_number(text)), None)
        if wrong is not None:
            return f"line {number}: {wrong.strip()[:40]!r} is no number"
    return "not all values are numbers"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
