"""What each exported file costs on a board, beside the float32 one."""

from typing import Any

from server.export.measured import FileParity, Parity, Ratio
from server.export.on_board import BOARD
from server.report.page import Section

__all__ = ["costs", "in_short"]

_SAME = 0.03
"""Shares of less than this up or down are called neither a gain nor a cost."""


def costs(found: Parity) -> Section:
    """Bytes, instructions and arena of every file, and their ratio to the float32 file."""
    return Section(
        "What each file costs",
        "Flash; and on the board, our firmware on an emulator: exact instructions of one "
        "prediction, without the link, and RAM to predict. With what the float32 file of the same "
        f"format takes as 1x. {BOARD} has a floating-point unit; on a core without one float32 "
        "takes many times the instructions.",
        ("file", "bytes", "instructions", "arena, bytes", "board", *_lost(found), "beside float32"),
        [_row(found, part) for part in found.files],
    )


def _lost(found: Parity) -> list[str]:
    """Heading of the share of the metric that is lost; none where nothing is measured."""
    return [] if found.reference is None else [f"{found.metric} lost"]


def _row(found: Parity, part: FileParity) -> tuple[Any, ...]:
    ratio = found.ratio(part)
    shares = (ratio.bytes, ratio.instructions, ratio.arena) if ratio else (None, None, None)
    taken = (part.bytes, part.instructions, part.arena)
    cells = [_times(value, share) for value, share in zip(taken, shares, strict=True)]
    lost = [f"{max(found.loss(part), 0):.1%}" for _ in _lost(found)]
    return part.file, *cells, part.board or "-", *lost, in_short(ratio) if ratio else ""


def _times(value: int, ratio: float | None) -> str:
    if not value:
        return "-"
    return f"{value:,}" if ratio is None else f"{value:,} ({ratio:.2f}x)"


def in_short(ratio: Ratio) -> str:
    """Such as "saves flash, costs time and RAM"."""
    shares = {"flash": ratio.bytes, "time": ratio.instructions, "RAM": ratio.arena}
    known = {name: share for name, share in shares.items() if share is not None}
    saved = [name for name, share in known.items() if share <= 1 - _SAME]
    spent = [name for name, share in known.items() if share >= 1 + _SAME]
    parts = [f"{verb} {_and(what)}" for verb, what in (("saves", saved), ("costs", spent)) if what]
    return ", ".join(parts) or "takes as much"


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
