"""Write a model into a folder in the formats that are wanted, with the report on their parity."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.spec import ModelSpec
from server.export.about import About
from server.export.bounds import ParityFailed, broken, not_finite
from server.export.encode import Encoded, encode
from server.export.folder import REPORTS, add_reports, make_folder, publish
from server.export.measured import FileParity, Parity, Samples
from server.export.pages import parity_page
from server.export.parity import report
from server.export.ranges import ranges
from server.export.reference import layer_values
from server.export.wanted import Wanted
from server.report.markdown import markdown

__all__ = ["Exported", "export_all", "write_all"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Exported:
    """One file that was written.

    Args:
        path: where.
        data: its content.
        parity: what the runtimes make of it; None of a header whose `.tflite` is written, too.
        change: of the metric, as a share of that of float64; None where nothing is measured.
        loss: share of the metric that is lost.
        flash: bytes of the model; of a header: of the `.tflite` that it holds.
        refined: whether it has refined weights.
    """

    path: Path
    data: bytes = field(repr=False)
    parity: FileParity | None
    change: float | None = None
    loss: float = 0.0
    flash: int = 0
    refined: bool = False

    @property
    def sha256(self) -> str:
        """Hex digest of the content."""
        return hashlib.sha256(self.data).hexdigest()


def export_all(
    spec: ModelSpec,
    parameters: Floats,
    calibration: Floats,
    out_dir: Path,
    about: About,
    *,
    wanted: Wanted | None = None,
    samples: Samples | None = None,
) -> list[Exported]:
    """Write the files of a model and a report on what all runtimes make of them.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        calibration: float32 [n, n_in]; sets the int8 ranges.
        out_dir: created if missing; also gets parity.json, .md and .html. Files and reports of an
            earlier export are removed from it.
        about: what the files say of themselves.
        wanted: what to write; None: float32 and int8, as .tflite and .onnx.
        samples: what parity is measured on; None: those of the calibration.

    Returns:
        The files, headers last.

    Raises:
        ParityFailed: a runtime disagrees; the report is written all the same, the files too.
        UsageError: shapes that do not fit the architecture, or the folder cannot be written to.
    """
    written, failed = write_all(
        spec, parameters, calibration, out_dir, about, wanted=wanted, samples=samples
    )
    for error in failed:
        raise error
    return written


def write_all(
    spec: ModelSpec,
    parameters: Floats,
    calibration: Floats,
    out_dir: Path,
    about: About,
    *,
    wanted: Wanted | None = None,
    samples: Samples | None = None,
) -> tuple[list[Exported], list[ParityFailed]]:
    """Do what `export_all` does, and give all bounds that are broken instead of raising one.

    Raises:
        ParityFailed: the model has weights, or gives answers, that are NaN or infinite.
        UsageError: shapes that do not fit the architecture, or the folder cannot be written to.
    """
    wanted = wanted or Wanted()
    if not _is_finite(spec, parameters, calibration):
        raise not_finite()
    make_folder(out_dir)
    files = encode(spec, parameters, calibration, wanted, about)
    models = _models(files)
    publish(out_dir, {name: file.data for name, file in files.items()})
    samples = samples or Samples(calibration, of="of the calibration")
    found = report(
        spec,
        parameters,
        {name: file.model for name, file in models.items()},
        samples,
        made_from={name: file.parameters for name, file in models.items()},
        check=False,
    )
    found = replace(
        found,
        options=asdict(wanted),
        files=tuple(replace(part, header=_header(part.file, files)) for part in found.files),
    )
    if math.isfinite(found.largest) and any(part.int8 for part in found.files):
        lie = ranges(spec, parameters, calibration, samples.x, wanted.calibration)
        found = replace(found, ranges=lie)
    failed = list(broken(found))
    _write_report(out_dir, found, about)
    parts = {part.file: part for part in found.files}
    written = [
        _written(out_dir / name, file, found, parts.get(name)) for name, file in files.items()
    ]
    return written, failed


def _is_finite(spec: ModelSpec, parameters: Floats, x: Floats) -> bool:
    """Whether float32 holds the weights, and all that the layers make of samples."""
    with np.errstate(all="ignore"):
        values = [layer.sum.astype(np.float32) for layer in layer_values(spec, parameters, x)]
    return all(np.isfinite(one).all() for one in [parameters, *values])


def _written(path: Path, file: Encoded, found: Parity, part: FileParity | None) -> Exported:
    flash = len(file.model)
    if part is None:
        return Exported(path, file.data, None, flash=flash, refined=file.refined)
    return Exported(
        path, file.data, part, found.change(part), found.loss(part), flash, file.refined
    )


def _models(files: dict[str, Encoded]) -> dict[str, Encoded]:
    """Each model once: a header only where the `.tflite` that it holds is not written."""
    return {
        name: file for name, file in files.items() if not (file.holds and _tflite(name) in files)
    }


def _tflite(header: str) -> str:
    return f"{header.removesuffix('.h')}.tflite"


def _header(name: str, files: dict[str, Encoded]) -> str:
    """The header that holds a `.tflite` which is written, too; empty without one."""
    return next((one for one, file in files.items() if file.holds and _tflite(one) == name), "")


def _write_report(folder: Path, found: Parity, about: About) -> None:
    page = parity_page(found, about)
    stored = {**found.to_json(), "failed": [error.message for error in broken(found)]}
    text = json.dumps(stored, indent=1, allow_nan=False)
    contents = (f"{text}\n", markdown(page), page.html())
    add_reports(folder, {name: one.encode() for name, one in zip(REPORTS, contents, strict=True)})
