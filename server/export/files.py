"""Write a model into a folder in the formats that are wanted, with the report on their parity."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.export.about import About
from server.export.bounds import require
from server.export.encode import encode
from server.export.measured import FileParity, Samples
from server.export.pages import parity_page
from server.export.parity import report
from server.export.wanted import Wanted

__all__ = ["Exported", "export_all", "make_folder"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Exported:
    """One file that was written.

    Args:
        path: where.
        data: its content.
        parity: what the runtimes make of it; None of a header, which holds a `.tflite`.
        loss: share of the metric that is lost.
    """

    path: Path
    data: bytes = field(repr=False)
    parity: FileParity | None
    loss: float = 0.0

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
        out_dir: created if missing; also gets parity.json, .md and .html.
        about: what the files say of themselves.
        wanted: what to write; None: float32 and int8, as .tflite and .onnx.
        samples: what parity is measured on; None: those of the calibration.

    Returns:
        The files, headers last; of these no parity is measured.

    Raises:
        ParityFailed: a runtime disagrees; the report is written all the same, the files too.
        UsageError: shapes that do not fit the architecture, or the folder cannot be written to.
    """
    make_folder(out_dir)
    files = encode(spec, parameters, calibration, wanted or Wanted(), about)
    for name, file in files.items():
        (out_dir / name).write_bytes(file.data)
    read = {name: file for name, file in files.items() if not name.endswith(".h")}
    found = report(
        spec,
        parameters,
        {name: file.data for name, file in read.items()},
        samples or Samples(calibration, of="of the calibration"),
        made_from={name: file.parameters for name, file in read.items()},
        check=False,
    )
    (out_dir / "parity.json").write_text(json.dumps(found.to_json(), indent=1) + "\n")
    (out_dir / "parity.md").write_text(found.to_markdown())
    (out_dir / "parity.html").write_text(parity_page(found, about))
    require(found)
    parts = {part.file: part for part in found.files}
    losses = {name: found.loss(part) for name, part in parts.items()}
    return [
        Exported(out_dir / name, file.data, parts.get(name), losses.get(name, 0.0))
        for name, file in files.items()
    ]


def make_folder(out_dir: Path) -> None:
    """Make a folder for exported files.

    Raises:
        UsageError: it cannot be written to.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write to the folder {out_dir}: {error.strerror}.", hint="--out exports"
        ) from error
    if not os.access(out_dir, os.W_OK):
        raise UsageError(f"the folder {out_dir} is not writable.", hint="--out exports")
