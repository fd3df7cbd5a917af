"""From a run to files, and from a file to devices: what the commands export and rollout do."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.mqtt import BrokerOptions
from edge.topics import SiteTopics
from server.cohort_query import devices_by_query, read_query
from server.journal import Journal
from server.keeper import Keeper
from server.presets import SHOTS
from server.rollout import Deployment, deploy
from server.run import RunFolder, read_config
from server.tasks import Task, get_task
from server.transports.mqtt import MqttTransport

__all__ = ["ExportedFile", "calibration", "export_model", "export_run", "roll_out"]

PRESENCE_SECONDS = 3.0


@dataclass(frozen=True)
class ExportedFile:
    """One file: its digest and size, how near it is to float64 (dB), and its metric."""

    file: str
    path: str
    sha256: str
    bytes: int
    sqnr: float
    metric: float | None


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


def export_model(task: Task, model: Artifact, out: Path, name: str) -> list[ExportedFile]:
    """Write all four files and the parity report.

    Raises:
        ParityFailed: a runtime disagrees beyond its bound.
    """
    from server.export import export_all

    x, y = calibration(task)
    found = export_all(task.spec(), model.parameters(), x, out, name, y=y, metric=task.metric)
    return [
        ExportedFile(
            entry.path.name,
            str(entry.path),
            entry.sha256,
            len(entry.data),
            round(entry.parity.sqnr, 1),
            entry.parity.answers[0].metric,
        )
        for entry in found
    ]


def export_run(folder: RunFolder, out: Path | None = None) -> list[ExportedFile]:
    """Export the newest model of a run and register the `.tflite` files in its catalogue."""
    from ontology.catalog import Catalog

    with Journal(folder.journal) as journal:
        config = read_config(journal)
        model = Artifact(journal.artifact(journal.current(config.run)))
    task = get_task(config.task)
    name = f"{config.task}-{config.run}"
    files = export_model(task, model, out or folder.models, name)
    with Catalog.open(folder.catalog) as catalog, Keeper(catalog, site=config.site) as keeper:
        register(keeper, files, model, name=name, task=config.task)
    return files


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
                name=f"{name}-{artifact.dtype}",
                task=task,
                source=model.sha256,
                metrics={} if entry.metric is None else {"calibration_metric": entry.metric},
            )


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

    try:
        artifact = Artifact(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.", hint="a .tflite") from error
    by_query = where.endswith(".rq") or where in named_queries()
    if by_query and catalog is None:
        raise UsageError("a query needs a catalogue to ask.", hint="--catalog runs/latest/catalog")
    with Catalog.open(catalog or ":memory:") as opened, Keeper(opened, site=site) as keeper:
        if catalog is not None:
            opened.put_model(artifact, name=artifact.name or path.stem)
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
