"""What the pages show, asked of the catalogue in SPARQL."""

from typing import Any

from edge.errors import UsageError
from ontology import resolve
from ontology.catalog import Catalog
from ontology.gate import bind
from ontology.namespaces import DCT, MODEL_PREFIX, RDF, TD, TF, shorten
from ontology.terms import Iri, Literal, python

__all__ = ["PAGE", "device_view", "fleet_view", "model_view", "models_view"]

PAGE = 100
_MANY = 50
_SUMMARY = """SELECT
  (COUNT(?device) AS ?devices) (SUM(IF(?on, 1, 0)) AS ?online) (COUNT(?model) AS ?running)
WHERE { ?device a tf:Device OPTIONAL { ?device tf:online ?state }
  OPTIONAL { ?device tf:running ?model }
  BIND(COALESCE(?state, false) AS ?on) }"""
_MODEL_COUNT = "SELECT (COUNT(*) AS ?count) WHERE { ?model a tf:Model }"
_CORES = """SELECT ?core ?board (COUNT(*) AS ?devices) WHERE {
  ?device a tf:Device OPTIONAL { ?device tf:core ?core } OPTIONAL { ?device tf:board ?board } }
GROUP BY ?core ?board ORDER BY DESC(?devices) ?core ?board LIMIT 20"""
_RUNS = """SELECT ?model ?name ?devices WHERE {
  { SELECT ?model (COUNT(*) AS ?devices) WHERE { ?device tf:running ?model } GROUP BY ?model }
  OPTIONAL { ?model dct:title ?name } }
ORDER BY DESC(?devices) ?name ?model LIMIT 20"""
_ROUNDS = """SELECT ?run ?round ?strategy ?contributors ?samples ?ended WHERE {
  ?it a tf:Round ; tf:run ?run ; tf:roundNumber ?round ; prov:endedAtTime ?ended
  OPTIONAL { ?it tf:strategy ?strategy } OPTIONAL { ?it tf:contributorCount ?contributors }
  OPTIONAL { ?it tf:sampleCount ?samples } }
ORDER BY DESC(?ended) LIMIT 10"""
_DEPLOYMENTS = """SELECT ?time ?device ?model ?name ?succeeded ?reason WHERE {
  ?it a tf:Deployment ; tf:deployedTo ?device ; prov:used ?model ; prov:endedAtTime ?time ;
    tf:succeeded ?succeeded
  OPTIONAL { ?model dct:title ?name } OPTIONAL { ?it tf:reason ?reason } }
ORDER BY DESC(?time) ?device LIMIT 10"""
_DEVICES = """SELECT ?device ?title ?board ?core ?arenaBytes ?online ?model ?name WHERE {
  { SELECT ?device WHERE { ?device a td:Thing } ORDER BY ?device LIMIT 100 OFFSET %d }
  OPTIONAL { ?device td:title ?title } OPTIONAL { ?device tf:board ?board }
  OPTIONAL { ?device tf:core ?core } OPTIONAL { ?device tf:arenaBytes ?arenaBytes }
  OPTIONAL { ?device tf:online ?online }
  OPTIONAL { ?device tf:running ?model OPTIONAL { ?model dct:title ?name } } }
ORDER BY ?device"""
_OF_DEVICE = """SELECT ?time ?model ?name ?succeeded ?reason WHERE {
  ?it tf:deployedTo ?device ; a tf:Deployment ; prov:used ?model ; prov:endedAtTime ?time ;
    tf:succeeded ?succeeded
  OPTIONAL { ?model dct:title ?name } OPTIONAL { ?it tf:reason ?reason } }
ORDER BY DESC(?time) LIMIT 20"""
_MODELS = """SELECT ?model ?name ?dataType ?bytes ?macs ?trainingBytes WHERE {
  { SELECT ?model WHERE { ?model a tf:Model } ORDER BY ?model LIMIT 100 OFFSET %d }
  OPTIONAL { ?model dct:title ?name } OPTIONAL { ?model tf:dataType ?dataType }
  OPTIONAL { ?model dcat:byteSize ?bytes }
  OPTIONAL { ?model nnet:hasMultiplyAccumulateOps ?macs }
  OPTIONAL { ?model tf:trainingBytes ?trainingBytes } }
ORDER BY ?name ?model"""
_METRICS = """SELECT ?name ?value ?dataset ?split ?low ?high WHERE {
  ?model tf:metric ?it . ?it tf:metricName ?name ; tf:metricValue ?value
  OPTIONAL { ?it tf:dataset ?dataset } OPTIONAL { ?it tf:split ?split }
  OPTIONAL { ?it tf:confidenceLow ?low } OPTIONAL { ?it tf:confidenceHigh ?high } }
ORDER BY ?name"""
_RUN_BY = """SELECT ?device ?online WHERE {
  ?device tf:running ?model OPTIONAL { ?device tf:online ?online } }
ORDER BY ?device LIMIT 50"""
_RUN_COUNT = "SELECT (COUNT(*) AS ?count) WHERE { ?device tf:running ?model }"

