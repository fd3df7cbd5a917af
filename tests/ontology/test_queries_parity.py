"""Oracle: rdflib gives the same rows to the same named queries over the same triples."""

import csv
import io
import json

import pytest
import rdflib

from ontology import gate
from ontology.catalog import Catalog
from ontology.named import named_queries
from ontology.terms import Iri

PARAMETERS = {"device": "lab/nano-1", "family": "CHAR", "model": "characters", "site": "lab"}


def given(name: str) -> dict[str, str]:
    return {key: PARAMETERS[key] for key in named_queries()[name].parameters}


def value(term: object) -> object:
    if isinstance(term, rdflib.Literal):
        return term.toPython()
    return None if term is None else str(term)


def comparable(rows: list[list[object]]) -> list[list[str]]:
    return [[v.isoformat() if hasattr(v, "isoformat") else repr(v) for v in row] for row in rows]


@pytest.mark.parametrize("name", sorted(named_queries()))
def test_rdflib_gives_the_same_rows(catalog: Catalog, name: str) -> None:
    graph = rdflib.Graph().parse(data=catalog.dump(), format="nt")
    query = named_queries()[name]
    bound = {key: catalog._bind(p.kind, PARAMETERS[key]) for key, p in query.parameters.items()}
    theirs = graph.query(gate.bind(query.text, bound))
    ours = catalog.query(name, **given(name))
    assert [str(v) for v in theirs.vars or []] == list(ours.columns)
    assert len(ours) > 0
    parsed = [
        [
            value(rdflib.URIRef(t) if isinstance(t, Iri) else None if t is None else
                  rdflib.Literal(t.text, datatype=t.datatype))
            for t in row
        ]
        for row in ours.rows
    ]  # fmt: skip
    expected = [[value(term) for term in row] for row in theirs]
    one, two = comparable(parsed), comparable(expected)
    if query.text.rstrip().endswith("}"):  # no order is promised
        one, two = sorted(one), sorted(two)
    assert one == two


@pytest.mark.parametrize("name", sorted(named_queries()))
def test_json_and_csv_are_valid(catalog: Catalog, name: str) -> None:
    result = catalog.query(name, **given(name))
    answer = json.loads(result.to_json())
    assert answer["head"]["vars"] == list(result.columns)
    assert len(answer["results"]["bindings"]) == len(result)
    rdf = rdflib.query.Result.parse(io.BytesIO(result.to_json().encode()), format="json")
    assert len(list(rdf)) == len(result)
    lines = list(csv.reader(io.StringIO(result.to_csv(), newline="")))
    assert lines[0] == list(result.columns) and len(lines) == len(result) + 1
    table = result.to_table().splitlines()
    assert len(table) == len(result) + 2 and table[0].split() == list(result.columns)


def column(catalog: Catalog, query: str, name: str, **parameters: str) -> list[object]:
    return [row[name] for row in catalog.query(query, **parameters)]


def test_what_the_queries_say(catalog: Catalog, sha: dict[str, str]) -> None:
    device = "urn:tinyfleet:lab:"
    assert column(catalog, "models-for-device", "name", device="bit") == ["characters-int8"]
    assert column(catalog, "models-for-device", "trains", device="nano-1") == [True] * 3 + [False]
    assert column(catalog, "cohort", "device", model="characters") == [device + "nano-1"]
    trains = column(catalog, "devices-for-model", "trains", model=sha["v0"])
    assert sorted(trains, key=str) == [False, True]
    assert column(catalog, "stale", "device") == [device + "nano-2"]
    assert column(catalog, "stale", "newest") == ["urn:sha256:" + sha["v2"]]
    ancestors = column(catalog, "lineage", "ancestor", model="characters-int8")
    assert ancestors == ["urn:sha256:" + sha[name] for name in ("int8", "v1", "v0")]
    reasons = column(catalog, "contributors", "reason", model=sha["v1"])
    assert reasons == [None, "late"]
    assert column(catalog, "fleet", "online") == [False, True, True]
