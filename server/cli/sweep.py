"""`tinyfleet server sweep`: simulate a grid of settings and compare."""

from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.config import Config
from server.cli.options import AsJson, print_json, print_table, settings_of, values_of


def sweep(
    over: Annotated[
        list[str],
        typer.Option("--set", help="NAME=V1,V2,…: a setting to vary; again for another."),
    ],
    common: Annotated[
        list[str] | None,
        typer.Option("--with", help="NAME=VALUE: a setting of all experiments."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the results; it goes on with what is there.")
    ] = Path("sweeps/latest"),
    samples: Annotated[
        int | None, typer.Option(min=1, help="Draw so many points of the grid; else all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of that draw.")] = 0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Simulate every combination of some settings; unseen clients say which is best.

    A setting is a flag of `server simulate`, or an option of the strategy or the task.

    Example: tinyfleet server sweep --set rate=0.001,0.002 --set epochs=8,16 --with rounds=200
    """
    from edge.errors import UsageError
    from server.cli.progress import rounds_bar
    from server.experiment import parsed
    from server.sweep import Sweep, points

    axes: dict[str, list[Any]] = {}
    for name, text in settings_of(over, "--set").items():
        axes[name] = [parsed(value) for value in str(text).split(",")]
    if not axes:
        raise UsageError("nothing varies.", hint="--set rate=0.001,0.002")
    chosen = points(axes, samples=samples, seed=seed)
    fixed = values_of(common, "--with")
    results = []
    with rounds_bar(len(chosen), "experiments") as advance:
        for result in Sweep(out, fixed).run(chosen):
            results.append(result)
            advance(f"{result['metric']} {result['after']:.4g}")
    higher = results[0]["metric"] != "mse"
    results.sort(key=lambda result: result["after"], reverse=higher)
    if as_json:
        print_json(results)
        return
    header = [*axes, f"{results[0]['metric']} adapted", "95 % from", "to", "bytes up", "model"]
    print_table(
        header,
        [
            [
                *(result["settings"][name] for name in axes),
                *(f"{result[name]:.4f}" for name in ("after", "low", "high")),
                result["bytes up"],
                result["model"][:12],
            ]
            for result in results
        ],
    )
