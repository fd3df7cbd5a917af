"""One simulated experiment as values: a task, a strategy and their options, run and measured."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast, get_args

from edge.artifact import Artifact
from edge.errors import UsageError
from server.fleet import Engine, FleetEngine, kernel
from server.model_file import read_model
from server.presets import strategy_options
from server.simulate import SimulatedRound, Simulation, new_model, simulate, why_not
from server.strategies import STRATEGIES, Strategy, get_strategy
from server.tasks import OWN, Task, get_task

__all__ = ["ENGINES", "Experiment", "base_model", "parsed"]

ENGINES = ("auto", "loop", *get_args(Engine))
"""Who may be asked to train the clients."""


@dataclass(frozen=True)
class Experiment:
    """What `server simulate` runs.

    Args:
        task: name of the task.
        strategy: name of the strategy.
        rounds: how many.
        clients: clients in a round; None: the strategy's cohort.
        seed: of everything that is drawn.
        options: fields of the strategy, over those usual for the task.
        task_options: of the task.
        base: a `.tflite` to start from; None: fresh weights.
        engine: auto, loop, threads, processes or ray.
        threads: threads or processes; 0: one a core.
        mode: exact or fast.
    """

    task: str = "sine"
    strategy: str = "reptile"
    rounds: int = 500
    clients: int | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    task_options: Mapping[str, Any] = field(default_factory=dict)
    base: Path | None = None
    engine: str = "auto"
    threads: int = 0
    mode: str = "exact"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Experiment":
        """From one flat table: names of this class, of the strategy's fields, or of the task's.

        Raises:
            UsageError: a name belongs to none of them.
        """
        own = {part.name for part in fields(cls)} - {"options", "task_options"}
        mine = {name: value for name, value in settings.items() if name in own}
        rest = {name: value for name, value in settings.items() if name not in own}
        kind = STRATEGIES.get(mine.get("strategy", cls.strategy))
        known = {part.name for part in fields(kind) if part.init} if kind else set(rest)
        options = {name: value for name, value in rest.items() if name in known}
        task_options = {name: value for name, value in rest.items() if name not in known}
        task = type(get_task(mine.get("task", cls.task)))
        unknown = sorted(task_options.keys() - inspect.signature(task).parameters.keys())
        if unknown:
            raise UsageError(f"no setting {unknown[0]!r}.", hint=", ".join(sorted(own | known)))
        return cls(**mine, options=options, task_options=task_options)

    def make_task(self) -> Task:
        """The task."""
        return get_task(self.task, **self.task_options)

    def make_strategy(self) -> Strategy:
        """The strategy."""
        return get_strategy(
            self.strategy, **strategy_options(self.task, self.strategy, **self.options)
        )

    def run(self, on_round: Callable[[SimulatedRound], None] | None = None) -> Simulation:
        """Simulate.

        Raises:
            UsageError: something of it is not known, or does not fit.
        """
        task, strategy = self.make_task(), self.make_strategy()
        first = base_model(task, self.base, self.seed)
        return simulate(
            task,
            strategy,
            self.rounds,
            clients_per_round=self.clients,
            seed=self.seed,
            base=first,
            engine=self._engine(first, strategy),
            on_round=on_round,
        )

    def _engine(self, model: Artifact, strategy: Strategy) -> FleetEngine | None:
        """The engine asked for; None for the loop, or where auto finds that none fits."""
        if self.engine not in ENGINES:
            raise UsageError(f"engine {self.engine!r} is unknown.", hint=", ".join(ENGINES))
        auto = self.engine == "auto"
        if self.engine == "loop" or (
            auto and (why_not(model, strategy) or kernel("exact") is None)
        ):
            return None
        chosen = "threads" if auto else self.engine
        return FleetEngine(cast(Any, self.mode), workers=self.threads, engine=cast(Any, chosen))


def base_model(task: Task, path: Path | None, seed: int) -> Artifact:
    """The model to start from: a file's, or a fresh one.

    Raises:
        UsageError: the file cannot be read, or is not one of the task.
        UnsupportedOperator: of task own: nothing in the file can be trained.
    """
    if path is None:
        return new_model(task, seed=seed)
    artifact = read_model(path, onnx=task.name == OWN)
    if task.name == OWN:
        _ = artifact.tail_spec  # raises where nothing can be trained
        return artifact
    spec = task.spec()
    if artifact.spec.digest() != spec.digest():
        raise UsageError(
            f"{path} is {artifact.spec.n_in} to {artifact.spec.n_out} wide; task {task.name} needs "
            f"{spec.n_in} to {spec.n_out} with its own layers.",
            hint="a model of the same task",
        )
    return artifact


def parsed(text: str) -> Any:
    """A value as typed on a command line: a number, true, false or null as in JSON, else a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
