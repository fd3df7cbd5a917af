"""`tinyfleet server import`: a model of others, shown, and given a tail that devices train."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from edge.errors import UsageError
from server.cli.options import AsJson, print_json, print_table

if TYPE_CHECKING:
    from server.bring.make import Made
    from server.bring.tail import Pooling

__all__ = ["import_model"]

_POOLS = ("auto", "flatten", "mean")
_OF_HYBRIDS = ("tail_hidden", "layer", "pool", "seed", "name", "out")


def import_model(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(help="A .tflite or .onnx; or FILE.py:FUNCTION for a torch module.")
    ],
    classes: Annotated[
        int | None, typer.Option(min=2, help="Give it a tail for so many classes.")
    ] = None,
    outputs: Annotated[
        int | None, typer.Option(min=1, help="Give it a tail for so many numbers.")
    ] = None,
    tail_hidden: Annotated[
        str, typer.Option(help="Widths by comma of dense ReLU layers before the last.")
    ] = "",
    layer: Annotated[
        str | None, typer.Option(help="Tensor to learn from, by name or number; else found.")
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="softmax (with --classes) or mse (with --outputs).")
    ] = None,
    pool: Annotated[
        str, typer.Option(help="Of features with height and width: auto, flatten or mean.")
    ] = "auto",
    input_shape: Annotated[
        str, typer.Option(help="Of a torch module's input, by comma, the batch first.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the tail's first weights.")] = 0,
    name: Annotated[str | None, typer.Option(help="Of the new file; else FILE-hybrid.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the new file.")] = Path("imported"),
    describe_in: Annotated[
        Path | None, typer.Option(help="Folder of a catalogue that both are put into.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model of others holds; with --classes or --outputs, make it learnable.

    All layers but the last stay, bit for bit; a float32 tail takes the place of the last, and
    devices train it (TinyOL).

    Example: tinyfleet server import person_detection.tflite --classes 2 --out imported
    """
    from server.bring.bring import bring, hybrid_name, model_name, tail_of_options
    from server.bring.make import describe_into, make
    from server.cli.catalog_describe import show_facts

    if pool not in _POOLS:
        raise UsageError(f"--pool {pool} came, {', '.join(_POOLS)} are known.")
    hidden, pooling = _widths(tail_hidden, "--tail-hidden"), cast("Pooling", pool)
    tail = tail_of_options(classes, outputs, loss, hidden=hidden, pooling=pooling, seed=seed)
    if tail is None:
        _refuse_idle(context)
    brought = bring(file, _widths(input_shape, "--input-shape"))
    made = None
    if tail is not None:
        title = hybrid_name(file) if name is None else name
        made = make(brought, tail, layer=layer, name=title, out=out)
    if describe_in is not None:
        from ontology.catalog import Catalog
        from server.cli.catalog_folder import located

        with Catalog.open(located(describe_in)) as catalog:
            describe_into(catalog, brought, made, model_name(file))
    if as_json:
        print_json({"model": asdict(brought.facts), "hybrid": made and asdict(made)})
        return
    show_facts(brought.facts, Path(file))
    if made is not None:
        _show(made)


def _refuse_idle(context: typer.Context) -> None:
    """Refuse options of a hybrid where none is made."""
    for name in _OF_HYBRIDS:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"--{name.replace('_', '-')} came alone, and changes nothing where no hybrid is "
                "made.",
                hint="--classes N, or --outputs N",
            )


def _show(made: "Made") -> None:
    shape = "x".join(map(str, made.feature_shape))
    rows: list[list[Any]] = [
        ["file", made.file],
        ["sha256", made.sha256],
        ["bytes", made.bytes],
        ["learns from", f"{made.feature[-60:]} ({shape}, {made.feature_type})"],
        ["in place of", made.replaced or "all behind it"],
        ["tail", "-".join(map(str, made.tail))],
        ["parameters", made.tail_parameters],
        ["front runs in", _front(made)],
        ["tried in", made.tried or "nothing: no runtime for it is installed here"],
    ]
    typer.echo()
    print_table(["hybrid", ""], rows)
    if made.trainable > made.tail_parameters:
        typer.echo(
            f"The layers before the tail are float32, too ({made.trainable} values can be trained):"
            f" server run --option train_layers={made.train_layers} trains the tail alone."
        )


def _front(made: "Made") -> str:
    if made.front == "learner":
        return "the learner: boards and hosts"
    return f"a runtime for .{made.front}: hosts with tinyfleet[{made.front}]"


def _widths(text: str, flag: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(
            f"{flag} {text!r} came, whole numbers by comma are needed.", hint="32 or 32,16"
        ) from None
