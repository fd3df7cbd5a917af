import ctypes
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.spec import ModelSpec
from edge.steps import conv, dense, depthwise, mean
from server.export.tflite import write

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware_sim/firmware"


class FixedSensor:
    """Hands out the same samples in the same order."""

    def __init__(self, x: NDArray[np.float32], targets: NDArray[np.float32]) -> None:
        self.x, self.targets, self.at = x, targets, 0

    def next_sample(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self.at == len(self.x):
            raise StopIteration
        self.at += 1
        return self.x[self.at - 1], self.targets[self.at - 1]

    def rewind(self) -> None:
        self.at = 0


@dataclass
class Job:
    """A model and the samples to train it with."""

    spec: ModelSpec
    artefact: bytes
    x: NDArray[np.float32]
    targets: NDArray[np.float32]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.artefact).hexdigest()

    def sensor(self) -> FixedSensor:
        return FixedSensor(self.x, self.targets)


def convolutional_job(samples: int = 4, seed: int = 2) -> Job:
    """Eight outputs and other numbers, borders, strides, depthwise: all kernels."""
    steps = [
        conv(8, 3),
        depthwise(3, multiplier=2),
        conv(6, 2, stride=2),
        mean(),
        dense(3, "softmax"),
    ]
    spec = ModelSpec.convnet((7, 6, 2), steps)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, spec.n_in)).astype(np.float32)
    targets = rng.integers(3, size=(samples, 1)).astype(np.float32)
    return Job(spec, write(spec, spec.initial(seed), name="test"), x, targets)


def make_job(sizes: list[int], *, classes: bool, samples: int = 12, seed: int = 1) -> Job:
    spec = ModelSpec.mlp(sizes, hidden="relu", output="softmax" if classes else "linear")
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, sizes[0])).astype(np.float32)
    targets = rng.normal(size=(samples, sizes[-1])).astype(np.float32)
    if classes:
        targets = rng.integers(sizes[-1], size=(samples, 1)).astype(np.float32)
    return Job(spec, write(spec, spec.initial(seed), name="test"), x, targets)


@pytest.fixture(scope="session")
def job_of() -> Callable[..., Job]:
    return make_job


@pytest.fixture(scope="session")
def sine() -> Job:
    """1-40-40-1, mean squared error."""
    return make_job([1, 40, 40, 1], classes=False)


@pytest.fixture(scope="session")
def digits() -> Job:
    """64-32-10, cross-entropy."""
    return make_job([64, 32, 10], classes=True)


@pytest.fixture(scope="session")
def codec(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The firmware's frames, CBOR and SHA-256, built for this machine."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    out = tmp_path_factory.mktemp("codec") / "codec.so"
    sources = [FIRMWARE / name for name in ("frames.c", "cbor.c", "sha256.c")]
    command = [compiler, "-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared"]
    command += [
        "-fsanitize=undefined",
        "-fno-sanitize-recover",
        "-fsanitize-undefined-trap-on-error",
    ]
    command += ["-fPIC", f"-I{FIRMWARE}", *map(str, sources)]
    command += [str(Path(__file__).parent / "harness.c"), "-o", str(out)]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(out))


@pytest.fixture
def convolutions() -> Job:
    return convolutional_job()
