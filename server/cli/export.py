"""`tinyfleet server export`: files for other runtimes and firmware, held against each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from edge.errors import UsageError
from server.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.exporting import ExportedFile

MOST_LOSS = 0.01
"""Share of the metric that an int8 file may lose without a word."""


def export(
    model: Annotated[Path, typer.Argument(help="A run's folder, or a .tflite.")],
    to: Annotated[str, typer.Option(help="Formats by comma: tflite, onnx, c.")] = "tflite,onnx",
    dtype: Annotated[
        str, typer.Option(help="By comma: float32, int8, hybrid (int8, and a float32 tail).")
    ] = "float32,int8",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; else exports, or that of the run.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Whose samples set the ranges; else that of the name.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Samples of your own for it: an .npz with x, and y if known; or a .csv."),
    ] = None,
    calibration: Annotated[
        str, typer.Option(help="How int8 ranges are found: minmax, percentile or mse.")
    ] = "minmax",
    per_tensor: Annotated[
        bool, typer.Option("--per-tensor", help="One weight scale a layer, not one an output.")
    ] = False,
    float_ends: Annotated[
        bool,
        typer.Option(
            "--float-ends", help="int8 .tflite that take and give float32, softmax included."
        ),
    ] = False,
    float_layers: Annotated[
        int, typer.Option(min=1, help="Layers with weights that stay float32 in a hybrid.")
    ] = 1,
    refined: Annotated[
        bool,
        typer.Option("--refine", help="Fine-tune int8 weights through their rounding."),
    ] = False,
    licence: Annotated[str, typer.Option(help="Of the files, such as CC-BY-4.0.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a model for other runtimes, check it in all that are installed, and report.

    The folder also gets parity.json, .md and .html. The command fails where a runtime disagrees;
    the files and the report are left to look at, and --json has a list of what failed.

    Example: tinyfleet server export sine.tflite --to tflite,onnx,c --dtype float32,int8,hybrid
    """
    from server.export.costs import signed
    from server.export.quantise import Calibration
    from server.export.wanted import Wanted
    from server.exporting import ExportFailed, export_file, export_run
    from server.run import RunFolder

    wanted = Wanted(
        formats=_listed(to),
        dtypes=_listed(dtype),
        calibration=cast(Calibration, calibration),
        per_channel=not per_tensor,
        float_ends=float_ends,
        float_layers=float_layers,
        refined=refined,
    )
    wanted.refuse_idle()
    if wanted.left_out:
        typer.echo(f"warning: {wanted.left_out}", err=True)
    if model.is_dir() and task is not None:
        raise UsageError("a run knows its task.", hint="no --task")
    try:
        if model.is_dir():
            files = export_run(RunFolder.existing(model), out, wanted, licence, data=data)
        else:
            files = export_file(model, out or Path("exports"), wanted, task, licence, data=data)
    except ExportFailed as failure:
        _tell(failure.files, as_json=as_json, failed=failure.failed)
        raise
    _tell(files, as_json=as_json)
    if files[0].as_is:
        kind = files[0].file.split(".")[1]
        said = f"the model has int8 layers already: it is exported as it is, {kind}"
        typer.echo(f"warning: {said}, and as no .onnx.", err=True)
    for entry in files:
        if refined and not entry.refined and ".int8." in entry.file and entry.runtimes:
            typer.echo(f"{entry.file} keeps its weights: refined ones are no nearer", err=True)
        if entry.loss > MOST_LOSS and ".int8." in entry.file and not refined:
            said = f"{entry.file} is worse: {entry.metric_name} {signed(entry.change)}"
            typer.echo(f"warning: {said}. Try: --refine", err=True)


def _tell(files: "list[ExportedFile]", *, as_json: bool, failed: "Sequence[str]" = ()) -> None:
    """Show the files; those of an export that failed, too."""
    from server.cli.export_table import few_samples, show

    if as_json:
        entries = [vars(entry) for entry in files]
        print_json({"failed": list(failed), "files": entries} if failed else entries)
    else:
        show(files, failed=bool(failed))
    for said in few_samples(files):
        typer.echo(f"warning: {said}", err=True)
    if failed:
        folder = Path(files[0].path).parent
        typer.echo(f"see {folder / 'parity.md'}; the files are left there", err=True)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
