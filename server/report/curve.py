"""The learning curve of a run as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path


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
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(rounds, after, marker="o", markersize=4, color="#1b6ca8", label="after adapting")
    axes.plot(rounds, before, marker="s", markersize=4, color="#9db4c0", label="before adapting")
    for (name, value), style in zip(references.items(), ("--", ":", "-."), strict=False):
        axes.axhline(value, linestyle=style, color="#c0392b", linewidth=1.2, label=name)
    axes.set_xlabel("round")
    axes.set_ylabel(f"{metric}, mean over unseen devices")
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(alpha=0.25)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=150, metadata={"Software": None})
