"""Queries that are malformed, that write, or that reach out are refused before the engine."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ExitCode, QueryError, UsageError
from ontology import gate
from ontology.catalog import Catalog
from ontology.terms import Iri, literal, written


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that notices whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


REACHING = [
    "SELECT * { SERVICE <URL> { ?s ?p ?o } }",
    "SELECT * { service silent <URL> { ?s ?p ?o } }",
    "SELECT * { SERVICESILENT<URL>{ ?s ?p ?o } }",
    "SELECT * { ?a ?b trueSERVICE<URL>{ ?s ?p ?o } }",
    "SELECT * { ?a ?b 1e5SERVICE<URL>{ ?s ?p ?o } }",
    "PREFIX : <URL> SELECT * { SERVICE:x{ ?s ?p ?o } }",
    "PREFIX : <URL> SELECT * { ?a ?b :c.SERVICE:x{ ?s ?p ?o } }",
    "SELECT * { ?a ?b ?c FILTER(?a<'>')SERVICE<URL>{?s ?p ?o} FILTER(?b<'') }",
    "SELECT * { <http://x/it's> ?p ?q SERVICE <URL> {?s ?p 'o'} }",
    "SELECT * { \\u0053ERVICE <URL> { ?s ?p ?o } }",
    'SELECT * { BIND("""a""b""" AS ?x) SERVICE <URL> {} }',
    "SELECT * { # a comment\n SERVICE <URL> {} }",
    "SELECT * FROM <URL> { ?s ?p ?o }",
    "SELECT * FROM NAMED <file:///etc/passwd> { GRAPH ?g { ?s ?p ?o } }",
    "LOAD <URL>",
]


@pytest.mark.parametrize("query", REACHING)
def test_nothing_reaches_out(catalog: Catalog, listener: socket.socket, query: str) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with pytest.raises(QueryError):
        catalog.query(query.replace("URL", url))
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    "update",
    ["INSERT DATA { <urn:a> <urn:b> 1 }", "DELETE WHERE { ?s ?p ?o }", "CLEAR ALL", "drop default"],
)
def test_nothing_is_written(catalog: Catalog, update: str) -> None:
    before = catalog.dump()
    with pytest.raises(QueryError, match=r"line 1, column 1: .* queries only read") as caught:
        catalog.query(update)
    assert catalog.dump() == before and caught.value.exit_code == ExitCode.BAD_QUERY


def test_harmless_words_pass(catalog: Catalog) -> None:
    catalog.query(
        "PREFIX ex: <http://x/#from> SELECT ?service ?load WHERE { ?service ex:service-from ?load ;"
        ' ex:a \'SERVICE \\\' FROM\' , """LOAD " <""" , <http://x/SERVICE> # SERVICE <x>\n }'
    )


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("SELECT * WHERE { ?s ?p }", "line 1, column 2"),
        ("SELECT *\nWHERE {\n  ?s ?p ?o", "line 3"),
        ("SELECT * {\n\n", "the query ends too early"),
        ("SELECT * { ?s ?p ] }", "at or just before '}'"),
        ("SELEC ?x {}", "line 1, column 1"),
        ("SELECT * { ?s nope:x ?o }", "line 1, column 15: the prefix nope: is not declared"),
        (
            "PREFIX a: <urn:a>\nSELECT * { ?s a:x ?o . _:b b:y 'c:d' }",
            "line 2, column 28: the prefix b:",
        ),
        ("PREFIX a: <urn:a> SELECT * { ?s a:x tf:y . ?s ?p }", "the query ends too early"),
    ],
)
def test_malformed_queries_show_where(catalog: Catalog, query: str, place: str) -> None:
    with pytest.raises(QueryError) as caught:
        catalog.query(query)
    assert place in caught.value.message and "^" in caught.value.message and caught.value.hint


def test_empty_and_long(catalog: Catalog) -> None:
    for query in ("", "# only a comment", "SELECT * {}" + " " * gate.MAX_BYTES):
        with pytest.raises(QueryError):
            catalog.query(query)


def test_too_many_rows_is_an_error_and_not_a_cut_answer(catalog: Catalog) -> None:
    assert len(catalog.query("SELECT * { ?s a tf:Device }", max_rows=3)) == 3
    with pytest.raises(QueryError, match="more than 2 rows"):
        catalog.query("SELECT * { ?s a tf:Device }", max_rows=2)


@pytest.mark.parametrize(
    "value",
    [
        "urn:a> . ?x ?y ?z } #",
        "urn:sha256:x> } ; DROP ALL #",
        '" } DROP ALL #',
        "urn:a\n",
        "nano-1' OR 1=1",
    ],
)
def test_parameters_inject_nothing(catalog: Catalog, value: str) -> None:
    before = catalog.dump()
    for name, key in (("models-for-device", "device"), ("lineage", "model")):
        with pytest.raises(UsageError):
            catalog.query(name, **{key: value})
    assert catalog.dump() == before


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_bound_text_comes_back_as_it_was(value: str) -> None:
    with Catalog.open() as catalog:
        query = gate.bind("SELECT ?y { BIND(STR($x) AS ?y) }", {"x": literal(value)})
        assert [row["y"] for row in catalog.query(query)] == [value]


def test_a_bad_iri_is_never_written() -> None:
    with pytest.raises(ValueError, match="not an IRI"):
        written(Iri("urn:a> ?x"))


def test_parameters_are_checked(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match=r"lacks 'device'.*device=…"):
        catalog.query("models-for-device")
    with pytest.raises(UsageError, match="does not know 'speed'"):
        catalog.query("fleet", speed=1)
    with pytest.raises(UsageError, match=r"who-runs-what.*Try: fleet"):
        catalog.query("flet")
    with pytest.raises(UsageError, match=r"no device.*'nano-9'.*Try: nano-"):
        catalog.query("models-for-device", device="nano-9")
    with pytest.raises(UsageError, match="no parameters"):
        catalog.query("SELECT * { ?s ?p ?o }", s="x")
