"""`tinyfleet catalog watch` and `outbox`: what happens, and what is still to happen."""

import time
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from server.cli.access import ANONYMOUS, Access, with_access
from server.cli.catalog_folder import existing
from server.cli.options import (
    DEFAULT_BROKER,
    DEFAULT_CATALOG,
    AsJson,
    Broker,
    CatalogPath,
    print_json,
    print_table,
)

__all__ = ["outbox", "watch"]


def watch(
    catalog: CatalogPath = DEFAULT_CATALOG,
    interval: Annotated[float, typer.Option(min=0.05, help="Seconds between looks.")] = 1.0,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many; else never.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what happens in a catalogue, also while another process owns it.

    Example: tinyfleet catalog watch --catalog runs/latest/catalog
    """
    import json

    from ontology.catalog import Catalog
    from ontology.watch import Watcher

    watcher = Watcher(partial(Catalog.open, existing(catalog), read_only=True))
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        time.sleep(interval)
        for event in watcher.poll():
            if as_json:
                typer.echo(json.dumps(asdict(event)))
            else:
                clock = time.strftime("%H:%M:%S", time.localtime(event.time))
                typer.echo(f"{clock}  {event.kind:8}  {event.text}")


@with_access
def outbox(
    catalog: CatalogPath = DEFAULT_CATALOG,
    send: Annotated[bool, typer.Option("--send", help="Send what is left, and settle it.")] = False,
    broker: Broker = DEFAULT_BROKER,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each device.")] = 30.0,
    access: Access = ANONYMOUS,
    as_json: AsJson = False,
) -> None:
    """Show orders to deploy that are not settled; send them after an interrupted rollout.

    Example: tinyfleet catalog outbox --catalog runs/latest/catalog --send
    """
    from ontology.catalog import Catalog
    from ontology.outbox import Outbox

    if send:
        from server.rollout import resume

        link = access.to(broker)
        with Catalog.open(existing(catalog)) as opened:
            done = resume(opened, link, timeout=timeout)
        rows = [[d.device, d.model[:12], "yes" if d.ok else "no", d.reason] for d in done]
        facts: list[dict[str, object]] = [asdict(d) for d in done]
        head = ["device", "model", "runs", "why not"]
    else:
        with Catalog.open(existing(catalog), read_only=True) as opened:
            orders = Outbox(opened).pending()
        rows = [[order.device, order.model[:12], order.at] for order in orders]
        facts = [asdict(order) for order in orders]
        head = ["device", "model", "ordered"]
    if as_json:
        print_json(facts)
    elif rows:
        print_table(head, rows)
    else:
        typer.echo("nothing is waiting")
