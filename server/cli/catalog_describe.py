"""`tinyfleet catalog describe`: what a model file says of itself, shown or put into a catalogue."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.errors import ArtifactError
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
        title = name or file.stem
        with Catalog.open(located(catalog)) as opened:
            opened.put_model(facts, name=title, task=task, needs=needs)
        typer.echo(f"added to {catalog} as {title}", err=as_json)
    if as_json:
        print_json(asdict(facts))
        return
    show_facts(facts, file if layers else None)


def show_facts(facts: "ModelFacts", layers_of: Path | None = None) -> None:
    """Print what a file says of itself; with the file, its layers, too."""
    shown = {k: v for k, v in vars(facts).items() if v not in (None, (), "") and k != "layers"}
    rows = [[key.replace("_", " "), _text(value)] for key, value in shown.items()]
    print_table(["what", "value"], [*rows, ["layers", str(len(facts.layers))]])
    if layers_of is not None:
        shown_layers = zip(facts.layers, _types(layers_of, facts), strict=True)
        print_table(
            ["layer", "operator", "in", "out", "type", "activation"],
            [
                [n, x.operator, _text(x.in_shape), _text(x.out_shape), kind, x.activation or "-"]
                for n, (x, kind) in enumerate(shown_layers)
            ],
        )


def facts_of(file: Path) -> "ModelFacts":
    """What a `.tflite` or `.onnx` says of itself.

    Raises:
        UsageError: the file cannot be read.
        ArtifactError: it is no model, or its name says another format.
    """
    from server.model_file import model_bytes, read_model

    data, found = model_bytes(file)
    if found == ".onnx":
        from server.describe_onnx import onnx_facts

        try:
            return onnx_facts(data)
        except ArtifactError as error:
            raise ArtifactError(f"{file}: {error.message}", hint=error.hint) from error
    from ontology.describe.model import ModelFacts

    return ModelFacts.of(read_model(file))


def _types(file: Path, facts: "ModelFacts") -> list[str]:
    """The type of each layer's weights; those that the learner runs are float32 after the int8."""
    if facts.inference_bytes is None:
        return [layer.data_type or "-" for layer in facts.layers]
    from server.model_file import read_model

    frozen = read_model(file).frozen_layers
    return ["int8" if n < frozen else "float32" for n in range(len(facts.layers))]


def _text(value: Any) -> str:
    from ontology.describe.model import Quantisation

    if isinstance(value, Quantisation):
        return f"scale {value.scale:.6g}, zero point {value.zero_point}"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
