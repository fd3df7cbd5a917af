"""`tinyfleet server evaluate`: how unseen clients do with a model."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.options import AsJson, TaskOptions, print_json, print_table, values_of

if TYPE_CHECKING:
    from server.standing import Standing
    from server.tasks.own import OwnTask


def evaluate(
    model: Annotated[
        str, typer.Argument(help="A .tflite or .onnx, ours or not, or the name of a shipped one.")
    ],
    task: Annotated[
        str | None, typer.Option(help="Of which task; else that of the name, or characters.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Held-out clients: an .npz laid out as the task's own; of own: x and y, or a .csv."
        ),
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
    pooled: Annotated[
        int, typer.Option(min=0, help="Steps of the pooled training; 0: leave it out.")
    ] = 20_000,
    task_option: TaskOptions = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Catalogue to note the figures in, with data and interval.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on unseen clients: not adapted, adapted, and beside its baselines.

    The same episodes are used in every row. `alone` starts from fresh weights of the task's own
    net; `pooled` is that net trained on the pooled data of training clients. Both have the best
    of four rates. With `--task own --data` any model is measured on samples of one's own: as it is,
    and, where it can be trained, adapted to --shots of them and measured on the rest.

    Example: tinyfleet server evaluate characters --ways 5 --shots 1 --mixed
    """
    from edge.artifact import Artifact, UnsupportedOperator
    from edge.errors import UsageError
    from server.evaluate import Adaptation
    from server.model_file import read_model
    from server.models import MODELS
    from server.models import model as shipped
    from server.presets import adaptation, sized
    from server.standing import standing, standing_on_data, tail_of
    from server.tasks import get_task, named_after
    from server.tasks.own import OWN, OwnTask

    ours = model in MODELS
    if not ours and not Path(model).is_file():
        raise UsageError(f"there is no model {model}.", hint=f"a .tflite file, or {MODELS[0]}")
    file = shipped(model) if ours else read_model(Path(model), onnx=True).data
    artifact = Artifact(file)
    name = task or named_after(artifact.name)
    # A model of others may run in a runtime alone; then it is measured as it is, on data of others.
    tail = tail_of(artifact)
    if tail is None and name != OWN:
        raise UnsupportedOperator(
            f"the learner does not know {model}, task {name} measures what it can train.",
            hint="--task own --data samples.npz, where a runtime measures it as it is",
        )
    n_out = artifact.output.elements if tail is None else tail.spec.n_out
    options: dict[str, Any] = {"ways": ways, "data": data, "mixed": mixed or None}
    options = {name: value for name, value in options.items() if value is not None}
    classifier = n_out > 1 if tail is None else tail.spec.loss == "cross_entropy"
    options = (
        sized(name, artifact.input.elements, n_out, classifier=classifier)
        | values_of(task_option, "--task-option")
        | options
    )
    chosen = get_task(name, **options)
    if not chosen.clients("test"):
        raise UsageError(
            f"task {name} has no clients here to measure on: {chosen.description}.",
            hint="--data samples.npz with arrays x and y, or --task with one that has samples",
        )
    made = name in MODELS and file == shipped(name)
    frozen = made or tail is not artifact or artifact.frozen_layers > 0
    usual = adaptation(name, frozen=frozen)
    if isinstance(chosen, OwnTask):
        usual["shots"] = min(usual["shots"], chosen.samples // 2)
    given = {"shots": shots, "epochs": epochs, "rate": rate, "train_layers": train_layers}
    usual |= {name: value for name, value in given.items() if value is not None}
    how = Adaptation(**usual, queries=queries)
    if isinstance(chosen, OwnTask):
        measured = standing_on_data(chosen, file, how, seeds=range(seeds))
    else:
        measured = standing(
            chosen,
            file,
            how,
            own=Adaptation(
                **adaptation(name, frozen=False) | {"shots": how.shots}, queries=queries
            ),
            clients=clients,
            seeds=range(seeds),
            pool_steps=pooled,
        )
    if catalog is not None:
        data_name = name if data is None else f"{name}: {data.name}"
        _note(catalog, file, model, name, chosen.metric, data_name, measured.rows())
    found = measured.as_dict() | {"task": chosen.description}
    if as_json:
        print_json(found)
        return
    if isinstance(chosen, OwnTask):
        _print_own(measured, chosen)
        return
    many, drawn = found["clients"], found["episodes of each"]
    typer.echo(
        f"{chosen.metric} of {many} unseen client{'s' * (many != 1)}, {drawn} "
        f"episode{'s' * (drawn != 1)} each, {found['shots']} shots"
    )
    typer.echo(chosen.description)
    rows = [
        [
            name,
            f"{each.mean:.3f}",
            *(f"{end:.3f}" if each.clients > 1 else "-" for end in (each.low, each.high)),
            "-" if worst is None else f"{worst:.3f}",
        ]
        for name, each, worst in measured.rows()
    ]
    print_table([chosen.metric, "mean", "95 % from", "to", "worst decile"], rows)


def _print_own(measured: "Standing", task: "OwnTask") -> None:
    """Say how a model does on samples of one's own, over the draws of what it learns from."""
    _, draws, trained = measured.pairs.shape
    shots, held = measured.shots, task.samples - measured.shots
    typer.echo(f"{task.metric} on {task.file}, {task.samples} samples with a label")
    if trained > 1:
        typer.echo(
            f"{draws} draw{'s' * (draws != 1)}: {shots} samples to learn from, measured on the "
            f"other {held}"
        )
    names = ["as it is", f"adapted to {shots} samples"][:trained]
    rows = []
    for name, drawn in zip(names, measured.pairs[0].T, strict=True):
        spread = [f"{drawn.min():.3f}", f"{drawn.max():.3f}"] if draws > 1 else []
        rows.append([name, f"{drawn.mean():.3f}", *spread])
    print_table(["model", "mean", *["lowest", "highest"] * (draws > 1)], rows)


def _note(
    catalog: Path, file: bytes, model: str, task: str, metric: str, dataset: str,
    rows: "Iterable[Any]",
) -> None:  # fmt: skip
    """Put the figures of the model itself, with their intervals, into a catalogue."""
    from edge.artifact import Artifact
    from ontology.catalog import Catalog
    from ontology.describe.metrics import Measurement
    from server.cli.catalog_folder import located
    from server.model_facts import make_known, name_of

    artifact = Artifact(file)
    figures = {
        f"{metric}, {row}": Measurement(
            value=each.mean, dataset=dataset, split="test", count=each.clients,
            **({"low": each.low, "high": each.high, "level": 0.95} if each.clients > 1 else {}),
        )
        for row, each, _ in rows
        if row in ("before", "after")  # the others are no figures of this file
    }  # fmt: skip
    with Catalog.open(located(catalog)) as opened:
        make_known(opened, artifact, name=name_of(artifact, Path(model)), task=task)
        opened.put_metrics(artifact.sha256, figures)
