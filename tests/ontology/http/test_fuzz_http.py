"""Whatever is sent, the server answers with less than 500, and refuses in problem documents."""

import json
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ontology.http.conftest import TOKEN

PATHS = [
    "/", "/sparql", "/query", "/update", "/queries/fleet", "/queries/models-for-device", "/things",
    "/things/urn:tinyfleet:lab:bit", "/search/sparql", "/search/jsonpath", "/models/characters",
    "/models/1111111111/lineage.svg", "/devices/bit", "/.well-known/wot", "/health", "/nothing",
]  # fmt: skip
NAMES = [
    "query", "update", "offset", "limit", "format", "device", "model", "default-graph-uri", "diff",
    "sort_by",
]  # fmt: skip
KINDS = [
    "application/td+json", "application/json", "application/merge-patch+json", "text/plain",
    "application/sparql-query", "application/sparql-update", "application/x-www-form-urlencoded",
    "", "application/sparql-query; charset=latin-1", ";;;",
]  # fmt: skip
pieces = st.sampled_from(
    [
        "SELECT * { ?s ?p ?o } LIMIT 3", "ASK {}", "{}", "[]", '{"id":"urn:x:1"}', "'", '"', "\\",
        "SERVICE", "<", "\u202e", "\x00", "%", "\ud7ff", "urn:tinyfleet:lab:bit", "-1", "$..*",
        "$[?",
        '{"@context":"https://www.w3.org/2022/wot/td/v1.1","title":"t"', ',"properties":{"a":1}}',
    ]
)  # fmt: skip
texts = st.lists(pieces | st.text(max_size=6), max_size=4).map("".join)
thing = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["title", "id", "@id", "@type", "forms", "href", "properties", "x:y",
                         "security", "securityDefinitions", "scheme", "registration", "ttl",
                         "links", "@context", "tf:ramBytes", "titles", "@value"]) | texts,
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
bodies = (
    texts.map(str.encode) | st.binary(max_size=20) | thing.map(lambda x: json.dumps(x).encode())
)


@pytest.fixture(scope="module")
def sender(address: str) -> httpx.Client:
    return httpx.Client(base_url=address, timeout=30)


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"]),
    path=st.sampled_from(PATHS) | texts.map(lambda text: "/things/" + quote(text, safe="")),
    asked=st.dictionaries(st.sampled_from(NAMES), texts, max_size=2),
    kind=st.sampled_from(KINDS),
    accept=st.sampled_from(["*/*", "text/html", "text/csv", "image/*", "application/*;q=x", ""]),
    body=bodies,
    token=st.booleans(),
)
def test_nothing_breaks_it(
    sender: httpx.Client,
    method: str,
    path: str,
    asked: dict[str, str],
    kind: str,
    accept: str,
    body: bytes,
    token: bool,
) -> None:
    if method == "DELETE" and "tinyfleet" in path:
        path = "/things/urn:x:gone"  # other tests need the fleet
    headers = {"Content-Type": kind, "Accept": accept}
    if token and b"DELETE" not in body:
        headers["Authorization"] = f"Bearer {TOKEN}"
    url = path + "?" + "&".join(f"{name}={quote(text)}" for name, text in asked.items())
    answer = sender.request(method, url, headers=headers, content=body)
    assert answer.status_code < 500 or answer.status_code in (501, 503), answer.text
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


def test_it_still_lists_what_it_has(client: httpx.Client) -> None:
    assert client.get("/things").status_code == 200
    assert client.get("/").status_code == 200
