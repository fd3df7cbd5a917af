"""`tinyfleet server run`, `resume` and `status`: federated rounds with the devices of a site."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.errors import ExitCode, UsageError
from server.cli.access import ANONYMOUS, Access, with_access
from server.cli.config import Config
from server.cli.options import (
    DEFAULT_BROKER,
    AsJson,
    Broker,
    Log,
    Options,
    Site,
    TaskOptions,
    print_json,
    print_table,
    values_of,
)
from server.cli.training import (
    Arithmetic,
    Base,
    Clip,
    CohortSize,
    Epochs,
    Momentum,
    OuterRate,
    Rate,
    RateSchedule,
    Robust,
    Rounds,
    RunPath,
    Samples,
    Seed,
    Strategy,
    Task,
    WeightDecay,
)

if TYPE_CHECKING:
    from server.run import RunFolder
    from server.strategies import Strategy as Chosen

app = typer.Typer(
    help="Federated meta-learning: run rounds, simulate, export, roll out.", no_args_is_help=True
)


@app.command()
@with_access
def run(
    task: Task = "characters",
    strategy: Strategy = "reptile",
    rounds: Rounds = 40,
    devices: Annotated[int, typer.Option(min=1, help="Wait for so many devices first.")] = 1,
    cohort: Annotated[
        Path | None, typer.Option(help="A .rq file: its column `device` says who takes part.")
    ] = None,
    samples: Samples = None,
    epochs: Epochs = None,
    rate: Rate = None,
    momentum: Momentum = None,
    weight_decay: WeightDecay = None,
    clip: Clip = None,
    arithmetic: Arithmetic = None,
    rate_schedule: RateSchedule = None,
    outer_rate: OuterRate = None,
    robust: Robust = None,
    cohort_size: CohortSize = None,
    option: Options = None,
    task_option: TaskOptions = None,
    base: Base = None,
    deadline: Annotated[
        float,
        typer.Option(help="Seconds until a round is closed, and to wait for devices before one."),
    ] = 30.0,
    min_updates: Annotated[int, typer.Option(help="Updates that a round needs.")] = 1,
    over_select: Annotated[
        float, typer.Option(help="Ask so many times as many devices; the first answers count.")
    ] = 1.0,
    evaluate_every: Annotated[int, typer.Option(help="Rounds between evaluations; 0: never.")] = 10,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder that run folders are made in.")] = Path("runs"),
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
    log: Log = None,
    config: Config = None,
) -> int:
    """Run federated rounds with the devices of a site; Ctrl-C stops, `server resume` goes on.

    Example: tinyfleet server run --task characters --rounds 40 --devices 4
    """
    from server.cli.progress import say_waiting
    from server.cohort_query import read_query
    from server.experiment import base_model
    from server.presets import strategy_options
    from server.rounds import Settings
    from server.run import RunConfig, RunFolder, new_run_name
    from server.strategies import get_strategy
    from server.tasks import get_task

    options = strategy_options(
        task,
        strategy,
        samples=samples,
        epochs=epochs,
        rate=rate,
        momentum=momentum,
        decay=weight_decay,
        clip=clip,
        arithmetic=arithmetic,
        rate_schedule=rate_schedule,
        first_outer_rate=outer_rate,
        robust=robust,
        cohort_size=cohort_size,
        **values_of(option, "--option"),
    )
    _must_be_devices(get_strategy(strategy, **options))
    of_task = values_of(task_option, "--task-option")
    chosen = get_task(task, **of_task)
    name = new_run_name()
    configured = RunConfig(
        run=name,
        task=task,
        strategy=strategy,
        strategy_options=options,
        site=site,
        evaluate_every=evaluate_every,
        settings=Settings(
            rounds,
            seed=seed,
            deadline=deadline,
            min_updates=min_updates,
            over_select=over_select,
        ),
        task_options=of_task,
        cohort=read_query(cohort) if cohort is not None else "",
    )
    from server.run import Run
    from server.trackers import open_trackers

    link = access.to(broker)
    first = base_model(chosen, base, seed)
    with (
        open_trackers(log, name) as trackers,
        Run(
            RunFolder(out / name), link, config=configured, base_name=base.stem if base else ""
        ) as running,
    ):
        found = running.transport.wait_for(devices, deadline, say_waiting())
        if len(found) < devices:
            raise UsageError(
                f"{len(found)} of {devices} devices are online at site {site!r}.",
                hint="tinyfleet sim run --board nano33ble, or tinyfleet edge run",
            )
        return _play(running, first, configured.cohort, trackers)


@app.command()
@with_access
def resume(
    folder: RunPath,
    cohort: Annotated[
        Path | None, typer.Option(help="Another .rq file than that of `server run`.")
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(help="Broker, else TINYFLEET_BROKER; for a demo's run one is started again."),
    ] = None,
    access: Access = ANONYMOUS,
    log: Log = None,
) -> int:
    """Go on with a run that was stopped, from the round that was open.

    Example: tinyfleet server resume runs/latest
    """
    from server.cohort_query import read_query
    from server.run import Run, RunFolder, stored_config
    from server.trackers import open_trackers

    existing = RunFolder.existing(folder)
    config = stored_config(existing)
    if _is_done(existing):
        typer.echo(f"run {config.run} is done; its models are in {existing.models}")
        return int(ExitCode.OK)
    if config.fleet and broker is None:
        from server.demo.story import resume_demo

        return resume_demo(existing)
    address = broker or os.environ.get("TINYFLEET_BROKER") or DEFAULT_BROKER
    link = access.to(address)
    with open_trackers(log, config.run) as trackers, Run(existing, link) as running:
        asked = read_query(cohort) if cohort is not None else config.cohort
        return _play(running, None, asked, trackers)


@app.command()
def status(folder: RunPath, as_json: AsJson = False) -> None:
    """Say how far a run is, how it does, what was refused and why, and who did not answer.

    Example: tinyfleet server status runs/latest
    """
    from server.cli.program import program
    from server.journal import Journal
    from server.run import RunFolder
    from server.summary import summary
    from server.tasks import OWN

    existing = RunFolder.existing(folder)
    with Journal(existing.journal) as journal:
        found = summary(journal)
    if as_json:
        print_json(found)
        return
    refused = found.pop("refused")
    print_table(["what", "value"], [[name, value] for name, value in found.items()])
    if refused:
        typer.echo("")
        print_table(
            ["round", "device", "did not count because"],
            [[row["round"], row["device"], row["reason"]] for row in refused],
        )
    if found["task"] == OWN:
        typer.echo("")
        model = next(iter(sorted(existing.models.glob("model.*"))), "MODEL")
        typer.echo(
            f"how good it is on samples of yours: {program()} server evaluate {model} --task own"
            " --data samples.npz"
        )


def _must_be_devices(strategy: "Chosen") -> None:
    """Refuse what no device could do, before anybody is asked."""
    meta = strategy.plan(1, 1).meta
    if meta is not None and meta.curvature:
        raise UsageError(
            f"{strategy.name} differentiates through the adaptation, which devices do not.",
            hint="tinyfleet server simulate, or --strategy fomaml",
        )


def _is_done(folder: "RunFolder") -> bool:
    from server.journal import Journal

    with Journal(folder.journal) as journal:
        return all(row.status == "done" for row in journal.runs())


def _play(running: Any, base: Any, cohort: str, trackers: Any) -> int:
    from dataclasses import asdict

    from edge.onnx_file import is_onnx
    from server.cli.program import program
    from server.cli.progress import play_with_bar
    from server.cohort_query import devices_by_query

    asked = None
    if cohort:
        asked = devices_by_query(
            running.catalog, cohort, site=running.config.site, flush=running.keeper.flush
        )

    trackers.params(asdict(running.config))
    result = play_with_bar(
        running,
        base=base,
        cohort=asked,
        on_round=lambda report: trackers.metrics(report.metrics, report.round),
    )
    kind = "onnx" if is_onnx(result.artifact.data) else "f32.tflite"
    path = running.folder.keep(result.artifact, f"model.{kind}")
    trackers.artefact(path)
    typer.echo(f"{result.status} after round {result.rounds_done}; model in {path}")
    if result.status == "stopped":
        where = running.address if running.address != DEFAULT_BROKER else ""
        flag = f" --broker {where}" if where else ""
        typer.echo(f"go on with: {program()} server resume {running.folder.path}{flag}")
        return int(ExitCode.INTERRUPTED)
    return int(ExitCode.OK)
