"""`tinyfleet broker`: a broker on loopback, for development and demos."""

import time
from typing import Annotated, Any, cast

import typer

app = typer.Typer(help="Start an MQTT broker on this machine.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Start an MQTT broker on this machine (loopback only)."""


@app.command()
def start(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port on 127.0.0.1; 0 picks a free one.")
    ] = 1883,
    kind: Annotated[str, typer.Option(help="mosquitto, amqtt, or auto.")] = "auto",
) -> None:
    """Start a broker on 127.0.0.1 and run it until Ctrl-C.

    Example: tinyfleet broker start --port 1883
    """
    from edge.broker import LocalBroker

    with LocalBroker(port=port, kind=cast(Any, kind)) as broker:
        typer.echo(f"{broker.kind} listens on mqtt://127.0.0.1:{broker.port} (Ctrl-C stops it)")
        while broker.running:
            time.sleep(0.2)
