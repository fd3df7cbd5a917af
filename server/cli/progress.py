"""Progress bars of long work, and Ctrl-C or SIGTERM that stops a run cleanly."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.artifact import Artifact
    from server.cohort import Cohort, OnWait
    from server.rounds import RoundReport, RunResult
    from server.run import Run

__all__ = ["play_with_bar", "rounds_bar", "say_waiting"]


@contextmanager
def rounds_bar(total: int, what: str, done: int = 0) -> Iterator[Callable[[str], None]]:
    """A bar on standard error; the call it gives advances it by one with a short note.

    Where standard error is not a terminal, a line is printed at every tenth of the way.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    live = sys.stderr.isatty()
    from rich.console import Console

    count = done
    with Progress(*columns, console=Console(stderr=True), disable=not live) as progress:
        bar = progress.add_task(what, total=total, completed=done, note="")

        def advance(note: str) -> None:
            nonlocal count
            count += 1
            progress.update(bar, advance=1, note=note)
            if not live and (count % max(total // 10, 1) == 0 or count == total):
                print(f"{what} {count}/{total}  {note}", file=sys.stderr, flush=True)

        yield advance


def play_with_bar(
    running: "Run",
    *,
    base: "Artifact | None",
    cohort: "Cohort | None" = None,
    on_round: "Callable[[RoundReport], None] | None" = None,
) -> "RunResult":
    """Run the rounds with a bar; the first Ctrl-C or SIGTERM ends them, a round kept open."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        running.stop()

    done = 0
    if base is None:
        rounds = running.journal.rounds(running.config.run)
        done = sum(row.status != "open" for row in rounds)
    before = [(kind, signal.signal(kind, interrupt)) for kind in (signal.SIGINT, signal.SIGTERM)]
    try:
        with rounds_bar(running.config.settings.rounds, "round", done) as advance:

            def after(report: "RoundReport") -> None:
                advance(_note(report))
                if on_round is not None:
                    on_round(report)

            return running.play(base=base, cohort=cohort, on_round=after, on_wait=say_waiting())
    finally:
        for kind, handler in before:
            signal.signal(kind, handler)


def say_waiting() -> "OnWait":
    """A call that says on standard error how many devices are missing, when that has changed."""
    said: tuple[int, int] | None = None

    def say(needed: int, there: int) -> None:
        nonlocal said
        if said != (needed, there):
            said = (needed, there)
            what = "device" if needed == 1 else "devices"
            print(f"waiting for {needed} {what}, {there} online", file=sys.stderr, flush=True)

    return say


def _note(report: "RoundReport") -> str:
    note = f"{len(report.accepted)}/{len(report.cohort)} updates"
    loss = report.metrics.get("loss_mean")
    return note if loss is None else f"{note}, loss {loss:.3f}"
