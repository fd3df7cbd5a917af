"""What an answer must satisfy before it counts in a round, and the reason where it does not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.messages import Decline, MessageError, Offer, Update, decode_update
from server.transports.base import Mail
from server.turns import Turns, offer_id

__all__ = ["DECLINED", "LATE", "NORM_MULTIPLE", "SILENT", "Admission", "Verdict", "norm_limit"]

_LONGEST_REASON = 300
DECLINED, LATE, SILENT = "declined:", "late:", "no answer:"
"""How the reason begins where the device declined, answered too late, or not at all."""

NORM_MULTIPLE = 10.0
"""A delta longer than this many times the base is refused, unless a run says otherwise."""


@dataclass(frozen=True)
class Verdict:
    """What becomes of one mail.

    Args:
        device: who sent it.
        round: the round it is entered under.
        answers: whether the device has thereby answered the open round.
        reason: why it is not accepted; empty: it is.
        update: the update, where one could be read.
        delta: float32 [n], where accepted.
        size: bytes that came.
        staleness: how many rounds an accepted update is behind.
        turn: how many of this device and beginning were accepted before it.
    """

    device: str
    round: int
    answers: bool
    reason: str
    update: Update | None = None
    delta: NDArray[np.float32] | None = None
    size: int = 0
    staleness: int = 0
    turn: int = 0

    @property
    def accepted(self) -> bool:
        """Whether the update counts."""
        return self.delta is not None


def norm_limit(base: NDArray[np.float32], multiple: float = NORM_MULTIPLE) -> float:
    """Longest delta (L2) that is taken from a device that started from `base`.

    Args:
        base: float32 [n], all parameters of the model.
        multiple: in lengths of the base, but of 1 at least.
    """
    return multiple * max(float(np.linalg.norm(base.astype(np.float64))), 1.0)


@dataclass
class Admission:
    """The door of one open round.

    Args:
        offer: the round as offered.
        n_parameters: float32 values that a delta must have.
        norm_limit: largest Euclidean norm that a delta may have.
        turns: the answers that are in already, and those that may still come.
        earlier: rounds that may still be answered, by their number.
    """

    offer: Offer
    n_parameters: int
    norm_limit: float
    turns: Turns
    earlier: Mapping[int, Offer] = field(default_factory=dict)

    def judge(self, mail: Mail) -> Verdict:
        """Check one mail; whatever its bytes are, the outcome is a verdict."""
        payload = mail.payload or b""
        try:
            answer = decode_update(payload)
        except MessageError as error:
            return self._no(mail, f"undecodable: {error.message}", answers=True)
        place = self._misplaced(mail.device, answer)
        if place is not None:
            return place
        offer = self.earlier.get(answer.round, self.offer)
        now = offer is self.offer
        there = self.turns.answered(mail.device, answer.round)
        if answer.id in self._ids(answer, range(there)):
            return self._no(mail, "duplicate: an update of this round is in already", answer)
        if answer.base != offer.base:
            said = f"wrong base: {answer.base[:12]} came, {offer.base[:12]} was offered"
            return self._no(mail, said, answer, answers=now)
        if isinstance(answer, Decline):
            return self._no(mail, _declined(answer), answers=now)
        return self._weigh(mail, answer, offer)

    def _misplaced(self, sender: str, answer: Update | Decline) -> Verdict | None:
        """Refuse what belongs to another device, run or round."""
        mail, offer = Mail(sender, None), self.earlier.get(answer.round, self.offer)
        if answer.device != sender:
            return self._no(mail, f"wrong device: it names {answer.device}", answer)
        if answer.run != offer.run:
            return self._no(mail, f"wrong run: {answer.run} came, {offer.run} is open", answer)
        if answer.round < offer.round:
            said = f"{LATE} it answers round {answer.round}, round {offer.round} is open"
            return self._no(mail, said, answer, round=answer.round)
        due = self.turns.due(sender, offer.round)
        turns = range(self.turns.answered(sender, offer.round) + (due is not None))
        if answer.round != offer.round or answer.id not in self._ids(answer, turns):
            return self._no(mail, f"wrong round: {answer.id[:60]} came, {offer.id} is open", answer)
        if sender not in offer.cohort:
            return self._no(mail, "not in the cohort of this round", answer)
        return None

    def _ids(self, answer: Update | Decline, turns: range) -> list[str]:
        return [offer_id(answer.run, answer.round, turn) for turn in turns]

    def _weigh(self, mail: Mail, update: Update, offer: Offer) -> Verdict:
        """Check the numbers of an update that is in its place."""
        now = offer is self.offer
        try:
            delta = update.dense(self.n_parameters)
        except MessageError as error:
            return self._no(mail, f"wrong shape: {error.message}", update, answers=now)
        losses = (update.loss_first, update.loss_mean, update.loss_last)
        if not bool(np.isfinite(delta).all()) or not all(map(math.isfinite, losses)):
            return self._no(mail, "not finite: NaN or infinity in it", update, answers=now)
        norm = float(np.linalg.norm(delta.astype(np.float64)))
        if norm > self.norm_limit:
            said = f"too far: a norm of {norm:.4g} came, {self.norm_limit:.4g} is allowed"
            return self._no(mail, said, update, answers=now)
        most = offer.plan.most_samples
        if not 0 < update.samples <= most:
            said = f"wrong count: {update.samples} samples, {most} at most"
            return self._no(mail, said, update, answers=now)
        return Verdict(
            mail.device,
            self.offer.round,
            now,
            "",
            update,
            delta,
            len(mail.payload or b""),
            self.offer.round - offer.round,
            self.turns.answered(mail.device, offer.round),
        )

    def _no(
        self,
        mail: Mail,
        reason: str,
        answer: Update | Decline | None = None,
        *,
        answers: bool = False,
        round: int | None = None,
    ) -> Verdict:
        return Verdict(
            mail.device,
            self.offer.round if round is None else round,
            answers and mail.device in self.offer.cohort,
            reason[:_LONGEST_REASON],
            answer if isinstance(answer, Update) else None,
            size=len(mail.payload or b""),
        )


def _declined(answer: Decline) -> str:
    memory = f" ({answer.needed} bytes needed, {answer.available} there)" if answer.needed else ""
    return f"{DECLINED} {answer.reason}{memory}"