Row = dict[str, Any]


def fleet_view(catalog: Catalog, offset: int) -> dict[str, Any]:
    """The overview: how many of what, what runs, the latest rounds and deployments, devices."""
    things = _rows(catalog, "SELECT (COUNT(*) AS ?count) WHERE { ?thing a td:Thing }")
    return {
        "summary": _rows(catalog, _SUMMARY)[0],
        "model_count": _rows(catalog, _MODEL_COUNT)[0]["count"],
        "things": things[0]["count"],
        "cores": _rows(catalog, _CORES),
        "runs": _rows(catalog, _RUNS),
        "rounds": _rows(catalog, _ROUNDS),
        "deployments": _rows(catalog, _DEPLOYMENTS),
        "devices": _rows(catalog, _DEVICES % offset),
        "offset": offset,
        "page": PAGE,
    }


def device_view(catalog: Catalog, name: str) -> dict[str, Any]:
    """One device: its facts, what fits it, what was put on it, and its Thing Description.

    Raises:
        UsageError: no device has the name.
    """
    device = resolve.device(catalog.store, name)
    if not any(catalog.store.match(device, RDF + "type", Iri(TD + "Thing"))):
        raise UsageError(f"{shorten(device)} is not in the catalogue.")
    facts = catalog.facts(device)
    fits = []
    if TF + "arenaBytes" in facts and TF + "slotBytes" in facts:
        fits = list(catalog.query("models-for-device", device=device, max_rows=1 << 30))
    return {
        "device": device,
        "title": _first(facts, TD + "title") or shorten(device),
        "facts": _told(facts, TF),
        "online": _first(facts, TF + "online"),
        "since": _first(facts, TF + "statusSince"),
        "running": _first(facts, TF + "running"),
        "fits": fits[:_MANY],
        "fit_count": len(fits),
        "deployments": _rows(catalog, bind(_OF_DEVICE, {"device": device})),
        "description": catalog.get_thing(device),
    }


def models_view(catalog: Catalog, offset: int) -> dict[str, Any]:
    """All models, page by page."""
    return {
        "models": _rows(catalog, _MODELS % offset),
        "count": _rows(catalog, _MODEL_COUNT)[0]["count"],
        "offset": offset,
        "page": PAGE,
    }


def model_view(catalog: Catalog, name: str) -> dict[str, Any]:
    """One model: its facts, its metrics, and who runs it.

    Raises:
        UsageError: no model has the name.
    """
    model = resolve.model(catalog.store, name)
    facts = catalog.facts(model)
    if not facts:
        raise UsageError(f"{shorten(model)} is not in the catalogue.")
    return {
        "model": model,
        "digest": model.removeprefix(MODEL_PREFIX),
        "title": _first(facts, DCT + "title") or shorten(model),
        "facts": _told(facts, ""),
        "metrics": _rows(catalog, bind(_METRICS, {"model": model})),
        "runners": _rows(catalog, bind(_RUN_BY, {"model": model})),
        "runner_count": _rows(catalog, bind(_RUN_COUNT, {"model": model}))[0]["count"],
    }


def _rows(catalog: Catalog, text: str) -> list[Row]:
    return list(catalog.query(text, max_rows=1 << 30))


def _first(facts: dict[str, list[Any]], predicate: str) -> Any:
    values = facts.get(predicate)
    if not values:
        return None
    return python(values[0]) if isinstance(values[0], Literal) else values[0]


def _told(facts: dict[str, list[Any]], namespace: str) -> list[tuple[str, str]]:
    """Facts that a person reads: plain values and names, not the nodes below."""
    found = []
    for predicate, values in sorted(facts.items()):
        texts = [
            str(python(v)) if isinstance(v, Literal) else shorten(v)
            for v in values
            if isinstance(v, Literal) or "#" not in shorten(v)
        ]
        if predicate.startswith(namespace) and texts:
            found.append((shorten(predicate), ", ".join(sorted(texts))))
    return found
