"""What `tinyfleet server import` says of a file that it made, and what comes next."""

from typing import TYPE_CHECKING, Any

import typer

from server.cli.options import print_table

if TYPE_CHECKING:
    from server.bring.convert import Converted
    from server.bring.make import Made

__all__ = ["show_converted", "show_hybrid"]


def show_hybrid(made: "Made") -> None:
    """Print what a hybrid is made of."""
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
    if made.tail_kept:
        typer.echo(f"The tail has the weights of the {made.replaced} that it replaces.")
    else:
        typer.echo("The tail is new: it knows nothing yet. --keep-tail keeps a last dense layer.")
    if made.trainable > made.tail_parameters:
        typer.echo(
            f"The layers before the tail are float32, too ({made.trainable} values can be trained):"
            f" server run --option train_layers={made.train_layers} trains the tail alone."
        )
    _show_next(made.file)


def show_converted(made: "Converted") -> None:
    """Print what a conversion takes and gives."""
    rows: list[list[Any]] = [
        ["file", made.file],
        ["sha256", made.sha256],
        ["bytes", made.bytes],
        ["a sample", _sample(made)],
        ["outputs", f"{made.outputs}, {made.loss.replace('_', ' ')}"],
        ["layers", made.layers],
        ["parameters", f"{made.parameters}, all can be trained"],
        ["runs in", "the learner: boards and hosts"],
        ["differs by", f"{made.difference:.1e} of the largest output, from onnxruntime"],
    ]
    typer.echo()
    print_table(["converted", ""], rows)
    if made.loss == "mse" and made.outputs > 1:
        typer.echo("Its outputs are numbers. Are they logits of classes? Then: --loss softmax")
    typer.echo(f"int8, hybrids and headers: tinyfleet server export {made.file} --data samples.npz")
    _show_next(made.file)


def _sample(made: "Converted") -> str:
    sizes = ", ".join(map(str, made.sample))
    if len(made.sample) != 3:
        return f"[{sizes}], in the order of the original"
    before = ", ".join(map(str, made.original))
    return f"[{sizes}]: height, width, channels (the original: [{before}])"


def _show_next(file: str) -> None:
    typer.echo(f"next: tinyfleet server rollout {file} --where NAME")
    typer.echo(f"  or: tinyfleet server run --task own --base {file}")


def _front(made: "Made") -> str:
    if made.front == "learner":
        return "the learner: boards and hosts"
    return f"a runtime for .{made.front}: hosts with tinyfleet[{made.front}]"
