"""The catalogue: what is known of devices, models, rounds and deployments, as one graph."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from edge.errors import UsageError
from ontology import gate, resolve
from ontology.capacity import CAPACITY, capacity_triples
from ontology.describe import thing_description, thing_triples
from ontology.describe.federation import (
    DeploymentFacts,
    RoundFacts,
    deployment_iri,
    deployment_triples,
    result_triples,
    round_triples,
)
from ontology.describe.metrics import Metrics, metric_triples
from ontology.describe.model import ModelFacts, Origin, model_triples
from ontology.describe.needs import KEPT as NEEDS
from ontology.describe.needs import Needs, needs_triples
from ontology.named import NamedQuery, get_query
from ontology.namespaces import PROV, RDF, TD, TF, device_iri, is_part, model_iri, round_iri
from ontology.registration import REGISTERED, registration_iri
from ontology.remote import RemoteStore, is_address
from ontology.results import Result
from ontology.store import MEMORY, OxigraphStore, Store
from ontology.terms import Iri, Term, Triple, literal, moment

if TYPE_CHECKING:
    from edge.artifact import Artifact

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_ONLINE, _SINCE, _RUNNING = Iri(TF + "online"), Iri(TF + "statusSince"), Iri(TF + "running")
_STATUS = {_ONLINE, _SINCE, _RUNNING}
_ORIGINS = ("wasDerivedFrom", "wasRevisionOf", "wasGeneratedBy")
_LASTING = re.compile("#(metric|cost)/")
_KEPT = {PROV + name for name in _ORIGINS} | {TF + "convertedFrom", TF + "metric", TF + "cost"}


OnThing = Callable[[Iri, dict[str, Any] | None, dict[str, Any] | None], None]
"""Told of a thing that was described anew: its IRI, what its description was, and what it is."""


class Catalog:
    """Facts in, SPARQL answers out. Calls may come from several threads; one owner at a time.

    Args:
        store: where the triples are kept.

    >>> with Catalog.open() as catalog:
    ...     catalog.set_status("urn:tinyfleet:lab:nano-1", True)
    ...     catalog.query("SELECT ?device { ?device tf:online true }").rows
    True
    (('urn:tinyfleet:lab:nano-1',),)
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.on_thing: OnThing | None = None
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: str | Path = MEMORY, *, read_only: bool = False) -> Self:
        """Open the catalogue in a folder, or at a SPARQL 1.1 endpoint.

        Args:
            path: the folder, made where missing; `:memory:` keeps nothing; or `http://host:port`,
                see `RemoteStore`.
            read_only: read what is there now, also while another process owns it.

        Raises:
            MissingExtra: pyoxigraph is not installed.
            CatalogBusy: another process owns it.
            UsageError: it is to be read and is not there.
        """
        if is_address(path):
            return cls(RemoteStore(str(path)))
        return cls(OxigraphStore(path, read_only=read_only))

    def close(self) -> None:
        """Let another process own it."""
        with self._lock:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def put_thing(
        self,
        description: Mapping[str, Any],
        more: Iterable[Triple] = (),
        *,
        triples: list[Triple] | None = None,
    ) -> Iri:
        """Describe a device by its Thing Description; what was described before is replaced.

        The status stays as it was, unless the description says what the device runs; so does its
        registration in a directory, unless `more` has another.

        Args:
            description: Thing Description 1.1.
            more: other facts about it, put in with it.
            triples: `thing_triples` of the description, where they are at hand.

        Returns:
            The device's IRI.

        Raises:
            UsageError: the description is not a Thing Description 1.1.
        """
        new = thing_triples(description) if triples is None else list(triples)
        device = new[0].subject
        new += capacity_triples(device, new)
        stated = {triple.predicate for triple in new if triple.subject == device}
        registered, kept = list(more), _STATUS - stated
        if not registered:
            kept |= {REGISTERED}
        apart = None if registered else registration_iri(device)
        with self._lock:
            before = self._description(device) if self.on_thing else None
            about = self._about(device)
            old = [t for t in about if t.predicate not in kept and t.subject != apart]
            self.store.replace(old, new + registered)
            if self.on_thing:
                new_one = before is None  # what was read back compares with what will be
                after = dict(description) if new_one else self._description(device)
                self.on_thing(device, before, after)
        return device

    def remove_thing(self, device: str) -> Iri:
        """Forget a device: all that is known of it but what rounds and deployments say.

        Raises:
            UsageError: it is not in the catalogue.
        """
        with self._lock:
            iri = resolve.device(self.store, device)
            old = list(self._about(iri))
            if not old:
                raise UsageError(f"nothing is known about {iri}.")
            before = self._description(iri) if self.on_thing else None
            self.store.replace(old, [])
            if self.on_thing:
                self.on_thing(iri, before, None)
        return iri

    def _description(self, device: Iri) -> dict[str, Any] | None:
        """What is described of a device; None where it is not described."""
        is_thing = self.store.match(device, RDF + "type", Iri(TD + "Thing"))
        return self.get_thing(device) if next(is_thing, None) else None

    def get_thing(self, device: str) -> dict[str, Any]:
        """The Thing Description of a device, given by IRI or name.

        Raises:
            UsageError: it is not in the catalogue.
        """
        iri = resolve.device(self.store, device)
        transient = {_ONLINE, _SINCE, CAPACITY, REGISTERED}
        return thing_description(iri, (t for t in self._about(iri) if t.predicate not in transient))

    def set_status(
        self, device: str, online: bool, running: str | None = None, *, at: float | None = None
    ) -> bool:
        """Note that a device came or went, or runs another model.

        Args:
            device: IRI or name.
            online: whether it is connected.
            running: SHA-256 of what it runs. None means nothing for a device that is online, and
                unchanged for one that is not: a last will does not know.
            at: seconds since 1970; None: now.

        Returns:
            Whether anything changed; only then is something written.
        """
        return self.set_statuses([(device, online, running)], at=at) == 1

    def set_statuses(
        self, changes: Iterable[tuple[str, bool, str | None]], *, at: float | None = None
    ) -> int:
        """Note many changes of status in one transaction.

        Args:
            changes: device, online and running, as for `set_status`; of one device the last counts.
            at: seconds since 1970; None: now.

        Returns:
            How many devices changed; nothing is written for the others.
        """
        since = moment(time.time() if at is None else at)
        with self._lock:
            asked = {resolve.device(self.store, name): (on, run) for name, on, run in changes}
            gone: list[Triple] = []
            come: list[Triple] = []
            changed = 0
            for iri, (online, running) in asked.items():
                old = [t for p in sorted(_STATUS) for t in self.store.match(iri, p)]
                new = [Triple(iri, _ONLINE, literal(online))]
                if running:
                    new.append(Triple(iri, _RUNNING, Iri(model_iri(running))))
                elif not online:
                    new += [t for t in old if t.predicate == _RUNNING]
                if set(new) == {t for t in old if t.predicate != _SINCE}:
                    continue
                changed += 1
                gone += old
                come += [*new, Triple(iri, _SINCE, since)]
            self.store.replace(gone, come)
            return changed

    def load(self, lines: Iterable[bytes]) -> int:
        """Put in very many facts at once, such as those that `dump` gave; see `Store.load`."""
        with self._lock:
            return self.store.load(lines)

    def put(self, subject: str, triples: Iterable[Triple]) -> None:
        """Say what is known of one thing; whatever was said of it and its parts is replaced.

        Args:
            subject: its IRI.
            triples: about it, or about parts below it; facts about devices' status stay out.
        """
        with self._lock:
            self.store.replace(list(self._about(Iri(subject))), triples)

    def put_model(
        self,
        artifact: "Artifact | ModelFacts",
        *,
        name: str,
        task: str | None = None,
        derived_from: str | None = None,
        run: str | None = None,
        round: int | None = None,
        metrics: Metrics | None = None,
        needs: Needs | None = None,
    ) -> Iri:
        """Describe a model file.

        Facts about the file and its name are replaced; origins and metrics add to those known.

        Args:
            artifact: the file, or facts about it.
            name: title for people; versions of one model share it.
            task: name of the task it is for.
            derived_from: SHA-256 of the model it was made from.
            run: the run that made it; with `round`, this is a new version of `derived_from`,
                without, a conversion of it.
            round: the round in that run.
            metrics: measured figures by name, each a number or a `Measurement`; those that are
                not finite are left out.
            needs: what it needs beyond its file; what is not given stays as it was.

        Returns:
            The model's IRI, `urn:sha256:…`.
        """
        facts = artifact if isinstance(artifact, ModelFacts) else ModelFacts.of(artifact)
        made_by = round_iri(run, round) if run is not None and round is not None else None
        origin = Origin(
            name=name,
            task=task,
            derived_from=derived_from,
            round_iri=made_by,
            metrics=metrics or {},
        )
        new = model_triples(facts, origin)
        new += needs_triples(new[0].subject, needs) if needs else []
        model, stated = new[0].subject, {t.subject for t in new}
        kept = _KEPT | (NEEDS - {t.predicate for t in new})
        with self._lock:
            old = [
                t
                for t in self._about(model)
                if t.predicate not in kept
                and (t.subject in stated or not _LASTING.search(t.subject))
            ]
            self.store.replace(old, new)
        return model

    def put_metrics(self, model: str, metrics: Metrics) -> None:
        """Note figures measured on a model that is there; see `put_model`.

        Raises:
            UsageError: no such model.
        """
        with self._lock:
            iri = resolve.model(self.store, model)
            new = list(metric_triples(iri, metrics))
            nodes = {t.subject for t in new} - {iri}
            self.store.replace([t for node in nodes for t in self.store.match(node)], new)

    def record_round(self, facts: RoundFacts) -> Iri:
        """Note a finished round, who contributed, and the version it made.

        Devices may be given by IRI or name; one that is not in the catalogue is noted as
        `urn:tinyfleet:unknown:<name>`.
        """
        with self._lock:
            this = Iri(round_iri(facts.run, facts.round))
            old = list(self._about(this))
            self.store.replace(old, round_triples(facts, self._device) + result_triples(facts))
        return this

    def record_deployment(self, facts: DeploymentFacts) -> Iri:
        """Note a try to deploy; where it succeeded, the device runs that model from now on."""
        with self._lock:
            device = Iri(self._device(facts.device))
            old: list[Triple] = []
            new = deployment_triples(facts, device)
            if facts.ok:
                old = list(self.store.match(device, _RUNNING))
                new.append(Triple(device, _RUNNING, Iri(model_iri(facts.model))))
            self.store.replace(old, new)
        return Iri(deployment_iri(facts, device))

    def _device(self, name: str) -> str:
        try:
            return resolve.device(self.store, name)
        except UsageError:
            return device_iri("unknown", name)

    def _about(self, subject: Iri) -> Iterator[Triple]:
        """The facts of a thing and of all nodes below it."""
        waiting, seen = [subject], {subject}
        while waiting:
            for triple in self.store.match(waiting.pop()):
                yield triple
                inner = triple.object
                if isinstance(inner, Iri) and inner not in seen and is_part(inner, subject):
                    seen.add(inner)
                    waiting.append(inner)

    def query(self, text: str, /, *, max_rows: int = gate.MAX_ROWS, **params: object) -> Result:
        """Answer a named query, or a SPARQL text; the usual prefixes need no declaration.

        Args:
            text: a name such as `models-for-device`, or SELECT, ASK, CONSTRUCT or DESCRIBE.
            max_rows: more rows than this are an error, never a cut answer.
            params: values for a named query's parameters; nothing in them is read as SPARQL.

        Raises:
            UsageError: no such query, device or model; missing or unknown parameters.
            QueryError: the text is malformed, changes things, reaches out, or has too many rows.
        """
        if _NAME.fullmatch(text.strip()):
            named = get_query(text.strip())
            return self._ask(self._bound(named, params), max_rows).ordered(named.order)
        if params:
            raise UsageError(
                f"a SPARQL text has no parameters, this came with {', '.join(params)}.",
                hint="the name of a query",
            )
        return self.sparql(text, max_rows=max_rows)

    def sparql(self, text: str, /, *, max_rows: int = gate.MAX_ROWS) -> Result:
        """Answer a SPARQL text, which is never taken for the name of a query; see `query`."""
        gate.check(text)
        return self._ask(text, max_rows)

    def _ask(self, text: str, max_rows: int) -> Result:
        try:
            return self.store.query(text, max_rows)
        except SyntaxError as error:
            raise gate.syntax_error(text, error) from None

    def _bound(self, query: NamedQuery, params: Mapping[str, object]) -> str:
        """The text of a named query with its parameters in it."""
        query.check(set(params))
        gate.check_template(query.text)
        bindings = {key: self._bind(p.kind, params[key]) for key, p in query.parameters.items()}
        text = gate.bind(query.text, bindings)
        if "'" in "".join(str(term) for term in bindings.values()):
            gate.check(text)  # the engine may read an apostrophe in an IRI as a string's
        return text

    def _bind(self, kind: str, value: object) -> Term:
        if kind == "device":
            return resolve.device(self.store, str(value))
        if kind == "model":
            return resolve.model(self.store, str(value))
        if kind == "integer":
            try:
                return literal(int(str(value)))
            except ValueError:
                raise UsageError(f"{value!r} is not an integer.", hint="a number, 3") from None
        return literal(str(value))

    def update(self, text: str, /) -> None:
        """Carry out a SPARQL 1.1 Update: INSERT DATA, DELETE DATA, DELETE and INSERT with WHERE.

        Nothing checks what it writes against the shapes.

        Raises:
            QueryError: the text is malformed, does anything else, or reaches out.
        """
        gate.check_update(text)
        with self._lock:
            try:
                self.store.update(text)
            except SyntaxError as error:
                raise gate.syntax_error(text, error) from None

    def ask(self, text: str, /) -> bool:
        """Answer an ASK query; for SELECT, whether there is any row."""
        result = self.query(text)
        return bool(result.rows) if result.boolean is None else result.boolean

    def construct(self, text: str, /) -> list[Triple]:
        """The triples of a CONSTRUCT or DESCRIBE query.

        Raises:
            UsageError: the query is of another form.
        """
        result = self.query(text)
        if not result.graph:
            raise UsageError("this query makes no triples.", hint="CONSTRUCT { … } WHERE { … }")
        return [Triple(Iri(str(s)), Iri(str(p)), o) for s, p, o in result.rows if o is not None]

    def facts(self, subject: str) -> dict[str, list[Term]]:
        """What is stated of one thing, by property IRI."""
        found: dict[str, list[Term]] = {}
        for _, predicate, value in self.store.match(subject):
            found.setdefault(predicate, []).append(value)
        return found

    def dump(self) -> str:
        """Everything, as sorted N-Triples."""
        return self.store.dump()
