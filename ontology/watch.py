"""What happens in a catalogue, seen by looking at it again: for people and scripts that watch."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from ontology.catalog import Catalog
from ontology.namespaces import shorten
from ontology.results import Result

__all__ = ["Event", "Watcher"]

_ALL, _TRIES = 1 << 30, 5
_DEVICES = "SELECT ?it ?online ?running WHERE { ?it a tf:Device OPTIONAL { ?it tf:online ?online } "
_DEVICES += "OPTIONAL { ?it tf:running ?running } }"
_MODELS = "SELECT ?it ?name WHERE { ?it a tf:Model OPTIONAL { ?it dct:title ?name } }"
_ROUNDS = "SELECT ?it ?count WHERE { ?it a tf:Round OPTIONAL { ?it tf:contributorCount ?count } }"
_DEPLOYMENTS = (
    "SELECT ?it ?device ?model ?ok WHERE { ?it a tf:Deployment ; tf:deployedTo ?device ; "
)
_DEPLOYMENTS += "prov:used ?model ; tf:succeeded ?ok }"
_ORDERS = "SELECT ?it ?device ?model WHERE { ?it a tf:Order ; tf:deployedTo ?device ; "
_ORDERS += "prov:used ?model }"

Facts = dict[str, tuple[object, ...]]
Known = dict[str, Facts]


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Args:
        time: when it was seen, seconds since 1970.
        kind: added, removed, online, offline, runs, model, round, ordered or deployed.
        subject: IRI of what it happened to.
        text: for people.
    """

    time: float
    kind: str
    subject: str
    text: str


class Watcher:
    """Compares what a catalogue says now with what it said before.

    Args:
        look: opens the catalogue, for reading, as it is at that moment.
    """

    def __init__(self, look: Callable[[], AbstractContextManager[Catalog]]) -> None:
        self._look = look
        self._known = self._read()

    def poll(self) -> list[Event]:
        """What happened since the last look, devices first."""
        before, self._known = self._known, self._read()
        now, found = time.time(), list[tuple[str, str, str]]()
        for thing, facts in sorted(self._known["device"].items()):
            found += _of_device(thing, before["device"].get(thing), facts)
        gone = before["device"].keys() - self._known["device"].keys()
        found += [("removed", thing, f"{shorten(thing)} is gone") for thing in sorted(gone)]
        for kind, say in _NEW.items():
            for thing, facts in sorted(self._known[kind].items()):
                if thing not in before[kind]:
                    found.append((kind, thing, say(thing, facts)))
        return [Event(now, *one) for one in found]

    def _read(self) -> Known:
        """Everything; the owner may remove a file while it is read, so that is tried again."""
        for _ in range(_TRIES):
            with suppress(RuntimeError, OSError):
                return self._all()
            time.sleep(0.05)
        return self._all()

    def _all(self) -> Known:
        with self._look() as catalog:
            return {
                "device": _facts(catalog.query(_DEVICES, max_rows=_ALL)),
                "model": _facts(catalog.query(_MODELS, max_rows=_ALL)),
                "round": _facts(catalog.query(_ROUNDS, max_rows=_ALL)),
                "ordered": _facts(catalog.query(_ORDERS, max_rows=_ALL)),
                "deployed": _facts(catalog.query(_DEPLOYMENTS, max_rows=_ALL)),
            }


def _facts(result: Result) -> Facts:
    return {str(row[0]): tuple(getattr(t, "text", t) for t in row[1:]) for row in result.rows}


def _of_device(
    thing: str, before: tuple[object, ...] | None, after: tuple[object, ...]
) -> list[tuple[str, str, str]]:
    name = shorten(thing)
    found = [] if before is not None else [("added", thing, f"{name} is new")]
    online, running = before or (None, None)
    if after[0] != online and after[0] is not None:
        kind = "online" if after[0] == "true" else "offline"
        found.append((kind, thing, f"{name} is {kind}"))
    if after[1] != running and after[1] is not None:
        found.append(("runs", thing, f"{name} runs {shorten(str(after[1]))}"))
    return found


def _deployed(thing: str, facts: tuple[object, ...]) -> str:
    how = "runs" if facts[2] == "true" else "did not take"
    return f"{shorten(str(facts[0]))} {how} {shorten(str(facts[1]))}"


_NEW: dict[str, Callable[[str, tuple[object, ...]], str]] = {
    "model": lambda thing, facts: f"{facts[0] or 'a model'} is there: {shorten(thing)}",
    "round": lambda thing, facts: f"{shorten(thing)} ended, {facts[0] or 0} contributed",
    "ordered": lambda thing, facts: f"{shorten(str(facts[0]))} is to run {shorten(str(facts[1]))}",
    "deployed": _deployed,
}
