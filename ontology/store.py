"""The triple store: a Protocol, and Oxigraph embedded, in memory or on disk, behind it."""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from edge.errors import MissingExtra, QueryError, TinyfleetError, UsageError
from ontology.namespaces import PREFIXES
from ontology.results import Result, Row
from ontology.rows import CappedText, rows_of
from ontology.terms import Iri, Literal, Term, Triple

MEMORY = ":memory:"
_TRIES, _PAUSE = 10, 0.02  # seconds
_CHUNK = 100_000  # lines; the engine's memory grows with it
_UNSETTLED = 20_000  # triples changed; whoever opens a snapshot reads them all from the log


class CatalogBusy(TinyfleetError):
    """Another process owns the catalogue."""


class Store(Protocol):
    """What the catalogue needs of a triple store. One writer; every change is one transaction.

    Its `version` grows with every change made through it.
    """

    version: int

    def replace(self, remove: Iterable[Triple], add: Iterable[Triple]) -> None:
        """Take triples out and put others in, both or neither; durable when this returns."""

    def match(
        self, subject: str | None = None, predicate: str | None = None, value: Term | None = None
    ) -> Iterator[Triple]:
        """The triples with these parts; None matches anything."""

    def query(self, text: str, max_rows: int) -> Result:
        """Evaluate a SPARQL 1.1 query; SyntaxError where it is none."""

    def load(self, lines: Iterable[bytes]) -> int:
        """Put in very many triples at once; gives how many lines of N-Triples there were."""

    def update(self, text: str) -> None:
        """Carry out a SPARQL 1.1 Update; SyntaxError where it is none."""

    def settle(self) -> None:
        """Make what was changed cheap to open for those who read snapshots."""

    def dump(self) -> str:
        """Everything, as sorted N-Triples."""

    def close(self) -> None:
        """Let go of the files."""


