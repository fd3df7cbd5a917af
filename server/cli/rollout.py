"""`tinyfleet server rollout`: a model onto devices, over MQTT."""

from pathlib import Path
from typing import Annotated

import typer

from edge.errors import ExitCode
from server.cli.access import ANONYMOUS, Access, with_access
from server.cli.options import DEFAULT_BROKER, AsJson, Broker, Site, print_json, print_table


@with_access
def rollout(
    model: Annotated[Path, typer.Argument(help="A .tflite to deploy.")],
    where: Annotated[
        str, typer.Option(help="A .rq file or named query that gives `device`; or names, by comma.")
    ],
    catalog: Annotated[Path | None, typer.Option(help="Catalogue to ask and to tell.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each device.")] = 30.0,
    as_json: AsJson = False,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> int:
    """Deploy a model over MQTT to the devices that a query gives.

    Example: tinyfleet server rollout model.tflite --where mcu-1,mcu-2
    """
    from server.rollout_where import roll_out

    link = access.to(broker)
    outcomes = roll_out(model, where, link, site=site, catalog=catalog, timeout=timeout)
    if as_json:
        print_json([vars(entry) for entry in outcomes])
    else:
        rows = [[o.device, "yes" if o.ok else "no", o.reason] for o in outcomes]
        print_table(["device", "runs it now", "reason"], rows)
    done = bool(outcomes) and all(entry.ok for entry in outcomes)
    return int(ExitCode.OK if done else ExitCode.FAILED)
