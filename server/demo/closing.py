"""The picture and the page that a run leaves behind."""

from collections.abc import Sequence
from pathlib import Path

from edge.artifact import Artifact
from server.demo.chapters import Chapter
from server.report.curve import draw_curve
from server.report.page import Page, Section
from server.run import Run
from server.unseen import evaluate_unseen

__all__ = ["write_report"]


def write_report(run: Run, chapters: Sequence[Chapter], seconds: float) -> Path:
    """Write learning-curve.png and report.html into the run's folder; gives the report."""
    picture = _picture(run)
    config = run.config
    page = Page(
        f"tinyfleet run {config.run}",
        f"{config.task}, {config.strategy}, {config.settings.rounds} rounds over MQTT, "
        f"{seconds:.0f} s in all. {run.task.description}.",
        [
            Section("Learning curve", _explained(run), picture=picture),
            _contributions(run),
            *(
                Section(c.title, header=c.header, rows=[list(map(_plain, r)) for r in c.rows],
                        text=c.body)
                for c in chapters
            ),
        ],
    )  # fmt: skip
    path = run.folder.path / "report.html"
    path.write_text(page.html(), encoding="utf-8")
    return path


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str) else str(value)


def _curve(run: Run, name: str) -> list[tuple[int, float]]:
    return run.journal.curve(run.config.run, f"{run.task.metric}_{name}")


def _picture(run: Run) -> Path:
    path = run.folder.path / "learning-curve.png"
    first = Artifact(run.journal.artifact(run.journal.run(run.config.run).base))
    fresh = evaluate_unseen(run.task, first)
    after = [(0, fresh.after.mean), *_curve(run, "after")]
    before = [(0, fresh.before.mean), *_curve(run, "before")]
    references = {
        text: values[-1][1]
        for text, name in (
            ("from scratch, same samples", "scratch"),
            ("from scratch, 10 passes", "scratch_longer"),
        )
        if (values := _curve(run, name))
    }
    draw_curve(
        path,
        rounds=[number for number, _ in after],
        before=[value for _, value in before],
        after=[value for _, value in after],
        references=references,
        metric=run.task.metric,
        title=f"{run.task.description}: devices never seen in training",
    )
    return path


def _explained(run: Run) -> str:
    return (
        "After some rounds the model is given to clients that took no part, with characters that "
        "no device has seen. Each learns its support set once, sample by sample, and is measured "
        "on other drawings. The red lines start from fresh weights instead."
    )


def _contributions(run: Run) -> Section:
    fleet = {str(row["device"]).rsplit(":", 1)[1]: row for row in run.catalog.query("fleet")}
    contributed = run.journal.contributors(run.config.run)
    rows = []
    for device, row in sorted(fleet.items()):
        updates, samples = contributed.get(device, (0, 0))
        ram = int(row["ramBytes"]) // 1024
        rows.append([device, row["board"], row["core"], ram, updates, samples])
    header = ["device", "board", "core", "RAM kB", "updates accepted", "samples learnt"]
    refused = run.journal.rejected(run.config.run)
    prose = f"{len(refused)} updates were refused or did not come." + "".join(
        f" Round {entry.round}, {entry.device}: {entry.reason}." for entry in refused[:5]
    )
    return Section("The fleet", prose, header=header, rows=rows)
