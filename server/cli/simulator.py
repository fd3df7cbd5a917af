"""`tinyfleet sim`: boards, emulated microcontrollers, deployment and firmware images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from edge.errors import ArtifactError, ExitCode, UsageError
from server.cli.access import ANONYMOUS, Access, with_access
from server.cli.options import (
    DEFAULT_BROKER,
    AsJson,
    Broker,
    Site,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from edge.artifact import Artifact

app = typer.Typer(
    help="Emulated microcontrollers: run them, deploy to them, build their firmware.",
    no_args_is_help=True,
)

Backend = Annotated[
    str, typer.Option(help="Emulator: unicorn, qemu, or auto: the first one that has the core.")
]


@app.command()
def boards(as_json: AsJson = False) -> None:
    """List the boards that can be emulated, with their memory.

    Example: tinyfleet sim boards
    """
    from dataclasses import asdict

    from firmware_sim.boards import BOARDS
    from firmware_sim.cores import find_core

    emulators = {
        b.name: ["unicorn", "qemu"] if find_core(b.core)[1].unicorn else ["qemu"]
        for b in BOARDS.values()
    }
    if as_json:
        print_json([{**asdict(b), "emulators": emulators[b.name]} for b in BOARDS.values()])
        return
    rows = [
        [
            *(b.name, b.core, b.flash // 1024, b.ram // 1024, b.clock_hz // 10**6, b.fpu),
            "both" if len(emulators[b.name]) == 2 else "QEMU only",
            b.title,
        ]
        for b in BOARDS.values()
    ]
    columns = ["board", "core", "flash kB", "RAM kB", "MHz", "FPU", "emulators", "name"]
    print_table(columns, rows)


@app.command()
@with_access
def run(
    board: Annotated[list[str], typer.Option(help="A board; repeat for more devices.")],
    task: Annotated[str, typer.Option(help="Task whose data the sensors give.")] = "characters",
    prefix: Annotated[str, typer.Option(help="Start of the device names.")] = "mcu",
    first_client: Annotated[int, typer.Option(help="Client whose data the first one owns.")] = 0,
    split: Annotated[str, typer.Option(help="train or test clients of the task.")] = "train",
    backend: Backend = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the sensors.")] = 0,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> None:
    """Run emulated microcontrollers behind a gateway to MQTT until Ctrl-C.

    Example: tinyfleet sim run --board nano33ble --board pico --task characters
    """
    from server.emulated import EmulatedFleet, check_client, members

    options = access.to(broker)
    fleet = members(board, prefix=prefix, first_client=first_client)
    check_client(task, first_client, split)
    with EmulatedFleet(
        options, fleet, site=site, task=task, split=split, backend=backend, seed=seed
    ) as running:
        for member in fleet:
            typer.echo(f"{member.device}  {member.board}  client {member.client} of {task}")
        typer.echo("running (Ctrl-C stops them)")
        running.wait()


@app.command()
def deploy(
    model: Annotated[Path, typer.Argument(help="A .tflite file.")],
    board: Annotated[str, typer.Option(help="Board to deploy to (see: sim boards).")] = "nano33ble",
    backend: Backend = "auto",
    samples: Annotated[
        int, typer.Option(min=1, help="Random inputs to compare with the host.")
    ] = 20,
    as_json: AsJson = False,
) -> int:
    """Deploy a model to one emulated board and compare its answers with the host's.

    Example: tinyfleet sim deploy model.tflite --board stm32f4-discovery
    """
    from server.deploy_check import check_on_board

    report = check_on_board(_read(model).data, board=board, backend=backend, samples=samples)
    if as_json:
        print_json(report)
    else:
        print_table(["what", "value"], [[name, value] for name, value in report.items()])
    return int(ExitCode.OK if report["agrees"] else ExitCode.FAILED)


@app.command()
def build(
    core: Annotated[
        list[str] | None, typer.Option(help="Such as m4f or m33; repeat. All by default.")
    ] = None,
    toolchain: Annotated[str, typer.Option(help="zig or gcc.")] = "zig",
    out: Annotated[
        Path | None, typer.Option(help="Folder; by default the images' own (gcc: firmware/).")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare bytes, write nothing.")] = False,
) -> int:
    """Build the firmware images, or check that a rebuild gives the same bytes.

    Example: tinyfleet sim build --check
    """
    from firmware_sim import build as builder

    if check and (core is not None or out is not None or toolchain != "zig"):
        raise UsageError("--check rebuilds all shipped images with zig.", hint="--check alone")
    if check:
        different = builder.check_images()
        for name in different:
            typer.echo(f"{name}: a rebuild gives other bytes", err=True)
        typer.echo("the images are what the sources give" if not different else "images differ")
        return int(ExitCode.FAILED if different else ExitCode.OK)
    if core is None and out is None and toolchain == "zig":
        built = builder.build_all()
    else:
        kind = cast(Literal["zig", "gcc"], toolchain)
        folder = out or Path("firmware")
        built = [
            builder.build_image(name, kind, folder / f"tinyfleet-{name}.elf")
            for name in core or builder.CORES
        ]
    for path in built:
        typer.echo(f"{path}  {path.stat().st_size} bytes")
    return int(ExitCode.OK)


@app.command()
def bench(
    core: Annotated[
        list[str] | None, typer.Option(help="Such as m4f or m3; repeat. All by default.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Measure the shipped firmware: instructions, RAM and flash, beside their targets.

    Example: tinyfleet sim bench --core m4f
    """
    from server.bench import BENCH_BOARDS, figures
    from server.figures import show

    met = show(figures(core or tuple(BENCH_BOARDS)), typer.echo, as_json=as_json)
    return int(ExitCode.OK if met else ExitCode.FAILED)


