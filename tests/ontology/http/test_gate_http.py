"""What a stranger may not do: reach out, run away, flood, or break the server."""

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ontology.catalog import Catalog
from tests.ontology.http.conftest import DEADLINE, TOKEN, refused, serving

RUNAWAY = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?o ?p }"


@pytest.fixture
def trap() -> Iterator[tuple[str, list[str]]]:
    """A server that notes who calls; nobody should."""
    called: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            called.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", called
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * WHERE { SERVICE <TRAP/sparql> { ?s ?p ?o } }",
        "SELECT * WHERE { SERVICE SILENT <TRAP/sparql> { ?s ?p ?o } }",
        "ASK { { SELECT * { SERVICE ?where { ?s ?p ?o } VALUES ?where { <TRAP/> } } } }",
        "SELECT * FROM <TRAP/data.ttl> WHERE { ?s ?p ?o }",
        "SELECT * FROM NAMED <TRAP/data.ttl> WHERE { GRAPH ?g { ?s ?p ?o } }",
        "SELECT * FROM <file:///etc/passwd> WHERE { ?s ?p ?o }",
        "LOAD <TRAP/data.ttl>",
        "LOAD <file:///etc/passwd> INTO GRAPH <urn:g>",
        "ASK { ?s ?p trueSERVICE<TRAP/>{ } }",
    ],
)
def test_no_query_reaches_out(client: httpx.Client, trap: tuple[str, list[str]], text: str) -> None:
    where, called = trap
    for path in ("/sparql", "/search/sparql"):
        refused(client.get(path, params={"query": text.replace("TRAP", where)}), 400)
    assert called == []


def test_no_context_is_fetched(writer: httpx.Client, trap: tuple[str, list[str]]) -> None:
    where, called = trap
    thing = {
        "@context": ["https://www.w3.org/2022/wot/td/v1.1", f"{where}/context.jsonld"],
        "title": "spy",
        "security": "open",
        "securityDefinitions": {"open": {"scheme": "nosec"}},
    }
    kind = {"Content-Type": "application/td+json"}
    assert writer.post("/things", content=json.dumps(thing), headers=kind).status_code == 201
    thing["@context"] = f"{where}/context.jsonld"
    refused(writer.post("/things", content=json.dumps(thing), headers=kind), 400)
    thing["@context"] = "file:///etc/passwd"
    refused(writer.post("/things", content=json.dumps(thing), headers=kind), 400)
    assert called == []


def test_a_runaway_query_is_stopped_while_others_are_answered(address: str) -> None:
    took: list[float] = []
    said: list[httpx.Response] = []

    def run() -> None:
        began = time.monotonic()
        said.append(httpx.get(f"{address}/sparql", params={"query": RUNAWAY}, timeout=30))
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    answered = 0
    while any(thread.is_alive() for thread in threads):
        assert httpx.get(f"{address}/things?limit=1").status_code == 200
        assert httpx.get(f"{address}/queries/fleet").status_code == 200
        answered += 1
    assert answered > 2
    assert max(took) < DEADLINE + 1
    for answer in said:
        body = refused(answer, 503)
        assert f"{DEADLINE:g} seconds" in str(body["detail"])
    assert httpx.get(f"{address}/sparql", params={"query": "ASK {}"}).json()["boolean"]


def test_a_query_that_takes_all_memory_ends_alone(client: httpx.Client) -> None:
    text = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } ORDER BY ?a ?d ?g"
    refused(client.get("/sparql", params={"query": text}), 503)
    assert client.get("/sparql", params={"query": "ASK {}"}).json()["boolean"]


def test_a_slow_path_is_stopped(client: httpx.Client) -> None:
    path = "$..[?count($..[?count($..[?count($..*) > 0]) > 0]) > 0]"
    refused(client.get("/search/jsonpath", params={"query": path}), 503)
    assert client.get("/search/jsonpath", params={"query": "$[0].id"}).status_code == 200


def test_long_bodies_are_refused(writer: httpx.Client, address: str) -> None:
    kind = {"Content-Type": "application/td+json"}
    refused(writer.post("/things", content=b"x" * (5 << 20), headers=kind), 413)

    def pieces() -> Iterator[bytes]:
        for _ in range(80):
            yield b"x" * (64 << 10)

    try:
        answer = writer.post("/things", content=pieces(), headers=kind)
    except httpx.WriteError:  # the server answered and hung up before it was all sent
        pass
    else:
        refused(answer, 413)
    assert writer.get("/health").text == "ok\n"


