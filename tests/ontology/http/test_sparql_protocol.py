"""The protocol tests of W3C's SPARQL 1.1 suite (data-sparql11/protocol), by their names.

Not for us: the tests with `dataset` in their names need named graphs, and the catalogue is one
graph; a dataset that is asked for is refused instead, see `test_datasets_are_refused`.
`update_base_uri` and `bad_update_dataset_conflict` write to named graphs too.
"""

import csv
import io
import xml.etree.ElementTree as ET

import httpx
import pyoxigraph as ox
import pytest

from ontology.catalog import Catalog
from tests.ontology.http.conftest import MAX_ROWS, TOKEN, refused

QUERY = {"Content-Type": "application/sparql-query"}
UPDATE = {"Content-Type": "application/sparql-update"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ASK = "ASK {}"
JSON = "application/sparql-results+json"


def test_query_get(client: httpx.Client) -> None:
    answer = client.get("/sparql", params={"query": ASK})
    assert answer.status_code == 200 and answer.json()["boolean"] is True


def test_query_post_form(client: httpx.Client) -> None:
    answer = client.post("/sparql", data={"query": ASK})
    assert answer.status_code == 200 and answer.json()["boolean"] is True


def test_query_post_direct(client: httpx.Client) -> None:
    answer = client.post("/sparql", content=ASK, headers=QUERY)
    assert answer.status_code == 200 and answer.json()["boolean"] is True


def test_query_content_type_select(client: httpx.Client) -> None:
    answer = client.get("/sparql", params={"query": "SELECT (1 AS ?one) {}"})
    assert answer.headers["content-type"] == JSON
    assert answer.json()["results"]["bindings"][0]["one"]["value"] == "1"


def test_query_content_type_ask(client: httpx.Client) -> None:
    assert client.get("/sparql", params={"query": ASK}).headers["content-type"] == JSON


@pytest.mark.parametrize("form", ["DESCRIBE <urn:tinyfleet:lab:bit>", "CONSTRUCT WHERE {?s a ?o}"])
def test_query_content_type_describe_and_construct(client: httpx.Client, form: str) -> None:
    answer = client.get("/sparql", params={"query": form})
    assert answer.headers["content-type"] == "text/turtle; charset=utf-8"
    assert any(ox.parse(answer.content, format=ox.RdfFormat.TURTLE))


def test_bad_query_method(client: httpx.Client) -> None:
    refused(client.put("/sparql", params={"query": ASK}), 405)


def test_bad_multiple_queries(client: httpx.Client) -> None:
    refused(client.get("/sparql?query=ASK%20%7B%7D&query=SELECT%20%2A%20%7B%7D"), 400)
    refused(client.post("/sparql", content="query=ASK%7B%7D&query=ASK%7B%7D", headers=FORM), 400)
    refused(client.post("/sparql?query=ASK%7B%7D", content=ASK, headers=QUERY), 400)


def test_bad_query_wrong_media_type(client: httpx.Client) -> None:
    refused(client.post("/sparql", content=ASK, headers={"Content-Type": "text/plain"}), 415)


def test_bad_query_missing_form_type(client: httpx.Client) -> None:
    refused(client.post("/sparql", content="query=ASK%20%7B%7D"), 415)


def test_bad_query_missing_direct_type(client: httpx.Client) -> None:
    refused(client.post("/sparql", content=ASK), 415)


def test_bad_query_non_utf8(client: httpx.Client) -> None:
    kind = {"Content-Type": "application/sparql-query; charset=UTF-16"}
    refused(client.post("/sparql", content=ASK.encode("utf-16"), headers=kind), 415)
    refused(client.post("/sparql", content=ASK.encode("utf-16"), headers=QUERY), 400)


def test_bad_query_syntax(client: httpx.Client) -> None:
    body = refused(client.get("/sparql", params={"query": "ASK {"}), 400)
    assert "line 1" in str(body["detail"])


def test_update_post_form(writer: httpx.Client) -> None:
    text = "INSERT DATA { <urn:x:form> tf:site 'there' }"
    assert writer.post("/sparql", data={"update": text}).status_code == 204
    ask = writer.get("/sparql", params={"query": "ASK { <urn:x:form> tf:site 'there' }"})
    assert ask.json()["boolean"] is True


def test_update_post_direct(writer: httpx.Client) -> None:
    text = "INSERT DATA { <urn:x:direct> tf:site 'there' }"
    assert writer.post("/update", content=text, headers=UPDATE).status_code == 204
    text = "DELETE { ?s tf:site 'there' } WHERE { ?s tf:site 'there' FILTER(?s = <urn:x:direct>) }"
    assert writer.post("/update", content=text, headers=UPDATE).status_code == 204
    ask = writer.get("/sparql", params={"query": "ASK { <urn:x:direct> ?p ?o }"})
    assert ask.json()["boolean"] is False


def test_bad_update_get(writer: httpx.Client) -> None:
    refused(writer.get("/sparql", params={"update": "INSERT DATA {}"}), 400)


def test_bad_multiple_updates(writer: httpx.Client) -> None:
    text = "update=INSERT%20DATA%20%7B%7D&update=INSERT%20DATA%20%7B%7D"
    refused(writer.post("/sparql", content=text, headers=FORM), 400)


def test_bad_update_wrong_media_type(writer: httpx.Client) -> None:
    kind = {"Content-Type": "text/plain"}
    refused(writer.post("/update", content="INSERT DATA {}", headers=kind), 415)


def test_bad_update_missing_form_type(writer: httpx.Client) -> None:
    refused(writer.post("/update", content="update=INSERT%20DATA%20%7B%7D"), 415)


def test_bad_update_non_utf8(writer: httpx.Client) -> None:
    kind = {"Content-Type": "application/sparql-update; charset=UTF-16"}
    refused(writer.post("/update", content="INSERT DATA {}".encode("utf-16"), headers=kind), 415)


def test_bad_update_syntax(writer: httpx.Client) -> None:
    refused(writer.post("/update", content="INSERT DATA {", headers=UPDATE), 400)


@pytest.mark.parametrize(
    "name", ["default-graph-uri", "named-graph-uri", "using-graph-uri", "using-named-graph-uri"]
)
def test_datasets_are_refused(writer: httpx.Client, name: str) -> None:
    asked = {"query": ASK, name: "http://example.org/graph"}
    assert name in str(refused(writer.get("/sparql", params=asked), 400)["detail"])
    operation = "update" if name.startswith("using") else "query"
    text = "INSERT DATA {}" if operation == "update" else ASK
    kind = {"Content-Type": f"application/sparql-{operation}"}
    answer = writer.post("/sparql", params={name: "http://x.org/g"}, content=text, headers=kind)
    refused(answer, 400)


def test_updates_need_the_token(client: httpx.Client) -> None:
    text = "INSERT DATA { <urn:x:nobody> tf:site 'there' }"
    answer = client.post("/update", content=text, headers=UPDATE)
    refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for given in ("Bearer wrong", f"Basic {TOKEN}", "Bearer"):
        headers = UPDATE | {"Authorization": given}
        refused(client.post("/update", content=text, headers=headers), 401)
    ask = client.get("/sparql", params={"query": "ASK { <urn:x:nobody> ?p ?o }"})
    assert ask.json()["boolean"] is False


@pytest.mark.parametrize(
    "text",
    [
        "LOAD <http://127.0.0.1:9/x>",
        "CLEAR ALL",
        "DROP DEFAULT",
        "CREATE GRAPH <urn:g>",
        "COPY DEFAULT TO <urn:g>",
        "WITH <urn:g> DELETE { ?s ?p ?o } WHERE { ?s ?p ?o }",
        "INSERT { ?s ?p ?o } USING <urn:g> WHERE { ?s ?p ?o }",
        "INSERT DATA { GRAPH <urn:g> { <urn:a> <urn:b> <urn:c> } }",
        "INSERT { ?s ?p ?o } WHERE { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }",
        "INSERT DATA { <urn:a> <urn:b> <urn:c> } ; LOAD <file:///etc/passwd>",
        "SELECT * WHERE { ?s ?p ?o }",
    ],
)
def test_updates_insert_and_delete_only(writer: httpx.Client, text: str) -> None:
    refused(writer.post("/update", content=text, headers=UPDATE), 400)


ROWS = "SELECT ?device ?board ?running WHERE { ?device tf:board ?board ; tf:running ?running }"


def test_every_table_format_says_the_same(client: httpx.Client) -> None:
    def get(media: str) -> httpx.Response:
        answer = client.get("/sparql", params={"query": ROWS}, headers={"Accept": media})
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(media)
        return answer

    bindings = get(JSON).json()["results"]["bindings"]
    expected = sorted((b["device"]["value"], b["board"]["value"]) for b in bindings)
    assert len(expected) == 3
    rows = list(csv.DictReader(io.StringIO(get("text/csv").text)))
    assert sorted((row["device"], row["board"]) for row in rows) == expected
    for media, form in (
        ("text/tab-separated-values", ox.QueryResultsFormat.TSV),
        ("application/sparql-results+xml", ox.QueryResultsFormat.XML),
    ):
        found = ox.parse_query_results(get(media).content, format=form)
        assert isinstance(found, ox.QuerySolutions)
        assert sorted((s["device"].value, s["board"].value) for s in found) == expected
    ET.fromstring(get("application/sparql-results+xml").text)


@pytest.mark.parametrize(
    ("media", "form"),
    [
        ("text/turtle", ox.RdfFormat.TURTLE),
        ("application/n-triples", ox.RdfFormat.N_TRIPLES),
        ("application/rdf+xml", ox.RdfFormat.RDF_XML),
        ("application/ld+json", ox.RdfFormat.JSON_LD),
    ],
)
def test_every_graph_format_says_the_same(
    client: httpx.Client, media: str, form: ox.RdfFormat
) -> None:
    text = "CONSTRUCT { ?s tf:board ?o } WHERE { ?s tf:board ?o }"
    answer = client.get("/sparql", params={"query": text}, headers={"Accept": media})
    assert answer.headers["content-type"].startswith(media)
    found = {str(quad.object) for quad in ox.parse(answer.content, format=form)}
    assert found == {'"nano"', '"microbit"'}


def test_a_table_called_like_a_graph_is_a_table(client: httpx.Client) -> None:
    text = "SELECT ?subject ?predicate ?object { ?subject ?predicate ?object } LIMIT 1"
    assert client.get("/sparql", params={"query": text}).headers["content-type"] == JSON


def test_blank_nodes_pass_in_every_format(client: httpx.Client) -> None:
    text = "SELECT (BNODE() AS ?b) ('a\tb' AS ?tab) {}"
    for media in (JSON, "text/csv", "text/tab-separated-values", "application/sparql-results+xml"):
        answer = client.get("/sparql", params={"query": text}, headers={"Accept": media})
        assert answer.status_code == 200, answer.text


def test_no_such_format(client: httpx.Client) -> None:
    body = refused(
        client.get("/sparql", params={"query": ASK}, headers={"Accept": "image/png"}), 406
    )
    assert JSON in str(body["hint"])


def test_more_rows_than_allowed_are_an_error(client: httpx.Client) -> None:
    product = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f } LIMIT %d"
    assert client.get("/sparql", params={"query": product % MAX_ROWS}).status_code == 200
    body = refused(client.get("/sparql", params={"query": product % (MAX_ROWS + 1)}), 400)
    assert str(MAX_ROWS) in str(body["detail"])


