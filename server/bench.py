"""The figures of the firmware: instructions, RAM and flash of the shipped images.

Instructions are exact and of one call of the learner, mean over a stream; cycles, time and energy
are estimates. Names are such as `step.net1.m4f` and, in fused arithmetic, `step.net1.m4f.fma`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from edge.errors import UsageError
from firmware_sim.boards import BOARDS
from firmware_sim.build import image_path
from firmware_sim.cores import CORES
from firmware_sim.cycles import ENERGY_SOURCE, energy_joules, table_of
from firmware_sim.image import load_image
from firmware_sim.measure import Cost, learning_cost, predicting_cost
from firmware_sim.trainer import run_trainer
from server import bench_models
from server.bench_models import Job
from server.bench_targets import TARGETS
from server.figures import Figure, figure

__all__ = ["BENCH_BOARDS", "figures"]

BENCH_BOARDS = {
    "m4f": "nano33ble",
    "m0": "pico",
    "m3": "arduino-due",
    "m7": "stm32f746-discovery",
    "m33": "nrf5340-dk",
    "m55": "corstone-300",
}
"""The board that stands for a core."""

_STEPS = 20
_CONV_STEPS = 3
_KERNEL = "tl_int8_forward"
_NETS: dict[str, Callable[[], Job]] = {
    "net1": cache(bench_models.net1),
    "net2": cache(bench_models.net2),
}
_RAM_TARGET = "parameters 7,044 + activations 328 + 1,024"


def figures(cores: Sequence[str] = tuple(BENCH_BOARDS)) -> Iterator[Figure]:
    """Measure, figure by figure.

    Args:
        cores: short names of cores, such as m4f.

    Raises:
        UsageError: an unknown core.
    """
    for core in cores:
        if core not in BENCH_BOARDS:
            raise UsageError(f"no core is called {core!r}", hint=", ".join(BENCH_BOARDS))
    for core in cores:
        if CORES[core].unicorn:
            for suffix, arithmetic in _arithmetics(core):
                yield from _nets(core, suffix, arithmetic)
                yield from _convolution(core, suffix, arithmetic)
            yield from _int8(core)
        yield _named(f"flash.all.{core}", _flash(core), "bytes", "image with all operators")
        if core == "m4f":
            yield from _trainer()


def _named(name: str, value: float, unit: str, note: str) -> Figure:
    return figure(name, value, unit, TARGETS.get(name, ""), note)


def _arithmetics(core: str) -> list[tuple[str, str]]:
    both = [(f"{core}", "mul_add"), (f"{core}.fma", "fma")]
    return both if BOARDS[BENCH_BOARDS[core]].fpu else both[:1]


def _nets(core: str, suffix: str, arithmetic: str) -> Iterator[Figure]:
    board = BENCH_BOARDS[core]
    how: dict[str, Any] = {"arithmetic": arithmetic}
    for net, make in _NETS.items():
        job = make()
        step = learning_cost(board, job.model, job.sensor(), samples=_STEPS, rate=job.rate, **how)
        yield _instructions(f"step.{net}.{suffix}", step, job.note)
        yield from _estimates(f"step.{net}.{suffix}", step)
        last = learning_cost(
            board, job.model, job.sensor(), samples=_STEPS, rate=job.rate, train_layers=1, **how
        )
        yield _instructions(f"last.{net}.{suffix}", last, "step of the last layer only")
        predict = predicting_cost(board, job.model, job.x[:_STEPS], sensor=job.sensor(), **how)
        yield _instructions(f"infer.{net}.{suffix}", predict, "weights in RAM")
        yield _named(f"stack.{net}.{suffix}", step.peak_stack, "bytes", "peak, whole firmware")


def _instructions(name: str, cost: Cost, note: str) -> Figure:
    return _named(name, round(cost.instructions, 1), "instructions", note)


def _estimates(name: str, cost: Cost) -> Iterator[Figure]:
    table = table_of(cost.board.core)
    yield _named(
        f"cycles.{name}", round(cost.cycles), "cycles", f"estimate, not silicon: {table.source}"
    )
    at = f"estimate: those cycles at {cost.board.clock_hz / 1e6:g} MHz ({cost.board.name})"
    yield _named(f"time.{name}", round(cost.microseconds, 1), "us", at)
    energy = energy_joules(cost.board, cost.cycles)
    if energy is not None:
        yield _named(f"energy.{name}", round(energy * 1e6, 2), "uJ", ENERGY_SOURCE)


def _convolution(core: str, suffix: str, arithmetic: str) -> Iterator[Figure]:
    both, before = (
        learning_cost(
            BENCH_BOARDS[core],
            job.model,
            job.sensor(),
            samples=_CONV_STEPS,
            rate=job.rate,
            arithmetic=arithmetic,
        ).instructions
        for job in (bench_models.conv(), bench_models.conv(before_only=True))
    )
    note = "3x3, 4 to 8 on 14x14 after a trained layer, whose own step is subtracted"
    yield _named(f"conv_step.{suffix}", round(both - before), "instructions", note)


def _int8(core: str) -> Iterator[Figure]:
    for name, job, beside in (
        ("int8_dense", bench_models.int8_dense(), "CMSIS-NN on M4: 2.68 on the same shape"),
        (
            "int8_conv",
            bench_models.int8_conv(),
            "CMSIS-NN arm_convolve_s8 on M4, estimated from its source: 2.10",
        ),
    ):
        cost = predicting_cost(BENCH_BOARDS[core], job.model, job.x[:2], function=_KERNEL)
        each = round(cost.instructions / job.macs, 3)
        yield _named(f"{name}.{core}", each, "instr/MAC", f"{job.note}; {beside}")


def _trainer() -> Iterator[Figure]:
    job = _NETS["net1"]()
    run = run_trainer(job.model, job.sensor(_STEPS), rate=job.rate)
    made = f"variables {run.statics}, arena {run.arena}, stack {run.peak_stack}"
    yield _named("ram.net1.m4f", run.ram, "bytes", f"trainer image: {made}; target: {_RAM_TARGET}")
    yield _named("flash.net1.m4f", run.flash, "bytes", "trainer image, whole")


def _flash(core: str) -> int:
    return len(load_image(image_path(core), CORES[core].layout.image))
