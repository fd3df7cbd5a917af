"""`tinyfleet server evaluate`: how unseen clients do with a model."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.options import AsJson, print_json, print_table


def evaluate(
    model: Annotated[str, typer.Argument(help="A .tflite, or the name of one that comes along.")],
    task: Annotated[str, typer.Option(help="sine or characters.")] = "characters",
    data: Annotated[
        Path | None, typer.Option(help="Held-out clients: an .npz laid out as the task's own.")
    ] = None,
    ways: Annotated[int | None, typer.Option(min=2, help="Classes of an episode.")] = None,
    mixed: Annotated[
        bool,
        typer.Option("--mixed", help="Classes of all test clients together, one episode each."),
    ] = False,
    shots: Annotated[int | None, typer.Option(min=1, help="Support samples (of a class).")] = None,
    queries: Annotated[int, typer.Option(min=1, help="Query samples (of a class).")] = 10,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the support.")] = None,
    rate: Annotated[float | None, typer.Option(help="SGD rate.")] = None,
    train_layers: Annotated[
        int | None, typer.Option(min=0, help="Adapt the last so many layers; 0: all.")
    ] = None,
    clients: Annotated[int, typer.Option(min=1, help="Unseen clients, at most.")] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="Episodes of each client.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure a model on unseen clients: not adapted, adapted, and beside training alone.

    The same episodes are used in every row. `alone` starts from fresh weights of the task's own
    net, with the best of four rates.

    Example: tinyfleet server evaluate characters --ways 5 --shots 1 --mixed
    """
    from edge.errors import UsageError
    from server.evaluate import Adaptation, each_client, estimate, from_scratch, worst_decile
    from server.models import MODELS
    from server.models import model as shipped
    from server.presets import ADAPTATION
    from server.simulate import new_model
    from server.tasks import get_task

    ours = model in MODELS
    if not ours and not Path(model).is_file():
        raise UsageError(f"there is no model {model}.", hint=f"a .tflite file, or {MODELS[0]}")
    file = shipped(model) if ours else Path(model).read_bytes()
    options: dict[str, Any] = {"ways": ways, "data": data, "mixed": mixed or None}
    options = {name: value for name, value in options.items() if value is not None}
    usual = dict(ADAPTATION[f"{model}.tflite" if ours else task])
    given = {"shots": shots, "epochs": epochs, "rate": rate, "train_layers": train_layers}
    usual |= {name: value for name, value in given.items() if value is not None}
    how = Adaptation(**usual, queries=queries)
    chosen = get_task(task, **_sized(file, task), **options)
    many = range(seeds)
    pairs = each_client(chosen, file, how, clients=clients, seeds=many)
    alone = from_scratch(
        chosen,
        new_model(chosen).data,
        Adaptation(**dict(ADAPTATION[task]) | {"shots": how.shots}, queries=queries),
        clients=clients,
        seeds=many,
    )
    found: dict[str, Any] = {"metric": chosen.metric, "task": chosen.description}
    for name, values in (("before", pairs[:, :, 0]), ("after", pairs[:, :, 1])):
        mean = estimate(values)
        worst = worst_decile(values, higher_is_better=chosen.higher_is_better)
        found[name] = {"mean": mean.mean, "low": mean.low, "high": mean.high, "worst decile": worst}
    found["alone"] = {"mean": alone.mean, "low": alone.low, "high": alone.high}
    found |= {"clients": len(pairs), "episodes of each": seeds, "shots": how.shots}
    if as_json:
        print_json(found)
        return
    names = ["mean", "low", "high", "worst decile"]
    rows = [
        [row, *(f"{found[row][name]:.3f}" if name in found[row] else "-" for name in names)]
        for row in ("before", "after", "alone")
    ]
    typer.echo(f"{found['metric']} of {len(pairs)} unseen clients, {seeds} episodes each")
    typer.echo(found["task"])
    print_table([found["metric"], "mean", "95 % from", "to", "worst decile"], rows)


def _sized(file: bytes, task: str) -> dict[str, int]:
    """The side of the drawings that a model takes, in pixels."""
    from edge.artifact import Artifact

    if task != "characters":
        return {}
    return {"side": math.isqrt(Artifact(file).spec.n_in)}
