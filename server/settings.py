"""How a run is coordinated: deadlines, how many are asked, how many must answer."""

import math
from dataclasses import dataclass
from decimal import Decimal

from edge.errors import UsageError
from server.admission import NORM_MULTIPLE

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Kept in the journal for `Coordinator.resume`.

    Args:
        rounds: how many rounds.
        seed: of the choice of cohorts.
        deadline: seconds until a round is closed without those that did not answer.
        min_updates: accepted updates that a round needs; with fewer it fails, and keeps its base.
        norm_multiple: a delta longer than this many times the base is refused.
        max_failures: rounds in a row that may fail before the run does.
        grace: seconds that a device which went away is waited for; it may only be reconnecting.
        over_select: how many times as many devices are asked as a round takes; the first count.

    Raises:
        UsageError: a value with which no round could end well.

    >>> Settings(rounds=3, over_select=1.3).asked(10)
    13
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
        """Refuse what makes no sense."""
        for name, value, least in (
            ("over_select", self.over_select, 1),
            ("min_updates", self.min_updates, 0),
        ):
            if not least <= value < math.inf:
                raise UsageError(f"{name} is {value:g}, {least} or more is allowed.")
        if not 0 < self.deadline < math.inf:
            raise UsageError(f"deadline is {self.deadline:g} s, more than 0 is allowed.")

    def asked(self, size: int) -> int:
        """How many devices are asked where a round takes the updates of `size`."""
        return math.ceil(Decimal(size) * Decimal(str(self.over_select)))  # 10 * 1.1 is 11, not 12
