"""The same catalogue over the SPARQL 1.1 Protocol, on a server of Oxigraph."""

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import QueryError, TinyfleetError, UsageError
from ontology.catalog import Catalog
from ontology.match import fits
from ontology.named import named_queries
from ontology.namespaces import XSD
from ontology.ntriples import line_of, triple_of, triples_of
from ontology.remote import RemoteStore, RemoteUnavailable
from ontology.results_json import read_results
from ontology.terms import Iri, Literal, Triple, literal
from tests.ontology.conftest import fill
from tests.ontology.test_queries_parity import PARAMETERS

OXIGRAPH = shutil.which("oxigraph")
needs_server = pytest.mark.skipif(OXIGRAPH is None, reason="pip install oxigraph")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(OXIGRAPH), "serve", "-l", str(tmp_path / "db"), "--bind", f"127.0.0.1:{port}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@needs_server
def test_everything_is_as_in_the_embedded_store(address: str) -> None:
    with Catalog.open(address) as there, Catalog.open() as here:
        fill(there)
        fill(here)
        status = "statusSince"  # the only thing that the clock says
        assert _without(there.dump(), status) == _without(here.dump(), status)
        for name, query in named_queries().items():
            given = {key: PARAMETERS[key] for key in query.parameters}
            one, two = there.query(name, **given), here.query(name, **given)
            assert one.columns == two.columns and sorted(map(str, one)) == sorted(map(str, two))
        assert fits(there, device="nano-1") == fits(here, device="nano-1")
        assert there.get_thing("nano-1") == here.get_thing("nano-1")
        assert there.ask("ASK { ?d tf:online true }")
        made = there.construct("CONSTRUCT { ?d a tf:Up } WHERE { ?d tf:online true }")
        assert set(made) == set(
            here.construct("CONSTRUCT { ?d a tf:Up } WHERE { ?d tf:online true }")
        )
        everything = here.dump().encode().splitlines(keepends=True)
        there.store.replace(list(there.store.match()), [])
        assert there.dump() == "" and there.load(everything) == len(everything)
        assert there.dump() == here.dump()


@needs_server
def test_errors_of_the_server_are_named(address: str) -> None:
    with Catalog.open(address) as there:
        there.set_status("urn:tinyfleet:lab:d", True)
        with pytest.raises(QueryError):
            there.query("SELECT ?x WHERE { ?x tf: }}")
        with pytest.raises(QueryError, match="more than 1 rows"):
            there.query("SELECT * { ?s ?p ?o }", max_rows=1)
        with pytest.raises(UsageError, match="cannot be written"):
            there.store.replace([], [Triple(Iri("a b"), Iri("urn:p"), literal(1))])
    with pytest.raises(RemoteUnavailable, match="answers 404"):
        Catalog.open(f"{address}/nothing").dump()


def test_nobody_there() -> None:
    with pytest.raises(RemoteUnavailable, match=r"does not answer: connection refused\."):
        Catalog.open("http://127.0.0.1:9").dump()
    with pytest.raises(UsageError, match="no endpoint"):
        RemoteStore("ftp://host")


class _Guarded(BaseHTTPRequestHandler):
    """Answers those who show a password or a token."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = self.headers.get("Authorization") in ("Basic bWU6cEB3", "Bearer key")
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/sparql-results+json")
        self.end_headers()
        self.wfile.write(b'{"head": {}, "boolean": true}' if known else b"who?")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_passwords_and_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Guarded)
    Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    try:
        assert Catalog.open(f"http://me:p%40w@{host}").ask("ASK {}")
        with pytest.raises(RemoteUnavailable, match=r"answers 401: who\?.*TINYFLEET_SPARQL_TOKEN"):
            Catalog.open(f"http://{host}").ask("ASK {}")
        monkeypatch.setenv("TINYFLEET_SPARQL_TOKEN", "key")
        assert Catalog.open(f"http://{host}/sparql").ask("ASK {}")
    finally:
        server.shutdown()
        server.server_close()


def _without(dump: str, word: str) -> list[str]:
    return [line for line in dump.splitlines() if word not in line]


iris = st.from_regex(r"urn:[a-z0-9:/#.é-]{1,20}", fullmatch=True).map(Iri)
texts = st.text(st.characters(exclude_categories=["Cs"]))
literals = st.one_of(
    texts.map(literal),
    st.integers().map(literal),
    st.builds(lambda t: Literal(t, XSD + "dateTime"), texts),
    st.builds(
        lambda t: Literal(t, "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString", "de-AT"),
        texts,
    ),
)


@given(st.lists(st.builds(Triple, iris, iris, iris | literals)))
def test_lines_are_read_as_they_were_written(triples: list[Triple]) -> None:
    assert list(triples_of("".join(map(line_of, triples)))) == triples


@given(st.text())
def test_any_line_is_a_triple_or_refused(text: str) -> None:
    try:
        triple_of(text)
    except UsageError:
        return


@given(st.binary())
def test_any_answer_is_read_or_refused(content: bytes) -> None:
    with pytest.raises(TinyfleetError):
        read_results(b'{"head": {"vars": ["x"]}, "results": {"bindings": [{"x": ' + content, 9)
