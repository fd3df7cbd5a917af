"""Warm processes for queries, each killed when a query outlives its deadline."""

import multiprocessing
import queue
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.errors import QueryError, TinyfleetError
from ontology.gate import MAX_ROWS
from ontology.http.worker import Answer, Job, work

__all__ = ["Busy", "QueryDied", "QueryPool", "QueryTooLong"]

MAX_ANSWER = 64 << 20  # bytes
MEMORY = 4 << 30  # bytes of address space


class Busy(TinyfleetError):
    """All processes work for others."""


class QueryTooLong(TinyfleetError):
    """A query was stopped at its deadline."""


class QueryDied(TinyfleetError):
    """The process of a query ended while it worked."""


class _Process:
    """One process and the link to it."""

    def __init__(self, context: ForkServerContext, place: str, memory: int) -> None:
        self.link: Connection
        self.link, theirs = context.Pipe()
        self._process: ForkServerProcess = context.Process(
            target=work, args=(theirs, place, memory), name="catalog-query", daemon=True
        )
        self._process.start()
        theirs.close()

    def ask(self, job: Job, seconds: float) -> Answer | None:
        """The answer; None where there is none in time."""
        try:
            self.link.send(job)
            return self.link.recv() if self.link.poll(max(0.0, seconds)) else None
        except (EOFError, OSError):
            return Answer(
                error=QueryDied(
                    "the query ended the process that worked on it: it took too much memory.",
                    hint="LIMIT, or a narrower pattern",
                )
            )

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.join()
        self.link.close()


class QueryPool:
    """Answers queries of strangers in processes of their own; a context manager.

    Args:
        place: folder or endpoint of the catalogue.
        workers: queries at once.
        deadline: seconds from the question to the answer, or the query is ended.
        max_rows: most rows; more are an error, never a cut answer.
        max_bytes: the same of the written answer.
        memory: bytes of address space for each process.
    """

    def __init__(
        self,
        place: str | Path,
        *,
        workers: int = 2,
        deadline: float = 5.0,
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_ANSWER,
        memory: int = MEMORY,
    ) -> None:
        self.place, self.deadline, self.max_rows = str(place), deadline, max_rows
        self._max_bytes, self._memory, self._workers = max_bytes, memory, workers
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["ontology.http.worker"])
        self._idle: queue.LifoQueue[_Process] = queue.LifoQueue()
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        """Start the processes."""
        for _ in range(self._workers):
            self._idle.put(self._made())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End them; what they work on ends with them."""
        self._closed.set()
        while not self._idle.empty():
            self._idle.get().kill()

    def _made(self) -> _Process:
        return _Process(self._context, self.place, self._memory)

    def ask(
        self,
        text: str,
        *,
        version: int,
        accept: str = "",
        kind: str = "sparql",
        plain: bool = False,
    ) -> tuple[str, bytes]:
        """Media type and content of the answer to a query.

        Args:
            text: SPARQL, or JSONPath.
            version: of the catalogue; what was written before it is seen.
            accept: the client's Accept header.
            kind: sparql or jsonpath.
            plain: see `ontology.http.written.write`.

        Raises:
            Busy: no process was free within the deadline.
            QueryTooLong: the deadline came.
            QueryDied: the query took too much memory.
            QueryError: the query is not accepted, or its answer is too long.
        """
        end = time.monotonic() + self.deadline
        try:
            process = self._idle.get(timeout=self.deadline)
        except queue.Empty:
            raise Busy(f"{self._workers} queries are being answered.", hint="a moment") from None
        answer: Answer | None = None
        try:
            job = Job(kind, text, accept, version, self.max_rows, plain)
            answer = process.ask(job, end - time.monotonic())
        finally:
            self._back(
                process, whole=answer is not None and not isinstance(answer.error, QueryDied)
            )
        if answer is None:
            raise QueryTooLong(
                f"the query was stopped after {self.deadline:g} seconds.",
                hint="LIMIT, or a narrower pattern",
            )
        if answer.error is not None:
            raise answer.error
        if len(answer.content) > self._max_bytes:
            raise QueryError(
                f"the answer has {len(answer.content)} bytes, it may have {self._max_bytes}.",
                hint="LIMIT",
            )
        return answer.media, answer.content

    def _back(self, process: _Process, *, whole: bool) -> None:
        if not whole:
            process.kill()
        if self._closed.is_set():
            if whole:
                process.kill()
            return
        self._idle.put(process if whole else self._made())