@app.command()
def trace(
    model: Annotated[Path, typer.Argument(help="A .tflite file.")],
    board: Annotated[str, typer.Option(help="Board to run on (see: sim boards).")] = "nano33ble",
    samples: Annotated[int, typer.Option(min=1, help="Steps or predictions.")] = 20,
    predict: Annotated[bool, typer.Option("--predict", help="Predict instead of learn.")] = False,
    arithmetic: Annotated[str, typer.Option(help="mul_add or fma.")] = "mul_add",
    as_json: AsJson = False,
) -> None:
    """Count the instructions of a training step (or prediction), function by function.

    Example: tinyfleet sim trace model.tflite --board nano33ble
    """
    from server.trace_report import trace_model

    report = trace_model(
        _read(model).data, board=board, samples=samples, predict=predict, arithmetic=arithmetic
    )
    if as_json:
        print_json(report.as_dict())
        return
    rows = [
        [f["function"], f["calls"], f["instructions"], f"{f['share']:.1%}"]
        for f in report.as_dict()["functions"]
    ]
    print_table(["function", "calls", "instructions", "share"], rows)
    for line in report.summary():
        typer.echo(line)


@app.command()
def plan(
    model: Annotated[Path, typer.Argument(help="A .tflite file.")],
    board: Annotated[
        list[str] | None, typer.Option(help="A board; repeat. All by default (see: sim boards).")
    ] = None,
    train_layers: Annotated[
        int, typer.Option(min=0, help="Train the last so many layers with weights; 0: all.")
    ] = 0,
    standardise: Annotated[
        bool, typer.Option("--standardise", help="With running statistics of the input.")
    ] = False,
    momentum: Annotated[
        bool, typer.Option("--momentum", help="With momentum, weight decay or clipping.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Plan a model's memory on boards before anything is sent: to predict, and to learn.

    Example: tinyfleet sim plan model.tflite --board microbit --board nano33ble
    """
    from dataclasses import asdict

    from firmware_sim.boards import BOARDS
    from firmware_sim.planner import plan_memory

    artifact = _read(model)
    plans = [
        plan_memory(
            artifact, name, train_layers=train_layers, standardise=standardise, momentum=momentum
        )
        for name in board or BOARDS
    ]
    if as_json:
        totals = [
            {"ram_infer": p.ram_infer, "ram_train": p.ram_train, "predicts": p.predicts,
             "learns": p.learns}
            for p in plans
        ]  # fmt: skip
        print_json([asdict(p) | t for p, t in zip(plans, totals, strict=True)])
        return
    rows = [
        [p.board, p.ram, p.ram_infer, p.predicts, p.ram_train, p.learns, p.slot, p.file]
        for p in plans
    ]
    heads = ["board", "RAM", "to predict", "predicts", "to learn", "learns", "slot", "file"]
    print_table(heads, rows)
    first = plans[0]
    typer.echo(
        f"bytes; {first.macs} multiply-accumulates a prediction; on {first.board}: stack "
        f"{first.stack}, variables {first.statics}, layers {first.table}, sample {first.sample}, "
        f"parameters {first.parameters}, optimiser {first.optimiser}, statistics "
        f"{first.statistics}, activations {first.activations_infer} to predict, "
        f"{first.activations_train} to learn"
    )


def _read(model: Path) -> "Artifact":
    """A model that boards know.

    Raises:
        UsageError: the file cannot be read.
        ArtifactError: it is broken, or no board runs it.
    """
    from edge.chain import UnsupportedOperator
    from server.model_file import model_bytes, read_model, to_tflite

    on_host = f"tinyfleet server rollout {model} --where NAME, the name of a Linux host"
    if model_bytes(model)[1] == ".onnx":
        raise ArtifactError(
            f"{model} is an ONNX model; .onnx runs on Linux hosts only, boards take .tflite.",
            hint=f"{to_tflite(model)}; or {on_host}",
        )
    artifact = read_model(model)
    try:
        _ = artifact.spec
    except UnsupportedOperator as error:
        said, hint = f"no board runs {model}: {error.message}", error.hint
        if artifact.front:
            said, hint = f"{said} A Linux host with a runtime for .tflite does.", on_host
        raise UnsupportedOperator(said, hint=hint) from error
    return artifact
