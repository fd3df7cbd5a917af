"""Exports of four applications, beside those of TensorFlow and litert-torch of the same nets.

int8 files, ranges from the same training samples: ours as `server export --float-ends` writes
them, which like litert-torch leaves a softmax in float32, and the first layer of sine, too;
TensorFlow's has int8 ends. Measured on samples of clients that took no part. The peers run in
environments of their own, made once in the cache; without a network those cannot be made, and the
figures say so. Sine is meta-trained, keywords come from `server pretrain`'s recipe, characters and
presence from some hundred simulated rounds. Needs torch.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from agent import measure as agent_figures
from harness import Figure, figure, show

from edge.artifact import Artifact
from edge.layers import ConvSpec, PadSpec
from edge.runtime import load
from edge.spec import ModelSpec
from server.evaluate import Adaptation
from server.export import tflite
from server.export.about import About
from server.export.encode import encode
from server.export.reference import forward
from server.export.sqnr import sqnr
from server.export.wanted import Wanted
from server.export_samples import calibration
from server.models import model
from server.presets import adaptation, strategy_options
from server.simulate import simulate
from server.strategies import get_strategy
from server.tasks import Task, get_task
from server.tasks.data import cache_folder

PEERS = {"tensorflow": "tensorflow-cpu==2.21.0", "litert-torch": "litert-torch==0.10.0"}
"""Whose int8 files ours are held against, and the package of each."""
PEER_RUNTIME = "ai-edge-litert"
"""The newest files of the peers have operators that tflite-runtime does not know."""
ROUNDS = 300
CLIENTS = {"sine": 50, "characters": 10, "presence": 10, "keywords": 200}
QUERIES = {"sine": 1000, "characters": 15, "presence": 1000, "keywords": 40}
"""Queries of each client; a sine has as many as one likes."""
AGENT = "agent"
MOST_LOSS = 0.01
"""A model that loses more of its metric is fine-tuned through its rounding."""

Trained = tuple[Task, ModelSpec, np.ndarray]
Unseen = tuple[np.ndarray, np.ndarray, bytes]
"""Queries of a client, their targets, and the float32 file that is measured on them."""


def trained(name: str) -> Trained:
    """A float32 net for an application."""
    if name == "keywords":
        return keywords()
    task = get_task(name)
    if name == "sine":
        found = Artifact(model("sine"))
    else:
        strategy = get_strategy("reptile", **strategy_options(name, "reptile"))
        found = simulate(task, strategy, ROUNDS, seed=0).artifact
    return task, found.spec, found.parameters()


def keywords() -> Trained:
    """Its net before the backbone becomes int8."""
    from server.meta.convnet import ConvNet
    from server.meta.keywords import FILTERS, STRIDES
    from server.meta.words import Recipe, train_words
    from server.tasks.sounds import KeywordsTask

    task = KeywordsTask()
    sounds = task.sounds
    net = ConvNet((sounds.length, sounds.bands), task.ways, FILTERS, STRIDES)
    return task, net.spec(), net.parameters(train_words(net, task.train, sounds, Recipe()))


def held_out(task: Task, exact: bytes) -> list[Unseen]:
    """Clients that took no part, each with the model that is measured on it.

    Where a model knows nothing before it adapts, each client adapts it first.
    """
    alone = task.name in ("sine", "characters", "presence")
    how = Adaptation(**adaptation(task.name, frozen=task.name == "sine"))
    clients = range(min(CLIENTS[task.name], task.clients("test")))
    episodes = [
        task.client(i, "test").episode(
            np.random.default_rng(i), shots=how.shots, queries=QUERIES[task.name]
        )
        for i in clients
    ]
    if alone:
        return [(one.query_x, one.query_y, _adapted(exact, one, how)) for one in episodes]
    x = np.concatenate([episode.query_x for episode in episodes])
    return [(x, np.concatenate([episode.query_y for episode in episodes]), exact)]


def _adapted(exact: bytes, episode: Any, how: Adaptation) -> bytes:
    from edge.learner import OnlineLearner

    learner = OnlineLearner(exact)
    for _ in range(how.epochs):
        learner.learn_many(episode.support_x, episode.support_y, rate=how.rate)
    return Artifact(exact).with_parameters(learner.parameters).data


def interpreter(peer: str) -> Path | None:
    """That of an environment with a peer, made where it is missing; None where it cannot be."""
    folder = cache_folder() / "peers" / peer
    python = folder / "bin" / "python"
    if not (folder / "ready").is_file():
        venv.create(folder, with_pip=True, clear=True)
        made = subprocess.run([python, "-m", "pip", "install", "-q", PEERS[peer]], check=False)
        if made.returncode:
            return None
        (folder / "ready").touch()
    return python


def theirs(
    peer: str, python: Path, spec: ModelSpec, parameters: np.ndarray, x: np.ndarray
) -> bytes:
    """A peer's int8 file of a net."""
    layers = []
    for layer in spec.layers:
        kind = "conv" if isinstance(layer, ConvSpec) else "dense"
        entry: dict[str, Any] = {"kind": kind, "in_shape": layer.in_shape}
        entry["activation"] = layer.activation
        if isinstance(layer, ConvSpec):
            entry |= {"kernel": layer.kernel, "stride": layer.stride}
        if isinstance(layer, PadSpec):
            entry |= {"kind": "pad", "pads": layer.pads}
        layers.append(entry)
    parts: dict[str, np.ndarray] = {}
    for index, (w, b) in enumerate(spec.split(parameters)):
        parts |= {f"w{index}": w, f"b{index}": b}
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
        net, out = Path(folder) / "net.npz", Path(folder) / "out.tflite"
        np.savez(net, layers=json.dumps(layers), x=x, **parts)
        script = Path(__file__).parent / "peers" / f"{peer.replace('-', '_')}_int8.py"
        subprocess.run([python, script, net, out], check=True, capture_output=True)
        return out.read_bytes()


