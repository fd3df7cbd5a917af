"""`tinyfleet sim`: boards, emulated microcontrollers, deployment and firmware images."""

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from edge.errors import ExitCode, UsageError
from server.cli.options import (
    DEFAULT_BROKER,
    AsJson,
    Broker,
    CaFile,
    CertFile,
    KeyFile,
    Password,
    Site,
    Username,
    broker_options,
    print_json,
    print_table,
)

app = typer.Typer(
    help="Emulated microcontrollers: run them, deploy to them, build their firmware.",
    no_args_is_help=True,
)

Backend = Annotated[str, typer.Option(help="Emulator: unicorn or qemu.")]


@app.command()
def boards(as_json: AsJson = False) -> None:
    """List the boards that can be emulated, with their memory.

    Example: tinyfleet sim boards
    """
    from dataclasses import asdict

    from firmware_sim.boards import BOARDS

    if as_json:
        print_json([asdict(board) for board in BOARDS.values()])
        return
    rows = [
        [b.name, b.core, b.flash // 1024, b.ram // 1024, b.clock_hz // 10**6, b.fpu, b.title]
        for b in BOARDS.values()
    ]
    print_table(["board", "core", "flash kB", "RAM kB", "MHz", "FPU", "name"], rows)


@app.command()
def run(
    board: Annotated[list[str], typer.Option(help="A board; repeat for more devices.")],
    task: Annotated[str, typer.Option(help="Task whose data the sensors give.")] = "characters",
    prefix: Annotated[str, typer.Option(help="Start of the device names.")] = "mcu",
    first_client: Annotated[int, typer.Option(help="Client whose data the first one owns.")] = 0,
    split: Annotated[str, typer.Option(help="train or test clients of the task.")] = "train",
    backend: Backend = "unicorn",
    seed: Annotated[int, typer.Option(help="Seed of the sensors.")] = 0,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    ca: CaFile = None,
    cert: CertFile = None,
    key: KeyFile = None,
    username: Username = None,
    password: Password = None,
) -> None:
    """Run emulated microcontrollers behind a gateway to MQTT until Ctrl-C.

    Example: tinyfleet sim run --board nano33ble --board pico --task characters
    """
    from server.emulated import EmulatedFleet, members

    options = broker_options(broker, ca, cert, key, username, password)
    fleet = members(board, prefix=prefix, first_client=first_client)
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
    backend: Backend = "unicorn",
    samples: Annotated[
        int, typer.Option(min=1, help="Random inputs to compare with the host.")
    ] = 20,
    as_json: AsJson = False,
) -> int:
    """Deploy a model to one emulated board and compare its answers with the host's.

    Example: tinyfleet sim deploy model.tflite --board stm32f4-discovery
    """
    from server.deploy_check import check_on_board

    try:
        data = model.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {model}: {error.strerror}.", hint="the path of a .tflite file"
        ) from error
    report = check_on_board(data, board=board, backend=backend, samples=samples)
    if as_json:
        print_json(report)
    else:
        print_table(["what", "value"], [[name, value] for name, value in report.items()])
    return int(ExitCode.OK if report["agrees"] else ExitCode.FAILED)


@app.command()
def build(
    core: Annotated[
        list[str] | None, typer.Option(help="m0, m3, m4f or m7; repeat. All by default.")
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
