"""What the published catalogue tells of a model and a board; None and empty mean unknown."""

from dataclasses import dataclass

from ontology.published.faults import Fault

__all__ = ["Affordance", "Board", "Published", "PublishedModel"]


@dataclass(frozen=True)
class Affordance:
    """A property that a board lets read: its name, unit, range, and where it is read."""

    name: str
    description: str
    kind: str
    unit: str | None
    low: float | None
    high: float | None
    href: str
    operations: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board with the memory that is free on it.

    Args:
        iri: its published IRI.
        title: its name.
        description: for people.
        sensors: what it senses, in our words.
        flash: free bytes.
        ram: free bytes.
        properties: what can be read.
    """

    iri: str
    title: str
    description: str
    sensors: tuple[str, ...]
    flash: int | None
    ram: int | None
    properties: tuple[Affordance, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """A model as its authors describe it.

    Args:
        iri: its published IRI.
        name: its name, which is also that of its file.
        description: for people.
        category: such as Classification.
        creator: who made it.
        created: date, as it stands.
        dataset: address of the data it was trained with.
        source: address of its page.
        runtime: name of the runtime.
        macs: multiply-accumulates.
        flash: bytes.
        ram: bytes of the interpreter's arena.
        accuracy: percent.
        sensors: what feeds it, in our words.
        input_info: what comes in, for people.
        output_info: what comes out, for people.
        operators: its layers, first to last, as TensorFlow Lite names operators.
    """

    iri: str
    name: str
    description: str | None
    category: str | None
    creator: str | None
    created: str | None
    dataset: str | None
    source: str | None
    runtime: str | None
    macs: int | None
    flash: int | None
    ram: int | None
    accuracy: float | None
    sensors: tuple[str, ...]
    input_info: str | None
    output_info: str | None
    operators: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """All of it, with the faults that were found."""

    models: tuple[PublishedModel, ...]
    boards: tuple[Board, ...]
    faults: tuple[Fault, ...]
