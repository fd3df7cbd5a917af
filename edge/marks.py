"""Which of stored samples comes next, and where the pass over them began."""

__all__ = ["Marks"]


class Marks:
    """A place among samples that are counted on and on from 0.

    A pass is what came new since `begin_pass`, or else since the pass before, as in `Stream`.

    Args:
        at: the number of the first sample to give.

    >>> marks = Marks()
    >>> first = [marks.take(), marks.take()]
    >>> marks.rewind()
    >>> first, marks.take(), marks.take(), marks.take()
    ([0, 1], 0, 1, 2)
    """

    def __init__(self, at: int = 0) -> None:
        """Have given none yet."""
        self.at = self._most = at
        self._pass = self._new = at

    def take(self) -> int:
        """The number of the next sample."""
        taken = self.at
        self.at += 1
        self._most = max(self._most, self.at)
        return taken

    def begin_pass(self) -> None:
        """A pass begins, behind all that was given."""
        self.at = self._pass = self._new = self._most

    def rewind(self) -> None:
        """Go back to the first sample of the pass."""
        if self._most > self._new:
            self._pass, self._new = self._new, self._most
        self.at = self._pass
