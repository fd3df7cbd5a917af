"""From a run to files, and from a file to devices: what the commands export and rollout do."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.mqtt import BrokerOptions
from edge.topics import SiteTopics
from server.cohort_query import devices_by_query, read_query
from server.journal import Journal
from server.keeper import Keeper
from server.model_facts import model_facts
from server.model_file import read_model
from server.presets import SHOTS
from server.rollout import Deployment, deploy
from server.run import RunFolder, read_config
from server.tasks import Task, get_task, named_after
from server.transports.mqtt import MqttTransport

if TYPE_CHECKING:
    from ontology.describe.needs import Cost
    from server.export.about import About
    from server.export.files import Exported
    from server.export.measured import Samples
    from server.export.wanted import Wanted

__all__ = [
    "ExportedFile",
    "calibration",
    "describe",
    "export_file",
    "export_model",
    "export_run",
    "register",
    "roll_out",
]  # fmt: skip

PRESENCE_SECONDS = 3.0
EXPORTS = "exports"


@dataclass(frozen=True)
class ExportedFile:
    """One file: its digest and size, how near it is to float64 (dB), and its metric.

    A header has neither of the last two; it holds the `.tflite` beside it.

    Args:
        runtimes: those that ran it and agree.
        board: the emulated board that ran it; empty where none did.
        instructions: of one prediction there; 0 where none were counted.
        loss: share of the metric that is lost; below 0 where there is a gain.
    """

    file: str
    path: str
    sha256: str
    bytes: int
    sqnr: float | None
    metric: float | None
    runtimes: tuple[str, ...] = ()
    board: str = ""
    instructions: int = 0
    loss: float = 0.0


def calibration(
    task: Task, *, clients: int = 40
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Training samples, x and targets, to set int8 ranges with: one episode a client."""
    episodes = [
        task.client(index, "train").episode(
            np.random.default_rng(index), shots=SHOTS[task.name], queries=1
        )
        for index in range(min(clients, task.clients("train")))
    ]
    return (
        np.concatenate([episode.support_x for episode in episodes])[:200],
        np.concatenate([episode.support_y for episode in episodes])[:200],
    )


def evaluation(task: Task, *, clients: int = 40) -> "Samples":
    """At most 200 samples of clients that took no part; the model is adapted to none of them."""
    from server.export.measured import Metric, Samples

    episodes = [
        task.client(index, "test").episode(np.random.default_rng(index), shots=1, queries=5)
        for index in range(clients)
    ]
    x = np.concatenate([episode.query_x for episode in episodes])
    y = np.concatenate([episode.query_y for episode in episodes])
    there = min(clients, task.clients("test"))
    some = np.linspace(0, len(x) - 1, min(len(x), 200)).astype(int)
    return Samples(
        x[some],
        y[some],
        Metric(task.metric, task.measure, task.higher_is_better),
        f"of {there} client{'s' * (there != 1)} that took no part, adapted to none",
    )


def export_model(
    task: Task, model: Artifact, out: Path, about: "About", wanted: "Wanted | None" = None
) -> list[ExportedFile]:
    """Write the files that are wanted (see `Wanted`) and the parity report.

    Args:
        task: samples of its training clients set the int8 ranges.
        model: a float32 one of this task.
        out: folder for the files.
        about: what the files say of themselves.
        wanted: which files; None: float32 and int8 as .tflite and .onnx.

    Raises:
        ParityFailed: a runtime disagrees beyond its bound.
        UsageError: the model is not float32, or not as wide as the task's samples; or the folder
            cannot be made.
    """
    from server.export import export_all

    if model.dtype != "float32" or model.frozen_layers:
        raise UsageError(
            f"{about.name} has int8 layers; a float32 model is needed.",
            hint="the model that it was made from",
        )
    ranges, _ = calibration(task)
    if model.spec.n_in != ranges.shape[1]:
        raise UsageError(
            f"the model takes {model.spec.n_in} values, a sample of {task.name} has "
            f"{ranges.shape[1]}.",
            hint="another --task",
        )
    found = export_all(
        model.spec, model.parameters(), ranges, out, about, wanted=wanted, samples=evaluation(task)
    )
    return [_listed(entry) for entry in found]


def _listed(entry: "Exported") -> ExportedFile:
    name, path, part = entry.path.name, str(entry.path), entry.parity
    if part is None:
        return ExportedFile(name, path, entry.sha256, len(entry.data), None, None)
    return ExportedFile(
        name, path, entry.sha256, len(entry.data), round(part.sqnr, 1), part.answers[0].metric,
        tuple(answer.runtime for answer in part.answers), part.board, part.instructions,
        round(entry.loss, 6),
    )  # fmt: skip


