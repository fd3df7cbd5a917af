"""What the agent of a Linux device takes: memory, disk, and time for a step.

Memory is the resident set of a real `tinyfleet edge run`, with a model whose backbone
is int8, after a thousand steps. Times are medians of this machine, beside NumPy in the same run.
"""

import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import numpy as np
from harness import Figure, figure, main

from edge import mqtt
from edge.artifact import Artifact
from edge.broker import LocalBroker
from edge.learner import OnlineLearner
from edge.messages import Offer, Plan, decode_update
from edge.runtime import RUNTIMES
from edge.topics import SiteTopics
from server.export import tflite
from server.models import model

ROOT = Path(__file__).resolve().parents[1]
SITE, DEVICE = SiteTopics("bench"), "agent"
STEPS = 1000
PATIENCE = 60.0
WITH_RUNTIMES = """
import sys
from pathlib import Path
import numpy as np
from edge.host import HostWorker
from edge.messages import Plan
from edge.runtime import load
from edge.sources import open_source
data, sensor = Path(sys.argv[1]).read_bytes(), open_source(sys.argv[2])
if sys.argv[3] != "none":
    load(data, sys.argv[3]).run(sensor.x[:8])
worker = HostWorker(sensor)
worker.deploy(data)
worker.train(data, Plan("bench", 0.01, int(sys.argv[4])))
print(Path("/proc/self/status").read_text())
"""


def resident_mb(status: str) -> float:
    """VmRSS of the text of a /proc/PID/status."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError("this system does not tell a process's memory.")
    return int(found[1]) * 1024 / 1e6


def size_mb(folder: Path) -> float:
    """Bytes of the files below a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


def samples(folder: Path, n_in: int, n_out: int) -> Path:
    """Sixty-four made samples as a file for `--samples`."""
    rng = np.random.default_rng(0)
    path = folder / "samples.npz"
    np.savez(path, x=rng.normal(size=(64, n_in)), y=rng.integers(0, n_out, 64))
    return path


