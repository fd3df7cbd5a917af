"""8-bit `.onnx` files on processors without VNNI, where onnxruntime saturates signed weights."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from edge.spec import ModelSpec
from server.export import onnx
from server.export.reference import forward
from server.export.sqnr import sqnr
from tests.edge.convnets import everything, inputs
from tests.edge.zoo import parameters

QEMU = shutil.which("qemu-x86_64")
RUN = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
numpy.save(sys.argv[3], session.run(None, {"x": numpy.load(sys.argv[2])})[0])
"""


def run_on(cpu: str, data: bytes, x: np.ndarray, folder: Path) -> np.ndarray:
    """What onnxruntime answers on an emulated processor."""
    files = [folder / name for name in ("m.onnx", "x.npy", "y.npy")]
    files[0].write_bytes(data)
    np.save(files[1], x)
    command = [str(QEMU), "-cpu", cpu, sys.executable, "-c", RUN, *map(str, files)]
    subprocess.run(
        command, env=os.environ | {"OPENBLAS_CORETYPE": "Haswell"}, check=True, capture_output=True
    )
    return np.load(files[2])


def wide_tanh() -> ModelSpec:
    """Activations on both sides of zero, many of them large: what saturates soonest."""
    return ModelSpec.mlp([16, 48, 48, 4], hidden="tanh", output="linear")


@pytest.mark.skipif(
    QEMU is None or platform.machine() != "x86_64", reason="qemu-user is not installed"
)
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("spec", [wide_tanh(), everything()], ids=["dense", "every layer"])
def test_a_processor_without_vnni_computes_the_same(spec, per_channel, tmp_path):
    p, x = parameters(spec), inputs(spec, 60)
    data = onnx.write_int8(spec, p, x, per_channel=per_channel, name="m")
    assert sqnr(forward(spec, p, x), run_on("Haswell", data, x, tmp_path)) >= 25
