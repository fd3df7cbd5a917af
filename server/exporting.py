"""From a run or a file to files for other runtimes: what `tinyfleet server export` does."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.artifact import Artifact
from edge.errors import UsageError
from server.export.bounds import ParityFailed
from server.journal import Journal
from server.keeper import Keeper
from server.model_file import read_model
from server.presets import sized
from server.run import RunFolder, read_config
from server.tasks import Task, get_task, task_in_name

if TYPE_CHECKING:
    from server.export.about import About
    from server.export.files import Exported
    from server.export.wanted import Wanted
    from server.export_samples import Trial

__all__ = ["ExportFailed", "ExportedFile", "describe", "export_file", "export_model", "export_run"]

EXPORTS = "exports"


@dataclass(frozen=True)
class ExportedFile:
    """One file: its digest and size, how near it is to float64 (dB), and its metric.

    A header beside its `.tflite` has neither of the last two: it holds the same model.

    Args:
        bytes: of the model, what it takes of flash; of a header: of the `.tflite` that it holds.
        metric_name: such as accuracy; empty where nothing is measured.
        runtimes: those that ran it and agree.
        board: the emulated board that ran it; empty where none did.
        instructions: of one prediction there; 0 where none were counted.
        arena: bytes of RAM that the model takes there to predict; 0 where no board ran it.
        loss: share of the metric that is lost; below 0 where there is a gain.
        change: of the metric, as a share of that of float64; None where nothing is measured.
        learns: what a board trains: all layers, the last n layers, or nothing; empty where no board
            ran it.
        learn_instructions: of one SGD step there; 0 where none were counted.
        learn_arena: bytes of RAM to learn; 0 where nothing learns.
        samples: how many it was tried on.
        of: whose they are, in words.
        calibrated: how many samples set its int8 ranges; 0: it has none, or had them before.
        refined: whether it has refined weights; where they bring it no nearer, it has not.
        as_is: whether it had int8 layers already, and was checked, but not made.
    """

    file: str
    path: str
    sha256: str
    bytes: int
    sqnr: float | None
    metric: float | None
    metric_name: str = ""
    runtimes: tuple[str, ...] = ()
    board: str = ""
    instructions: int = 0
    arena: int = 0
    loss: float = 0.0
    refined: bool = False
    as_is: bool = False
    change: float | None = None
    learns: str = ""
    learn_instructions: int = 0
    learn_arena: int = 0
    samples: int = 0
    of: str = ""
    calibrated: int = 0


class ExportFailed(ParityFailed):
    """An export whose files are out of bounds; they and the report are left to look at.

    Args:
        failed: every bound that is broken, one or more; the first is what is said.
        files: the files.
    """

    def __init__(self, failed: list[ParityFailed], files: list[ExportedFile]) -> None:
        """Keep the files and all that is wrong with them."""
        super().__init__(failed[0].message, hint=failed[0].hint)
        self.failed = [error.message for error in failed]
        self.files = files


def export_model(
    model: Artifact, out: Path, about: "About", trial: "Trial", wanted: "Wanted | None" = None
) -> list[ExportedFile]:
    """Write the files that are wanted (see `Wanted`) and the parity report.

    Args:
        model: what to export; one that has int8 layers already is written as it is.
        out: folder for the files.
        about: what the files say of themselves.
        trial: samples that set the int8 ranges, and those that the files are tried on.
        wanted: which files; None: float32 and int8 as .tflite and .onnx.

    Raises:
        ExportFailed: a runtime disagrees beyond its bound; the files are left all the same.
        ParityFailed: the same of a model that is exported as it is, and then not written.
        UsageError: the folder cannot be made.
    """
    from server.export.files import write_all

    if _has_int8(model):
        from server.exporting_as_is import export_as_is

        return export_as_is(model, out, about, trial, wanted)
    found, failed = write_all(
        model.spec, model.parameters(), trial.ranges, out, about, wanted=wanted,
        samples=trial.samples,
    )  # fmt: skip
    files = [_listed(entry, trial) for entry in found]
    if failed:
        raise ExportFailed(failed, files)
    return files


def _has_int8(model: Artifact) -> bool:
    return model.dtype != "float32" or model.tail is not model or model.frozen_layers > 0


def _listed(entry: "Exported", trial: "Trial") -> ExportedFile:
    name, path, part = entry.path.name, str(entry.path), entry.parity
    if part is None:
        return ExportedFile(name, path, entry.sha256, entry.flash, None, None)
    ran = part.instructions > 0  # else its board says why it did not
    metric, learning = trial.samples.metric, part.learning
    return ExportedFile(
        name, path, entry.sha256, entry.flash, round(part.sqnr, 1), part.metric,
        metric.name if metric else "",
        tuple(answer.runtime for answer in part.answers if not answer.failed),
        part.board if ran else "", part.instructions, part.arena, round(entry.loss, 6),
        entry.refined,
        change=None if entry.change is None else round(entry.change, 6),
        learns=learning.what if learning else "",
        learn_instructions=learning.step.instructions if learning else 0,
        learn_arena=learning.arena if learning else 0,
        samples=len(trial.samples.x),
        of=trial.samples.of,
        calibrated=len(trial.ranges) if part.int8 else 0,
    )  # fmt: skip


def export_run(
    folder: RunFolder,
    out: Path | None = None,
    wanted: "Wanted | None" = None,
    licence: str = "",
    *,
    data: Path | None = None,
) -> list[ExportedFile]:
    """Export the newest model of a run, and register the files in its catalogue.

    Args:
        folder: the run's.
        out: folder for the files; None: `exports` in the run's, apart from what the run has made.
        wanted: which files; None: float32 and int8 as .tflite and .onnx.
        licence: of the files.
        data: samples of one's own, see `trial_of_file`; None: those of the run's task.
    """
    from ontology.catalog import Catalog
    from server.conversions import register

    with Journal(folder.journal) as journal:
        config = read_config(journal)
        model = Artifact(journal.artifact(journal.current(config.run)))
        closed = [row.round for row in journal.rounds(config.run) if row.result == model.sha256]
    task = get_task(config.task, **config.task_options)
    name = f"{config.task}-{config.run}"
    about = describe(name, task, run=config.run, round=max(closed, default=0), licence=licence)
    trial = _trial(task, data, model, name)
    files = export_model(model, out or folder.path / EXPORTS, about, trial, wanted)
    with Catalog.open(folder.catalog) as catalog, Keeper(catalog, site=config.site) as keeper:
        register(keeper, files, model, name=name, task=config.task)
    return files


def export_file(
    path: Path,
    out: Path,
    wanted: "Wanted",
    task: str | None = None,
    licence: str = "",
    *,
    data: Path | None = None,
) -> list[ExportedFile]:
    """Export a `.tflite`.

    Args:
        path: the file.
        out: folder for what is written.
        wanted: which files.
        task: what it is for, and whose samples are taken; None: the task that it is named after.
        licence: of the files.
        data: samples of one's own, see `trial_of_file`; None: those of the task.

    Raises:
        UsageError: the file cannot be read or is not of the task, or there are no samples for it.
    """
    model = read_model(path)
    name = model.name or path.stem
    known = task or task_in_name(name)
    chosen = (
        get_task(known, **sized(known, model.input.elements, model.output.elements))
        if known
        else None
    )
    trial = _trial(chosen, data, model, name)
    return export_model(model, out, describe(name, chosen, licence=licence), trial, wanted)


def _trial(task: Task | None, data: Path | None, model: Artifact, name: str) -> "Trial":
    from server.export_samples import trial_of_file, trial_of_task

    if _has_int8(model):
        from server.export.as_is import kind_of

        kind_of(model, name)  # says what cannot be exported, before samples are looked for
    if data is not None:
        return trial_of_file(data, model.spec)
    if task is None:
        raise UsageError(
            f"{name} is named after no task; samples are needed to set ranges and to compare.",
            hint="--data FILE.npz, or --task NAME",
        )
    return trial_of_task(task, model.spec)


def describe(
    name: str, task: Task | None, *, run: str = "", round: int = 0, licence: str = ""
) -> "About":
    """What the files of a model say of themselves, as far as its task knows.

    Args:
        name: of the model.
        task: what it is for, if that is known; `words` are the names of its classes, where they
            are the same in every episode, and `preprocessing` what it does to a sample.
        run: which run trained it.
        round: in which round.
        licence: of the files.
    """
    from server.export.about import About

    if task is None:
        return About(name, run=run, round=round, licence=licence)
    return About(
        name, task.name, tuple(getattr(task, "words", ())), getattr(task, "preprocessing", ""),
        task.description, run, round, licence,
    )  # fmt: skip