def test_named_queries(client: httpx.Client) -> None:
    listed = {query["name"]: query for query in client.get("/queries").json()}
    assert listed["models-for-device"]["parameters"][0]["kind"] == "device"
    answer = client.get("/queries/models-for-device", params={"device": "nano-1"})
    assert len(answer.json()["results"]["bindings"]) == 4
    refused(client.get("/queries/models-for-device"), 400)
    refused(client.get("/queries/models-for-device?device=a&device=b"), 400)
    refused(client.get("/queries/nothing"), 400)
    refused(client.get("/queries/models-for-device", params={"device": "' } #"}), 400)


def test_a_text_is_never_taken_for_the_name_of_a_query(client: httpx.Client) -> None:
    refused(client.get("/sparql", params={"query": "fleet"}), 400)


def test_our_own_catalog_reads_and_writes_it(address: str) -> None:
    """The same Catalog that has a folder has this server as its store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYFLEET_SPARQL_TOKEN", TOKEN)
        with Catalog.open(address) as catalog:
            assert catalog.ask("ASK { ?device tf:board 'microbit' }")
            assert catalog.set_status("urn:tinyfleet:lab:remote", True)
            assert catalog.ask("ASK { <urn:tinyfleet:lab:remote> tf:online true }")
            assert not catalog.set_status("urn:tinyfleet:lab:remote", True)