def test_a_length_that_is_none_is_refused(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(b"POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")
        assert b" 400 " in link.recv(1000).split(b"\r\n")[0] + b" "
    assert httpx.get(f"{address}/health").text == "ok\n"


@pytest.mark.parametrize("path", ["/nothing", "/models/nothing", "/devices/nothing", "/events/x"])
def test_what_is_not_there(client: httpx.Client, path: str) -> None:
    refused(client.get(path), 404)


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fcatalog.py"]
)
def test_static_files_stay_in_their_folder(address: str, path: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert b" 404 " in link.recv(1000).split(b"\r\n")[0] + b" "


def test_pages_carry_a_policy_that_lets_nothing_foreign_in(client: httpx.Client) -> None:
    headers = client.get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_what_devices_say_is_text_on_the_pages(writer: httpx.Client) -> None:
    evil = "<script>alert(1)</script>"
    thing = {
        "@context": "https://www.w3.org/2022/wot/td/v1.1",
        "id": "urn:tinyfleet:evil:one",
        "title": evil,
        "security": "open",
        "securityDefinitions": {"open": {"scheme": "nosec"}},
    }
    kind = {"Content-Type": "application/td+json"}
    path = "/things/urn:tinyfleet:evil:one"
    assert writer.put(path, content=json.dumps(thing), headers=kind).status_code == 201
    for page in ("/", "/devices/urn:tinyfleet:evil:one"):
        assert evil not in writer.get(page).text
    assert writer.delete(path).status_code == 204


def test_who_asks_too_often_waits(tmp_path: Path) -> None:
    with serving(str(tmp_path), "--rate", "5") as url:
        answers = [httpx.get(f"{url}/health") for _ in range(15)]
        late = [answer for answer in answers if answer.status_code == 429]
        assert late and answers[0].status_code == 200
        refused(late[0], 429)
        assert int(late[0].headers["retry-after"]) >= 1


def test_without_a_token_nothing_is_written(tmp_path: Path) -> None:
    with serving(str(tmp_path), token=None) as url:
        body = refused(httpx.post(f"{url}/things", json={}), 403)
        assert "no token" in str(body["detail"])


def test_private_reading_needs_the_token(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with serving(str(tmp_path), "--private") as url:
        for path in ("/", "/things", "/sparql?query=ASK%7B%7D", "/query", "/events", "/models"):
            refused(httpx.get(url + path), 401)
        assert httpx.get(f"{url}/things", headers=headers).status_code == 200
        assert httpx.get(f"{url}/.well-known/wot").json()["security"] == "bearer"


def test_a_catalogue_of_another_process_is_shown_and_kept(tmp_path: Path) -> None:
    place = f"{tmp_path}/catalog"
    with Catalog.open(place) as owner:
        owner.set_status("urn:tinyfleet:lab:a", True)
        with serving(place, "--read-only") as url:
            ask = {"query": "ASK { <urn:tinyfleet:lab:b> tf:online true }"}
            assert httpx.get(f"{url}/sparql", params=ask).json()["boolean"] is False
            owner.set_status("urn:tinyfleet:lab:b", True)
            deadline = time.monotonic() + 10
            while not httpx.get(f"{url}/sparql", params=ask).json()["boolean"]:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            body = refused(httpx.post(f"{url}/things", json={}), 403)
            assert "another process" in str(body["detail"])


def test_a_foreign_name_is_not_answered(client: httpx.Client) -> None:
    for name in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", ""):
        refused(client.get("/things", headers={"Host": name}), 421)
    assert client.get("/things?limit=1", headers={"Host": "localhost:1"}).status_code == 200


def test_numbers_that_json_cannot_write_stay_out(writer: httpx.Client) -> None:
    kind = {"Content-Type": "application/td+json"}
    text = json.dumps(
        {
            "@context": "https://www.w3.org/2022/wot/td/v1.1",
            "title": "huge",
            "security": "open",
            "securityDefinitions": {"open": {"scheme": "nosec"}},
            "tf:clockHz": "HERE",
        }
    )
    refused(writer.post("/things", content=text.replace('"HERE"', "1e999"), headers=kind), 400)
    surrogate = text.replace("HERE", "\\ud800")
    refused(writer.post("/things", content=surrogate, headers=kind), 400)
    assert writer.get("/things").status_code == 200


def test_a_thing_cannot_take_the_place_of_a_model(writer: httpx.Client) -> None:
    model = "urn:sha256:" + "1" * 64
    thing = {
        "@context": "https://www.w3.org/2022/wot/td/v1.1",
        "id": model,
        "title": "no model",
        "security": "open",
        "securityDefinitions": {"open": {"scheme": "nosec"}},
    }
    kind = {"Content-Type": "application/td+json"}
    refused(writer.put(f"/things/{model}", content=json.dumps(thing), headers=kind), 409)
    assert writer.get("/queries/lineage", params={"model": model}).json()["results"]["bindings"]
    refused(writer.delete(f"/things/{model}"), 404)
