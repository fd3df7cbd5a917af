"""The coordinator: plan, offer, collect, aggregate, checkpoint; over any transport."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, Self

import numpy as np

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.layout import sent
from edge.messages import Offer
from server.admission import NORM_MULTIPLE, Admission, Verdict, norm_limit
from server.cohort import Cohort, NoDevices, RoundsFailed, sample
from server.journal import Journal, RoundRow, UpdateRow
from server.reports import RoundReport, RunResult, figures, report_of
from server.strategies import Strategy, get_strategy
from server.transports.base import Mail, Transport

__all__ = ["Coordinator", "Evaluate", "RoundReport", "RunResult", "Settings"]

_log = logging.getLogger("tinyfleet.rounds")
_TICK = 0.1

Evaluate = Callable[[int, Artifact], Mapping[str, float]]
"""Metrics of the model after a round; they are kept in the journal."""


@dataclass(frozen=True)
class Settings:
    """How a run is coordinated; kept in the journal for `Coordinator.resume`.

    Args:
        rounds: how many rounds.
        seed: of the choice of cohorts.
        deadline: seconds until a round is closed without those that did not answer.
        min_updates: accepted updates that a round needs (at most its cohort).
        norm_multiple: a delta longer than this many times the base is refused.
        max_failures: rounds in a row that may fail before the run does.
        grace: seconds that a device which went away is waited for; it may only be reconnecting.
        over_select: how many times as many devices are asked as a round takes; the first count.
    """

    rounds: int
    seed: int = 0
    deadline: float = 30.0
    min_updates: int = 1
    norm_multiple: float = NORM_MULTIPLE
    max_failures: int = 3
    grace: float = 2.0
    over_select: float = 1.0

    def __post_init__(self) -> None:
        """Refuse to ask fewer than a round takes."""
        if not 1 <= self.over_select < math.inf:
            raise UsageError(f"over_select is {self.over_select:g}, 1 or more is allowed.")


@dataclass
class _Tally:
    """Who has answered an open round, and how many updates are in."""

    accepted: int
    answered: set[str]


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
        self._away: dict[str, float] = {}  # since when, monotonic seconds
        if all(row.run != run for row in journal.runs()):
            if base is None:
                raise NoDevices(f"run {run!r} is new and has no model to start from.")
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

    def run(self, on_round: Callable[[RoundReport], None] | None = None) -> RunResult:
        """Run what is left of the rounds.

        Args:
            on_round: called after each round, closed or failed.

        Raises:
            NoDevices: nobody could be asked for as long as a round's deadline.
            RoundsFailed: too many rounds in a row got too few updates.
        """
        self.journal.set_status(self.run_id, "running")
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
        finished: Literal["done", "stopped"] = (
            "done" if len(ended) >= self.settings.rounds else "stopped"
        )
        self.journal.set_status(self.run_id, finished, time=time.time())
        return RunResult(self.run_id, finished, len(ended), self.model())

    def model(self) -> Artifact:
        """The newest model of the run."""
        return Artifact(self.journal.artifact(self.journal.current(self.run_id)))

    # One round.

    @property
    def _asked(self) -> int:
        """How many devices are asked."""
        return math.ceil(self.strategy.cohort_size * self.settings.over_select)

    def _needed(self, row: RoundRow) -> int:
        """How many updates a round must get, or it fails."""
        return min(self.settings.min_updates, self.strategy.buffer, len(row.cohort))

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
        row = RoundRow(
            run=self.run_id,
            round=number,
            status="open",
            base=self.journal.current(self.run_id),
            result=None,
            plan=self.strategy.plan(number, total),
            cohort=sample(names, self._asked, seed=self.settings.seed, round=number),
            outer_rate=self.strategy.outer_rate(number, total),
            started=time.time(),
            ended=None,
            metrics={},
        )
        self.journal.open_round(row)
        return row

    def _wait_for_devices(self) -> list[str]:
        """Who can be asked now; those that went away a moment ago are waited for."""
        end = time.monotonic() + self.settings.deadline
        while not self._stop.is_set():
            names = set(self.cohort() if callable(self.cohort) else self.cohort)
            gone, due = self._gone(), time.monotonic() > end
            ready = names - self._away.keys()
            if ready and (due or not names & (self._away.keys() - gone)):
                return sorted(ready)
            if due:
                raise NoDevices(
                    f"no device to ask in run {self.run_id!r}.",
                    hint="tinyfleet edge run, or another --cohort",
                )
            self._stop.wait(_TICK)
        return []

    def _gone(self) -> set[str]:
        """Devices that have been away for longer than the grace."""
        now = time.monotonic()
        for name, online in self.transport.presence().items():
            if online:
                self._away.pop(name, None)
            else:
                self._away.setdefault(name, now)
        return {name for name, since in self._away.items() if now - since >= self.settings.grace}

    def _play(self, row: RoundRow) -> RoundReport | None:
        """Offer a round, collect and close it; None if the run was stopped before."""
        if self._stop.is_set():
            return None
        base = Artifact(self.journal.artifact(row.base))
        parameters = base.parameters()
        part = sent(base.tail_spec, row.plan)
        offer = _offer_of(row, time.time() + self.settings.deadline)
        limit = norm_limit(parameters, self.settings.norm_multiple)
        before = self.journal.rounds(
            row.run, newest=self.strategy.max_staleness, upto=row.round - 1
        )
        earlier = {old.round: _offer_of(old, 0.0) for old in before}
        door = Admission(offer, part.stop - part.start, limit, self._in_already(row), earlier)
        self.transport.publish_model(base.sha256, base.data)
        self.transport.offer(offer)
        try:
            if not self._collect(door, row):
                return None
        finally:
            self.transport.close_round(row.run)
        return self._close(row, base, part)

    def _in_already(self, row: RoundRow) -> set[tuple[str, int]]:
        """Device and own round of all updates that could come once more."""
        rounds = range(max(row.round - self.strategy.max_staleness, 1), row.round + 1)
        return {
            (entry.device, number - entry.staleness)
            for number in rounds
            for entry in self.journal.contributions(row.run, number)
        }

    def _collect(self, door: Admission, row: RoundRow) -> bool:
        """Take answers until the round is complete or due; False if the run was stopped."""
        cohort, needed = set(row.cohort), self._needed(row)
        there = self.journal.contributions(row.run, row.round)
        tally = _Tally(len(there), {entry.device for entry in there if not entry.staleness})
        end = time.monotonic() + self.settings.deadline
        while tally.accepted < self.strategy.buffer and not _complete(
            tally, cohort, needed, self._gone()
        ):
            left = end - time.monotonic()
            if self._stop.is_set():
                return False
            if left <= 0:
                break
            mail = self.transport.receive(min(left, _TICK))
            if mail is not None and mail.payload is not None:
                self._take(door, tally, mail)
        return True

    def _take(self, door: Admission, tally: _Tally, mail: Mail) -> None:
        verdict = door.judge(mail)
        self._enter(door.offer, verdict)
        if verdict.accepted:
            door.accepted.add((mail.device, door.offer.round - verdict.staleness))
            tally.accepted += 1
        if verdict.answers:
            tally.answered.add(mail.device)

    def _enter(self, offer: Offer, verdict: Verdict) -> None:
        """Enter an answer in the journal, under the round it belongs to if that one exists."""
        if not verdict.accepted:
            _log.info("%s, round %d: %s", verdict.device, verdict.round, verdict.reason)
        update = verdict.update
        self.journal.add_update(
            UpdateRow(
                run=offer.run,
                round=verdict.round if 1 <= verdict.round <= offer.round else offer.round,
                device=verdict.device,
                accepted=verdict.accepted,
                reason=verdict.reason,
                samples=update.samples if update else 0,
                loss_first=update.loss_first if update else None,
                loss_mean=update.loss_mean if update else None,
                loss_last=update.loss_last if update else None,
                bytes=verdict.size,
                meters=update.meters if update else {},
                time=time.time(),
                staleness=verdict.staleness,
            ),
            verdict.delta,
        )

    def _close(self, row: RoundRow, base: Artifact, part: slice) -> RoundReport:
        """Aggregate what was accepted, in the journal's words, and enter the result."""
        updates = self.journal.contributions(row.run, row.round)
        failed = len(updates) < self._needed(row)
        result = base
        if not failed and updates:
            parameters = base.parameters()
            parameters[part] = self.strategy.aggregate(parameters[part], updates, row.outer_rate)
            result = base.with_parameters(parameters)
        metrics = figures(self.journal.updates(row.run, row.round), row.cohort)
        if self.evaluate is not None:
            metrics.update(self.evaluate(row.round, result))
        self.journal.close_round(
            row.run, row.round, result=result.sha256, artifact=result.data, metrics=metrics,
            time=time.time(), failed=failed,
        )  # fmt: skip
        return report_of(self.journal, row.run, row.round)

    def _check_failures(self) -> None:
        last = self.journal.rounds(self.run_id, newest=self.settings.max_failures)
        if len(last) == self.settings.max_failures and all(r.status == "failed" for r in last):
            reasons = [row.reason for row in self.journal.updates(self.run_id, last[-1].round)]
            raise RoundsFailed(
                f"{len(last)} rounds in a row got fewer than {self.settings.min_updates} updates"
                f" ({reasons[-1] if reasons else 'nobody answered'}).",
                hint="a longer --deadline, or fewer --min-updates",
            )


def _offer_of(row: RoundRow, deadline: float) -> Offer:
    name = f"{row.run}/{row.round}"
    return Offer(row.run, row.round, row.base, row.cohort, row.plan, deadline, name)


def _remind(strategy: Strategy, journal: Journal, run: str) -> None:
    """Have a strategy aggregate again what is in the journal, for what it remembers of it."""
    for row in journal.rounds(run):
        updates = journal.contributions(run, row.round)
        if row.status == "closed" and updates:
            nowhere = np.zeros(updates[0].delta.size, np.float32)
            strategy.aggregate(nowhere, updates, row.outer_rate)


def _complete(tally: _Tally, cohort: set[str], needed: int, gone: set[str]) -> bool:
    """Whether nothing that counts can still come.

    While there are too few updates, those that went away are waited for until the deadline.
    """
    if tally.accepted >= needed:
        return cohort <= tally.answered | gone
    return cohort <= tally.answered
