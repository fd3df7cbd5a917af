"""Which answers may still come: how often each device was asked, and how often it has answered."""

from collections import Counter

__all__ = ["Turns", "offer_id"]


def offer_id(run: str, round: int, turn: int = 0) -> str:
    """Correlation id of an offer; the same again after a resume.

    >>> offer_id("r", 3), offer_id("r", 3, 1)
    ('r/3', 'r/3/1')
    """
    return f"{run}/{round}/{turn}" if turn else f"{run}/{round}"


class Turns:
    """The answers that are in, by device and by the round that they answer.

    Args:
        current: number of the open round.
        most: how often a device may answer a round; 0: any number.

    >>> turns = Turns(2, most=2)
    >>> turns.note("a", asked=2, counted=2)
    >>> turns.due("a", 2), turns.due("b", 2)
    (1, 0)
    """

    def __init__(self, current: int, *, most: int) -> None:
        """Start without an answer."""
        self._current, self._most = current, most
        self._in: Counter[tuple[str, int]] = Counter()
        self._in_time: Counter[tuple[str, int]] = Counter()

    def note(self, device: str, *, asked: int, counted: int) -> None:
        """An answer to round `asked` counts in round `counted`."""
        self._in[device, asked] += 1
        self._in_time[device, asked] += asked == counted

    def answered(self, device: str, round: int) -> int:
        """How many answers of a device to a round are in."""
        return self._in[device, round]

    def due(self, device: str, round: int) -> int | None:
        """The turn whose answer may come next; None: the device was not asked again.

        A device is asked again when its answer came in time, so of an earlier round one answer
        more than that can be on its way.
        """
        there = self._in[device, round]
        more = not self._most or there < self._most
        asked = round == self._current or there <= self._in_time[device, round]
        return there if more and asked else None
