"""`tinyfleet edge`: the agent of a Linux device, and the gateway for boards on a serial line."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.errors import ExitCode, UsageError
from edge.keeping import KEEP_EVERY
from server.cli.access import ANONYMOUS, Access, with_access
from server.cli.options import (
    DEFAULT_BROKER,
    Broker,
    Site,
)

if TYPE_CHECKING:
    from edge.gateway import Gateway
    from edge.mqtt import BrokerOptions
    from edge.ports import Sensor
    from edge.session import DeviceSession

app = typer.Typer(help="Agents: what runs on a device or beside it.", no_args_is_help=True)

Device = Annotated[str, typer.Option("--id", envvar="TINYFLEET_ID", help="Name of this device.")]
State = Annotated[
    Path,
    typer.Option(
        "--state",
        envvar="TINYFLEET_STATE",
        help="Folder that keeps the model and what it learnt, for one agent.",
    ),
]
KeepEvery = Annotated[
    float,
    typer.Option(
        "--keep-every", min=0, help="Seconds of learning that a crash may lose; 0: write each step."
    ),
]


@app.command()
@with_access
def run(
    device: Device,
    samples: Annotated[
        str,
        typer.Option(
            envvar="TINYFLEET_SAMPLES",
            help="FILE.npz with x and y, FILE.csv, '-' for JSON lines, mqtt:TOPIC, iio:device0, or "
            "task:NAME:CLIENT.",
        ),
    ],
    state: State = Path("tinyfleet-state"),
    keep_every: KeepEvery = KEEP_EVERY,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> None:
    """Run the agent of this Linux device until Ctrl-C.

    Example: tinyfleet edge run --id gateway-1 --samples samples.npz
    """
    from edge.agent import run_agent

    options = access.to(broker)
    sensor = _sensor(samples, options)
    with _events():
        told = run_agent(
            options,
            site=site,
            device=device,
            sensor=sensor,
            state=state,
            keep_every=keep_every,
            on_ready=lambda session: say_online(session, options),
        )
    if not told:
        raise KeyboardInterrupt


@app.command()
@with_access
def status(
    device: Device,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> None:
    """Say whether a device is online; exit code 1 if it is not.

    Example: tinyfleet edge status --id gateway-1
    """
    from edge.presence import state_of
    from edge.topics import DeviceTopics

    options = access.to(broker)
    state = state_of(options, DeviceTopics(site, device))
    if state is None:
        typer.echo(f"{device} has never been online at {options.address}, site {site}")
        raise typer.Exit(ExitCode.FAILED)
    model = f"model {state.running[:12]}" if state.running else "no model yet"
    typer.echo(f"{device} is {state.status} at {options.address}, site {site}, {model}")
    raise typer.Exit(ExitCode.OK if state.status == "online" else ExitCode.FAILED)


@app.command()
@with_access
def gateway(
    port: Annotated[
        list[str], typer.Option(help="NAME=PORT, such as mcu-1=/dev/ttyACM0; repeat for more.")
    ],
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> None:
    """Connect boards on serial ports to MQTT until Ctrl-C.

    Example: tinyfleet edge gateway --port mcu-1=/dev/ttyACM0
    """
    from edge.gateway import run_gateway

    ports = {}
    for entry in port:
        name, separator, path = entry.partition("=")
        if not (name and separator and path):
            raise UsageError(f"--port {entry!r} is not NAME=PORT.", hint="mcu-1=/dev/ttyACM0")
        ports[name] = path
    options = access.to(broker)

    def ready(running: "Gateway") -> None:
        for session in running.sessions.values():
            say_online(session, options)

    with _events():
        run_gateway(options, site=site, ports=ports, on_ready=ready)


@contextmanager
def _events() -> Iterator[None]:
    """Say on stderr, a line each, what devices learn, run and refuse, and when samples end."""
    logger, handler = logging.getLogger("tinyfleet"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def say_online(session: "DeviceSession", options: "BrokerOptions") -> None:
    """Say on stderr which device is online, where, and with which model."""
    topics, running = session.topics, session.worker.running
    model = f"model {running[:12]}" if running else "no model yet"
    where = f"{topics.device} is online at {options.address}, site {topics.site}"
    typer.echo(f"{where}, {model} (Ctrl-C stops)", err=True)


def _sensor(source: str, options: "BrokerOptions") -> "Sensor":
    if source.startswith("task:"):
        from server.emulated import check_client, task_sensor

        name, _, client = source.removeprefix("task:").partition(":")
        if not client.isdigit():
            raise UsageError(f"{source!r} is not task:NAME:CLIENT.", hint="task:characters:6")
        check_client(name, int(client))
        return task_sensor(name, client=int(client))
    from edge.sources import open_source

    return open_source(source, options)
