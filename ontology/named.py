"""The named queries: `.rq` files whose header says what they answer and what they need.

A header is a block of comments: `# title: …`, `# description: …`, and for each parameter
`# parameter: name kind text`, where kind is `device`, `model`, `text` or `integer`; and
`# order: columns` that the rows are sorted by afterwards, a falling one with a minus.
"""

import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from edge.errors import UsageError

FOLDER = Path(__file__).parent / "queries"
Kind = Literal["device", "model", "text", "integer"]
_HEADER = re.compile(r"^# (title|description|parameter|order): (.+)$", re.MULTILINE)


class Parameter(NamedTuple):
    """One thing that a named query needs to be told."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class NamedQuery:
    """A query that ships with the catalogue."""

    name: str
    title: str
    description: str
    parameters: dict[str, Parameter]
    text: str
    order: tuple[str, ...] = ()

    def check(self, given: set[str]) -> None:
        """Refuse missing and unknown parameters.

        Raises:
            UsageError: naming all parameters that the query has.
        """
        known = set(self.parameters)
        if given == known:
            return
        wrong = [f"lacks {name!r}" for name in sorted(known - given)]
        wrong += [f"does not know {name!r}" for name in sorted(given - known)]
        allowed = [f"{name}=… ({p.kind}: {p.text})" for name, p in self.parameters.items()]
        raise UsageError(
            f"the query {self.name!r} {' and '.join(wrong)}.",
            hint=", ".join(allowed) or "the query without parameters",
        )


@cache
def named_queries() -> dict[str, NamedQuery]:
    """All named queries by name."""
    return {path.stem: load(path) for path in sorted(FOLDER.glob("*.rq"))}


def load(path: Path) -> NamedQuery:
    """Read one `.rq` file.

    Raises:
        UsageError: the header has no title, or a parameter of a kind that does not exist.
    """
    text = path.read_text()
    header: dict[str, list[str]] = {"title": [], "description": [], "parameter": [], "order": []}
    for key, value in _HEADER.findall(text):
        header[key].append(value.strip())
    if not header["title"]:
        raise UsageError(f"{path.name} has no title.", hint="a first line `# title: …`")
    parameters = dict(_parameter(path, line) for line in header["parameter"])
    return NamedQuery(
        path.stem,
        header["title"][0],
        " ".join(header["description"]),
        parameters,
        text,
        tuple(" ".join(header["order"]).split()),
    )


def _parameter(path: Path, line: str) -> tuple[str, Parameter]:
    name, kind, text = [*line.split(maxsplit=2), "", ""][:3]
    if kind not in get_args(Kind):
        raise UsageError(
            f"{path.name}: a parameter has no kind {kind!r}.", hint=", ".join(get_args(Kind))
        )
    return name, Parameter(cast(Kind, kind), text)


def get_query(name: str) -> NamedQuery:
    """The named query with this name.

    Raises:
        UsageError: there is none; lists those that exist.
    """
    queries = named_queries()
    if name in queries:
        return queries[name]
    near = difflib.get_close_matches(name, queries, n=1)
    raise UsageError(
        f"there is no query named {name!r}; there are {', '.join(queries)}.",
        hint=near[0] if near else "one of these, or a SPARQL text",
    )