def exported(
    name: str, spec: ModelSpec, parameters: np.ndarray, ranges: np.ndarray, *, refined: bool = False
) -> bytes:
    """What `server export --dtype int8 --float-ends` writes."""
    wanted = Wanted(("tflite",), ("int8",), float_ends=True, refined=refined)
    return encode(spec, parameters, ranges, wanted, About(name))["model.int8.tflite"].data


def compared(name: str, found: Trained, pythons: dict[str, Path]) -> Iterator[Figure]:
    """Size and noise beside the best of the peers, and what int8 costs of the metric."""
    task, spec, parameters = found
    unseen = held_out(task, tflite.write(spec, parameters, name=name))
    ranges = calibration(task)[0]
    x, _, exact = unseen[0]
    parameters = Artifact(exact).parameters()
    ours = exported(name, spec, parameters, ranges)
    expected = forward(spec, parameters, x)
    runtime = load(ours).name
    noise = sqnr(expected, load(ours, runtime).run(x))
    sizes, noises = {}, {}
    for peer, python in pythons.items():
        file = theirs(peer, python, spec, parameters, ranges)
        sizes[peer] = len(file)
        noises[peer] = sqnr(expected, load(file, PEER_RUNTIME).run(x))
    if not sizes:
        yield figure(f"export.{name}.size_vs_litert", None, "x", "", "no peer is here")
    else:
        told = ", ".join(f"{peer} {size:,}" for peer, size in sizes.items())
        ratio = len(ours) / min(sizes.values())
        note = f"{len(ours):,} bytes, {told}"
        yield figure(f"export.{name}.size_vs_litert", ratio, "x", "<= 1", note)
        told = ", ".join(f"{peer} {value:.1f}" for peer, value in noises.items())
        more = noise - max(noises.values())
        note = f"{noise:.1f} dB in {runtime}; in {PEER_RUNTIME} {told}"
        yield figure(f"export.{name}.sqnr_vs_litert", more, "dB", ">= -0.5", note)
    before = _metric(task, [(forward(spec, _own(one), one[0]), one[1]) for one in unseen])
    after = _int8_metric(task, spec, unseen, ranges)
    loss, note = _loss(task, before, after), f"{task.metric} {before:.4f}, int8 {after:.4f}"
    if loss > MOST_LOSS:
        after = _int8_metric(task, spec, unseen, ranges, refined=True)
        loss, note = _loss(task, before, after), f"{note}, refined {after:.4f}"
    note += f", {len(unseen)} x {len(x)} samples"
    yield figure(f"export.{name}.metric_loss", loss, "share", f"<= {MOST_LOSS}", note)


def _own(one: Unseen) -> np.ndarray:
    return Artifact(one[2]).parameters()


def _int8_metric(
    task: Task, spec: ModelSpec, unseen: list[Unseen], ranges: np.ndarray, *, refined: bool = False
) -> float:
    """What the int8 files of all clients come to."""
    return _metric(
        task,
        [
            (
                load(exported(task.name, spec, _own(one), ranges, refined=refined)).run(one[0]),
                one[1],
            )
            for one in unseen
        ],
    )


def _metric(task: Task, answers: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """The mean over clients."""
    return float(np.mean([task.measure(out.astype(np.float32), y) for out, y in answers]))


def _loss(task: Task, before: float, after: float) -> float:
    return (before - after if task.higher_is_better else after - before) / max(abs(before), 1e-9)


def measure(names: Iterable[str]) -> Iterator[Figure]:
    """The figures of each application, and of the agent that runs them."""
    pythons = {peer: found for peer in PEERS if (found := interpreter(peer)) is not None}
    for name in names:
        if name == AGENT:
            yield from agent_figures()
        else:
            yield from compared(name, trained(name), pythons)


def main() -> int:
    """Print the figures; 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    names = [*QUERIES, AGENT]
    parser.add_argument("--only", choices=names, help="one application, or the agent")
    arguments = parser.parse_args()
    if find_spec("torch") is None:
        parser.error("torch is not installed. Try: pip install -c constraints.txt torch")
    wanted = [arguments.only] if arguments.only else names
    return int(not show(measure(wanted), partial(print, flush=True), as_json=arguments.json))


if __name__ == "__main__":
    sys.exit(main())
