"""Published models: the C learner answers as tflite-micro does, or says what it does not know."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import ArtifactError
from edge.int8 import Int8Layer
from edge.learner import OnlineLearner
from edge.learner.native import library

ROOT = Path(__file__).resolve().parents[2]
MODELS = (
    Path(os.environ.get("TINYFLEET_DATA", ROOT.parent / "shared/data")) / "tinyml_catalogue/models"
)
INT8 = [
    "ARM_CNN_Small_keyword_spotting",
    "ARM_MicroNet_Small_anomaly_detection",
    "Anomaly_Detection_Autoencoder",
    "Hello_World",
    "Micro_Speech_Forward_Backward",
    "Micro_Speech_Up_Down_Go",
    "Micro_Speech_Yes_No_1",
    "Micro_Speech_Yes_No_2",
    "Micro_Speech_Yes_No_3",
    "Micro_Speech_Yes_No_4",
    "Motion_Trainer_Left_Right",
    "Motion_Trainer_Up_Forward",
    "Move",
    "Visual_Alarm_Clock",
]
FLOAT32 = ["Magic_Wand_1", "Mapping_Dance", "Squats_Counter"]
# what the C reader says, and what the Python one
REFUSED = {
    "ARM_MicroNet_VWW_3": ("do not form a chain", "PAD does not follow the operator before it"),
    "Person_Detection": ("neither float32, int8", "makes uint8 of uint8"),
    "Snoring_Guardian": (r"operator 97 ", "RESIZE_NEAREST_NEIGHBOR version 3 is not supported"),
}

pytestmark = [
    pytest.mark.skipif(not MODELS.is_dir(), reason="the published models are not here"),
    pytest.mark.skipif(library() is None, reason="there is no C build of the learner"),
]


def file(name: str) -> bytes:
    return (MODELS / f"{name}.tflite").read_bytes()


def micro(data: bytes) -> Any:
    """tflite-micro over a file, if it is installed."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    return runtime.Interpreter.from_bytes(data)


def inputs(data: bytes, n: int) -> NDArray[Any]:
    """Random inputs over all of int8 and around its zero point, or of float32 sizes that occur."""
    tensor, rng = Artifact(data).input, np.random.default_rng(7)
    if tensor.dtype == "int8":
        wide = rng.integers(-128, 128, (n, *tensor.shape))
        narrow = tensor.zero_points[0] + rng.normal(0, 25, wide.shape).round()
        return np.asarray(np.clip(np.concatenate([wide, narrow]), -128, 127), np.int8)
    sizes = np.geomspace(0.1, 100, n).reshape(n, *(1 for _ in tensor.shape))
    return np.asarray(rng.normal(size=(n, *tensor.shape)) * sizes, np.float32)


def answer(learner: OnlineLearner, x: NDArray[Any]) -> NDArray[Any]:
    flat = x.reshape(-1)
    return learner.predict_int8(flat) if x.dtype == np.int8 else learner.predict_one(flat)


def test_every_published_model_is_listed() -> None:
    assert {path.stem for path in MODELS.glob("*.tflite")} == {*INT8, *FLOAT32, *REFUSED}


@pytest.mark.parametrize("name", INT8)
def test_int8_answers_are_those_of_tflite_micro(name: str) -> None:
    data = file(name)
    theirs, learner = micro(data), OnlineLearner(data, infer_only=True)
    step = np.float32(1)
    if Artifact(data).output.dtype == "float32":
        step = Artifact(data).chain[-1].in_scale
    for x in inputs(data, 5):
        theirs.set_input(x, 0)
        theirs.invoke()
        expected = theirs.get_output(0).reshape(-1).astype(np.float32)
        mine = answer(learner, x).astype(np.float32)
        assert np.abs(mine - expected).max() <= step


@pytest.mark.parametrize("name", FLOAT32)
def test_float32_answers_are_those_of_tflite_micro(name: str) -> None:
    data = file(name)
    theirs, learner = micro(data), OnlineLearner(data, infer_only=True)
    for x in inputs(data, 10):
        theirs.set_input(x, 0)
        theirs.invoke()
        expected = theirs.get_output(0).reshape(-1)
        np.testing.assert_allclose(answer(learner, x), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", INT8)
def test_the_numpy_twin_gives_the_bits_of_the_c_learner(name: str) -> None:
    data = file(name)
    learner = OnlineLearner(data, infer_only=True)
    layers = [Int8Layer(part) for part in Artifact(data).chain]
    for x in inputs(data, 2):
        y = x
        for layer in layers:
            y = layer.forward(y)
        np.testing.assert_array_equal(answer(learner, x), y)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_what_is_not_known(name: str) -> None:
    said_in_c, said_in_python = REFUSED[name]
    with pytest.raises(ArtifactError, match=said_in_c):
        OnlineLearner(file(name), infer_only=True)
    with pytest.raises(ArtifactError, match=said_in_python):
        _ = Artifact(file(name)).chain
