"""Write a model into a folder in the formats that are wanted, with the report on their parity."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.export import onnx, parity, tflite
from server.export.about import About
from server.export.header import c_header
from server.export.pages import parity_page
from server.export.quantise import CALIBRATIONS, Calibration
from server.export.refine import refine

__all__ = ["DTYPES", "FORMATS", "Exported", "Wanted", "encode", "export_all"]

Floats = NDArray[np.float32]
FORMATS = ("tflite", "onnx", "c")
DTYPES = {"float32": "f32", "int8": "int8", "hybrid": "hybrid"}
"""What may be asked for, and how files are called."""


@dataclass(frozen=True)
class Wanted:
    """What to write, and how.

    Args:
        formats: of `FORMATS`.
        dtypes: of `DTYPES`; hybrid is int8 layers and a float32 tail, and not for onnx.
        calibration: how int8 ranges are found, see `quantise.CALIBRATIONS`.
        per_channel: one weight scale an output instead of one a layer.
        float_ends: int8 files take and give float32.
        float_layers: layers with weights, from the end, that stay float32 in a hybrid.
        refined: fine-tune the weights of int8 files through their rounding; needs torch.

    Raises:
        UsageError: an unknown name, or nothing would be written.
    """

    formats: Sequence[str] = ("tflite", "onnx")
    dtypes: Sequence[str] = ("float32", "int8")
    calibration: Calibration = "minmax"
    per_channel: bool = True
    float_ends: bool = False
    float_layers: int = 1
    refined: bool = False

    def __post_init__(self) -> None:
        """Refuse names that there are not."""
        for what, given, allowed in (
            ("format", self.formats, FORMATS),
            ("dtype", self.dtypes, tuple(DTYPES)),
            ("calibration", (self.calibration,), CALIBRATIONS),
        ):
            unknown = [name for name in given if name not in allowed]
            if unknown or not given:
                said = f"{what} {unknown[0]!r} is unknown." if unknown else f"no {what} is given."
                raise UsageError(said, hint=f"of {', '.join(allowed)}")
        if set(self.formats) == {"onnx"} and set(self.dtypes) == {"hybrid"}:
            raise UsageError("a hybrid is no .onnx.", hint="--to tflite")


@dataclass(frozen=True)
class Exported:
    """One file that was written.

    Args:
        path: where.
        data: its content.
        parity: what the runtimes make of it; None of a header, which holds a `.tflite`.
    """

    path: Path
    data: bytes = field(repr=False)
    parity: parity.FileParity | None

    @property
    def sha256(self) -> str:
        """Hex digest of the content."""
        return hashlib.sha256(self.data).hexdigest()


def encode(
    spec: ModelSpec,
    parameters: Floats,
    x: Floats,
    wanted: Wanted,
    about: About,
) -> dict[str, bytes]:
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
    exact = parameters
    for dtype in wanted.dtypes:
        short = DTYPES[dtype]
        rounded = wanted.refined and dtype == "int8"
        parameters = refine(spec, exact, x) if rounded else exact
        if "tflite" in wanted.formats or "c" in wanted.formats:
            made = _tflite(dtype, spec, parameters, x, wanted, about)
            if "tflite" in wanted.formats:
                files[f"model.{short}.tflite"] = made
            if "c" in wanted.formats:
                headers[f"model.{short}.h"] = c_header(made, about)
        if "onnx" in wanted.formats and dtype != "hybrid":
            files[f"model.{short}.onnx"] = _onnx(dtype, spec, parameters, x, wanted, about)
    return files | headers


def export_all(
    spec: ModelSpec,
    parameters: Floats,
    calibration: Floats,
    out_dir: Path,
    about: About,
    *,
    wanted: Wanted | None = None,
    y: Floats | None = None,
    metric: str = "accuracy",
) -> list[Exported]:
    """Write the files of a model and a report on what all runtimes make of them.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        calibration: float32 [n, n_in]; sets the int8 ranges and is what parity is measured on.
        out_dir: created if missing; also gets parity.json, .md and .html.
        about: what the files say of themselves.
        wanted: what to write; None: float32 and int8, as .tflite and .onnx.
        y: targets of the calibration samples, for the metric in the report.
        metric: accuracy or mse.

    Returns:
        The files, headers last; of these no parity is measured.

    Raises:
        ParityFailed: a runtime disagrees; the report is written all the same, the files too.
        UsageError: shapes that do not fit the architecture, or the folder cannot be written to.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write to the folder {out_dir}: {error.strerror}.", hint="--out exports"
        ) from error
    if not os.access(out_dir, os.W_OK):
        raise UsageError(f"the folder {out_dir} is not writable.", hint="--out exports")
    files = encode(spec, parameters, calibration, wanted or Wanted(), about)
    for file, data in files.items():
        (out_dir / file).write_bytes(data)
    read = {name: data for name, data in files.items() if not name.endswith(".h")}
    found = parity.report(spec, parameters, read, calibration, y, metric, check=False)
    (out_dir / "parity.json").write_text(json.dumps(found.to_json(), indent=1) + "\n")
    (out_dir / "parity.md").write_text(found.to_markdown())
    (out_dir / "parity.html").write_text(parity_page(found, about))
    parity.require(found)
    parts = {part.file: part for part in found.files}
    return [Exported(out_dir / file, data, parts.get(file)) for file, data in files.items()]


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
