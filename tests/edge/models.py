"""Small models and sensors for tests."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from edge.sources import Replay
from edge.spec import ModelSpec
from server.export import tflite

SPEC = ModelSpec.mlp([6, 8, 3], hidden="relu", output="softmax")


def model(seed: int = 1, spec: ModelSpec = SPEC) -> bytes:
    """A float32 artefact."""
    return tflite.write(spec, spec.initial(seed), name=f"test {seed}")


def sha(data: bytes) -> str:
    """Its digest."""
    return hashlib.sha256(data).hexdigest()


def samples(n: int = 16, spec: ModelSpec = SPEC) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Inputs and class indices that can be learnt."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, spec.n_out, n)
    centres = rng.normal(size=(spec.n_out, spec.n_in))
    x = centres[y] + 0.1 * rng.normal(size=(n, spec.n_in))
    return x.astype(np.float32), y


def sensor(n: int = 16, spec: ModelSpec = SPEC) -> Replay:
    """A sensor that replays `samples`."""
    return Replay(*samples(n, spec))
