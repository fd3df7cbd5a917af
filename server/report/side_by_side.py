"""Learning curves of several runs in one picture."""

from collections.abc import Sequence
from pathlib import Path

from edge.errors import MissingExtra, UsageError
from server.compare import Entry
from server.report.panels import STYLE

__all__ = ["draw_comparison"]

_COLOURS = (
    "#1b6ca8", "#c0392b", "#2e8b57", "#8e5ea2", "#d98e04", "#17a2b8", "#7f5539", "#51606d",
)  # fmt: skip
_MARKERS = "osD^vPX*"


def draw_comparison(path: Path, entries: Sequence[Entry]) -> None:
    """Draw a panel for each metric; the legend gives what the last models reached.

    Args:
        path: a .png, .svg or .pdf.
        entries: those without a curve are left out.

    Raises:
        UsageError: no run has a curve, or the picture cannot be written.
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise MissingExtra(
            "matplotlib is not installed.", hint="pip install tinyfleet[server]"
        ) from error
    shown = [entry for entry in entries if entry.curve]
    if not shown:
        raise UsageError("no run has a learning curve.", hint="--evaluate-every of server run")
    metrics = sorted({entry.metric for entry in shown})
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 4.2 * len(metrics)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(metrics), squeeze=False)[:, 0]
        for axes, metric in zip(panels, metrics, strict=True):
            mine = [entry for entry in shown if entry.metric == metric]
            for place, entry in enumerate(mine):
                figures = entry.figures
                axes.plot(
                    [number for number, _ in entry.curve],
                    [value for _, value in entry.curve],
                    color=_COLOURS[place % len(_COLOURS)],
                    marker=_MARKERS[place % len(_MARKERS)],
                    markersize=4,
                    label=f"{figures['run']}: {figures['task']}, {figures['strategy']} "
                    f"({figures['after']:.3f}, 95 % {figures['low']:.3f} to "
                    f"{figures['high']:.3f})",
                )
            axes.set_xlabel("round")
            axes.set_ylabel(f"{metric} of unseen devices, adapted")
            axes.grid(alpha=0.25)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, fontsize=8, loc="best")
        try:
            figure.savefig(path, dpi=150)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot write {path}: {error}.", hint="a .png or .svg") from error
