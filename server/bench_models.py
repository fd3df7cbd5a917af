"""The models that the firmware is measured with, and the streams that they learn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.ports import Sensor
from edge.replay import Replay
from edge.spec import ModelSpec
from server.export.tflite import write, write_int8
from server.presets import SHOTS
from server.tasks import EpisodeSensor, get_task

__all__ = ["ArraySensor", "Job", "conv", "int8_conv", "int8_dense", "net1", "net2"]

Float32 = NDArray[np.float32]


class ArraySensor(Replay):
    """Samples of two arrays, in their order, again and again (or once).

    Args:
        x: float32 [n, n_in].
        targets: float32 [n, k].
        samples: how many to give; None: without end.
    """

    def __init__(self, x: Float32, targets: Float32, samples: int | None = None) -> None:
        super().__init__(x, targets)
        self._samples = samples

    def next_sample(self) -> tuple[Float32, Float32]:
        """Give the next one; StopIteration after the last."""
        if self._marks.at == self._samples:
            raise StopIteration
        return super().next_sample()


@dataclass(frozen=True)
class Job:
    """A model to measure.

    Args:
        model: the `.tflite`.
        x: float32 [n, n_in], inputs of the stream.
        targets: float32 [n, k].
        rate: learning rate.
        macs: multiply-accumulates of one forward pass.
        note: what it is.
    """

    model: bytes
    x: Float32
    targets: Float32
    rate: float
    macs: int
    note: str

    def sensor(self, samples: int | None = None) -> Sensor:
        """The stream, from its start."""
        return ArraySensor(self.x, self.targets, samples)


def _float(spec: ModelSpec, x: Float32, targets: Float32, rate: float, note: str) -> Job:
    model = write(spec, spec.initial(0), name=note)
    return Job(model, x, targets, rate, spec.macs, note)


def net1() -> Job:
    """1-40-40-1, relu, mean squared error, on episodes of the sine task."""
    stream = EpisodeSensor(get_task("sine").client(0, "train"), shots=SHOTS["sine"], seed=0)
    pairs = [stream.next_sample() for _ in range(200)]
    x, targets = (np.stack(part).astype(np.float32) for part in zip(*pairs, strict=True))
    return _float(ModelSpec.mlp([1, 40, 40, 1]), x, targets, 0.002, "1-40-40-1, sine stream")


def net2() -> Job:
    """64-32-10, relu, softmax and cross-entropy, on handwritten digits of 8x8 pixels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))[:200]
    x = (data.data[order] / 16).astype(np.float32)
    targets = data.target[order, None].astype(np.float32)
    spec = ModelSpec.mlp([64, 32, 10], output="softmax")
    return _float(spec, x, targets, 0.05, "64-32-10, digits stream")


def conv(*, before_only: bool = False) -> Job:
    """Convolution 3x3, 4 to 8 channels on 14x14, with gradients of weights and inputs.

    A 1x1 depthwise convolution before it is trained too, so that the gradient of the convolution's
    inputs is needed. Nothing is 0, so nothing can be left out.

    Args:
        before_only: only that layer before it, to subtract what it costs.
    """
    from edge.steps import conv as convolution
    from edge.steps import depthwise

    steps = [depthwise(1, activation="linear"), convolution(8, 3, activation="linear")]
    spec = ModelSpec.convnet((14, 14, 4), steps[:1] if before_only else steps)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, spec.n_in)).astype(np.float32)
    targets = rng.normal(size=(8, spec.n_out)).astype(np.float32)
    return _float(spec, x, targets, 0.001, "3x3, 4 to 8 on 14x14, gaussian inputs")


def _int8(spec: ModelSpec, note: str) -> Job:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, spec.n_in)).astype(np.float32)
    targets = np.zeros((8, spec.n_target), np.float32)
    model = write_int8(spec, spec.initial(0), x, name=note)
    return Job(model, x, targets, 0.0, spec.macs, note)


def int8_dense() -> Job:
    """Fully connected, 64 to 64, int8."""
    return _int8(ModelSpec.mlp([64, 64]), "64x64")


def int8_conv() -> Job:
    """Convolution 3x3, 16 to 16 channels on 14x14, int8."""
    from edge.steps import conv as convolution

    spec = ModelSpec.convnet((14, 14, 16), [convolution(16, 3, activation="relu")])
    return _int8(spec, "3x3, 16 to 16 on 14x14")
