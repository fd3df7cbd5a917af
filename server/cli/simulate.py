"""`tinyfleet server simulate`: a fleet on this machine, without messages."""

from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.config import Config
from server.cli.options import (
    AsJson,
    Log,
    Options,
    TaskOptions,
    file_to_write,
    print_json,
    print_table,
    values_of,
)
from server.cli.training import (
    Base,
    Epochs,
    OuterRate,
    Rate,
    Robust,
    Rounds,
    Samples,
    Seed,
    Strategy,
    Task,
)


def simulate(
    task: Task = "sine",
    strategy: Strategy = "reptile",
    rounds: Rounds = 500,
    clients: Annotated[int | None, typer.Option(min=1, help="Clients in a round.")] = None,
    samples: Samples = None,
    epochs: Epochs = None,
    rate: Rate = None,
    outer_rate: OuterRate = None,
    robust: Robust = None,
    base: Base = None,
    seed: Seed = 0,
    engine: Annotated[
        str,
        typer.Option(
            help="Who trains the clients: threads, processes or ray (the fleet kernel), loop (one "
            "learner, client by client), or auto: threads where the kernel knows the model."
        ),
    ] = "auto",
    workers: Annotated[
        int, typer.Option("--threads", min=0, help="Threads or processes; 0: one a core.")
    ] = 0,
    mode: Annotated[
        str, typer.Option(help="exact: the devices' bits; fast: sums reordered, products fused.")
    ] = "exact",
    option: Options = None,
    task_option: TaskOptions = None,
    log: Log = None,
    config: Config = None,
    out: Annotated[Path | None, typer.Option(help="Write the model here (.tflite).")] = None,
    as_json: AsJson = False,
) -> None:
    """Meta-train a simulated fleet on this machine, with the devices' own learner.

    Example: tinyfleet server simulate --task sine --clients 1000000 --rounds 1
    """
    from dataclasses import asdict

    from server.cli.progress import rounds_bar
    from server.experiment import Experiment
    from server.run import new_run_name
    from server.trackers import open_trackers
    from server.unseen import measure_unseen, spelt_out

    given = {
        "samples": samples,
        "epochs": epochs,
        "rate": rate,
        "first_outer_rate": outer_rate,
        "robust": robust,
    }
    options = {name: value for name, value in given.items() if value is not None}
    options |= values_of(option, "--option")
    if out is not None:
        file_to_write(out, ".tflite")
    experiment = Experiment(
        task, strategy, rounds, clients, seed, options,
        values_of(task_option, "--task-option"), base, engine, workers, mode,
    )  # fmt: skip
    chosen = experiment.make_task()
    with open_trackers(log, new_run_name()) as trackers:
        trackers.params(asdict(experiment))

        def after(report: Any) -> None:
            advance(f"loss {report.loss:.3f}")
            trackers.metrics({"loss_mean": report.loss}, report.round)

        with rounds_bar(rounds, "simulating") as advance:
            found = experiment.run(after)
        reached = measure_unseen(chosen, found.artifact)
        trackers.metrics({**reached, "bytes": found.bytes_up}, rounds)
        if out is not None:
            out.write_bytes(found.artifact.data)
            trackers.artefact(out)
    figures: dict[str, Any] = {
        "rounds": rounds,
        "client updates": found.updates,
        "seconds": round(found.seconds, 2),
        "client updates a second": round(found.updates / found.seconds),
        **{name: round(value, 4) for name, value in reached.items()},
        "model": found.artifact.sha256,
    }
    if found.divergence:
        used = experiment.make_strategy().plan(1, rounds).rate
        typer.echo(f"warning: {found.divergence}. Try: --rate {used / 10:g}", err=True)
    if as_json:
        print_json(figures)
    else:
        rows = [[spelt_out(name, chosen.metric), value] for name, value in figures.items()]
        print_table(["what", "value"], rows)
