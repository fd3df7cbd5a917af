"""`tinyfleet server import`: a model of others, shown, and given a tail that devices train."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from edge.errors import UsageError
from server.cli.import_shown import show_converted, show_hybrid
from server.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from server.bring.tail import Pooling

__all__ = ["import_model"]

_POOLS = ("auto", "flatten", "mean")
_OF_HYBRIDS = ("tail_hidden", "layer", "pool", "seed", "keep_tail")
_OF_FILES = ("name", "out")


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
    keep_tail: Annotated[
        bool,
        typer.Option("--keep-tail", help="Begin with the weights of the layer it replaces."),
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(help="tflite: convert all of an .onnx or torch module, for boards, too."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Tensor to learn from, by name or number; else found.")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="softmax (with --classes; with --to, behind logits) or mse."),
    ] = None,
    pool: Annotated[
        str, typer.Option(help="Of features with height and width: auto, flatten or mean.")
    ] = "auto",
    input_shape: Annotated[
        str, typer.Option(help="Of a torch module's input, by comma, the batch first.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the tail's first weights.")] = 0,
    name: Annotated[
        str | None,
        typer.Option(
            help="Of the new file; else FILE-hybrid (of net.py:make: make-hybrid), with --to FILE."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the new file.")] = Path("imported"),
    describe_in: Annotated[
        Path | None, typer.Option(help="Folder of a catalogue that both are put into.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model of others holds; with --classes, --outputs or --to, make it learnable.

    With --classes or --outputs all layers but the last stay, bit for bit; a float32 tail takes the
    place of the last, and devices train it (TinyOL). With --to tflite a chain of layers that the
    learner knows becomes a .tflite that boards and hosts train whole.

    Example: tinyfleet server import person_detection.tflite --classes 2 --out imported
    """
    from server.bring.bring import bring, hybrid_name, model_name, tail_of_options
    from server.bring.make import describe_into, make
    from server.cli.catalog_describe import show_facts

    if pool not in _POOLS:
        raise UsageError(f"--pool {pool} came, {', '.join(_POOLS)} are known.")
    if to is not None:
        _check_conversion(to, loss, classes, outputs)
    hidden, pooling = _widths(tail_hidden, "--tail-hidden"), cast("Pooling", pool)
    tail = None
    if to is None:
        options = {"hidden": hidden, "pooling": pooling, "seed": seed, "keep": keep_tail}
        tail = tail_of_options(classes, outputs, loss, **options)
    if tail is None:
        if to is None:
            _refuse_idle(context, (*_OF_HYBRIDS, *_OF_FILES))
        _refuse_idle(
            context, _OF_HYBRIDS, "with --to: all of a model is converted", "one of the two"
        )
    elif keep_tail:
        _refuse_idle(context, ("seed",), "with --keep-tail, which draws nothing", "no --seed")
    brought = bring(file, _widths(input_shape, "--input-shape"))
    made, converted = None, None
    if tail is not None:
        title = hybrid_name(file) if name is None else name
        made = make(brought, tail, layer=layer, name=title, out=out)
    elif to is not None:
        from server.bring.convert import convert

        title = model_name(file) if name is None else name
        converted = convert(brought, name=title, out=out, softmax=loss == "softmax")
    new = made or converted
    if describe_in is not None:
        from ontology.catalog import Catalog
        from server.cli.catalog_folder import located

        with Catalog.open(located(describe_in)) as catalog:
            describe_into(catalog, brought, Path(new.file) if new else None, model_name(file))
    if as_json:
        told = {"model": asdict(brought.facts), "hybrid": made and asdict(made)}
        print_json({**told, "converted": converted and asdict(converted)})
        return
    show_facts(brought.facts, Path(file))
    if made is not None:
        show_hybrid(made)
    if converted is not None:
        show_converted(converted)


def _check_conversion(to: str, loss: str | None, classes: int | None, outputs: int | None) -> None:
    if to != "tflite":
        raise UsageError(f"--to {to} came, tflite is known.")
    if classes is not None or outputs is not None:
        raise UsageError(
            "--to came with --classes or --outputs: a conversion keeps the outputs that are there.",
            hint="one of them",
        )
    if loss not in (None, "softmax"):
        raise UsageError(
            f"--loss {loss} came with --to, softmax is known.", hint="--loss softmax, for logits"
        )


def _refuse_idle(
    context: typer.Context,
    names: Sequence[str],
    why: str = "alone, and changes nothing where no hybrid is made",
    hint: str = "--classes N, or --outputs N",
) -> None:
    """Refuse options that would change nothing."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"--{name.replace('_', '-')} came {why}.",
                hint=hint,
            )


def _widths(text: str, flag: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(
            f"{flag} {text!r} came, whole numbers by comma are needed.", hint="32 or 32,16"
        ) from None
