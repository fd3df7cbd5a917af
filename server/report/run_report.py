"""The report of one run: the same figures and pictures as an HTML page or as a PDF."""

from pathlib import Path

from edge.errors import MissingExtra
from server.evaluate import estimate
from server.report.page import Page, Section, Tile
from server.report.panels import STYLE, byte_text, draw, panels_of, svg
from server.report.view import RunView

__all__ = ["page_of", "write_pdf"]

CURVE = (
    "Measured while it ran, on the first unseen clients; the figures above are of the last model."
)
PLACES = (
    (0.13, 0.60, 0.80, 0.215),
    (0.13, 0.36, 0.34, 0.16),
    (0.60, 0.36, 0.33, 0.16),
    (0.13, 0.10, 0.34, 0.16),
)
"""Left, bottom, width and height of the pictures on the sheet, as shares of it."""


def page_of(view: RunView) -> Page:
    """The HTML page of a run.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    panels = panels_of(view)
    try:
        pictures = [svg(view, panel, wide=not row) for row, panel in enumerate(panels.values())]
    except ImportError as error:
        raise MissingExtra(
            "matplotlib is not installed.", hint="pip install tinyfleet[server]"
        ) from error
    first, *others = (
        Section(name, CURVE if name == "Learning curve" else "", picture=picture, half=bool(row))
        for row, (name, picture) in enumerate(zip(panels, pictures, strict=True))
    )
    # Wide sections between pairs of narrow ones: how a model stands comes beside its clients.
    sections = [first, others[0], _measured(view), *others[1:], _devices(view), _settings(view)]
    return Page(_title(view), _subtitle(view), sections, tiles=_tiles(view))


def write_pdf(view: RunView, path: Path) -> None:
    """Write the page as one sheet of A4."""
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_pdf import FigureCanvasPdf
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            "matplotlib is not installed.", hint="pip install tinyfleet[server]"
        ) from error
    import textwrap

    with rc_context(STYLE):
        figure = Figure(figsize=(8.27, 11.69))
        FigureCanvasPdf(figure)
        figure.text(0.08, 0.955, _title(view), fontsize=17, weight="bold", color="#1d2730")
        subtitle = "\n".join(textwrap.wrap(_subtitle(view), 115))
        figure.text(0.08, 0.945, subtitle, fontsize=8.5, color="#51606d", va="top")
        tiles = _tiles(view)
        for column, tile in enumerate(tiles):
            x = 0.08 + column * 0.86 / len(tiles)
            figure.text(x, 0.895, tile.name, fontsize=8, color="#51606d")
            figure.text(x, 0.872, tile.value, fontsize=14, weight="bold", color="#1b6ca8")
            figure.text(x, 0.858, tile.remark, fontsize=7, color="#51606d")
        for place, (name, panel) in zip(PLACES, panels_of(view).items(), strict=False):
            axes = figure.add_axes(place)
            axes.set_title(name, loc="left", fontsize=10, weight="bold", color="#1d2730")
            draw(axes, view, panel)
        figure.text(
            0.08, 0.055, "\n".join(textwrap.wrap(_notes(view), 135)), fontsize=7, va="top",
            color="#51606d",
        )  # fmt: skip
        if view.baselines is not None:
            _pdf_table(figure.add_axes((0.58, 0.10, 0.36, 0.16)), _measured(view))
        figure.savefig(path, format="pdf", metadata={"CreationDate": None, "Title": _title(view)})


def _pdf_table(axes: "object", section: Section) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.axis("off")
    axes.set_title(section.title, loc="left", fontsize=10, weight="bold", color="#1d2730")
    cells = [[f"{c:.3f}" if isinstance(c, float) else str(c) for c in row] for row in section.rows]
    widths = [0.34, *[0.66 / (len(section.header) - 1)] * (len(section.header) - 1)]
    table = axes.table(
        cells, colLabels=list(section.header), cellLoc="left", edges="horizontal",
        colWidths=widths, loc="upper left",
    )  # fmt: skip
    table.auto_set_font_size(False)
    table.set_fontsize(7.5)
    for (row, _), cell in table.get_celld().items():
        if row == 0:
            cell.get_text().set(color="#51606d", ha="left")
        cell.set_edgecolor("#dde4ea")
        cell.set_height(0.1)
        cell.PAD = 0.02


def _title(view: RunView) -> str:
    return f"tinyfleet run {view.config.run}"


def _subtitle(view: RunView) -> str:
    config = view.config
    return (
        f"{config.task} with {config.strategy}; {len(view.rounds)} of {config.settings.rounds} "
        f"rounds, {view.status}. {view.task.description[0].upper()}{view.task.description[1:]}."
    )


def _tiles(view: RunView) -> list[Tile]:
    found = _of_clients(view)
    found += [
        Tile("bytes up", byte_text(view.bytes_up), f"{_accepted(view)} updates that counted"),
        Tile("bytes down", byte_text(view.bytes_down), "offers and models"),
    ]  # fmt: skip
    if view.energy is not None:
        each = view.energy.joules / max(_accepted(view), 1)
        found.append(
            Tile("training energy", f"{view.energy.joules:.3g} J", f"{each * 1e3:.3g} mJ an update")
        )
    return found


def _of_clients(view: RunView) -> list[Tile]:
    if view.pairs is None:
        return []
    before, after = estimate(view.pairs[:, :, 0]), estimate(view.pairs[:, :, 1])
    return [
        Tile(f"{view.task.metric}, adapted", f"{after.mean:.3f}",
             f"95 %: {after.low:.3f} to {after.high:.3f}"),
        Tile(f"{view.task.metric}, not adapted", f"{before.mean:.3f}",
             f"{before.clients} unseen clients"),
    ]  # fmt: skip


def _accepted(view: RunView) -> int:
    return sum(row.accepted for row in view.updates)


def _measured(view: RunView) -> Section:
    header = [view.task.metric, "mean", "from", "to", "worst"]
    if view.baselines is None:
        return Section("How it stands", "The task has no clients here to measure on.", half=True)
    rows = [
        [name, each.mean, each.low, each.high, "-" if worst is None else worst]
        for name, each, worst in view.baselines.rows()
    ]
    pool = view.baselines.pool
    pooled = (
        f" Pooled: {pool.steps} steps over {pool.samples} samples of training clients."
        if pool
        else ""
    )
    clients, seeds, _ = view.baselines.pairs.shape
    prose = (
        f"{clients} unseen clients, {seeds} episodes each, {view.baselines.shots} shots; from and "
        f"to: 95 % interval; worst: mean of the worst tenth. Alone and pooled are the task's own "
        f"net with the best of four rates.{pooled}"
    )
    return Section("Beside its baselines", prose, header=header, rows=rows, half=True)


def _devices(view: RunView) -> Section:
    names = sorted({row.device for row in view.updates})
    rows = []
    for name in names:
        mine = [row for row in view.updates if row.device == name]
        counted = [row for row in mine if row.accepted]
        rows.append(
            [name, len(counted), len(mine) - len(counted), sum(row.samples for row in counted),
             byte_text(sum(row.bytes for row in mine)),
             next((row.reason for row in reversed(mine) if not row.accepted), "")]
        )  # fmt: skip
    header = ["device", "updates counted", "not counted", "steps", "bytes up", "why not"]
    return Section("The fleet", header=header, rows=rows)


def _settings(view: RunView) -> Section:
    config = view.config
    rows: list[list[object]] = [
        *(["strategy: " + name, value] for name, value in config.strategy_options.items()),
        *(["task: " + name, value] for name, value in config.task_options.items()),
        *([name, getattr(config.settings, name)] for name in ("seed", "deadline", "min_updates")),
        ["model", view.sha256],
        ["bytes of the model", len(view.model)],
    ]
    return Section("How it was run", _notes(view), header=["setting", "value"], rows=rows)


def _notes(view: RunView) -> str:
    notes = "Bytes down: an offer and the round's model for each device of a cohort."
    if view.energy is not None:
        notes += (
            f" Energy: {view.energy.steps} training steps of {view.energy.step * 1e6:.3g} uJ, as "
            f"if every device were a {view.energy.board}; radio and sleep are not in it. "
            f"{view.energy.source}."
        )
    return notes
