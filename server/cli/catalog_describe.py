"""`tinyfleet catalog describe`: what a model file says of itself, shown or put into a catalogue."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.errors import UsageError
from server.cli.catalog_folder import located
from server.cli.options import DEFAULT_CATALOG, AsJson, CatalogPath, print_json, print_table

if TYPE_CHECKING:
    from ontology.describe.model import ModelFacts

__all__ = ["describe", "facts_of", "show_facts"]


def describe(
    file: Annotated[Path, typer.Argument(help="A .tflite or .onnx, ours or not.")],
    add: Annotated[bool, typer.Option("--add", help="Put it into the catalogue.")] = False,
    name: Annotated[str | None, typer.Option(help="Name for people; else the file's.")] = None,
    task: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    sensor: Annotated[
        list[str] | None, typer.Option(help="What must be sensed to feed it; again for another.")
    ] = None,
    runtime: Annotated[
        list[str] | None, typer.Option(help="A runtime that executes it, such as tflite-micro.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX identifier.")] = None,
    layers: Annotated[bool, typer.Option("--layers", help="List the layers.")] = False,
    catalog: CatalogPath = DEFAULT_CATALOG,
    as_json: AsJson = False,
) -> None:
    """Show layers, shapes, types, parameters, operations and memory of a model file.

    Example: tinyfleet catalog describe model.tflite --add --sensor microphone
    """
    facts = facts_of(file)
    if add:
        from ontology.catalog import Catalog
        from ontology.describe.needs import Needs

        needs = Needs(sensors=tuple(sensor or ()), runtimes=tuple(runtime or ()), licence=licence)
        with Catalog.open(located(catalog)) as opened:
            opened.put_model(facts, name=name or file.stem, task=task, needs=needs)
    if as_json:
        print_json(asdict(facts))
        return
    show_facts(facts, layers=layers)


def show_facts(facts: "ModelFacts", *, layers: bool) -> None:
    """Print what a file says of itself, and its layers where they are wanted."""
    shown = {k: v for k, v in vars(facts).items() if v not in (None, (), "") and k != "layers"}
    rows = [[key.replace("_", " "), _text(value)] for key, value in shown.items()]
    print_table(["what", "value"], [*rows, ["layers", str(len(facts.layers))]])
    if layers:
        print_table(
            ["layer", "operator", "in", "out", "type", "activation"],
            [
                [n, x.operator, _text(x.in_shape), _text(x.out_shape), x.data_type or "-",
                 x.activation or "-"]
                for n, x in enumerate(facts.layers)
            ],
        )  # fmt: skip


def facts_of(file: Path) -> "ModelFacts":
    """What a `.tflite` or `.onnx` says of itself.

    Raises:
        UsageError: the file cannot be read.
        ArtifactError: it is no model.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}.", hint="a .tflite") from None
    if file.suffix == ".onnx":
        from server.describe_onnx import onnx_facts

        return onnx_facts(data)
    from edge.artifact import Artifact
    from ontology.describe.model import ModelFacts

    return ModelFacts.of(Artifact(data))


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