def export_run(
    folder: RunFolder, out: Path | None = None, wanted: "Wanted | None" = None, licence: str = ""
) -> list[ExportedFile]:
    """Export the newest model of a run and register the `.tflite` files in its catalogue.

    Args:
        folder: the run's.
        out: folder for the files; None: `exports` in the run's, apart from what the run has made.
        wanted: which files; None: float32 and int8 as .tflite and .onnx.
        licence: of the files.
    """
    from ontology.catalog import Catalog

    with Journal(folder.journal) as journal:
        config = read_config(journal)
        model = Artifact(journal.artifact(journal.current(config.run)))
        closed = [row.round for row in journal.rounds(config.run) if row.result == model.sha256]
    task = get_task(config.task, **config.task_options)
    name = f"{config.task}-{config.run}"
    about = describe(name, task, run=config.run, round=max(closed, default=0), licence=licence)
    files = export_model(task, model, out or folder.path / EXPORTS, about, wanted)
    with Catalog.open(folder.catalog) as catalog, Keeper(catalog, site=config.site) as keeper:
        register(keeper, files, model, name=name, task=config.task)
    return files


def export_file(
    path: Path, out: Path, wanted: "Wanted", task: str | None = None, licence: str = ""
) -> list[ExportedFile]:
    """Export a float32 `.tflite` of one of the tasks.

    Args:
        path: the file.
        out: folder for what is written.
        wanted: which files.
        task: whose samples set the ranges; None: the task that the model is named after.
        licence: of the files.

    Raises:
        UsageError: the file cannot be read, or is not of the task.
    """
    model = read_model(path)
    chosen = get_task(task or named_after(model.name))
    name = model.name or path.stem
    return export_model(chosen, model, out, describe(name, chosen, licence=licence), wanted)


def describe(name: str, task: Task, *, run: str = "", round: int = 0, licence: str = "") -> "About":
    """What the files of a model say of themselves, as far as its task knows.

    Args:
        name: of the model.
        task: what it is for; `words` are the names of its classes, where they are the same in
            every episode, and `preprocessing` what it does to a sample.
        run: which run trained it.
        round: in which round.
        licence: of the files.
    """
    from server.export.about import About

    return About(
        name, task.name, tuple(getattr(task, "words", ())), getattr(task, "preprocessing", ""),
        task.description, run, round, licence,
    )  # fmt: skip


def register(
    keeper: Keeper, files: list[ExportedFile], model: Artifact, *, name: str, task: str
) -> None:
    """Put exported `.tflite` files into the catalogue as conversions of a model."""
    for entry in files:
        if not entry.file.endswith(".tflite"):
            continue
        artifact = Artifact(Path(entry.path).read_bytes())
        if artifact.sha256 != model.sha256:
            keeper.exported(
                artifact,
                name=f"{name}-{_kind(entry.file, artifact)}",
                task=task,
                source=model.sha256,
                metrics={} if entry.metric is None else {"unadapted_metric": entry.metric},
                cost=_cost(entry),
            )


def _kind(file: str, artifact: Artifact) -> str:
    """What tells a conversion from the others of its model."""
    kind = file.split(".")[-2]
    return artifact.dtype if kind == "f32" else kind


def _cost(entry: ExportedFile) -> "Cost | None":
    """What was counted on a board, as a cost of its core."""
    from firmware_sim.boards import BOARDS
    from ontology.describe.needs import Cost

    if entry.board not in BOARDS or not entry.instructions:
        return None
    return Cost(BOARDS[entry.board].core, inference=entry.instructions)


def roll_out(
    path: Path,
    where: str,
    options: BrokerOptions,
    *,
    site: str,
    catalog: Path | None,
    timeout: float,
) -> list[Deployment]:
    """Deploy a file to the devices of a list or a query.

    Args:
        path: the `.tflite`.
        where: names separated by commas; or a .rq file or a named query that takes `model`.
        options: where the broker is.
        site: the site's name.
        catalog: folder of the catalogue; needed for a query.
        timeout: seconds to wait for each device.
    """
    from ontology.catalog import Catalog
    from ontology.named import named_queries

    artifact = read_model(path, onnx=True)
    by_query = where.endswith(".rq") or where in named_queries()
    if by_query and catalog is None:
        raise UsageError("a query needs a catalogue to ask.", hint="--catalog runs/latest/catalog")
    with Catalog.open(catalog or ":memory:") as opened, Keeper(opened, site=site) as keeper:
        if catalog is not None:
            opened.put_model(model_facts(artifact), name=artifact.name or path.stem)
        with MqttTransport(
            options, SiteTopics(site), on_describe=keeper.described, on_state=keeper.changed
        ) as transport:
            transport.wait_for(1, PRESENCE_SECONDS)
            keeper.flush()
            if where.endswith(".rq"):
                devices = devices_by_query(opened, read_query(Path(where)), site=site)()
            elif by_query:
                devices = devices_by_query(opened, where, site=site, model=artifact.sha256)()
            else:
                devices = [name.strip() for name in where.split(",") if name.strip()]
            return deploy(transport, artifact, devices, keeper=keeper, timeout=timeout)
