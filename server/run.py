"""One run in its folder: journal, catalogue, artefacts; begun or gone on with over MQTT."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge import mqtt
from edge.artifact import Artifact
from edge.errors import UsageError
from edge.mqtt import BrokerOptions
from ontology.catalog import Catalog
from server.cohort import Cohort, OnWait
from server.journal import Journal
from server.keeper import heard
from server.reports import report_of
from server.rounds import Coordinator, RoundReport, RunResult, Settings
from server.strategies import get_strategy
from server.tasks import OWN, Task, get_task

__all__ = ["Run", "RunConfig", "RunFolder", "new_run_name", "read_config", "stored_config"]

JOURNAL, CATALOG, MODELS = "journal.db", "catalog", "models"


def new_run_name() -> str:
    """A name that sorts by time, such as 20250131-101500."""
    return time.strftime("%Y%m%d-%H%M%S")


@dataclass(frozen=True)
class RunConfig:
    """What a run is; kept in the journal.

    Args:
        run: its name.
        task: name of the task.
        strategy: name of the strategy.
        settings: how it is coordinated.
        strategy_options: fields of the strategy.
        site: the site's name.
        evaluate_every: rounds between evaluations on unseen clients; 0: never.
        fleet: how a demo's own fleet is made again; empty: the fleet is not ours.
        task_options: options of the task.
        cohort: SPARQL that says who takes part; empty: whoever is online.
    """

    run: str
    task: str
    strategy: str
    settings: Settings
    strategy_options: Mapping[str, Any] = field(default_factory=dict)
    site: str = "default"
    evaluate_every: int = 10
    fleet: Mapping[str, Any] = field(default_factory=dict)
    task_options: Mapping[str, Any] = field(default_factory=dict)
    cohort: str = ""

    @property
    def model_name(self) -> str:
        """What the models that its rounds make are called; a name means the newest of them."""
        return f"{self.task}-{self.run}"


class RunFolder:
    """The folder of one run.

    Args:
        path: such as runs/20250131-101500.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = path.resolve() if path.is_symlink() else path
        self.journal, self.catalog, self.models = path / JOURNAL, path / CATALOG, path / MODELS

    @classmethod
    def existing(cls, path: Path) -> Self:
        """The folder of a run that was begun.

        Raises:
            UsageError: there is no journal in it.
        """
        folder = cls(path)
        if not folder.journal.is_file():
            raise UsageError(f"there is no run in {path}.", hint="runs/latest, or ls runs")
        return folder

    @classmethod
    def around(cls, file: Path) -> Self | None:
        """The folder of the run that a file lies in, such as a model of it; None: it is in none."""
        folders = (cls(parent) for parent in file.resolve().parents[:2])
        return next((folder for folder in folders if folder.journal.is_file()), None)

    def create(self) -> Self:
        """Make it, and let `latest` beside it lead to it."""
        try:
            self.models.mkdir(parents=True, exist_ok=True)
            latest = self.path.parent / "latest"
            if latest.is_symlink() or not latest.exists():
                latest.unlink(missing_ok=True)
                latest.symlink_to(self.path.name)
        except OSError as error:
            raise UsageError(f"cannot write to {self.path}: {error.strerror}.") from error
        return self

    def keep(self, artifact: Artifact, name: str) -> Path:
        """Write an artefact into the folder's models."""
        path = self.models / name
        path.write_bytes(artifact.data)
        return path


def read_config(journal: Journal) -> RunConfig:
    """The configuration of the run that a folder's journal holds.

    Raises:
        UsageError: the journal holds no run.
    """
    rows = journal.runs()
    if not rows:
        raise UsageError(f"{journal.path} holds no run.", hint="tinyfleet server run")
    config = rows[-1].config
    return RunConfig(
        run=rows[-1].run,
        task=config["task"],
        strategy=config["strategy"],
        settings=Settings(**config["settings"]),
        strategy_options=config["strategy_options"],
        site=config["site"],
        evaluate_every=config["evaluate_every"],
        fleet=config["fleet"],
        task_options=config.get("task_options", {}),
        cohort=config.get("cohort", ""),
    )


