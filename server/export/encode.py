"""Encode a model in the formats and number types that are wanted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge.learner import OnlineLearner
from edge.runtime import load
from edge.spec import ModelSpec
from server.export import onnx, tflite
from server.export.about import About
from server.export.ends import float_front
from server.export.equalise import nearest
from server.export.header import c_header
from server.export.reference import forward
from server.export.refine import held_out, refine
from server.export.sqnr import sqnr
from server.export.wanted import DTYPES, Wanted

__all__ = ["Encoded", "encode"]

Floats = NDArray[np.float32]
WORTH_REFINING = 0.5
"""dB that refined weights must gain on samples held out; less may be chance."""


@dataclass(frozen=True)
class Encoded:
    """One file before it is written.

    Args:
        data: its content.
        parameters: float32 [n], those that it was made from: equalised, refined, or as they came.
        refined: whether they were refined; where that brings a file no nearer, they are not.
        holds: of a header: the `.tflite` inside, which is what runtimes run; else empty.
    """

    data: bytes = field(repr=False)
    parameters: Floats = field(repr=False, compare=False)
    refined: bool = False
    holds: bytes = field(repr=False, default=b"")

    @property
    def model(self) -> bytes:
        """What runtimes run: of a header the `.tflite` inside."""
        return self.holds or self.data


def encode(
    spec: ModelSpec,
    parameters: Floats,
    x: Floats,
    wanted: Wanted,
    about: About,
) -> dict[str, Encoded]:
    """The files by name, such as model.int8.tflite; a header holds the .tflite of its dtype.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        x: float32 [n, n_in], samples that set the int8 ranges.
        wanted: what to write.
        about: what the files say of themselves.

    Raises:
        UsageError: shapes that do not fit the architecture.
    """
    files, headers = {}, {}
    for dtype in wanted.dtypes:
        short, likely = DTYPES[dtype], _likely(dtype, spec, parameters, x, wanted)
        nearest_of = partial(_nearest_of, spec, parameters, x, likely)
        if "tflite" in wanted.formats or "c" in wanted.formats:
            made = nearest_of(
                partial(_tflite, dtype, spec, x=x, wanted=wanted, about=about), _learner
            )
            if "tflite" in wanted.formats:
                files[f"model.{short}.tflite"] = made
            if "c" in wanted.formats:
                headers[f"model.{short}.h"] = replace(
                    made, data=c_header(made.data, about, short), holds=made.data
                )
        if "onnx" in wanted.formats and dtype != "hybrid":
            files[f"model.{short}.onnx"] = nearest_of(
                partial(_onnx, dtype, spec, x=x, wanted=wanted, about=about), _runtime
            )
    return files | headers


def _nearest_of(
    spec: ModelSpec,
    parameters: Floats,
    x: Floats,
    likely: Sequence[Floats],
    write: Callable[[Floats], bytes],
    run: Callable[[bytes, Floats], Floats],
) -> Encoded:
    """The file that answers most as the model does, on samples that no weights were refined on."""
    made = [Encoded(write(one), one, refined=number > 0) for number, one in enumerate(likely)]
    if len(made) == 1:
        return made[0]
    unseen = x[held_out(len(x))]
    expected = forward(spec, parameters, unseen)
    plain, refined = (sqnr(expected, run(one.data, unseen)) for one in made)
    return made[refined >= plain + WORTH_REFINING]


def _learner(data: bytes, x: Floats) -> Floats:
    return OnlineLearner(data, infer_only=True).predict_many(x)


def _runtime(data: bytes, x: Floats) -> Floats:
    return load(data).run(x)


def _likely(
    dtype: str, spec: ModelSpec, parameters: Floats, x: Floats, wanted: Wanted
) -> list[Floats]:
    """Parameters that may lose less when they are quantised; refined ones come last."""
    if dtype == "float32":
        return [parameters]
    int8 = sum(bool(layer.weight_shape) for layer in spec.layers)
    int8 -= wanted.float_layers if dtype == "hybrid" else 0
    # With float ends: a softmax in eight bits would hide what the layers before it lose.
    tried, about = replace(wanted, float_ends=True), About("tried")
    found = nearest(
        spec, parameters, x, lambda one: _tflite(dtype, spec, one, x, tried, about), int8
    )
    if not wanted.refined or dtype != "int8":
        return [found]
    return [found, refine(spec, found, x, exact=float_front(spec) if wanted.float_ends else 0)]


def _tflite(
    dtype: str, spec: ModelSpec, parameters: Floats, x: Floats, wanted: Wanted, about: About
) -> bytes:
    if dtype == "float32":
        return tflite.write(spec, parameters, name=about.name, about=about)
    if dtype == "int8":
        return tflite.write_int8(
            spec, parameters, x, per_channel=wanted.per_channel, calibration=wanted.calibration,
            float_ends=wanted.float_ends, name=about.name, about=about,
        )  # fmt: skip
    return tflite.write_hybrid(
        spec, parameters, x, float_layers=wanted.float_layers, per_channel=wanted.per_channel,
        calibration=wanted.calibration, name=about.name, about=about,
    )  # fmt: skip


def _onnx(
    dtype: str, spec: ModelSpec, parameters: Floats, x: Floats, wanted: Wanted, about: About
) -> bytes:
    if dtype == "float32":
        return onnx.write(spec, parameters, name=about.name, about=about)
    return onnx.write_int8(
        spec, parameters, x, per_channel=wanted.per_channel, calibration=wanted.calibration,
        name=about.name, about=about,
    )  # fmt: skip
