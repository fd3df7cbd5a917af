"""Orders to deploy, kept in the catalogue until they are settled: none is lost, none forgotten.

An order and what it is about are written in one transaction before the command leaves; the outcome
and the order's end are one transaction, too. After a crash the orders that are left are sent again;
a device that runs the model already says so, and nothing else happens.
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ontology import resolve
from ontology.catalog import Catalog
from ontology.describe.federation import DeploymentFacts, deployment_triples
from ontology.namespaces import DEVICE_PREFIX, PROV, RDF, TF, model_iri
from ontology.terms import Iri, Literal, Triple, moment

__all__ = ["Order", "Outbox"]

_TYPE = Iri(RDF + "type")
_ORDER, _TO = Iri(TF + "Order"), Iri(TF + "deployedTo")
_USED, _AT = Iri(PROV + "used"), Iri(PROV + "startedAtTime")
_RUNNING = Iri(TF + "running")


@dataclass(frozen=True, order=True)
class Order:
    """One command that is to be sent.

    Args:
        at: when it was ordered, as xsd:dateTime.
        device: IRI of the device.
        model: SHA-256 of the model.
        id: the command's correlation id, the same however often it is sent.
    """

    at: str
    device: str
    model: str
    id: str

    @property
    def iri(self) -> Iri:
        """The order's IRI."""
        return Iri(f"{DEVICE_PREFIX}order:{self.id}")

    def triples(self) -> list[Triple]:
        """What the catalogue keeps of it."""
        at = Literal(self.at, moment(0).datatype)
        return [
            Triple(self.iri, _TYPE, _ORDER),
            Triple(self.iri, _TO, Iri(self.device)),
            Triple(self.iri, _USED, Iri(model_iri(self.model))),
            Triple(self.iri, _AT, at),
        ]


class Outbox:
    """The orders of a catalogue.

    Args:
        catalog: where they are kept.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def order(self, model: str, devices: Iterable[str], *, at: float | None = None) -> list[Order]:
        """Order a deployment on devices, all or none; one ordered already is not ordered twice.

        Args:
            model: SHA-256.
            devices: IRIs or names.
            at: seconds since 1970; None: now.

        Returns:
            An order a device, in their order.
        """
        when = moment(time.time() if at is None else at).text
        open_orders = {(o.device, o.model): o for o in self.pending()}
        orders = []
        for name in devices:
            device = str(resolve.device(self.catalog.store, name))
            made = Order(when, device, model.lower(), uuid.uuid4().hex)
            orders.append(open_orders.setdefault((device, made.model), made))
        self.catalog.store.replace([], [t for order in orders for t in order.triples()])
        return orders

    def pending(self) -> list[Order]:
        """Orders that are not settled, oldest first."""
        return sorted(self._read())

    def _read(self) -> Iterator[Order]:
        for triple in list(self.catalog.store.match(None, _TYPE, _ORDER)):
            facts = {t.predicate: t.object for t in self.catalog.store.match(triple.subject)}
            at, model = facts[_AT], str(facts[_USED]).rpartition(":")[2]
            assert isinstance(at, Literal)
            yield Order(at.text, str(facts[_TO]), model, triple.subject.rpartition(":")[2])

    def settle(self, order: Order, *, ok: bool, reason: str = "", at: float | None = None) -> None:
        """Note how an order ended, in one transaction with its end.

        Args:
            order: which; one that is settled already only notes the outcome again.
            ok: whether the device runs the model.
            reason: why not.
            at: seconds since 1970; None: now.
        """
        device = Iri(order.device)
        facts = DeploymentFacts(
            device=order.device,
            model=order.model,
            time=time.time() if at is None else at,
            ok=ok,
            reason=reason,
        )
        store = self.catalog.store
        gone, come = order.triples(), deployment_triples(facts, device)
        if ok:
            gone += store.match(device, _RUNNING)
            come.append(Triple(device, _RUNNING, Iri(model_iri(order.model))))
        store.replace(gone, come)
