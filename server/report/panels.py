"""The pictures of a run, each drawn into axes: the same for the HTML page and the PDF."""

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from server.evaluate import estimate
from server.report.curve import AFTER, BEFORE, REFERENCE, curve_on
from server.report.view import RunView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PANELS", "STYLE", "Panel", "byte_text", "draw", "panels_of", "svg"]

Panel = Callable[["Axes", RunView], None]
GRID, INK = "#dde4ea", "#51606d"
STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "tinyfleet",
}
"""Settings of matplotlib that all pictures share."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


def byte_text(count: float) -> str:
    """A count of bytes for people.

    >>> byte_text(2_320_404)
    '2.32 MB'
    """
    power = 0
    while count >= 1000 and power < len(_UNITS) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.3g} {_UNITS[power]}"


def learning(axes: "Axes", view: RunView) -> None:
    """The metric of unseen devices over the rounds, with training alone as a line."""
    after, before = view.learning("after"), view.learning("before")
    alone = view.learning("scratch")
    references = {"alone, as many steps": alone[-1][1]} if alone else {}
    curve_on(axes, before=before, after=after, references=references, metric=view.task.metric)
    axes.legend(
        frameon=False,
        fontsize=8,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=3,
        borderaxespad=0,
    )


def clients(axes: "Axes", view: RunView) -> None:
    """Every unseen client before and after adapting, with a box over each."""
    assert view.pairs is not None
    rng = np.random.default_rng(0)
    for row, (column, colour) in enumerate(((1, AFTER), (0, BEFORE))):
        each = view.pairs[:, :, column].mean(axis=1)
        axes.boxplot(
            each, positions=[row], orientation="horizontal", widths=0.5, showfliers=False,
            medianprops={"color": colour, "linewidth": 2},
            boxprops={"color": colour}, whiskerprops={"color": colour}, capprops={"color": colour},
        )  # fmt: skip
        spread = row + rng.uniform(-0.14, 0.14, len(each))
        axes.plot(each, spread, "o", markersize=4, alpha=0.6, color=colour, markeredgewidth=0)
        mean = estimate(view.pairs[:, :, column]).mean
        axes.plot([mean], [row], "D", markersize=5, color=REFERENCE, zorder=4)
    axes.set_yticks([0, 1], ["after", "before"])
    axes.set_ylim(-0.55, 1.55)
    axes.set_xlabel(f"{view.task.metric}: a dot is a client, the diamond the mean")
    axes.grid(axis="x", alpha=0.25)


def traffic(axes: "Axes", view: RunView) -> None:
    """Bytes on the wire, added up over the rounds."""
    rounds = [entry.round for entry in view.traffic]
    for name, colour, values in (
        ("down", BEFORE, [entry.down for entry in view.traffic]),
        ("up", AFTER, [entry.up for entry in view.traffic]),
    ):
        total = np.cumsum(values)
        axes.plot(rounds, total, color=colour, label=f"{name}, {byte_text(float(total[-1]))}")
        axes.fill_between(rounds, total, color=colour, alpha=0.15, linewidth=0)
    axes.yaxis.set_major_formatter(lambda value, _: byte_text(value))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("round")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def losses(axes: "Axes", view: RunView) -> None:
    """Mean loss of the devices while they train, round by round."""
    for name, colour, text in (
        ("loss_first", BEFORE, "first step"),
        ("loss_last", AFTER, "last step"),
    ):
        points = view.curve(name)
        rounds, values = [number for number, _ in points], [value for _, value in points]
        axes.plot(rounds, values, color=colour, linewidth=1.2, label=text)
    axes.set_xlabel("round")
    axes.set_ylabel("loss, mean of a round's devices")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8, loc="best")


PANELS: Mapping[str, Panel] = {
    "Learning curve": learning,
    "Unseen clients": clients,
    "Bytes on the wire": traffic,
    "Training loss on the devices": losses,
}
"""Title and drawing of every picture, in their order."""
_OF_CLIENTS = ("Learning curve", "Unseen clients")


def panels_of(view: RunView) -> dict[str, Panel]:
    """The pictures of a run; without unseen clients fewer."""
    return {
        name: panel
        for name, panel in PANELS.items()
        if view.pairs is not None or name not in _OF_CLIENTS
    }


def svg(view: RunView, panel: Panel, *, wide: bool) -> bytes:
    """One picture as SVG; the same run gives the same bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(9.2, 3.6) if wide else (4.5, 3.2), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots(), view, panel)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def draw(axes: "Axes", view: RunView, panel: Panel) -> None:
    """Draw a panel in the style of all of them."""
    panel(axes, view)
    axes.spines[["top", "right"]].set_visible(False)
