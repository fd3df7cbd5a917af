"""Open the door of a round: its offer, and what answers must satisfy given those that are in."""

import time

from edge.artifact import Artifact
from edge.messages import Offer
from server.admission import Admission, norm_limit
from server.journal import Journal, RoundRow
from server.settings import Settings
from server.strategies import Strategy
from server.turns import Turns, offer_id

__all__ = ["door_of"]


def door_of(
    row: RoundRow,
    base: Artifact,
    part: slice,
    journal: Journal,
    strategy: Strategy,
    settings: Settings,
) -> Admission:
    """The door of a round that begins, or goes on.

    Args:
        row: the round.
        base: the model it starts from.
        part: which of its parameters are sent.
        journal: what it holds of this round, and of those that may still be answered, is in.
        strategy: how late, and how often, a device may answer.
        settings: deadline and norm bound.
    """
    turns = Turns(row.round, most=strategy.most_turns)
    for number in range(max(row.round - strategy.max_staleness, 1), row.round + 1):
        for entry in journal.contributions(row.run, number):
            turns.note(entry.device, asked=number - entry.staleness, counted=number)
    earlier = journal.rounds(row.run, newest=strategy.max_staleness, upto=row.round - 1)
    return Admission(
        _offer_of(row, time.time() + settings.deadline),
        part.stop - part.start,
        norm_limit(base.parameters(), settings.norm_multiple),
        turns,
        {old.round: _offer_of(old, 0.0) for old in earlier},
    )


def _offer_of(row: RoundRow, deadline: float) -> Offer:
    name = offer_id(row.run, row.round)
    return Offer(row.run, row.round, row.base, row.cohort, row.plan, deadline, name)
