"""The coordinator: plan, offer, collect, aggregate, checkpoint; over any transport."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Literal, Self

import numpy as np

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.layout import sent
from server.attendance import QUIET, Attendance
from server.cohort import Cohort, NoDevices, OnWait, RoundsFailed, sample
from server.collector import Collector
from server.door import door_of
from server.journal import Journal, RoundRow
from server.reports import RoundReport, RunResult, figures, report_of, shortage, silent
from server.settings import Settings
from server.strategies import Strategy, get_strategy
from server.strategies.robust import require_enough
from server.transports.base import Transport

__all__ = ["Coordinator", "Evaluate", "RoundReport", "RunResult", "Settings"]

_TICK = 0.1

Evaluate = Callable[[int, Artifact], Mapping[str, float]]
"""Metrics of the model after a round; they are kept in the journal."""


class Coordinator:
    """Runs the rounds of one run; a run that is in the journal already is gone on with.

    Args:
        transport: the way to the fleet; not closed by the coordinator.
        journal: where everything is entered first.
        strategy: how rounds are planned and aggregated.
        settings: how the run is coordinated.
        run: its name, one level of a topic.
        base: the model to start from; not looked at where the run goes on.
        cohort: who may be asked.
        config: JSON values of the caller to keep with a new run (task, its options, ...).
        evaluate: measures the model after each round.
    """

    def __init__(
        self,
        transport: Transport,
        journal: Journal,
        strategy: Strategy,
        settings: Settings,
        *,
        run: str,
        base: Artifact | None,
        cohort: Cohort,
        config: Mapping[str, object] | None = None,
        evaluate: Evaluate | None = None,
    ) -> None:
        """Enter the run in the journal if it is new."""
        self.transport, self.journal = transport, journal
        self.strategy, self.settings = strategy, settings
        self.run_id, self.cohort, self.evaluate = run, cohort, evaluate
        self._stop = threading.Event()
        self._on_wait: OnWait | None = None
        if settings.min_updates > strategy.buffer:
            raise UsageError(
                f"a round needs {settings.min_updates} updates, and {strategy.name} closes it with"
                f" {strategy.buffer}.",
                hint="fewer --min-updates, or a larger --cohort-size (fedbuff: --option buffer=)",
            )
        self._attendance = Attendance(transport, settings.grace)
        if all(row.run != run for row in journal.runs()):
            if base is None:
                raise NoDevices(f"run {run!r} is new and has no model to start from.")
            require_enough(strategy.options().get("robust", "mean"), strategy.buffer)
            kept = {
                **(config or {}),
                "strategy": strategy.name,
                "strategy_options": strategy.options(),
                "settings": asdict(settings),
            }
            journal.begin_run(run, kept, base=base.sha256, artifact=base.data, time=time.time())
        elif strategy.remembers:
            _remind(strategy, journal, run)

    @classmethod
    def resume(
        cls,
        transport: Transport,
        journal: Journal,
        run: str,
        *,
        cohort: Cohort,
        evaluate: Evaluate | None = None,
    ) -> Self:
        """Go on with a run as the journal has it: same strategy, settings and open round.

        Raises:
            UsageError: there is no such run.
        """
        config = journal.run(run).config
        strategy = get_strategy(config["strategy"], **config["strategy_options"])
        settings = Settings(**config["settings"])
        return cls(
            transport, journal, strategy, settings,
            run=run, base=None, cohort=cohort, evaluate=evaluate,
        )  # fmt: skip

    def stop(self) -> None:
        """End `run` soon, from any thread or a signal handler; an open round stays open."""
        self._stop.set()

    def run(
        self,
        on_round: Callable[[RoundReport], None] | None = None,
        on_wait: OnWait | None = None,
    ) -> RunResult:
        """Run what is left of the rounds.

        Args:
            on_round: called after each round, closed or failed.
            on_wait: called again and again while too few devices can be asked.

        Raises:
            NoDevices: too few could be asked for as long as a round's deadline.
            RoundsFailed: too many rounds in a row got too few updates.
        """
        self.journal.set_status(self.run_id, "running")
        self._on_wait = on_wait
        try:
            while (row := self._next()) is not None:
                report = self._play(row)
                if report is None:
                    break
                if on_round is not None:
                    on_round(report)
                self._check_failures()
        except BaseException as error:
            failed = isinstance(error, RoundsFailed)
            status: Literal["failed", "stopped"] = "failed" if failed else "stopped"
            self.journal.set_status(self.run_id, status, time=time.time())
            raise
        ended = [row for row in self.journal.rounds(self.run_id) if row.status != "open"]
        if len(ended) >= self.settings.rounds and all(row.status == "failed" for row in ended):
            self.journal.set_status(self.run_id, "failed", time=time.time())
            raise self._failed(ended)
        finished: Literal["done", "stopped"] = (
            "done" if len(ended) >= self.settings.rounds else "stopped"
        )
        self.journal.set_status(self.run_id, finished, time=time.time())
        return RunResult(self.run_id, finished, len(ended), self.model())

    def model(self) -> Artifact:
        """The newest model of the run."""
        return Artifact(self.journal.artifact(self.journal.current(self.run_id)))

    # One round.

    def _next(self) -> RoundRow | None:
        """The open round, or a new one; None if there is none or the run is stopped."""
        newest = self.journal.rounds(self.run_id, newest=1)
        if newest and newest[-1].status == "open":
            return newest[-1]
        number = newest[-1].round + 1 if newest else 1
        if number > self.settings.rounds:
            return None
        names = self._wait_for_devices()
        if not names:
            return None
        total = self.settings.rounds
        asked = self.settings.asked(self.strategy.cohort_size)
        row = RoundRow(
            run=self.run_id,
            round=number,
            status="open",
            base=self.journal.current(self.run_id),
            result=None,
            plan=self.strategy.plan(number, total),
            cohort=sample(names, asked, seed=self.settings.seed, round=number),
            outer_rate=self.strategy.outer_rate(number, total),
            started=time.time(),
            ended=None,
            metrics={},
        )
        self.journal.open_round(row)
        return row

    def _wait_for_devices(self) -> list[str]:
        """Who can be asked now; those that went away a moment ago are waited for."""
        began = time.monotonic()
        end = began + self.settings.deadline
        fewest = max(
            math.ceil(self.settings.min_updates / (self.strategy.most_turns or math.inf)), 1
        )
        while not self._stop.is_set():
            names = set(self.cohort() if callable(self.cohort) else self.cohort)
            due = time.monotonic() > end
            ready = self._attendance.ready(names, due=due)
            if len(ready) >= fewest:
                return ready
            if self._on_wait is not None and time.monotonic() > began + QUIET:
                self._on_wait(fewest, len(ready))
            if due:
                there = f"only {len(ready)} of {fewest} devices" if ready else "no device"
                raise NoDevices(
                    f"{there} to ask in run {self.run_id!r}.",
                    hint="tinyfleet edge run, another --cohort, or fewer --min-updates",
                )
            self._stop.wait(_TICK)
        return []

    def _play(self, row: RoundRow) -> RoundReport | None:
        """Offer a round, collect and close it; None if the run was stopped before."""
        if self._stop.is_set():
            return None
        base = Artifact(self.journal.artifact(row.base))
        part = sent(base.tail_spec, row.plan)
        door = door_of(row, base, part, self.journal, self.strategy, self.settings)
        self.transport.publish_model(base.sha256, base.data)
        self.transport.offer(door.offer)
        try:
            collector = Collector(
                self.transport, self.journal, self.strategy, self.settings, row, door,
                self._attendance,
            )  # fmt: skip
            if not collector.collect(self._stop, self._on_wait):
                return None
        finally:
            self.transport.close_round(row.run)
        return self._close(row, base, part)

    def _close(self, row: RoundRow, base: Artifact, part: slice) -> RoundReport:
        """Aggregate what was accepted, in the journal's words, and enter the result."""
        updates = self.journal.contributions(row.run, row.round)
        failed = len(updates) < self.settings.min_updates
        result = base
        if not failed and updates:
            parameters = base.parameters()
            parameters[part] = self.strategy.aggregate(parameters[part], updates, row.outer_rate)
            result = base.with_parameters(parameters)
        answers, now = self.journal.updates(row.run, row.round), time.time()
        due = len(updates) < self.strategy.buffer  # else the others are not needed any more
        missing = silent(row, answers, away=self._attendance.away(), time=now) if due else []
        metrics = figures(answers, row.cohort)
        if self.evaluate is not None:
            metrics.update(self.evaluate(row.round, result))
        self.journal.close_round(
            row.run, row.round, result=result.sha256, artifact=result.data, metrics=metrics,
            time=time.time(), failed=failed, silent=missing,
        )  # fmt: skip
        return report_of(self.journal, row.run, row.round)

    def _check_failures(self) -> None:
        last = self.journal.rounds(self.run_id, newest=self.settings.max_failures)
        if len(last) == self.settings.max_failures and all(r.status == "failed" for r in last):
            raise self._failed(last)

    def _failed(self, rounds: list[RoundRow]) -> RoundsFailed:
        why, hint = shortage(self.journal.updates(self.run_id, rounds[-1].round))
        count = f"{len(rounds)} rounds in a row" if len(rounds) > 1 else "the only round"
        return RoundsFailed(
            f"{count} got fewer than {self.settings.min_updates} updates ({why}).",
            hint=hint,
        )


def _remind(strategy: Strategy, journal: Journal, run: str) -> None:
    """Have a strategy aggregate again what is in the journal, for what it remembers of it."""
    for row in journal.rounds(run):
        updates = journal.contributions(run, row.round)
        if row.status == "closed" and updates:
            nowhere = np.zeros(updates[0].delta.size, np.float32)
            strategy.aggregate(nowhere, updates, row.outer_rate)
