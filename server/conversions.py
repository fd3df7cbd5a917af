"""Exported files in the catalogue: conversions of the model that they were made from."""

from pathlib import Path
from typing import TYPE_CHECKING

from edge.artifact import Artifact
from server.exporting import ExportedFile
from server.keeper import Keeper

if TYPE_CHECKING:
    from ontology.describe.needs import Cost

__all__ = ["register"]


def register(
    keeper: Keeper, files: list[ExportedFile], model: Artifact, *, name: str, task: str
) -> None:
    """Put exported files into the catalogue as conversions of a model.

    A header is left out: it holds the `.tflite` of its dtype.
    """
    for entry in files:
        if entry.file.endswith(".h"):
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
    kind, suffix = file.split(".")[-2:]
    found = artifact.dtype if kind == "f32" else kind
    return f"{found}-onnx" if suffix == "onnx" else found


def _cost(entry: ExportedFile) -> "Cost | None":
    """What was counted on a board, as a cost of its core."""
    from firmware_sim.boards import BOARDS
    from ontology.describe.needs import Cost

    if not entry.board or not entry.instructions:
        return None
    return Cost(BOARDS[entry.board].core, inference=entry.instructions)
