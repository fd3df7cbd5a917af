"""What a device answers to an offer or a command; whatever a worker raises becomes a reason."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.compression import Compressor
from edge.errors import DoesNotFit, TinyfleetError
from edge.messages import Ack, Command, Decline, Offer, Plan, Update
from edge.phases import Part, follow, one_pass
from edge.stepping import Watching
from edge.worker import Outcome, Trainer, TrainResult, Worker

__all__ = ["Memory", "ack_of", "decline_of", "update_of"]

_MAX_REASON = 500
_MAX_STEPS = 10_000_000
_log = logging.getLogger("tinyfleet.session")


class PlanRefused(TinyfleetError):
    """A plan that no device can follow, or that led nowhere."""


@dataclass
class Memory:
    """What a device keeps of a run between its rounds, until it is restarted.

    Args:
        compressor: holds what earlier updates left out.
        local: float32 [m], the part of the model that is never sent.
    """

    compressor: Compressor = field(default_factory=Compressor)
    local: NDArray[np.float32] | None = None


def update_of(
    device: str, worker: Trainer, offer: Offer, artefact: bytes, memory: Memory
) -> Update:
    """Train as offered.

    Args:
        device: the device's name.
        worker: the device.
        offer: round and plan.
        artefact: the base, already verified.
        memory: what earlier rounds of this run left.

    Raises:
        PlanRefused: the plan makes no sense, or the weights became infinite.
        Exception: whatever the worker raises, such as Interrupted.
    """
    plan = offer.plan
    _check(plan)
    began = time.perf_counter()
    if one_pass(plan):
        result, local = worker.train(artefact, plan), None
    else:
        result, local = _passes(worker, artefact, plan, memory.local)
    if not np.isfinite(result.delta).all():
        raise PlanRefused("training gave weights that are not finite; a lower rate may help.")
    found = memory.compressor.compress(result.delta, plan.top_p, plan.bits)
    memory.local = local
    _log.info(
        "%s learnt %d samples in round %d of %s: %s",
        device, result.samples, offer.round, offer.run, _losses(result),
    )  # fmt: skip
    return Update(
        device=device,
        run=offer.run,
        round=offer.round,
        base=offer.base,
        id=offer.id,
        delta=found.values,
        indices=found.indices,
        samples=result.samples,
        loss_first=float(result.loss_first),
        loss_mean=float(result.loss_mean),
        loss_last=float(result.loss_last),
        meters={"seconds": time.perf_counter() - began, **result.meters},
        codes=found.codes,
        scale=found.scale,
    )


def _losses(result: TrainResult) -> str:
    """The losses for people: of single samples they would say nothing."""
    trend = result.trend
    if trend is None:
        return f"mean loss {result.loss_mean:.4g}"
    few = f"of {trend.samples} samples"
    return f"mean loss {trend.early:.4g} {few} at first, {trend.late:.4g} {few} at last"


def _passes(
    worker: Trainer, artefact: bytes, plan: Plan, kept: NDArray[np.float32] | None
) -> tuple[TrainResult, NDArray[np.float32] | None]:
    """Train in several passes, each from an artefact with the parameters of the one before."""
    base = Artifact(artefact)
    start = base.parameters()

    def train(parameters: NDArray[np.float32], plan: Plan, part: Part) -> TrainResult:
        if part == "again":
            raise PlanRefused(
                "second-order meta-learning learns a support set twice, devices hold none.",
                hint="fomaml, or server simulate",
            )
        if not np.isfinite(parameters).all():
            raise PlanRefused("training gave weights that are not finite; a lower rate may help.")
        same = np.array_equal(parameters, start)
        return worker.train(artefact if same else base.with_parameters(parameters).data, plan)

    return follow(train, start, base.tail_spec, plan, kept)


def _check(plan: Plan) -> None:
    passes = [plan.samples, plan.epochs]
    passes += [plan.meta.query] if plan.meta else []
    passes += [plan.local.layers] if plan.local else []
    if min(passes) < 1:
        raise PlanRefused(f"a plan of {plan.samples} samples and {plan.epochs} epochs is empty.")
    if plan.most_samples > _MAX_STEPS:
        raise PlanRefused(f"{plan.most_samples} steps are more than {_MAX_STEPS}.")
    if not 0 < plan.top_p <= 1:
        raise PlanRefused(f"top_p {plan.top_p} is not above 0 and at most 1.")
    if plan.bits not in (8, 32):
        raise PlanRefused(f"{plan.bits} bits a value came, 8 or 32 are sent.")
    for name, value in (("learning rate", plan.rate), ("proximal strength", plan.proximal)):
        if not math.isfinite(value) or value < 0:
            raise PlanRefused(f"a {name} of {value} is not a number from 0.")
    _ = plan.steps  # raises UsageError


def decline_of(device: str, offer: Offer, error: Exception) -> Decline:
    """Say why there is no update."""
    needed, available = _figures(error)
    return Decline(
        device=device,
        run=offer.run,
        round=offer.round,
        base=offer.base,
        id=offer.id,
        reason=_reason(error),
        needed=needed,
        available=available,
    )


def ack_of(device: str, worker: Worker, command: Command, fetch: Callable[[str], bytes]) -> Ack:
    """Do what a command asks.

    Args:
        device: the device's name.
        worker: the device.
        command: what to do.
        fetch: gives the bytes of an artefact by its digest.
    """
    try:
        return _done(device, worker, command, fetch)
    except Exception as error:
        needed, available = _figures(error)
        short: Outcome = {"needed": needed, "available": available} if needed else {}
        return Ack(device, command.id, command.kind, False, _reason(error), short)


def _done(device: str, worker: Worker, command: Command, fetch: Callable[[str], bytes]) -> Ack:
    if command.kind == "predict":
        if command.x is None:
            raise PlanRefused("a predict command needs x.")
        y = np.ascontiguousarray(worker.predict(command.x), np.float32)
        return Ack(device, command.id, command.kind, True, y=y)
    if command.kind == "deploy":
        if command.base is None:
            raise PlanRefused("a deploy command needs the base's digest.")
        result = worker.deploy(fetch(command.base))
    elif command.kind == "watch":
        result = _watched(worker, command)
    elif command.kind == "evaluate":
        result = worker.evaluate(min(command.samples or 1, _MAX_STEPS))
    else:
        result = worker.rollback()
    return Ack(device, command.id, command.kind, True, result=result)


def _watched(worker: Worker, command: Command) -> Outcome:
    if command.plan is None:
        raise PlanRefused("a watch command needs a plan.")
    _check(command.plan)
    given: dict[str, Any] = dict(command.watching or {})
    unknown = sorted(given.keys() - {part.name for part in fields(Watching)})
    if unknown:
        raise PlanRefused(f"watching has no option {unknown[0]!r}.")
    for name in given.keys() & {"warm_up", "most"}:
        given[name] = int(given[name])
    watching = Watching(**given)
    return asdict(worker.watch(min(command.samples or 1, _MAX_STEPS), command.plan, watching))


def _figures(error: Exception) -> tuple[int, int]:
    if isinstance(error, DoesNotFit):
        return max(0, error.needed), max(0, error.available)
    return 0, 0


def _reason(error: Exception) -> str:
    if isinstance(error, TinyfleetError):
        return str(error)[:_MAX_REASON]
    return f"{type(error).__name__}: {error}"[:_MAX_REASON]
