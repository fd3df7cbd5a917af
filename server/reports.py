"""What a round and a run came to, as the journal tells it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from edge.artifact import Artifact
from edge.errors import UsageError
from server.admission import DECLINED, LATE, SILENT
from server.journal import Journal, RoundRow, UpdateRow

__all__ = ["RoundReport", "RunResult", "figures", "report_of", "shortage", "silent"]


@dataclass(frozen=True)
class RoundReport:
    """What a round came to; `updates` are all answers, also the refused ones."""

    run: str
    round: int
    rounds: int
    strategy: str
    status: Literal["closed", "failed"]
    base: str
    result: str
    started: float
    ended: float
    cohort: tuple[str, ...]
    updates: list[UpdateRow]
    metrics: dict[str, float]

    @property
    def accepted(self) -> list[UpdateRow]:
        """The answers that count."""
        return [update for update in self.updates if update.accepted]


@dataclass(frozen=True)
class RunResult:
    """How `run` ended, and with which model."""

    run: str
    status: Literal["done", "stopped"]
    rounds_done: int
    artifact: Artifact


def report_of(journal: Journal, run: str, round: int) -> RoundReport:
    """The report of a round that has ended; the same one that was given when it did.

    Raises:
        UsageError: the round is open, or not there.
    """
    config = journal.run(run).config
    for row in journal.rounds(run, newest=1, upto=round):
        if row.round == round and row.status != "open":
            assert row.result is not None and row.ended is not None
            return RoundReport(
                run, round, config["settings"]["rounds"], config["strategy"], row.status,
                row.base, row.result, row.started, row.ended, row.cohort,
                journal.updates(run, round), row.metrics,
            )  # fmt: skip
    raise UsageError(f"round {round} of run {run!r} has not ended.")


def figures(answers: Sequence[UpdateRow], cohort: tuple[str, ...]) -> dict[str, float]:
    """Figures that every round has: counts of answers, samples, bytes, and mean losses."""
    accepted = [row for row in answers if row.accepted]
    figures = {
        "accepted": float(len(accepted)),
        "rejected": float(len(answers) - len(accepted)),
        "missing": float(len(set(cohort) - {row.device for row in answers})),
        "samples": float(sum(row.samples for row in accepted)),
        "bytes": float(sum(row.bytes for row in accepted)),
    }
    for name in ("loss_first", "loss_mean", "loss_last"):
        values = [value for row in accepted if (value := getattr(row, name)) is not None]
        if values:
            figures[name] = sum(values) / len(values)
    return figures


def silent(
    row: RoundRow, answers: Sequence[UpdateRow], *, away: Collection[str], time: float
) -> list[UpdateRow]:
    """What is entered for those of a round's cohort of whom nothing came while it was open.

    Args:
        row: the round, about to be closed.
        answers: all that came in it.
        away: devices that are offline now.
        time: seconds since 1970.
    """
    missing = sorted(set(row.cohort) - {answer.device for answer in answers})
    why = {True: "it went offline", False: "the deadline passed"}
    return [
        UpdateRow(row.run, row.round, name, False, f"{SILENT} {why[name in away]}", time=time)
        for name in missing
    ]


def shortage(answers: Sequence[UpdateRow]) -> tuple[str, str]:
    """Why a round got too few updates, and what helps against that.

    Args:
        answers: the journal's of the round, in their order.
    """
    wait = "a longer --deadline, or fewer --min-updates"
    came = [row for row in answers if not row.reason.startswith(SILENT)]
    refused = [row.reason for row in came if not row.accepted]
    if not refused:
        return ("the others did not answer" if came else "nobody answered"), wait
    declined = [reason for reason in refused if reason.startswith(DECLINED)]
    if declined:
        return declined[-1], "to mend what the device declines for; its own log says more"
    if refused[-1].startswith(LATE):
        return refused[-1], wait
    return refused[-1], "a lower --rate, or a look at the samples of that device"