class Run:
    """A run over MQTT that keeps its journal and its catalogue; a context manager.

    Args:
        folder: where it is kept; already begun or new.
        options: where the broker is.
        config: what it is; None: what the journal says.
        catalog: another catalogue than the folder's own.
        base_name: what to call a base whose file has no name inside.
    """

    def __init__(
        self,
        folder: RunFolder,
        options: BrokerOptions,
        *,
        config: RunConfig | None = None,
        catalog: Path | None = None,
        base_name: str = "",
    ) -> None:
        self.folder, self._options, self._base_name = folder, options, base_name
        self._given, self._catalog_path = config, catalog or folder.catalog
        self._open = ExitStack()
        self._coordinator: Coordinator | None = None

    def __enter__(self) -> Self:
        """Open journal and catalogue, and connect."""
        with ExitStack() as opening:
            mqtt.close(mqtt.connect(self._options))  # no broker, no folder
            self.folder.create()
            self.journal = opening.enter_context(Journal(self.folder.journal))
            self.config = self._given or read_config(self.journal)
            self.task: Task = get_task(self.config.task, **self.config.task_options)
            catalog = opening.enter_context(Catalog.open(self._catalog_path))
            self.keeper, self.transport = opening.enter_context(
                heard(catalog, options=self._options, site=self.config.site)
            )
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close everything; an open round stays open in the journal."""
        self._open.close()

    @property
    def catalog(self) -> Catalog:
        """The run's catalogue."""
        return self.keeper.catalog

    @property
    def address(self) -> str:
        """The broker's, without credentials."""
        return self._options.address

    @property
    def model_name(self) -> str:
        """What the run's models are called in the catalogue."""
        return self.config.model_name

    def play(
        self,
        *,
        base: Artifact | None,
        cohort: Cohort | None = None,
        on_round: Callable[[RoundReport], None] | None = None,
        on_wait: OnWait | None = None,
    ) -> RunResult:
        """Run what is left of the rounds.

        Args:
            base: the model to start from; None where the run was begun before.
            cohort: who may be asked; None: every device that is online.
            on_round: called after each round.
            on_wait: called again and again while too few devices can be asked.
        """
        config, asked = self.config, cohort or self._everyone
        evaluate = self._evaluate if config.evaluate_every and config.task != OWN else None
        if base is None:
            self._catch_up()
            coordinator = Coordinator.resume(
                self.transport, self.journal, config.run, cohort=asked, evaluate=evaluate
            )
        else:
            name = base.name or self._base_name or base.sha256[:12]
            self.keeper.started(base, name=name, task=config.task)
            coordinator = Coordinator(
                self.transport,
                self.journal,
                get_strategy(config.strategy, **config.strategy_options),
                config.settings,
                run=config.run,
                base=base,
                cohort=asked,
                config={
                    "task": config.task,
                    "site": config.site,
                    "evaluate_every": config.evaluate_every,
                    "fleet": dict(config.fleet),
                    "task_options": dict(config.task_options),
                    "cohort": config.cohort,
                },
                evaluate=evaluate,
            )
        self._coordinator = coordinator

        def after(report: RoundReport) -> None:
            self._tell_catalog(report)
            if on_round is not None:
                on_round(report)

        return coordinator.run(after, on_wait)

    def _catch_up(self) -> None:
        """Tell the catalogue again what a killed server had in the journal alone."""
        for row in self.journal.rounds(self.config.run, newest=2):
            if row.status != "open":
                self._tell_catalog(report_of(self.journal, row.run, row.round))

    def _tell_catalog(self, report: RoundReport) -> None:
        result = Artifact(self.journal.artifact(report.result))
        self.keeper.finished(report, result, name=self.model_name, task=self.config.task)

    def stop(self) -> None:
        """End `play` soon; an open round stays open."""
        if self._coordinator is not None:
            self._coordinator.stop()

    def _everyone(self) -> list[str]:
        return [name for name, online in self.transport.presence().items() if online]

    def _evaluate(self, number: int, model: Artifact) -> Mapping[str, float]:
        from server.unseen import measure_unseen

        config = self.config
        last = number == config.settings.rounds
        if number % config.evaluate_every and not last:
            return {}
        return measure_unseen(self.task, model)


def stored_config(folder: RunFolder) -> RunConfig:
    """The configuration of the run in a folder."""
    with Journal(folder.journal) as journal:
        return read_config(journal)
