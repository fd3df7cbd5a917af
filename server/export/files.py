"""Write all four files of a model and the report on their parity into a folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.spec import ModelSpec
from server.export import onnx, parity, tflite

__all__ = ["Exported", "export_all"]


@dataclass(frozen=True)
class Exported:
    """One file that was written."""

    path: Path
    data: bytes
    parity: parity.FileParity

    @property
    def sha256(self) -> str:
        """Hex digest of the content."""
        return self.parity.sha256


def export_all(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    calibration: NDArray[np.float32],
    out_dir: Path,
    name: str,
    *,
    y: NDArray[np.float32] | None = None,
    metric: str = "accuracy",
    labels: Sequence[str] | None = None,
) -> list[Exported]:
    """Write model.f32.tflite, model.int8.tflite, model.f32.onnx, model.int8.onnx and a report.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        calibration: float32 [n, n_in]; sets the int8 ranges and is what parity is measured on.
        out_dir: created if missing; also gets parity.json and parity.md.
        name: that the files carry inside.
        y: targets of the calibration samples, for the metric in the report.
        metric: accuracy or mse.
        labels: names of the outputs.

    Raises:
        ParityFailed: a runtime disagrees; the report is written all the same, the files too.
        UsageError: shapes that do not fit the architecture.
    """
    files = {
        "model.f32.tflite": tflite.write(spec, parameters, name=name, labels=labels),
        "model.int8.tflite": tflite.write_int8(
            spec, parameters, calibration, name=name, labels=labels
        ),
        "model.f32.onnx": onnx.write(spec, parameters, name=name),
        "model.int8.onnx": onnx.write_int8(spec, parameters, calibration, name=name),
    }
    out_dir.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        (out_dir / file).write_bytes(data)
    found = parity.report(spec, parameters, files, calibration, y, metric, check=False)
    (out_dir / "parity.json").write_text(json.dumps(found.to_json(), indent=1) + "\n")
    (out_dir / "parity.md").write_text(found.to_markdown())
    parity.require(found)
    return [Exported(out_dir / part.file, files[part.file], part) for part in found.files]
