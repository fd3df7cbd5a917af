"""The learning curve of a run as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["AFTER", "BEFORE", "REFERENCE", "curve_on", "draw_curve"]

AFTER, BEFORE, REFERENCE = "#1b6ca8", "#9db4c0", "#c0392b"
"""Colours: of an adapted model, of one that is not, of what it is held against."""


def draw_curve(
    path: Path,
    *,
    rounds: Sequence[int],
    before: Sequence[float],
    after: Sequence[float],
    references: Mapping[str, float],
    metric: str,
    title: str,
) -> None:
    """Draw how unseen devices do as the rounds go by, and write it as a PNG.

    Args:
        path: where the picture goes; 1350 x 750 pixels.
        rounds: [n] round numbers at which the model was evaluated.
        before: [n] mean metric of unseen devices with the model as it is.
        after: [n] mean metric of the same devices after adapting it.
        references: horizontal lines, name to value, such as training from scratch.
        metric: name of the metric, for the axis.
        title: one line above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    curve_on(
        axes,
        before=list(zip(rounds, before, strict=True)),
        after=list(zip(rounds, after, strict=True)),
        references=references,
        metric=metric,
    )
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=150, metadata={"Software": None})


def curve_on(
    axes: "Axes",
    *,
    before: Sequence[tuple[int, float]],
    after: Sequence[tuple[int, float]],
    references: Mapping[str, float],
    metric: str,
) -> None:
    """Draw a learning curve into axes.

    Args:
        axes: where.
        before: (round, metric) of unseen devices with the model as it is.
        after: the same after adapting it.
        references: horizontal lines, name to value.
        metric: its name.
    """
    from matplotlib.ticker import MaxNLocator

    for points, marker, colour, label in (
        (after, "o", AFTER, "after adapting"),
        (before, "s", BEFORE, "before adapting"),
    ):
        rounds, values = [number for number, _ in points], [value for _, value in points]
        axes.plot(rounds, values, marker=marker, markersize=4, color=colour, label=label)
    for (name, value), style in zip(references.items(), ("--", ":", "-."), strict=False):
        axes.axhline(value, linestyle=style, color=REFERENCE, linewidth=1.2, label=name)
    axes.set_xlabel("round")
    axes.set_ylabel(f"{metric}, mean over unseen devices")
    axes.grid(alpha=0.25)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
