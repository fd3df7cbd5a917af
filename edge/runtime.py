"""Run a `.tflite` or `.onnx` file in whichever runtime is installed, behind one Protocol."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import ArtifactError, MissingExtra, UsageError

__all__ = [
    "RUNTIMES",
    "Interpreter",
    "Runtime",
    "available",
    "fitting",
    "kind_of",
    "load",
    "load_keeping",
]


class Runtime(Protocol):
    """A loaded model."""

    name: str

    def run(self, x: NDArray[Any], /) -> NDArray[Any]:
        """Answer a batch.

        Args:
            x: float32 [n, n_in]; for a file with int8 or uint8 input also such [n, n_in].

        Returns:
            [n, n_out]; float32 for float32 (a quantised file quantises inside), else as the file.
        """


class Interpreter:
    """The Interpreter API that tflite-runtime and ai-edge-litert share.

    Args:
        name: of the runtime.
        interpreter: its Interpreter, with the model.
    """

    def __init__(self, name: str, interpreter: Any) -> None:
        interpreter.allocate_tensors()
        self.name = name
        self._interpreter = interpreter
        self._in = interpreter.get_input_details()[0]
        self._out = interpreter.get_output_details()[0]

    def run(self, x: NDArray[Any], /) -> NDArray[Any]:
        """Answer a batch; see `Runtime`."""
        return _rows(x, self._in, self._out, self._one)

    def tensors(self) -> dict[str, dict[str, Any]]:
        """All tensors by name, in the order of the file: what the runtime says of each."""
        return {tensor["name"]: tensor for tensor in self._interpreter.get_tensor_details()}

    def value(self, tensor: dict[str, Any]) -> NDArray[np.float32]:
        """A tensor's real values for the last sample, flat; one inside needs `load_keeping`."""
        return _real(self._interpreter.get_tensor(tensor["index"]), tensor).reshape(-1)

    def _one(self, row: NDArray[Any]) -> NDArray[Any]:
        self._interpreter.set_tensor(self._in["index"], row)
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._out["index"]))


class _Micro:
    """TensorFlow Lite Micro, its reference kernels on the host."""

    def __init__(self, name: str, interpreter: Any) -> None:
        self.name = name
        self._interpreter = interpreter
        self._in = _plain(interpreter.get_input_details(0))
        self._out = _plain(interpreter.get_output_details(0))

    def run(self, x: NDArray[Any], /) -> NDArray[Any]:
        return _rows(x, self._in, self._out, self._one)

    def _one(self, row: NDArray[Any]) -> NDArray[Any]:
        self._interpreter.set_input(row, 0)
        self._interpreter.invoke()
        return np.array(self._interpreter.get_output(0))


class _Onnx:
    """onnxruntime on one thread."""

    def __init__(self, name: str, session: Any) -> None:
        self.name = name
        self._session = session
        first = session.get_inputs()[0]
        self._input, self._dtype = first.name, _ONNX_TYPES.get(first.type, np.float32)
        # The first size is the batch; where it is fixed, samples go one by one.
        self._one = bool(first.shape) and isinstance(first.shape[0], int)
        self._shape = [n if isinstance(n, int) else 1 for n in first.shape[1:]]

    def run(self, x: NDArray[Any], /) -> NDArray[Any]:
        batch = _codes(np.asarray(x), self._dtype).reshape(len(x), *self._shape)
        rows = [batch[i : i + 1] for i in range(len(batch))] if self._one else [batch]
        found = [np.asarray(self._session.run(None, {self._input: row})[0]) for row in rows]
        y = np.concatenate(found) if found else np.zeros((0, 0), np.float32)
        return y.reshape(len(x), -1) if len(x) else y


_CODES = (np.int8, np.uint8)
_ONNX_TYPES: dict[str, Any] = {"tensor(int8)": np.int8, "tensor(uint8)": np.uint8}


