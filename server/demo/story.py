"""The demo from beginning to end; each chapter prints what it does and what came of it."""

import time
from pathlib import Path

import typer

from edge.errors import ExitCode
from server.cli.program import program
from server.cli.progress import play_with_bar
from server.cohort_query import devices_by_query
from server.demo.chapters import (
    Chapter,
    answers,
    deployment,
    emulated_newcomer,
    exporting,
    more_rounds,
    newcomers,
)
from server.demo.closing import write_report
from server.demo.fleet import TOO_SMALL, LocalFleet, fleet_config
from server.presets import strategy_options
from server.rounds import Settings
from server.run import Run, RunConfig, RunFolder, new_run_name, stored_config
from server.simulate import new_model
from server.tasks import get_task

__all__ = ["resume_demo", "run_demo"]

SITE, TASK, STRATEGY = "demo", "characters", "reptile"
ONLINE_SECONDS = 60.0
GOODBYE_SECONDS = 5.0


def run_demo(out: Path, *, rounds: int, seed: int) -> int:
    """Run the demo in a new folder below `out`; gives the exit code."""
    config = RunConfig(
        run=new_run_name(),
        task=TASK,
        strategy=STRATEGY,
        strategy_options=strategy_options(TASK, STRATEGY, cohort_size=8),
        settings=Settings(rounds, seed=seed, deadline=60.0, min_updates=4),
        site=SITE,
        evaluate_every=max(rounds // 8, 1),
        fleet=fleet_config(),
    )
    return _tell(RunFolder(out / config.run).create(), config, new=True)


def resume_demo(folder: RunFolder) -> int:
    """Go on with a demo that was stopped; gives the exit code."""
    return _tell(folder, stored_config(folder), new=False)


def _tell(folder: RunFolder, config: RunConfig, *, new: bool) -> int:
    began = time.monotonic()
    get_task(config.task)  # fetches data before the fleet's processes look for it
    seed = config.settings.seed
    fleet = LocalFleet(
        config.fleet, folder=folder.path / "fleet", site=config.site, task=config.task, seed=seed
    )
    with fleet:
        _say(1, f"a fleet of {fleet.size} devices behind {fleet.broker.kind} on {fleet.broker.url}")
        with Run(folder, fleet.options, config=config if new else None) as run:
            _wait_for_all(run, fleet)
            base = new_model(run.task, seed=seed)
            run.catalog.put_model(base, name=run.model_name, task=config.task)
            run.keeper.flush()
            _show_fleet(run, base.sha256)
            _say(2, f"federated rounds over MQTT ({config.strategy}; {run.task.description})")
            cohort = devices_by_query(
                run.catalog, "cohort", site=config.site, flush=run.keeper.flush, model=base.sha256
            )
            result = play_with_bar(run, base=base if new else None, cohort=cohort)
            if result.status == "stopped":
                typer.echo(f"stopped. Go on with: {program()} server resume {folder.path}")
                return int(ExitCode.INTERRUPTED)
            chapters = _chapters(run, result.artifact)
            seconds = time.monotonic() - began
            report = write_report(run, chapters, seconds)
            _say_goodbye(run, fleet)
    typer.echo(f"\nDone in {seconds:.0f} s. Report: {report}")
    typer.echo(f"Ask more: {program()} catalog query fleet --catalog {folder.catalog}")
    return int(ExitCode.OK if all(chapter.ok for chapter in chapters) else ExitCode.FAILED)


def _chapters(run: Run, model: object) -> list[Chapter]:
    from edge.artifact import Artifact

    assert isinstance(model, Artifact)
    run.folder.keep(model, "trained.tflite")
    told: list[Chapter] = []
    _say(3, "devices that were never seen in training adapt to characters never seen in training")
    told.append(_print(newcomers(run, model)))
    told.append(_print(emulated_newcomer(run, model)))
    told.append(_print(more_rounds(run, model)))
    _say(4, "export, and what the runtimes make of it")
    exported, chapter = exporting(run, model)
    told.append(_print(chapter))
    _say(5, "deploy the export over MQTT and hold the devices' answers against the host's")
    told.append(_print(deployment(run, exported)))
    _say(6, "ask the catalogue")
    for chapter in answers(run, exported, too_small=_device_of(run, TOO_SMALL)):
        told.append(_print(chapter))
    return told


def _wait_for_all(run: Run, fleet: LocalFleet) -> None:
    end = time.monotonic() + ONLINE_SECONDS
    while len(run.transport.wait_for(fleet.size, 1.0)) < fleet.size:
        fleet.check()
        if time.monotonic() > end:
            typer.echo("not all devices came online; going on with those that did", err=True)
            return


def _say_goodbye(run: Run, fleet: LocalFleet) -> None:
    """End the devices while the catalogue still listens, so that it says who is offline."""
    fleet.stop_devices()
    end = time.monotonic() + GOODBYE_SECONDS
    while any(run.transport.presence().values()) and time.monotonic() < end:
        time.sleep(0.05)
    run.keeper.flush()


def _show_fleet(run: Run, model: str) -> None:
    typer.echo(run.catalog.query("fleet").to_table())
    able = len(run.catalog.query("cohort", model=model).rows)
    devices = len(run.catalog.query("fleet").rows)
    typer.echo(f"\nSPARQL says: {able} of {devices} have the memory to train the model.")


def _device_of(run: Run, board: str) -> str | None:
    for row in run.catalog.query("fleet"):
        if row["board"] == board:
            return str(row["device"])
    return None


def _say(number: int, text: str) -> None:
    typer.echo(f"\n{number}. {text[0].upper()}{text[1:]}\n")


def _print(chapter: Chapter) -> Chapter:
    typer.echo(chapter.text())
    typer.echo("")
    return chapter
