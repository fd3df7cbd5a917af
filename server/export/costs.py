"""What each exported file costs on a board, beside the float32 one."""

from typing import Any

from server.export.counted import SMALL_BOARD
from server.export.measured import FileParity, Parity, Ratio
from server.export.on_board import BOARD
from server.report.page import Section

__all__ = ["costs", "in_short", "learning_costs", "not_counted", "signed"]

_SAME = 0.03
"""Shares of less than this up or down are called neither a gain nor a cost."""


def costs(found: Parity) -> Section:
    """Bytes, instructions and arena of every file, and their ratio to the float32 file."""
    return Section(
        "What each file costs",
        "Flash; and of our firmware on emulated boards the exact instructions of one prediction, "
        f"without the link: {BOARD} has a floating-point unit, {SMALL_BOARD} has none. RAM is what "
        "the model takes to predict: the arena of the learner (_ARENA_INFER in a header), the "
        "table of layers and one sample; stack and variables of the firmware come on top. What the "
        "float32 file of the same format takes is 1x."
        + (
            ""
            if found.reference is None
            else f" The {_change(found)} is a share of what float64 has."
        ),
        (
            "file",
            "flash, bytes",
            f"instructions, {BOARD}",
            f"instructions, {SMALL_BOARD}",
            "RAM, bytes",
            *([] if found.reference is None else [_change(found)]),
            "beside float32, with FPU",
        ),
        [_row(found, part) for part in found.files],
    )


def learning_costs(found: Parity) -> Section:
    """What of every `.tflite` learns on the board, in what RAM, and instructions of a step."""
    known = [(part.file, part.learning) for part in found.files if part.learning]
    return Section(
        "What learning costs",
        f"Layers with weights that learn on {BOARD}, RAM as above, but to learn, and the exact "
        "instructions of one SGD step on one sample.",
        ("file", "learns", "RAM, bytes", "instructions of a step"),
        [
            (file, one.what, _or_none(one.arena), _or_none(one.step.instructions))
            for file, one in known
        ],
    )


def not_counted(found: Parity) -> Section:
    """Which figures are missing on boards, and why."""
    rows = []
    for part in found.files:
        if part.board and not part.instructions and not any(a.board for a in part.answers):
            rows.append((part.file, BOARD, part.board))
        step = part.learning.step if part.learning and part.learning.layers else None
        for what, one in (("a step on", step), ("a prediction on", part.without_fpu)):
            if one is not None and one.why:
                rows.append((part.file, f"{what} {one.board}", one.why))
    return Section("Not counted", header=("file", "what", "why"), rows=rows)


def signed(change: float | None) -> str:
    """A change of a metric with its sign, such as +1.2% or 0.0%."""
    if change is None:
        return "-"
    rounded = round(change, 3)
    return f"{rounded:+.1%}" if rounded else "0.0%"


def _change(found: Parity) -> str:
    """Heading of the change of the metric."""
    return f"{found.metric} change"


def _row(found: Parity, part: FileParity) -> tuple[Any, ...]:
    ratio = found.ratio(part)
    small = part.without_fpu.instructions if part.without_fpu else 0
    taken = (part.bytes, part.instructions, small, part.arena)
    shares: tuple[float | None, ...] = (None,) * len(taken)
    if ratio is not None:
        shares = (ratio.bytes, ratio.instructions, ratio.without_fpu, ratio.arena)
    cells = [_times(value, share) for value, share in zip(taken, shares, strict=True)]
    change = [] if found.reference is None else [signed(found.change(part))]
    return part.file, *cells, *change, in_short(ratio) if ratio else ""


def _or_none(value: int) -> str:
    return f"{value:,}" if value else "-"


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