def _codes(x: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Samples in the type of an input; to integers they are rounded, with no scale."""
    if dtype == np.float32 or x.dtype == dtype:
        return np.asarray(x, dtype)
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(x), limits.min, limits.max), dtype)


def _plain(details: Any) -> dict[str, Any]:
    parameters = details["quantization_parameters"]
    around = (0.0, 0)
    if len(parameters["scales"]):
        around = (float(parameters["scales"][0]), int(parameters["zero_points"][0]))
    return {"dtype": details["dtype"], "quantization": around, "shape": details["shape"]}


def _rows(
    x: NDArray[Any],
    into: dict[str, Any],
    out: dict[str, Any],
    one: Callable[[NDArray[Any]], NDArray[Any]],
) -> NDArray[Any]:
    whole = x.dtype in _CODES
    if into["dtype"] in _CODES and not whole:
        scale, zero = into["quantization"]
        codes = np.rint(x / np.float32(scale)) + zero
        limits = np.iinfo(into["dtype"])
        x = np.clip(codes, limits.min, limits.max).astype(into["dtype"])
    shape = tuple(into["shape"])
    rows = [one(np.ascontiguousarray(row).reshape(shape)).reshape(1, -1) for row in x]
    y = np.concatenate(rows) if rows else np.zeros((0, 0), out["dtype"])
    return y if whole else _real(y, out)


def _real(values: NDArray[Any], tensor: dict[str, Any]) -> NDArray[Any]:
    """Codes as what they stand for, float32; other values as they are."""
    if values.dtype not in _CODES:
        return values
    scale, zero = tensor["quantization"]
    return np.asarray(
        (values.astype(np.float32) - np.float32(zero)) * np.float32(scale), np.float32
    )


def _tflite_runtime(data: bytes, *, keep: bool = False) -> Interpreter:
    from tflite_runtime import interpreter as tflite

    return _interpreter("tflite-runtime", tflite, data, keep)


def _litert(data: bytes, *, keep: bool = False) -> Interpreter:
    from ai_edge_litert import interpreter as litert

    return _interpreter("ai-edge-litert", litert, data, keep)


def _interpreter(name: str, module: Any, data: bytes, keep: bool) -> Interpreter:
    kind = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    more = {"experimental_preserve_all_tensors": True} if keep else {}
    made = module.Interpreter(model_content=data, experimental_op_resolver_type=kind, **more)
    return Interpreter(name, made)


def _tflite_micro(data: bytes) -> Runtime:
    from tflite_micro.python.tflite_micro import runtime

    return _Micro("tflite-micro", runtime.Interpreter.from_bytes(data))


def _onnxruntime(data: bytes) -> Runtime:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return _Onnx("onnxruntime", session)


RUNTIMES: dict[str, tuple[str, Callable[[bytes], Runtime]]] = {
    "tflite-runtime": ("tflite", _tflite_runtime),
    "ai-edge-litert": ("tflite", _litert),
    "tflite-micro": ("tflite", _tflite_micro),
    "onnxruntime": ("onnx", _onnxruntime),
}
_BROKEN = (ImportError, SystemError, AttributeError, OSError)


def available(data: bytes) -> list[Runtime]:
    """Load a model in every runtime for its format that works here.

    A runtime counts only if it constructs an interpreter: some import and then fail.

    Args:
        data: the bytes of a `.tflite` or `.onnx` file.
    """
    found = []
    for name in fitting(data):
        try:
            found.append(load(data, name))
        except MissingExtra:
            continue
    return found


def fitting(data: bytes) -> list[str]:
    """Names of the runtimes for the format of a file, installed or not."""
    return [name for name, (kind, _) in RUNTIMES.items() if kind == kind_of(data)]


def load_keeping(data: bytes) -> Interpreter:
    """Load a `.tflite` so that the tensors inside can be read after a run.

    Raises:
        MissingExtra: no runtime here keeps them.
    """
    for make in (_tflite_runtime, _litert):
        try:
            return make(data, keep=True)
        except _BROKEN:
            continue
    raise MissingExtra(
        "no runtime here keeps the tensors inside.", hint="pip install ai-edge-litert"
    )


def load(data: bytes, name: str | None = None) -> Runtime:
    """Load a model.

    Args:
        data: the bytes of a `.tflite` or `.onnx` file.
        name: one of `RUNTIMES`; None takes the first that works.

    Raises:
        UsageError: no such runtime, or it is for the other format.
        MissingExtra: the runtime is not installed, or does not work here.
        ArtifactError: the runtime refuses the file.
    """
    kind, names = kind_of(data), fitting(data)
    if name is None:
        for candidate in names:
            try:
                return load(data, candidate)
            except MissingExtra:
                continue
        raise MissingExtra(
            f"no runtime for .{kind} files works here.", hint=f"pip install 'tinyfleet[{kind}]'"
        )
    if name not in names:
        raise UsageError(f"runtime {name!r} came, .{kind} files run in {', '.join(names)}.")
    try:
        return RUNTIMES[name][1](data)
    except _BROKEN as error:
        hint = f"pip install 'tinyfleet[{kind}]'"
        raise MissingExtra(f"{name} does not work here: {error}.", hint=hint) from error
    except Exception as error:  # each runtime has exception types of its own
        raise ArtifactError(f"{name} refuses the file: {error}") from error


def kind_of(data: bytes) -> str:
    """`tflite` or `onnx`, by the first bytes."""
    return "tflite" if data[4:8] == b"TFL3" else "onnx"
