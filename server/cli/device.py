"""`tinyfleet server device`: evaluate, predict, watch or roll back on devices, over MQTT."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.errors import ExitCode
from server.cli.access import ANONYMOUS, Access, with_access
from server.cli.options import DEFAULT_BROKER, AsJson, Broker, Site, print_json, print_table

if TYPE_CHECKING:
    from edge.messages import Command
    from edge.mqtt import BrokerOptions
    from server.asking import Answer

app = typer.Typer(
    help="Ask devices: how good their model is, what it answers; watch, roll back.",
    no_args_is_help=True,
)

Where = Annotated[
    str, typer.Option(help="Names, by comma; or a .rq file or named query that gives `device`.")
]
CatalogToAsk = Annotated[
    Path | None, typer.Option("--catalog", help="Catalogue to ask and to tell.")
]
Timeout = Annotated[float, typer.Option(min=0, help="Seconds to wait for the answers.")]
Columns = dict[str, Callable[["Answer"], Any]]
_DIGEST = 12


@app.command()
@with_access
def evaluate(
    where: Where,
    samples: Annotated[int, typer.Option(min=1, help="Own samples to measure on.")] = 100,
    catalog: CatalogToAsk = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> int:
    """Measure the model as it is now on each device's own samples, without learning from them.

    The loss is the mean, over the samples that have a label; `right` counts classes, and is 0 in a
    regression.

    Example: tinyfleet server device evaluate --where mcu-1,pi-1 --samples 50
    """
    from edge.messages import Command

    command = Command("evaluate", "", samples=samples)
    found = _asked(where, command, access.to(broker), catalog, site, timeout)
    return _show(
        found,
        {
            "samples": lambda one: one.result["samples"],
            "loss": lambda one: _number(one.result["loss"]),
            "right": lambda one: one.result["correct"],
        },
        as_json,
    )


@app.command()
@with_access
def predict(
    where: Where,
    samples: Annotated[
        Path, typer.Option(help="Inputs: an .npz with x, or a .csv as of `edge run`.")
    ],
    count: Annotated[int, typer.Option(min=1, help="So many of them, from the first.")] = 10,
    catalog: CatalogToAsk = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> int:
    """Send inputs to devices and print what their model answers; nothing is learnt.

    With several outputs the index of the largest is printed; if the file has classes, whether it
    is right.

    Example: tinyfleet server device predict --where mcu-1 --samples samples.npz --count 3
    """
    from edge.messages import Command
    from server.cli.predictions import prediction_table
    from server.tasks.samples import read_samples

    given = read_samples(samples, labels=False)
    x, y = given.x[:count], given.y[:count]
    found = _asked(where, Command("predict", "", x=x), access.to(broker), catalog, site, timeout)
    if as_json:
        return _show(found, {}, as_json)
    print_table(*prediction_table(found, y))
    return _code(found)


@app.command()
@with_access
def watch(
    where: Where,
    samples: Annotated[int, typer.Option(min=1, help="Own samples to look at.")] = 200,
    rate: Annotated[float, typer.Option(min=0, help="SGD rate while learning.")] = 0.01,
    train_layers: Annotated[
        int, typer.Option(min=0, help="Learn the last so many layers; 0: all.")
    ] = 0,
    standardise: Annotated[
        bool, typer.Option("--standardise", help="Standardise inputs on the device.")
    ] = False,
    warm_up: Annotated[
        int | None, typer.Option(help="Losses seen before it judges, else 100.")
    ] = None,
    allowance: Annotated[
        float | None,
        typer.Option(help="A rise that is no drift, in standard deviations, else 0.5."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Summed rise beyond it that is one, in standard deviations, else 20."),
    ] = None,
    most: Annotated[
        int | None, typer.Option(help="Samples learnt from one drift at most, else 500.")
    ] = None,
    catalog: CatalogToAsk = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> int:
    """Have devices infer on their own samples, and learn only while their losses have drifted.

    Weights and monitor go on from the last time, if the options but for --samples are as then.

    Example: tinyfleet server device watch --where pi-1 --samples 500 --rate 0.01
    """
    from edge.messages import Command, Plan
    from edge.stepping import Watching

    options = {
        "warm_up": warm_up, "allowance": allowance, "threshold": threshold, "most": most,
    }  # fmt: skip
    watching: dict[str, Any] = {k: value for k, value in options.items() if value is not None}
    Watching(**watching)  # refuses here what every device would
    plan = Plan("watch", rate, samples, train_layers=train_layers, standardise=standardise)
    command = Command(
        "watch", "", samples=samples, plan=plan,
        watching={k: float(value) for k, value in watching.items()} or None,
    )  # fmt: skip
    found = _asked(where, command, access.to(broker), catalog, site, timeout)
    return _show(
        found,
        {
            "samples": lambda one: one.result["samples"],
            "unlabelled": lambda one: one.result["unlabelled"],
            "learnt": lambda one: one.result["learnt"],
            "drifts": lambda one: one.result["drifts"],
            "drifting": lambda one: "yes" if one.result["drifting"] else "no",
            "loss": lambda one: _number(one.result["loss_mean"]),
            "last loss": lambda one: _number(one.result["loss_last"]),
        },
        as_json,
    )


@app.command()
@with_access
def rollback(
    where: Where,
    catalog: CatalogToAsk = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
    broker: Broker = DEFAULT_BROKER,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> int:
    """Have devices go back to the model before the present one; what was learnt since is lost.

    Example: tinyfleet server device rollback --where mcu-1,mcu-2
    """
    from edge.messages import Command

    found = _asked(where, Command("rollback", ""), access.to(broker), catalog, site, timeout)
    if catalog is None and any(one.ok for one in found):
        typer.echo(
            "no catalogue was told what they run now; the next command with --catalog, such as"
            " `device evaluate --catalog runs/latest/catalog`, tells it",
            err=True,
        )
    return _show(found, {"rolled back": lambda one: "yes"}, as_json)


def _asked(
    where: str, command: "Command", link: "BrokerOptions", catalog: Path | None, site: str,
    timeout: float,
) -> "list[Answer]":  # fmt: skip
    from server.asking import ask_site
    from server.cli.catalog_folder import located

    place = None if catalog is None else located(catalog)
    return ask_site(where, command, link, site=site, catalog=place, timeout=timeout)


def _show(found: "list[Answer]", columns: Columns, as_json: bool) -> int:
    """Print a row for each device; where it did not do it, its reason in place of the figures."""
    if as_json:
        print_json([_document(one) for one in found])
    else:
        rows = [
            [one.device, _short(one.model)]
            + [column(one) if one.ok else "-" for column in columns.values()]
            + [one.reason]
            for one in found
        ]
        print_table(["device", "model", *columns, "reason"], rows)
    return _code(found)


def _code(found: "list[Answer]") -> int:
    return int(ExitCode.OK if all(one.ok for one in found) else ExitCode.FAILED)


def _document(one: "Answer") -> dict[str, Any]:
    known = {"device": one.device, "ok": one.ok, "reason": one.reason, "model": one.model}
    return known | dict(one.result) | ({} if one.y is None else {"y": one.y.tolist()})


def _number(value: Any) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"


def _short(digest: str | None) -> str:
    return "-" if digest is None else digest[:_DIGEST]
