"""What the catalogue is told of a model: all that can be read of it here."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edge.artifact import Artifact
from edge.errors import ArtifactError, MissingExtra, UsageError
from edge.onnx_file import is_onnx

if TYPE_CHECKING:
    from ontology.catalog import Catalog
    from ontology.describe.model import ModelFacts

__all__ = ["heard_name", "known_name", "knows", "make_known", "model_facts", "name_of"]


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


def heard_name(artifact: Artifact) -> str:
    """What a file is called of which only the bytes came: versions of it share the name inside."""
    return " ".join(filter(None, (artifact.name, artifact.sha256[:12])))


def known_name(catalog: "Catalog", artifact: Artifact) -> str | None:
    """What a catalogue calls a file; None where it does not know it, or its bytes alone."""
    from ontology.namespaces import DCT
    from ontology.terms import Literal

    told = catalog.store.match(f"urn:sha256:{artifact.sha256}", DCT + "title")
    names = (fact.object.text for fact in told if isinstance(fact.object, Literal))
    return next((name for name in names if name != heard_name(artifact)), None)


def name_of(artifact: Artifact, path: Path) -> str:
    """What to call a file: after the run that made it, where it lies in the folder of that run."""
    from server.journal import Journal
    from server.run import RunFolder, read_config

    run = RunFolder.around(path)
    if run is not None:
        with suppress(UsageError), Journal(run.journal) as journal:
            config = read_config(journal)
            rounds = journal.rounds(config.run)
            if any(row.result == artifact.sha256 != row.base for row in rounds):
                return config.model_name
    return artifact.name or path.stem


def make_known(
    catalog: "Catalog", artifact: Artifact, *, name: str, task: str | None = None
) -> None:
    """Describe a file in a catalogue that does not know it; one that does keeps its name."""
    if known_name(catalog, artifact) is None:
        catalog.put_model(model_facts(artifact), name=name, task=task)
