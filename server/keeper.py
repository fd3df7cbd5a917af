"""Keep the catalogue true: what devices say, rounds, exports and deployments become facts."""

import json
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edge.artifact import Artifact
from edge.errors import TinyfleetError
from edge.messages import State
from server.model_facts import heard_name, known_name, knows, make_known, model_facts

if TYPE_CHECKING:
    from edge.mqtt import BrokerOptions
    from ontology.catalog import Catalog
    from ontology.describe.needs import Cost
    from ontology.outbox import Order
    from server.journal import UpdateRow
    from server.rounds import RoundReport
    from server.transports.mqtt import MqttTransport

__all__ = ["Keeper", "heard", "kept_by_broker"]

_log = logging.getLogger("tinyfleet.catalog")
Batch = dict[str, tuple[bool, str | None]]
DEVICE_IRI = "urn:tinyfleet:{site}:{device}"


class Keeper:
    """Writes to a catalogue in the order things happen; a context manager.

    What comes from the network is written by a thread of its own, so that the connection never
    waits for the disk.

    Args:
        catalog: where facts go; closed by its owner.
        site: the site's name.
    """

    def __init__(self, catalog: "Catalog", *, site: str) -> None:
        self.catalog, self._site = catalog, site
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._batch: Batch | None = None
        self._seek: Callable[[str], None] | None = None
        self._running: set[str] = set()  # digests that devices said, and nobody looked up
        self._thread = threading.Thread(target=self._drain, name="catalog-keeper", daemon=True)

    def __enter__(self) -> Self:
        """Start writing."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is left, then stop."""
        self._work.put(None)
        self._thread.join()

    def described(self, device: str, payload: bytes) -> None:
        """A device's Thing Description came, as JSON; a broken or foreign one is logged."""
        with self._lock:
            self._batch = None
        self._work.put(lambda: self._put_thing(device, payload))

    def changed(self, device: str, state: State) -> None:
        """A device came, went, or runs another model.

        Changes that wait for the disk are written together, in one transaction; of one device
        only the last.
        """
        with self._lock:
            if self._batch is None:
                batch = self._batch = {}
                self._work.put(lambda: self._put_statuses(batch))
            self._batch[self.iri(device)] = state.status == "online", state.running

    def _put_statuses(self, batch: Batch) -> None:
        with self._lock:
            if self._batch is batch:
                self._batch = None
        self.catalog.set_statuses((iri, *status) for iri, status in batch.items())
        self._running |= {running for _, running in batch.values() if running}
        self._look_up()

    def seek_by(self, seek: Callable[[str], None]) -> None:
        """Have models looked for that devices run and the catalogue does not know.

        Args:
            seek: called with a SHA-256; what comes of it goes to `found`.
        """

        def begin() -> None:
            self._seek = seek
            self._look_up()

        self._work.put(begin)

    def _look_up(self) -> None:
        while self._seek is not None and self._running:
            sha256 = self._running.pop()
            if not knows(self.catalog, sha256):
                self._seek(sha256)

    def found(self, sha256: str, payload: bytes) -> None:
        """The bytes of a model came; what is damaged or cannot be read is logged."""
        self._work.put(lambda: self._put_found(sha256, payload))

    def _put_found(self, sha256: str, payload: bytes) -> None:
        artifact = Artifact(payload)
        if artifact.sha256 != sha256:
            raise TinyfleetError(f"model {sha256[:12]} came with another digest.")
        make_known(self.catalog, artifact, name=heard_name(artifact))

    def flush(self) -> None:
        """Wait until everything that came so far is written."""
        done = threading.Event()
        self._work.put(done.set)
        done.wait()

    def iri(self, device: str) -> str:
        """The IRI of a device of this site."""
        return DEVICE_IRI.format(site=self._site, device=device)

    def started(self, base: Artifact, *, name: str, task: str) -> None:
        """A run begins with this model; one that the catalogue has a name for keeps it."""
        self.flush()
        name = known_name(self.catalog, base) or name
        self.catalog.put_model(model_facts(base), name=name, task=task)

    def finished(self, report: "RoundReport", result: Artifact, *, name: str, task: str) -> None:
        """A round has ended."""
        from ontology.describe import RoundFacts

        self.flush()
        if report.result != report.base:
            self.catalog.put_model(
                model_facts(result),
                name=name,
                task=task,
                derived_from=report.base,
                run=report.run,
                round=report.round,
                metrics=report.metrics,
            )
        self.catalog.record_round(
            RoundFacts(
                run=report.run,
                round=report.round,
                strategy=report.strategy,
                base=report.base,
                result=report.result,
                started=report.started,
                ended=report.ended,
                contributors=tuple(self._contributions(report.updates)),
                metrics=report.metrics,
                dataset=task,
            )
        )

    def _contributions(
        self, updates: Iterable["UpdateRow"]
    ) -> Iterator[tuple[str, int, bool, str]]:
        """What each device gave, once: its answers that count, or why the last does not."""
        answers: dict[str, list[UpdateRow]] = {}
        for row in updates:
            answers.setdefault(row.device, []).append(row)
        for device, rows in answers.items():
            counted = [row for row in rows if row.accepted]
            samples = sum(row.samples for row in counted or rows[-1:])
            yield self.iri(device), samples, bool(counted), "" if counted else rows[-1].reason

    def exported(
        self,
        artifact: Artifact,
        *,
        name: str,
        task: str,
        source: str,
        metrics: Mapping[str, float],
        cost: "Cost | None" = None,
    ) -> None:
        """A model was converted from another one; `cost` is what it was seen to take on a core."""
        from ontology.describe.needs import Needs

        self.catalog.put_model(
            model_facts(artifact),
            name=name,
            task=task,
            derived_from=source,
            metrics=dict(metrics),
            needs=Needs(costs=(cost,)) if cost else None,
        )

    def ordered(self, devices: Iterable[str], sha256: str) -> "list[Order]":
        """A deployment is about to be sent; the orders are on disk when this returns."""
        from ontology.outbox import Outbox

        self.flush()
        return Outbox(self.catalog).order(sha256, [self.iri(device) for device in devices])

    def settled(self, order: "Order", *, ok: bool, reason: str) -> None:
        """An order ended: the device runs the model, or why not."""
        from ontology.outbox import Outbox

        self.flush()
        Outbox(self.catalog).settle(order, ok=ok, reason=reason)

    def _put_thing(self, device: str, payload: bytes) -> None:
        try:
            description = json.loads(payload)
        except ValueError:
            _log.warning("%s: its description is not JSON", device)
            return
        if not isinstance(description, dict) or description.get("id") != self.iri(device):
            _log.warning("%s: its description is of another device", device)
            return
        self.catalog.put_thing(description)

    def _drain(self) -> None:
        while (write := self._work.get()) is not None:
            try:
                write()
            except (TinyfleetError, ValueError, KeyError, TypeError) as error:
                _log.warning("not written to the catalogue: %s", error)


@contextmanager
def heard(
    catalog: "Catalog", *, options: "BrokerOptions", site: str
) -> "Iterator[tuple[Keeper, MqttTransport]]":
    """Connect to a site, and write what its devices say of themselves while the body runs.

    Args:
        catalog: an owned one.
        options: where the broker is.
        site: the site's name.

    Raises:
        BrokerUnreachable: no broker answers, or it refuses.
    """
    from edge.topics import SiteTopics
    from server.transports.mqtt import MqttTransport

    with (
        Keeper(catalog, site=site) as keeper,
        MqttTransport(
            options,
            SiteTopics(site),
            on_describe=keeper.described,
            on_state=keeper.changed,
            on_model=keeper.found,
        ) as transport,
    ):
        keeper.seek_by(transport.seek_model)
        yield keeper, transport


@contextmanager
def kept_by_broker(
    catalog: "Catalog", *, options: "BrokerOptions", site: str
) -> "Iterator[Keeper]":
    """The same, for who sends nothing to the devices."""
    with heard(catalog, options=options, site=site) as (keeper, _):
        yield keeper
