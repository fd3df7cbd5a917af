"""A triple store elsewhere, over the SPARQL 1.1 Protocol: the same Catalog on any server."""

import base64
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from itertools import islice

from edge.errors import QueryError, TinyfleetError, UsageError
from ontology.namespaces import PREFIXES
from ontology.ntriples import line_of, triples_of
from ontology.results import Result
from ontology.results_json import read_results
from ontology.terms import Iri, Term, Triple, written

__all__ = ["MAX_ANSWER", "RemoteStore", "RemoteUnavailable", "is_address"]

MAX_ANSWER = 256 << 20
"""Bytes that an answer may have; a longer one is an error, never cut."""
TOKEN_VARIABLE = "TINYFLEET_SPARQL_TOKEN"
_BATCH = 5_000
_ANY = ("?s", "?p", "?o")


class RemoteUnavailable(TinyfleetError):
    """The endpoint does not answer, or refuses."""


def is_address(path: object) -> bool:
    """Whether a catalogue is named by the address of an endpoint."""
    return str(path).startswith(("http://", "https://"))


class RemoteStore:
    """A SPARQL 1.1 endpoint. A change is one update request, which servers make one transaction.

    Args:
        address: of the server: `http://host:7878` stands for `…/query` and `…/update`; or the
            query endpoint itself, ending in `/query` or `/sparql`. `user:password@` before the
            host is sent as HTTP Basic; else the variable TINYFLEET_SPARQL_TOKEN as a bearer token.
        update: the update endpoint, where it is another than that convention's.
        timeout: seconds that a request may take.

    Raises:
        UsageError: the address is none of http or https.
    """

    def __init__(self, address: str, *, update: str | None = None, timeout: float = 60.0) -> None:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{address!r} is no endpoint.", hint="http://127.0.0.1:7878")
        host = parts.netloc.rpartition("@")[2]
        self.base = f"{parts.scheme}://{host}"
        path = parts.path.rstrip("/")
        named = path.endswith(("/query", "/sparql"))
        self.query_url = self.base + (path if named else path + "/query")
        default = path.removesuffix("/query") + "/update" if not path.endswith("/sparql") else path
        self.update_url = update or self.base + default
        self.timeout = timeout
        self.version = 0
        self._headers = {"User-Agent": "tinyfleet"}
        if parts.username is not None:
            names = (urllib.parse.unquote(n or "") for n in (parts.username, parts.password))
            pair = base64.b64encode(":".join(names).encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        elif token := os.environ.get(TOKEN_VARIABLE):
            self._headers["Authorization"] = f"Bearer {token}"

    def replace(self, remove: Iterable[Triple], add: Iterable[Triple]) -> None:
        """Take triples out and put others in, in one request."""
        old, new = set(remove), set(add)
        parts = [("DELETE", old - new), ("INSERT", new - old)]
        update = ";\n".join(
            f"{verb} DATA {{\n{''.join(map(line_of, sorted(triples)))}}}"
            for verb, triples in parts
            if triples
        )
        if update:
            self.update(update)

    def update(self, text: str) -> None:
        """Carry out a SPARQL 1.1 Update there; SyntaxError where it is none."""
        body = (_declared() + text).encode()
        self._post(self.update_url, "application/sparql-update", body, "*/*")
        self.version += 1

    def settle(self) -> None:
        """Nothing waits here."""

    def match(
        self, subject: str | None = None, predicate: str | None = None, value: Term | None = None
    ) -> Iterator[Triple]:
        """The triples with these parts; None matches anything."""
        given = (Iri(subject) if subject else None, Iri(predicate) if predicate else None, value)
        parts = [_written(t) if t is not None else n for t, n in zip(given, _ANY, strict=True)]
        asked = [n for n, t in zip(_ANY, given, strict=True) if t is None]
        pattern = f"{{ {' '.join(parts)} }}"
        if not asked:
            assert given[0] and given[1] and value is not None
            if self.query(f"ASK {pattern}", 1).boolean:
                yield Triple(given[0], given[1], value)
            return
        found = self.query(f"SELECT {' '.join(asked)} WHERE {pattern}", 1 << 62)
        for row in found.rows:
            cells = iter(row)
            s, p, o = (next(cells) if term is None else term for term in given)
            assert o is not None
            yield Triple(Iri(str(s)), Iri(str(p)), o)

    def query(self, text: str, max_rows: int) -> Result:
        """Evaluate a query there; more rows than `max_rows` are an error, never a cut answer."""
        accept = "application/sparql-results+json, application/n-triples;q=0.9"
        body = (_declared() + text).encode()
        kind, answer = self._post(self.query_url, "application/sparql-query", body, accept)
        if "json" in kind:
            return read_results(answer, max_rows)
        triples = tuple(islice(triples_of(answer.decode()), max_rows + 1))
        if len(triples) > max_rows:
            raise QueryError(f"the query has more than {max_rows} rows.", hint="LIMIT")
        return Result(("subject", "predicate", "object"), triples, graph=True)

    def load(self, lines: Iterable[bytes]) -> int:
        """Put in very many triples, in batches of 5,000; not in one transaction."""
        source, count = iter(lines), 0
        while batch := [line for line in islice(source, _BATCH) if line.strip()]:
            body = b"INSERT DATA {\n" + b"".join(batch) + b"}"
            try:
                self._post(self.update_url, "application/sparql-update", body, "*/*")
            except SyntaxError as error:
                raise UsageError(f"after line {count}: {error}.", hint="N-Triples") from None
            count += len(batch)
        return count

    def dump(self) -> str:
        """Everything, as sorted N-Triples."""
        found = self.query("CONSTRUCT WHERE { ?s ?p ?o }", 1 << 62)
        triples = (Triple(Iri(str(s)), Iri(str(p)), o) for s, p, o in found.rows if o is not None)
        return "".join(sorted(map(line_of, triples)))

    def close(self) -> None:
        """Nothing is held."""

    def _post(self, url: str, kind: str, body: bytes, accept: str) -> tuple[str, bytes]:
        """Content type and body of the answer."""
        headers = {**self._headers, "Content-Type": kind, "Accept": accept}
        request = urllib.request.Request(url, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                content = answer.read(MAX_ANSWER + 1)
                found = answer.headers.get("Content-Type", "")
        except urllib.error.HTTPError as error:
            said = error.read(2_000).decode(errors="replace").strip()
            if error.code == 400:
                raise SyntaxError(said) from None
            raise RemoteUnavailable(
                f"{self.base} answers {error.code}: {said[:300]}.", hint=_remedy(error.code)
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise RemoteUnavailable(
                f"{self.base} does not answer: {_cause(error)}.",
                hint="oxigraph serve --bind HOST:7878",
            ) from None
        if len(content) > MAX_ANSWER:
            raise QueryError(f"the answer has more than {MAX_ANSWER} bytes.", hint="LIMIT")
        return found, content


def _declared() -> str:
    return "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in PREFIXES.items())


def _cause(error: Exception) -> str:
    """Why nobody answered, in the system's words."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError):
        return "it took too long"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()
    return str(inner) or "the connection was closed"


def _remedy(code: int) -> str:
    if code in (401, 403):
        return f"user:password@ in the address, or a token in {TOKEN_VARIABLE}"
    return "the address of a SPARQL 1.1 endpoint"


def _written(term: Term) -> str:
    """A term as SPARQL writes it."""
    try:
        return written(term)
    except ValueError as error:
        raise UsageError(f"{term!r} cannot be written as RDF: {error}.") from None
