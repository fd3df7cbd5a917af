"""The fleet simulator beside others, in one run, on the same work.

Work: sine waves, net 1-40-40-1, 32 steps of per-sample SGD a client, 1,000 clients, one thread
where nothing else is said. Flower runs in an environment of its own, with fewer clients (it says
how many); without a network that environment cannot be made, and its figure says so.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import json
import resource
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness import Figure, figure, main

from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from edge.steps import conv, dense, mean
from server.export import tflite
from server.fleet import FleetEngine, Job, kernel
from server.tasks.data import cache_folder
from server.tasks.sine import SineStreams

STEPS, CLIENTS, RATE = 32, 1000, 0.001
FLOWER_CLIENTS, TORCH_CLIENTS, CNN_STEPS = 100, 20, 300
MILLION = 1_000_000
SPEC = ModelSpec.mlp([1, 40, 40, 1])
USEFUL = 2 * (2 * SPEC.macs + SPEC.macs - 40)
"""Floating-point operations of a step: forward, update, and the slopes above the first layer."""


def job() -> Job:
    return Job(SPEC, SPEC.initial(0), STEPS, np.full(STEPS, RATE, np.float32))


def rate_of(work: Callable[[], object], units: float, repeats: int = 5) -> float:
    """Units a second, of the fastest of some runs."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return units / min(seconds)


def numpy_batched(x: np.ndarray, y: np.ndarray) -> None:
    """All clients side by side in NumPy, a step at a time."""
    clients = len(x)
    weights = [np.repeat(w[None], clients, 0) for w, _ in SPEC.split(SPEC.initial(0))]
    biases = [np.repeat(b[None], clients, 0) for _, b in SPEC.split(SPEC.initial(0))]
    for step in range(STEPS):
        outputs = [x[:, step]]
        for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = np.matmul(w, outputs[-1][:, :, None])[:, :, 0] + b
            outputs.append(np.maximum(z, 0) if layer < 2 else z)
        d = 2 * (outputs[3] - y[:, step])
        for layer in (2, 1, 0):
            below = np.matmul(d[:, None], weights[layer])[:, 0] * (outputs[layer] > 0)
            weights[layer] -= RATE * d[:, :, None] * outputs[layer][:, None]
            biases[layer] -= RATE * d
            d = below


def torch_loop(x: np.ndarray, y: np.ndarray) -> None:
    """A torch module and optimiser for each client, one after another."""
    for xs, ys in zip(torch.from_numpy(x), torch.from_numpy(y), strict=True):
        net = torch.nn.Sequential(
            torch.nn.Linear(1, 40), torch.nn.ReLU(), torch.nn.Linear(40, 40), torch.nn.ReLU(),
            torch.nn.Linear(40, 1),
        )  # fmt: skip
        torch_steps(net, xs, ys[:, None], torch.nn.functional.mse_loss)


def torch_steps(net: torch.nn.Module, xs: torch.Tensor, ys: torch.Tensor, loss: Callable) -> None:
    optimiser = torch.optim.SGD(net.parameters(), RATE)
    for x, y in zip(xs, ys, strict=True):
        optimiser.zero_grad()
        loss(net(x[None]), y).backward()
        optimiser.step()


def flower() -> tuple[float | None, str]:
    """Client updates a second, or why there are none."""
    folder = cache_folder() / "peers" / "flower"
    python = folder / "bin" / "python"
    try:
        if not python.exists():
            venv.create(folder, with_pip=True)
        known = subprocess.run([python, "-c", "import flwr, ray"], capture_output=True)
        if known.returncode != 0:
            install = [python, "-m", "pip", "install", "-q", "flwr[simulation]"]
            subprocess.run(install, check=True, capture_output=True, timeout=600)
        script = Path(__file__).parent / "peers" / "flower.py"
        command = [python, script, str(STEPS), str(FLOWER_CLIENTS)]
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    except (subprocess.SubprocessError, OSError) as error:
        return None, f"Flower could not be installed or run: {type(error).__name__}"
    return float(json.loads(ran.stdout.splitlines()[-1])["updates_per_second"]), ""


def gemm() -> float:
    """Floating-point operations a second of a float32 matrix product on one thread."""
    n = 1024
    a = np.random.default_rng(0).random((n, n), np.float32)
    return rate_of(lambda: a @ a, 2.0 * n**3)


