"""What the catalogue is told of a model: all that can be read of it here."""

from contextlib import suppress
from typing import TYPE_CHECKING

from edge.artifact import Artifact
from edge.errors import ArtifactError, MissingExtra
from edge.onnx_file import is_onnx

if TYPE_CHECKING:
    from ontology.catalog import Catalog
    from ontology.describe.model import ModelFacts

__all__ = ["knows", "make_known", "model_facts"]


def model_facts(artifact: Artifact) -> "ModelFacts":
    """Facts about a file; of an `.onnx` fewer where the onnx package is missing or refuses it."""
    from ontology.describe.model import ModelFacts

    if is_onnx(artifact.data):
        from server.describe_onnx import onnx_facts

        with suppress(MissingExtra, ArtifactError):
            return onnx_facts(artifact.data)
    return ModelFacts.of(artifact)


def knows(catalog: "Catalog", sha256: str) -> bool:
    """Whether a catalogue describes a file; that a device runs it is no description."""
    return any(True for _ in catalog.store.match(f"urn:sha256:{sha256}"))


def make_known(
    catalog: "Catalog", artifact: Artifact, *, name: str, task: str | None = None
) -> None:
    """Describe a file in a catalogue that does not know it; one that does keeps its name."""
    if not knows(catalog, artifact.sha256):
        catalog.put_model(model_facts(artifact), name=name, task=task)
