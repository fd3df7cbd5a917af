"""The published models and boards in our terms, put into a catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edge.artifact import Artifact
from ontology.describe.model import ModelFacts, Origin, model_triples
from ontology.describe.needs import INTERPRETER, Needs, needs_triples
from ontology.namespaces import TF
from ontology.published.compare import Comparison, compare
from ontology.published.faults import Fault
from ontology.published.read import read
from ontology.published.records import Affordance, Board, PublishedModel
from ontology.published.words import PLATFORM
from ontology.terms import Iri

if TYPE_CHECKING:
    from ontology.catalog import Catalog

__all__ = ["SITE", "Imported", "board_description", "import_published", "put_published"]

SITE = "published"
"""Site of the imported boards."""
_CONTEXT = [
    "https://www.w3.org/2022/wot/td/v1.1",
    {"tf": TF, "sosa": "http://www.w3.org/ns/sosa/"},
]


class Imported(NamedTuple):
    """What an import did: IRIs put in, faults met, and our figures beside the published ones."""

    models: tuple[str, ...]
    devices: tuple[str, ...]
    faults: tuple[Fault, ...]
    comparisons: tuple[Comparison, ...]


def import_published(catalog: "Catalog", folder: Path) -> Imported:
    """Put all models and boards of the published catalogue into ours.

    A model whose `.tflite` is there is known by its digest and described by what the file says;
    the authors' figures of the interpreter's memory and of accuracy are added. Of two that share a
    file, the second keeps its published IRI. Importing again changes nothing.

    Raises:
        UsageError: see `read`.
        ArtifactError: a `.tflite` is broken.
    """
    found = read(folder)
    faults, comparisons = list(found.faults), []
    models, by_digest = [], dict[str, str]()
    for model in found.models:
        path = folder / "models" / f"{model.name}.tflite"
        artifact = Artifact(path.read_bytes()) if path.is_file() else None
        iri = None if artifact else model.iri
        if artifact and (twin := by_digest.setdefault(artifact.sha256, model.name)) != model.name:
            file, iri = path.relative_to(folder).as_posix(), model.iri
            faults.append(Fault(file, 1, "same-file", f"its bytes are those of {twin}", "kept"))
        if artifact:
            comparisons += compare(model, artifact)
        models.append(put_published(catalog, model, artifact, iri))
    devices = [catalog.put_thing(board_description(board)) for board in found.boards]
    return Imported(tuple(models), tuple(devices), tuple(sorted(faults)), tuple(comparisons))


def put_published(
    catalog: "Catalog", model: PublishedModel, artifact: Artifact | None, iri: str | None
) -> str:
    """Put one model; `artifact` is its file, `iri` its name where that is not the digest."""
    facts = ModelFacts.of(artifact) if artifact else _facts(model)
    accuracy = {} if model.accuracy is None else {"top-1 accuracy": model.accuracy / 100}
    origin = Origin(name=model.name, metrics=accuracy)
    triples = model_triples(facts, origin, iri)
    needs = Needs(
        sensors=model.sensors,
        interpreter_bytes=model.ram,
        runtimes=(INTERPRETER,) if model.runtime == PLATFORM else (),
        category=model.category,
        dataset=model.dataset,
        source=model.source,
        description=model.description,
        creator=model.creator,
    )
    subject = triples[0].subject
    catalog.put(subject, [*triples, *needs_triples(Iri(subject), needs)])
    return subject


def _facts(model: PublishedModel) -> ModelFacts:
    return ModelFacts(
        sha256="",
        size=model.flash,
        macs=model.macs,
        operators=tuple(sorted(set(model.operators))),
    )


def board_description(board: Board) -> dict[str, Any]:
    """A board as a valid Thing Description 1.1; its free memory is what a model may use."""
    memory = {"tf:slotBytes": board.flash, "tf:arenaBytes": board.ram}
    return {
        "@context": _CONTEXT,
        "@type": ["Thing", "sosa:Platform", "tf:Device"],
        "id": board.iri,
        "title": board.title,
        "description": board.description,
        "securityDefinitions": {"open": {"scheme": "nosec"}},
        "security": ["open"],
        "tf:site": SITE,
        "tf:device": board.title,
        "tf:board": board.title.rpartition("_")[0] or board.title,
        "tf:executes": INTERPRETER,
        **{name: size for name, size in memory.items() if size is not None},
        "sosa:hosts": [
            {"@id": f"{board.iri}:sensor:{s}", "@type": "sosa:Sensor", "tf:senses": s}
            for s in board.sensors
        ],
        "properties": {one.name: _property(one) for one in board.properties},
    }


def _property(one: Affordance) -> dict[str, Any]:
    known = {
        "description": one.description or None,
        "unit": one.unit,
        "minimum": one.low,
        "maximum": one.high,
    }
    return {
        "type": one.kind,
        "title": one.name,
        "readOnly": True,
        "observable": "observeproperty" in one.operations,
        **{name: value for name, value in known.items() if value is not None},
        "forms": [{"href": one.href, "op": list(one.operations)}],
    }