class OxigraphStore:
    """Oxigraph in this process.

    Args:
        path: folder of the catalogue, made where it is missing; `:memory:` keeps nothing.
        read_only: open what is there as it is at this moment, also while another process owns it;
            later changes are not seen, and writing is an error.

    Raises:
        MissingExtra: pyoxigraph is not installed.
        CatalogBusy: another process, or another object in this one, has the folder open.
    """

    def __init__(self, path: str | Path = MEMORY, *, read_only: bool = False) -> None:
        self._ox = _engine()
        self.read_only = read_only
        self.path = None if str(path) == MEMORY else Path(path)
        self.version = 0
        self._unsettled = 0
        self._store: Any = self._open()

    def _open(self) -> Any:
        if self.path is None:
            return self._ox.Store()
        if self.read_only:
            return self._snapshot(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            store = self._ox.Store(str(self.path / "store"))
        except OSError as error:
            raise _open_error(self.path, error) from None
        owner = {"pid": os.getpid(), "command": Path(sys.argv[0]).name, "since": time.time()}
        (self.path / "owner.json").write_text(json.dumps(owner))
        return store

    def _snapshot(self, path: Path) -> Any:
        try:
            return self._opened(path / "store")
        except OSError:
            raise UsageError(
                f"there is no catalogue at {path}.", hint="the folder that a run was told to fill"
            ) from None

    def _opened(self, folder: Path) -> Any:
        """A snapshot; tried again where the owner threw a file away while it was being opened."""
        for _ in range(_TRIES - 1):
            with suppress(RuntimeError):
                return self._ox.Store.read_only(str(folder))
            time.sleep(_PAUSE)
        try:
            return self._ox.Store.read_only(str(folder))
        except RuntimeError as error:
            raise TinyfleetError(f"the catalogue at {folder} cannot be read: {error}.") from None

    @property
    def engine(self) -> Any:
        """The open store."""
        if self._store is None:
            raise TinyfleetError("the catalogue is closed.", hint="open it again")
        return self._store

    def replace(self, remove: Iterable[Triple], add: Iterable[Triple]) -> None:
        """Take triples out and put others in, in one transaction."""
        if self.read_only:
            raise UsageError("the catalogue is open for reading.", hint="opening it as its owner")
        old, new = set(remove), set(add)
        if not new - old and not old - new:
            return
        if not old:  # what is only added needs no text to be written and read, and is as atomic
            self.engine.extend([self._ox.Quad(*map(self._term, triple)) for triple in new])
        else:
            parts = [("DELETE", old - new), ("INSERT", new - old)]
            self.engine.update(
                ";\n".join(
                    f"{verb} DATA {{\n{self._lines(triples)}\n}}"
                    for verb, triples in parts
                    if triples
                )
            )
        self._changed(len(old) + len(new))

    def update(self, text: str) -> None:
        """Carry out a SPARQL 1.1 Update, in one transaction; SyntaxError where it is none."""
        self.engine.update(text, prefixes=PREFIXES)
        self._changed(_UNSETTLED)

    def _changed(self, triples: int) -> None:
        self.version += 1
        self._unsettled += triples

    def settle(self) -> None:
        """Where much has changed, move it from the log to tables: snapshots then open faster."""
        if self._unsettled >= _UNSETTLED and self.path is not None and not self.read_only:
            self._unsettled = 0
            self.engine.flush()

    def _lines(self, triples: Iterable[Triple]) -> str:
        return "\n".join(f"{s} {p} {o} ." for s, p, o in (map(self._term, t) for t in triples))

    def _term(self, term: Term) -> Any:
        """A term of ours as the engine's; UsageError where it can be none."""
        node, ox_literal = self._ox.NamedNode, self._ox.Literal
        try:
            if not isinstance(term, Literal):
                return node(term)
            if term.language:
                return ox_literal(term.text, language=term.language)
            return ox_literal(term.text, datatype=node(term.datatype))
        except ValueError as error:
            raise UsageError(f"{term!r} cannot be written as RDF: {error}.") from None

    def match(
        self, subject: str | None = None, predicate: str | None = None, value: Term | None = None
    ) -> Iterator[Triple]:
        """The triples with these parts; None matches anything."""
        quads = self.engine.quads_for_pattern(
            self._term(Iri(subject)) if subject else None,
            self._term(Iri(predicate)) if predicate else None,
            self._term(value) if value is not None else None,
        )
        for quad in quads:
            found = (_plain(quad.subject), _plain(quad.predicate), _plain(quad.object))
            yield Triple(Iri(str(found[0])), Iri(str(found[1])), found[2])

    def query(self, text: str, max_rows: int) -> Result:
        """Evaluate a query; more rows than `max_rows` are an error, never a cut answer."""
        answer: Any = self.engine.query(text, prefixes=PREFIXES)
        if isinstance(answer, self._ox.QueryBoolean):
            return Result((), (), boolean=bool(answer))
        if isinstance(answer, self._ox.QueryTriples):
            return self._triples(answer, max_rows)
        names = tuple(variable.value for variable in answer.variables)
        if not names:
            return Result((), tuple(() for _ in answer))
        written = CappedText(max_rows)
        try:
            answer.serialize(written, format=self._ox.QueryResultsFormat.TSV)
        except (QueryError, OSError):
            if written.full:
                raise written.error() from None
            raise
        return Result(names, rows_of(written.lines()))

    def _triples(self, answer: Any, max_rows: int) -> Result:
        rows: list[Row] = []
        for triple in answer:
            if len(rows) == max_rows:
                raise CappedText(max_rows).error()
            rows.append(tuple(map(_plain, triple)))
        return Result(("subject", "predicate", "object"), tuple(rows), graph=True)

    def load(self, lines: Iterable[bytes]) -> int:
        """Put in very many triples at once, fast and in little memory; not in one transaction.

        Args:
            lines: of N-Triples.

        Returns:
            How many lines there were.

        Raises:
            UsageError: a line is no triple; those of the chunks before it are in.
        """
        source, count = iter(lines), 0
        while chunk := list(islice(source, _CHUNK)):
            try:
                self.engine.bulk_load(input=b"".join(chunk), format=self._ox.RdfFormat.N_TRIPLES)
            except SyntaxError as error:
                raise UsageError(f"after line {count}: {error}.", hint="N-Triples") from None
            count += len(chunk)
        self.engine.optimize()
        self._changed(0)
        return count

    def dump(self) -> str:
        """Everything, as sorted N-Triples."""
        return "".join(sorted(f"{quad.triple} .\n" for quad in self.engine))

    def close(self) -> None:
        """Release the lock; closing twice is fine."""
        if self._store is not None and self.path is not None and not self.read_only:
            (self.path / "owner.json").unlink(missing_ok=True)
        self._store = None


def _engine() -> Any:
    try:
        import pyoxigraph
    except ImportError:
        raise MissingExtra(
            "the catalogue needs pyoxigraph, which is not installed.",
            hint="pip install 'tinyfleet[catalog]'",
        ) from None
    return pyoxigraph


def _plain(term: Any) -> Term:
    """An engine's term as ours; blank nodes become `_:` IRIs."""
    if hasattr(term, "datatype"):
        return Literal(term.value, term.datatype.value, term.language or "")
    return Iri(term.value if not str(term).startswith("_:") else str(term))


def _open_error(path: Path, error: OSError) -> TinyfleetError:
    if "lock" not in str(error).lower():
        return TinyfleetError(f"the catalogue at {path} cannot be opened: {error}.")
    try:
        owner = json.loads((path / "owner.json").read_text())
        who = f"process {int(owner['pid'])} ({owner['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        who = "another process"
    return CatalogBusy(
        f"the catalogue at {path} is owned by {who}; it takes one owner at a time.",
        hint="ask that process, wait until it ends, or open another folder",
    )
