"""`tinyfleet server rollout`: a model onto devices, over MQTT."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.errors import ExitCode
from server.cli.access import ANONYMOUS, Access, with_access
from server.cli.options import DEFAULT_BROKER, AsJson, Broker, Site, print_json, print_table

if TYPE_CHECKING:
    from server.rollout import Deployment


@with_access
def rollout(
    model: Annotated[Path, typer.Argument(help="A .tflite or .onnx to deploy.")],
    where: Annotated[
        str, typer.Option(help="A .rq file or named query that gives `device`; or names, by comma.")
    ],
    catalog: Annotated[
        Path | None,
        typer.Option(help="Catalogue to ask and to tell; else that of the run the model lies in."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for each device.")] = 30.0,
    as_json: AsJson = False,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> int:
    """Deploy a model over MQTT to the devices that a query gives.

    Example: tinyfleet server rollout model.tflite --where mcu-1,mcu-2
    """
    outcomes = _rolled_out(model, where, access.to(broker), catalog, site=site, timeout=timeout)
    if as_json:
        print_json([vars(entry) for entry in outcomes])
    else:
        rows = [[o.device, "yes" if o.ok else "no", o.reason] for o in outcomes]
        print_table(["device", "runs it now", "reason"], rows)
    done = bool(outcomes) and all(entry.ok for entry in outcomes)
    return int(ExitCode.OK if done else ExitCode.FAILED)


def _rolled_out(
    model: Path, where: str, link: Any, catalog: Path | None, **how: Any
) -> "list[Deployment]":
    """Roll out, and tell the catalogue that was named; else that of the model's run, if it can."""
    from ontology.store import CatalogBusy
    from server.cli.catalog_folder import located
    from server.reach import is_query
    from server.rollout import roll_out
    from server.run import RunFolder

    if catalog is not None:
        return roll_out(model, where, link, catalog=located(catalog), **how)
    run = RunFolder.around(model)
    try:
        return roll_out(model, where, link, catalog=run.catalog if run else None, **how)
    except CatalogBusy as error:  # before anything was sent
        if is_query(where):
            raise
        outcomes = roll_out(model, where, link, catalog=None, **how)
        typer.echo(f"not noted in the run's catalogue: {error.message}", err=True)
        return outcomes
