"""What devices predicted, as a table: outputs in columns, the largest, and whether it is right."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from server.asking import Answer

__all__ = ["prediction_table"]

_SHOWN = 8  # outputs of a prediction
_DIGEST = 12
Float32 = NDArray[np.float32]


def prediction_table(found: "list[Answer]", targets: Float32) -> tuple[list[str], list[list[Any]]]:
    """Header and rows: one for each input of each device, or for the reason that it has none.

    With more than one output the index of the largest is told; where the targets are classes, too,
    whether it is the right one.

    Args:
        found: the answers.
        targets: float32 [n, k] of the inputs; NaN: unknown.
    """
    several = any(one.y is not None and one.y.shape[1] > 1 for one in found)
    judged = several and any(_classes(one, targets).size for one in found)
    more = ["largest"] * several + ["right"] * judged
    rows: list[list[Any]] = []
    for one in found:
        model = "-" if one.model is None else one.model[:_DIGEST]
        if one.y is None:
            rows.append([one.device, model, "-", "-", *["-"] * len(more), one.reason])
            continue
        largest, classes = one.y.argmax(axis=1), _classes(one, targets)
        for number, outputs in enumerate(_outputs(one.y)):
            verdicts: list[Any] = ["-"] * len(more)
            if several and one.y.shape[1] > 1:
                verdicts[0] = largest[number]
            if number < len(classes) and not np.isnan(classes[number]):
                right = classes[number] == largest[number]
                verdicts[1] = "yes" if right else f"no, {classes[number]:.0f}"
            rows.append([one.device, model, number, outputs, *verdicts, ""])
    return ["device", "model", "input", "outputs", *more, "reason"], rows


def _classes(one: "Answer", targets: Float32) -> Float32:
    """The right class for each input, NaN where unknown; empty where the targets are no classes."""
    if one.y is None or one.y.shape[1] == 1 or targets.shape[1:] != (1,):
        return np.empty(0, np.float32)
    classes = targets[:, 0]
    known = classes[~np.isnan(classes)]
    fits = known.size and np.isin(known, np.arange(one.y.shape[1])).all()
    return classes if fits else np.empty(0, np.float32)


def _outputs(y: Float32) -> list[str]:
    """Each row as text, all columns equally wide."""
    shown = y[:, :_SHOWN]
    plain = y.shape[1] > 1 and bool((np.abs(shown) < 1e5).all())
    cells = [[f"{value:.4f}" if plain else f"{value:.4g}" for value in row] for row in shown]
    wide = max((len(cell) for row in cells for cell in row), default=0)
    more = f" ... {y.shape[1]} in all" if y.shape[1] > _SHOWN else ""
    return [" ".join(cell.rjust(wide) for cell in row) + more for row in cells]