def convolutions() -> tuple[float, float]:
    """Steps a second of a small convolutional net: the C learner, and torch."""
    steps = [conv(8, stride=2), conv(16, stride=2), mean(), dense(5, "softmax")]
    spec = ModelSpec.convnet((28, 28, 1), steps)
    rng = np.random.default_rng(0)
    x = rng.random((CNN_STEPS, spec.n_in), np.float32)
    y = rng.integers(5, size=CNN_STEPS)
    learner = OnlineLearner(tflite.write(spec, spec.initial(0), name="cnn"))
    ours = rate_of(lambda: learner.learn_many(x, y, rate=RATE), CNN_STEPS)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 3, 2, 1),
        torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 5),
    )  # fmt: skip
    images, labels = torch.from_numpy(x).reshape(-1, 1, 28, 28), torch.from_numpy(y)[:, None]
    loss = torch.nn.functional.cross_entropy
    return ours, rate_of(lambda: torch_steps(net, images, labels, loss), CNN_STEPS)


def measure() -> Iterator[Figure]:
    torch.set_num_threads(1)
    x, y = SineStreams(0, 1, STEPS).draw(0, CLIENTS)
    one, quick = kernel("exact"), kernel("fast")
    if one is None or quick is None:
        raise SystemExit("no C compiler: there is no fleet kernel to measure.")
    exact = rate_of(lambda: one.train(job(), x, y), CLIENTS)
    fast = rate_of(lambda: quick.train(job(), x, y), CLIENTS)
    batched = rate_of(lambda: numpy_batched(x, y), CLIENTS)
    loop = rate_of(lambda: torch_loop(x[:TORCH_CLIENTS], y[:TORCH_CLIENTS]), TORCH_CLIENTS, 2)
    yield figure("simulate.exact_per_s", exact, "updates/s", note="one thread, exact")
    yield figure("simulate.fast_per_s", fast, "updates/s", note="one thread, fast")
    yield figure("simulate.vs_numpy", exact / batched, "x", ">= 5", f"NumPy: {batched:,.0f}/s")
    yield figure("simulate.fast_vs_numpy", fast / batched, "x", ">= 10", f"NumPy: {batched:,.0f}/s")
    yield figure("simulate.vs_torch_loop", exact / loop, "x", note=f"torch: {loop:,.0f}/s")
    apart = one.train(job(), x, y, keep=True)[2], quick.train(job(), x, y, keep=True)[2]
    difference = float(np.max(np.abs(apart[0] - apart[1])))
    yield figure("simulate.fast_difference", difference, "", note="largest of all weights")
    share = fast * STEPS * USEFUL / gemm()
    note = "dense operations; what a ReLU made 0 is passed over, and counted"
    yield figure("simulate.gemm_share", share, "", ">= 0.4", note)
    yield from fleets()
    peer, reason = flower()
    note = reason or f"Flower: {peer:.1f}/s with {FLOWER_CLIENTS} clients, all cores"
    yield figure("simulate.vs_flower", exact / peer if peer else None, "x", ">= 1000", note)
    ours, theirs = convolutions()
    note = f"steps/s of the C learner and of torch: {ours:,.0f}, {theirs:,.0f}"
    yield figure("simulate.cnn_vs_torch_loop", ours / theirs, "x", note=note)


def fleets() -> Iterator[Figure]:
    """Whole rounds: drawing, training, aggregating."""
    streams, clients = SineStreams(0, 1, STEPS), 100_000
    engines = [FleetEngine(workers=n) for n in (1, 2)]
    both = [rate_of(partial(e.round, job(), streams, clients), clients, 3) for e in engines]
    note = f"{both[0]:,.0f}/s and {both[1]:,.0f}/s, tasks drawn as well"
    yield figure("simulate.two_threads", both[1] / both[0], "x", ">= 1.7", note)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    FleetEngine().round(job(), streams, MILLION)
    seconds = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    note = f"one million clients in one call on {os.cpu_count()} cores; memory grew {grown:.0f} MB"
    yield figure("simulate.million_s", seconds, "s", note=note)


if __name__ == "__main__":
    sys.exit(main(measure, __doc__ or ""))