def agent_mb(broker: LocalBroker, data: bytes, file: Path, state: Path) -> float:
    """Have a real agent learn a round, and look at it before it ends."""
    sha = Artifact(data).sha256
    came: Queue[tuple[str, bytes]] = Queue()
    client = mqtt.connect(
        broker.options, on_message=lambda got: came.put((got.topic, bytes(got.payload)))
    )
    topics = SITE.device(DEVICE)
    client.subscribe([(topics.state, 1), (topics.update, 1)])
    command = [sys.executable, "-m", "server.cli", "edge", "run", "--id", DEVICE]
    command += ["--site", SITE.site, "--broker", broker.url]
    command += ["--samples", str(file), "--state", str(state)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        client.publish(SITE.model(sha), data, qos=1, retain=True)
        offer = Offer(
            run="bench",
            round=1,
            base=sha,
            id="o1",
            cohort=(DEVICE,),
            plan=Plan("bench", 0.01, STEPS),
            deadline=time.time() + PATIENCE,
        )
        client.publish(SITE.offer("bench"), offer.encode(), qos=1, retain=True)
        while (got := came.get(timeout=PATIENCE))[0] != topics.update:
            pass
        if getattr(decode_update(got[1]), "samples", 0) != STEPS:
            raise RuntimeError(f"the agent did not learn: {decode_update(got[1])}")
        return resident_mb(Path(f"/proc/{process.pid}/status").read_text())
    finally:
        process.terminate()
        process.wait(PATIENCE)
        mqtt.close(client)


def memory() -> Iterator[Figure]:
    """Resident set of an agent, and as a note what each runtime adds to the same work."""
    data = model("keywords")
    spec = Artifact(data).spec
    with tempfile.TemporaryDirectory() as name, LocalBroker() as broker:
        folder = Path(name)
        file, artefact = samples(folder, spec.n_in, spec.n_out), folder / "model.tflite"
        artefact.write_bytes(data)
        measured = agent_mb(broker, data, file, folder / "state")
        found = {}
        for runtime in ("none", *RUNTIMES):
            script = [sys.executable, "-c", WITH_RUNTIMES, artefact, file, runtime, str(STEPS)]
            done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                found[runtime] = resident_mb(done.stdout)
    bare = found.pop("none")
    more = [f"{name} +{value - bare:.0f}" for name, value in found.items()]
    note = f"int8 keywords model, {STEPS} steps; a runtime beside it: {', '.join(more) or 'none'}"
    yield figure("agent.rss_mb", measured, "MB", "<= 80", note)


def disk() -> Iterator[Figure]:
    """Size of the smallest installation, as pip makes it, without pip."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "env"
        venv.create(target, with_pip=True)
        site = next(target.glob("lib/python*/site-packages"))
        before = size_mb(site)
        python = str(target / "bin" / "python")
        run = {"check": True, "cwd": folder, "stdout": subprocess.DEVNULL}
        subprocess.run([python, "-m", "pip", "install", "-q", str(ROOT)], **run)
        subprocess.run([python, "-m", "server.cli", "edge", "run", "--help"], **run)
        compiled = sum(p.stat().st_size for p in site.rglob("*.pyc") if "pip" not in p.parts) / 1e6
        note = f"pip install . without extras, NumPy and {compiled:.0f} MB of .pyc included"
        yield figure("agent.install_mb", size_mb(site) - before, "MB", "<= 100", note)


def median_us(step: Callable[[int], object], times: int) -> float:
    """Median time of a call, less that of reading the clock."""
    taken = np.empty((2, times))
    for row, call in zip(taken, (step, int), strict=True):
        for i in range(times):
            start = time.perf_counter_ns()
            call(i)
            row[i] = time.perf_counter_ns() - start
    return float(np.median(taken[0]) - np.median(taken[1])) / 1e3


def numpy_step(
    w: np.ndarray, b: np.ndarray, x: np.ndarray, classes: np.ndarray, rate: float
) -> Callable[[int], float]:
    """The same step as a person would write it: softmax, cross-entropy, SGD."""
    rate = np.float32(rate)

    def step(i: int) -> float:
        z = w @ x[i] + b
        z -= z.max()
        p = np.exp(z)
        p /= p.sum()
        loss = -np.log(p[classes[i]])
        p[classes[i]] -= 1
        p *= rate
        w[...] -= np.outer(p, x[i])
        b[...] -= p
        return float(loss)

    return step


def tail_step(times: int = 20_000, rate: float = 0.01) -> Iterator[Figure]:
    """One step of the float tail behind an int8 backbone, from Python."""
    hybrid = Artifact(model("keywords"))
    spec = hybrid.tail_spec
    learner = OnlineLearner(tflite.write(spec, hybrid.parameters(), name="tail"))
    (w, b), *_ = spec.split(hybrid.parameters().copy())
    rng = np.random.default_rng(1)
    x = rng.normal(size=(times, spec.n_in)).astype(np.float32)
    classes = rng.integers(0, spec.n_out, times)
    targets = classes.astype(np.float32)[:, np.newaxis]
    w, b = np.array(w).reshape(spec.n_out, spec.n_in), np.array(b)
    theirs = numpy_step(w, b, x, classes, rate)
    losses = [(learner.learn_one(x[i], targets[i], rate=rate), theirs(i)) for i in range(100)]
    if not np.allclose(*zip(*losses, strict=True), rtol=1e-3):
        raise RuntimeError("NumPy took another step than the learner.")
    ours = median_us(lambda i: learner.learn_one(x[i], targets[i], rate=rate), times)
    peer = median_us(theirs, times)
    rows = [x[i : i + 100] for i in range(0, times, 100)]
    many = median_us(lambda i: learner.learn_many(rows[i], classes[:100], rate=rate), len(rows))
    note = f"{spec.n_parameters} parameters, {learner.backend}; NumPy {peer:.2f}, "
    note += f"in one call for 100 samples {many / 100:.2f}"
    yield figure("agent.tail_step_us", ours, "us", "<= 5", note)


def measure() -> Iterator[Figure]:
    """Every figure of the agent."""
    yield from memory()
    yield from disk()
    yield from tail_step()


if __name__ == "__main__":
    sys.exit(main(measure, __doc__ or ""))
