"""Export what has int8 layers already: the file itself, and a header, once runtimes agree on it."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.artifact import Artifact
from edge.errors import UsageError
from server.exporting import ExportedFile

if TYPE_CHECKING:
    from server.export.about import About
    from server.export.wanted import Wanted
    from server.export_samples import Trial

__all__ = ["export_as_is"]


def export_as_is(
    model: Artifact, out: Path, about: "About", trial: "Trial", wanted: "Wanted | None"
) -> list[ExportedFile]:
    """Write a file as it is, and as a C header, once all runtimes agree on it.

    Args:
        model: a `.tflite` that the learner knows, with int8 layers.
        out: folder for the files.
        about: words for the header.
        trial: what it is tried on; there is no float64 model to hold it against.
        wanted: formats; the number type is that of the file.

    Raises:
        ParityFailed: two runtimes disagree.
        UsageError: an .onnx alone is wanted, ranges or weights are to be found anew, or the learner
            does not know the file.
    """
    from server.export.as_is import agreement, kind_of
    from server.export.folder import make_folder, publish
    from server.export.header import c_header
    from server.export.wanted import Wanted

    asked = wanted or Wanted()
    if not {"tflite", "c"} & set(asked.formats):
        raise UsageError(
            f"{about.name} has int8 layers already, and no .onnx is made of them.",
            hint="--to tflite,c; or the float32 model that it was made from",
        )
    if asked != Wanted(asked.formats, asked.dtypes):
        raise UsageError(
            f"{about.name} has int8 layers already: it is exported as it is.",
            hint="only --to, --out, --licence and samples; or the float32 model it was made from",
        )
    kind = kind_of(model, about.name)
    found = agreement(model.data, trial.samples)
    make_folder(out)
    metric = trial.samples.metric
    made: dict[str, bytes] = {}
    if "tflite" in asked.formats:
        made[f"model.{kind}.tflite"] = model.data
    if "c" in asked.formats:
        made[f"model.{kind}.h"] = c_header(model.data, about, kind)
    publish(out, made)
    measured = ExportedFile(
        "", "", "", model.size, None, found.metric, metric.name if metric else "", found.runtimes,
        found.board, found.instructions, found.arena, as_is=True, samples=len(trial.samples.x),
        of=trial.samples.of,
    )  # fmt: skip
    header = ExportedFile("", "", "", model.size, None, None, as_is=True)
    return [
        replace(
            header if name.endswith(".h") and len(made) > 1 else measured,
            file=name,
            path=str(out / name),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        for name, data in made.items()
    ]
