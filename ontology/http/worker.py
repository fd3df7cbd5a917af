"""A process that answers queries from a snapshot, so that a query can be ended by killing it."""

import ctypes
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple

from edge.errors import TinyfleetError
from ontology.catalog import Catalog
from ontology.http.jsonpath import search
from ontology.http.written import write

__all__ = ["Answer", "Job", "work"]

_PR_SET_PDEATHSIG = 1


class Job(NamedTuple):
    """What a process is asked.

    Args:
        kind: sparql or jsonpath.
        text: the query.
        accept: the client's Accept header.
        version: of the catalogue that must be read; another than the last one opens it again.
        max_rows: most rows.
        plain: see `ontology.http.written.write`.
    """

    kind: str
    text: str
    accept: str
    version: int
    max_rows: int
    plain: bool


class Answer(NamedTuple):
    """What a process answers: a media type with content, or an error to raise."""

    media: str = ""
    content: bytes = b""
    error: TinyfleetError | None = None


def work(link: Connection, place: str, memory: int) -> None:
    """Answer until the other end closes.

    Args:
        link: jobs come and answers go here.
        place: folder or endpoint of the catalogue.
        memory: bytes of address space that this process may have.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which closes the link
    _end_with_parent()
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    catalog: Catalog | None = None
    version = -1
    while True:
        try:
            job: Job = link.recv()
        except (EOFError, OSError):
            return
        try:
            if catalog is None or job.version != version:
                if catalog is not None:
                    catalog.close()
                catalog = Catalog.open(place, read_only=True)
                version = job.version
            answer = _answer(catalog, job)
        except TinyfleetError as error:
            answer = Answer(error=error)
        except Exception as error:
            answer = Answer(error=TinyfleetError(f"the query failed: {error}."))
        link.send(answer)


def _answer(catalog: Catalog, job: Job) -> Answer:
    if job.kind == "jsonpath":
        return Answer("application/json", search(catalog, job.text, job.max_rows))
    result = catalog.sparql(job.text, max_rows=job.max_rows)
    return Answer(*write(result, job.accept, plain=job.plain))


def _end_with_parent() -> None:
    """Have the kernel kill this process when the server dies, whatever it computes."""
    if sys.platform == "linux":
        set_option: Callable[..., int] = ctypes.CDLL(None).prctl
        set_option(_PR_SET_PDEATHSIG, signal.SIGKILL)
