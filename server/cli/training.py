"""Options of the commands that train: task, strategy, and the steps of a device."""

from pathlib import Path
from typing import Annotated

import typer

Task = Annotated[
    str, typer.Option(help="Such as sine (docs/TASKS.md); own: --base, and data on devices alone.")
]
Strategy = Annotated[str, typer.Option(help="Such as reptile; see docs/STRATEGIES.md.")]
Rounds = Annotated[int, typer.Option(min=1, help="How many rounds.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
RunPath = Annotated[Path, typer.Argument(help="Folder of the run, such as runs/latest.")]
Samples = Annotated[int | None, typer.Option(help="Samples a device learns from in a round.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over them (reptile).")]
Rate = Annotated[float | None, typer.Option(help="Inner learning rate, on the device.")]
Momentum = Annotated[float | None, typer.Option(help="Momentum of a device's steps, below 1.")]
WeightDecay = Annotated[float | None, typer.Option(help="L2 weight decay of a device's steps.")]
Clip = Annotated[float | None, typer.Option(help="Largest norm of a layer's gradient; 0: any.")]
Arithmetic = Annotated[str | None, typer.Option(help="mul_add, or fma where every device has it.")]
RateSchedule = Annotated[
    str | None, typer.Option(help="Inner rate over a round's samples: constant or linear.")
]
OuterRate = Annotated[float | None, typer.Option(help="Outer learning rate of round 1.")]
Robust = Annotated[
    str | None,
    typer.Option(
        help="What becomes of the deltas: mean, clip:NORM, median, trimmed:SHARE, krum:F."
    ),
]
CohortSize = Annotated[int | None, typer.Option(help="Devices in a round.")]
Base = Annotated[
    Path | None, typer.Option(help="A .tflite (or .onnx hybrid) to start from instead of fresh.")
]
