"""Rounds of whole fleets: fixed chunks of clients over threads, processes or Ray.

The chunks and the order in which their sums are merged do not depend on who computes them, so
that every engine and any number of workers give the same bits.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge.errors import MissingExtra, UsageError
from server.fleet.kernel import Job, Kernel, Mode, kernel
from server.strategies.base import Mean
from server.tasks.base import Streams

__all__ = ["CHUNK", "Engine", "FleetEngine", "FleetRound"]

Engine = Literal["threads", "processes", "ray"]
CHUNK = 4096
"""Clients whose deltas are summed before they are merged with others."""
PARCEL = 4
"""Chunks that a process or a Ray worker gets at once."""


@dataclass(frozen=True)
class FleetRound:
    """What a round of a fleet came to.

    Args:
        mean: of the deltas; its weight is how many clients count.
        loss: mean loss of all steps of the clients that count; NaN without any.
    """

    mean: Mean
    loss: float


@dataclass(frozen=True)
class _Part:
    """Sum of one chunk's deltas, how many clients count, and the sum of their losses."""

    total: NDArray[np.float64]
    count: int
    loss: float


class FleetEngine:
    """Trains fleets of one dense net.

    Args:
        mode: `exact` or `fast`; see `server.fleet.kernel`.
        workers: threads, processes or Ray tasks at a time; 0: as many as there are cores.
        engine: who computes.

    Raises:
        UsageError: an unknown mode or engine.
        MissingExtra: there is no C compiler, or no Ray where it is asked for.
    """

    def __init__(
        self, mode: Mode = "exact", *, workers: int = 0, engine: Engine = "threads"
    ) -> None:
        """Find or compile the kernel."""
        for name, value, allowed in (("mode", mode, Mode), ("engine", engine, Engine)):
            if value not in get_args(allowed):
                raise UsageError(f"{name} {value!r} is unknown.", hint=", ".join(get_args(allowed)))
        if workers < 0:
            raise UsageError(f"{workers} workers are not possible.", hint="0 (all cores) or more")
        if engine == "ray":
            _ray()
        self.mode, self.engine = mode, engine
        self.workers = workers or os.cpu_count() or 1
        _kernel(mode)

    def round(self, job: Job, streams: Streams, clients: int) -> FleetRound:
        """Train `clients` clients; memory does not grow with their number.

        Args:
            job: what each does.
            streams: what each learns from.
            clients: how many.

        Raises:
            UsageError: the model or the samples do not fit.
        """
        counts = [min(CHUNK, clients - first) for first in range(0, clients, CHUNK)]
        numbered = list(enumerate(counts))
        size = 1 if self.engine == "threads" else PARCEL
        parcels = [numbered[at : at + size] for at in range(0, len(numbered), size)]
        mean, loss = Mean(job.spec.n_parameters), 0.0
        with self._pool() as submit:
            for parts in _in_order(submit, (self.mode, job, streams), parcels, self.workers):
                for part in parts:
                    mean.sum += part.total
                    mean.weight += part.count
                    loss += part.loss
        return FleetRound(mean, loss / mean.weight if mean.weight else float("nan"))

    @contextmanager
    def _pool(self) -> Iterator[Callable[..., Any]]:
        if self.engine == "ray":
            ray = _ray()
            task = ray.remote(_train)
            yield lambda *args: _RayFuture(ray, task.remote(*args))
            return
        pool: Executor = (
            ThreadPoolExecutor(self.workers)
            if self.engine == "threads"
            else ProcessPoolExecutor(self.workers, mp_context=get_context("spawn"))
        )
        with pool:
            yield lambda *args: pool.submit(_train, *args)


def _in_order(
    submit: Callable[..., "Future[list[_Part]]"],
    what: tuple[Mode, Job, Streams],
    parcels: Sequence[Sequence[tuple[int, int]]],
    workers: int,
) -> Iterator[list[_Part]]:
    """Results in the order of the parcels; only a few wait at a time."""
    left = iter(parcels)
    waiting = [submit(*what, parcel) for parcel in islice(left, 2 * workers)]
    while waiting:
        yield waiting.pop(0).result()
        waiting += [submit(*what, parcel) for parcel in islice(left, 1)]


def _train(
    mode: Mode, job: Job, streams: Streams, parcel: Sequence[tuple[int, int]]
) -> list[_Part]:
    parts = []
    for chunk, clients in parcel:
        total, losses, _ = _kernel(mode).train(job, *streams.draw(chunk, clients))
        good = ~np.isnan(losses)
        parts.append(_Part(total, int(good.sum()), float(losses[good].sum(dtype=np.float64))))
    return parts


def _kernel(mode: Mode) -> Kernel:
    found = kernel(mode)
    if found is None:
        raise MissingExtra("the fleet kernel needs a C compiler.", hint="gcc, clang, or ziglang")
    return found


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("Ray is not installed.", hint="pip install 'tinyfleet[ray]'") from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    return ray


@dataclass(frozen=True)
class _RayFuture:
    ray: Any
    reference: Any

    def result(self) -> list[_Part]:
        found: list[_Part] = self.ray.get(self.reference)
        return found
