"""Collect the answers of one open round, until nothing that counts can still come."""

import logging
import math
import threading
import time
from dataclasses import replace

from server.admission import Admission, Verdict
from server.attendance import QUIET, Attendance
from server.cohort import OnWait
from server.journal import Journal, RoundRow, UpdateRow
from server.settings import Settings
from server.strategies import Strategy
from server.transports.base import Mail, Transport
from server.turns import offer_id

__all__ = ["Collector"]

_log = logging.getLogger("tinyfleet.rounds")
_TICK = 0.1


class Collector:
    """Takes the answers of one round; each is in the journal before it counts.

    Args:
        transport: where answers come from, and where devices are asked again.
        journal: where answers are entered.
        strategy: how many updates close the round.
        settings: how long it may take.
        row: the round.
        door: what an answer must satisfy.
        attendance: who is there.
    """

    def __init__(
        self,
        transport: Transport,
        journal: Journal,
        strategy: Strategy,
        settings: Settings,
        row: RoundRow,
        door: Admission,
        attendance: Attendance,
    ) -> None:
        """Count what is in the journal already."""
        self._transport, self._journal, self._strategy = transport, journal, strategy
        self._cohort, self._door, self._attendance = set(row.cohort), door, attendance
        self._deadline = settings.deadline
        self._needed = settings.min_updates
        there = journal.contributions(row.run, row.round)
        self._accepted = len(there)
        self._done: set[str] = set()
        for device in {entry.device for entry in there if not entry.staleness}:
            self._answered(device)

    def collect(self, stop: threading.Event, on_wait: OnWait | None = None) -> bool:
        """Take answers until the round is complete or due; False if it was stopped.

        Args:
            stop: set to leave the round open.
            on_wait: called again and again while too few of the cohort are online.
        """
        began = time.monotonic()
        end = began + self._deadline
        while not self._complete():
            left = end - time.monotonic()
            if stop.is_set():
                return False
            if left <= 0:
                break
            mail = self._transport.receive(min(left, _TICK))
            if mail is not None and mail.payload is not None:
                self._take(mail)
            elif mail is not None:
                self._ask_again(mail.device)
            elif on_wait is not None and time.monotonic() > began + QUIET:
                self._tell_waiting(on_wait)
        return True

    def _tell_waiting(self, on_wait: OnWait) -> None:
        most = self._strategy.most_turns or math.inf
        needed = max(math.ceil((self._needed - self._accepted) / most), 0)
        online = {name for name, here in self._transport.presence().items() if here}
        there = len((self._cohort & online) - self._done)
        if there < needed:
            on_wait(needed, there)

    def _complete(self) -> bool:
        """Whether nothing that counts can still come.

        While there are too few updates, those that went away are waited for until the deadline.
        """
        if self._accepted >= self._strategy.buffer:
            return True
        gone = self._attendance.gone()
        enough = self._accepted >= self._needed
        return self._cohort <= (self._done | gone if enough else self._done)

    def _take(self, mail: Mail) -> None:
        verdict = self._door.judge(mail)
        self._enter(verdict)
        if verdict.accepted:
            number = self._door.offer.round
            self._accepted += 1
            self._door.turns.note(mail.device, asked=number - verdict.staleness, counted=number)
        if verdict.accepted and verdict.answers:
            self._answered(mail.device)
        elif verdict.answers:
            self._done.add(mail.device)

    def _answered(self, device: str) -> None:
        """A device is done with the round, or asked again at once."""
        if self._door.turns.due(device, self._door.offer.round) is None:
            self._done.add(device)
        elif self._accepted < self._strategy.buffer:
            self._ask_again(device)

    def _ask_again(self, device: str) -> None:
        """Ask a device once more, also one that has just come back and lost what it was asked."""
        offer = self._door.offer
        turn = self._door.turns.due(device, offer.round)
        if turn and device in self._cohort and device not in self._done:
            again = offer_id(offer.run, offer.round, turn)
            self._transport.ask(device, replace(offer, cohort=(device,), id=again, turn=turn))

    def _enter(self, verdict: Verdict) -> None:
        """Enter an answer in the journal, under the round it belongs to if that one exists."""
        offer = self._door.offer
        if not verdict.accepted:
            _log.info("%s, round %d: %s", verdict.device, verdict.round, verdict.reason)
        update = verdict.update
        self._journal.add_update(
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
                turn=verdict.turn,
            ),
            verdict.delta,
        )
