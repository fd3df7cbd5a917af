"""`tinyfleet catalog match`: what fits where, ranked, and why not."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.errors import UsageError
from server.cli.catalog_folder import existing
from server.cli.options import DEFAULT_CATALOG, AsJson, CatalogPath, print_json, print_table

if TYPE_CHECKING:
    from ontology.match import Match

__all__ = ["match"]


def match(
    model: Annotated[
        str | None, typer.Option(help="Name or SHA-256 of a model: where does it fit?")
    ] = None,
    device: Annotated[str | None, typer.Option(help="A device: what fits it?")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show every condition with both values.")
    ] = False,
    predict_ms: Annotated[
        float | None, typer.Option(help="Most milliseconds of a prediction, from instructions.")
    ] = None,
    train_ms: Annotated[
        float | None, typer.Option(help="Most milliseconds of a training step.")
    ] = None,
    licence: Annotated[
        list[str] | None, typer.Option(help="SPDX licence that the model may have; again: or.")
    ] = None,
    connectivity: Annotated[
        list[str] | None, typer.Option(help="The device must have it, such as wifi; again: and.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most pairs to show.")] = 100,
    catalog: CatalogPath = DEFAULT_CATALOG,
    as_json: AsJson = False,
) -> None:
    """Say what fits where, best first, and why not.

    Example: tinyfleet catalog match --device mcu-1 --explain --catalog runs/latest/catalog
    """
    from ontology.catalog import Catalog
    from ontology.match import Wishes, fits

    if model is None and device is None:
        raise UsageError("neither a model nor a device is given.", hint="--device mcu-1")
    wishes = Wishes(
        predict_ms=predict_ms,
        train_ms=train_ms,
        licences=tuple(licence or ()),
        connectivity=tuple(connectivity or ()),
    )
    with Catalog.open(existing(catalog), read_only=True) as opened:
        found = fits(opened, model=model, device=device, wishes=wishes)
    shown = found[:limit]
    if as_json:
        print_json([_facts(entry, explain) for entry in shown])
    elif explain:
        for entry in shown:
            typer.echo(_explained(entry))
    else:
        rows = [
            [m.device, m.model[:23], _yes(m.runs), _yes(m.trains), "; ".join(m.reasons)]
            for m in shown
        ]
        print_table(["device", "model", "runs", "trains", "why not"], rows)
    if len(found) > limit and not as_json:
        typer.echo(f"{len(found) - limit} more pairs are not shown; --limit {len(found)}")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _explained(match: "Match") -> str:
    lines = [f"{match.model} on {match.device}: {match.verdict}"]
    for one in match.conditions:
        values = ["unknown" if v is None else str(v) for v in (one.needed, one.available)]
        text = f"{one.name}: needs {values[0]}, has {values[1]}"
        why = f" ({one.reason})" if one.reason and not one.holds else ""
        lines.append(f"  {'holds' if one.holds else 'FAILS'}  {text}{why}")
    return "\n".join(lines)


def _facts(match: "Match", explain: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "device": match.device,
        "model": match.model,
        "runs": match.runs,
        "trains": match.trains,
        "reasons": list(match.reasons),
    }
    if explain:
        facts["conditions"] = [vars(condition) for condition in match.conditions]
    return facts
