"""The C kernel that trains many clients of one dense net in one call, behind NumPy arrays."""

import ctypes
import hashlib
import platform
from ctypes import POINTER, Structure, c_double, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.layers import LayerSpec
from edge.learner.build import FOLDER as LEARNER
from edge.learner.build import compiled
from edge.spec import ModelSpec

__all__ = ["Job", "Kernel", "Mode", "kernel", "takes"]

Float32 = NDArray[np.float32]
Mode = Literal["exact", "fast"]
"""`exact`: the bits of the devices' learner; `fast`: sums reordered, products fused."""

SOURCES = Path(__file__).parent / "src"
FLAGS = ["-std=gnu99", "-O3", "-march=native", "-fPIC", "-shared", "-Wno-psabi"]
OWN_FLAGS: dict[Mode, list[str]] = {
    "exact": ["-ffp-contract=off"],
    # Not -ffast-math: loading a library linked so makes subnormal numbers 0 in the whole process.
    "fast": ["-fassociative-math", "-freciprocal-math", "-fno-signed-zeros", "-fno-trapping-math",
             "-fno-math-errno", "-ffinite-math-only", "-ffp-contract=fast"],
}  # fmt: skip
MAX_LAYERS = 16
MAX_CLASSES = 256


class _Layer(Structure):
    _fields_ = [("n_in", c_uint32), ("n_out", c_uint32), ("relu", c_uint32)]


class _Job(Structure):
    _fields_ = [
        ("n_layers", c_uint32),
        ("layers", _Layer * MAX_LAYERS),
        ("first", c_uint32),
        ("cross_entropy", c_uint32),
        ("fma", c_uint32),
        ("n_parameters", c_uint32),
        ("n_target", c_uint32),
        ("samples", c_uint32),
        ("epochs", c_uint32),
        ("start", c_void_p),
        ("rates", c_void_p),
        ("limit", c_double),
    ]


def takes(spec: ModelSpec) -> bool:
    """Whether the kernel knows a model: dense layers, ReLU inside, linear or softmax at the end."""
    *hidden, last = spec.layers
    dense = all(isinstance(layer, LayerSpec) for layer in spec.layers)
    return (
        dense
        and len(spec.layers) <= MAX_LAYERS
        and all(layer.activation in ("relu", "linear") for layer in hidden)
        and last.activation in ("linear", "softmax")
        and spec.n_out <= MAX_CLASSES
    )


@dataclass(frozen=True)
class Job:
    """What every client does.

    Args:
        spec: a model that the kernel `takes`.
        start: float32 [n_parameters] that all start from, in the order of the file.
        samples: how many a client has.
        rates: float32 [epochs * samples], the SGD rate of each step.
        train_layers: train the last so many layers; 0: all.
        fma: fused arithmetic (exact mode; fast mode fuses anyway).
        limit: longest delta (L2) of a client that counts.
    """

    spec: ModelSpec
    start: Float32
    samples: int
    rates: Float32
    train_layers: int = 0
    fma: bool = False
    limit: float = 1e30

    @property
    def epochs(self) -> int:
        """Passes over the samples."""
        return len(self.rates) // self.samples


class Kernel:
    """One build of the kernel.

    Args:
        mode: which one.
    """

    def __init__(self, mode: Mode, library: Path) -> None:
        """Load the library."""
        self.mode = mode
        self._lib = ctypes.CDLL(str(library))
        self._lib.fleet_scratch.restype = c_uint64
        self._lib.fleet_scratch.argtypes = [POINTER(_Job)]
        self._lib.fleet_train.restype = None
        self._lib.fleet_train.argtypes = [POINTER(_Job), c_uint32, *[c_void_p] * 6]

    def train(
        self, job: Job, x: Float32, y: Float32, *, keep: bool = False
    ) -> tuple[NDArray[np.float64], Float32, Float32 | None]:
        """Train clients from the same start, each on its own samples; the GIL is released.

        Args:
            job: what they do.
            x: float32 [clients, samples, n_in].
            y: float32 [clients, samples, n_target].
            keep: give the weights of each as well.

        Returns:
            float64 [n_parameters] sum of trained minus start over the clients that count, added in
            their order; float32 [clients] mean loss, NaN for a client whose loss or weights were
            not finite, or that went too far: it does not count; float32 [clients, n_parameters]
            weights, or None.

        Raises:
            UsageError: the model is not one that the kernel takes, or a shape does not fit.
        """
        spec = job.spec
        if not takes(spec):
            raise UsageError("the fleet kernel takes dense layers with ReLU only.")
        clients = len(x)
        for name, array, shape in (
            ("x", x, (clients, job.samples, spec.n_in)),
            ("y", y, (clients, job.samples, spec.n_target)),
            ("start", job.start, (spec.n_parameters,)),
        ):
            if array.shape != shape:
                raise UsageError(f"{name} of shape {array.shape} came, {shape} is needed.")
        if spec.loss == "cross_entropy" and not np.isin(y, np.arange(spec.n_out)).all():
            raise UsageError(f"a class that is not one of 0 to {spec.n_out - 1} came.")
        x, y, start, rates = (
            np.ascontiguousarray(a, np.float32) for a in (x, y, job.start, job.rates)
        )
        request = _request(job, start, rates)
        total = np.zeros(spec.n_parameters, np.float64)
        losses = np.empty(clients, np.float32)
        weights = np.empty((clients, spec.n_parameters), np.float32) if keep else None
        scratch = np.empty(self._lib.fleet_scratch(ctypes.byref(request)) + 64, np.uint8)
        aligned = scratch.ctypes.data + -scratch.ctypes.data % 64
        self._lib.fleet_train(
            ctypes.byref(request), clients, x.ctypes.data, y.ctypes.data, aligned,
            total.ctypes.data, losses.ctypes.data, None if weights is None else weights.ctypes.data,
        )  # fmt: skip
        return total, losses, weights


def _request(job: Job, start: Float32, rates: Float32) -> Any:
    spec = job.spec
    request = _Job(
        n_layers=len(spec.layers),
        first=len(spec.layers) - job.train_layers if job.train_layers else 0,
        cross_entropy=spec.loss == "cross_entropy",
        fma=job.fma,
        n_parameters=spec.n_parameters,
        n_target=spec.n_target,
        samples=job.samples,
        epochs=job.epochs,
        start=start.ctypes.data,
        rates=rates.ctypes.data,
        limit=job.limit,
    )
    for at, layer in zip(request.layers, spec.layers, strict=False):
        at.n_in, at.n_out = layer.n_in, layer.n_out
        at.relu = layer.activation == "relu"
    return request


@cache
def kernel(mode: Mode) -> Kernel | None:
    """The kernel, compiled for this processor at its first use; None without a C compiler."""
    main = SOURCES / f"{mode}.c"
    sources = [main, SOURCES / "fleet.h"]
    if mode == "exact":
        sources += [LEARNER / "src" / name for name in ("tl_loss.c", "tl_math.c", "tl_internal.h")]
    flags = [*FLAGS, *OWN_FLAGS[mode], f"-DFLEET_MACHINE=0x{_machine()}"]
    library = compiled(
        f"fleet-{mode}", sources, flags, [SOURCES, LEARNER / "include", LEARNER / "src"]
    )
    return None if library is None else Kernel(mode, library)


def _machine() -> str:
    """Tells processors apart: the library is built for what this one can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
        able = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        able = ""
    return hashlib.sha256((platform.machine() + able).encode()).hexdigest()[:8]
