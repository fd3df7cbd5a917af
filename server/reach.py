"""A site within reach: its catalogue, its broker, and the devices that a user names there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import TinyfleetError, UsageError
from edge.mqtt import BrokerOptions
from edge.topics import SiteTopics
from server.cohort_query import devices_by_query, read_query
from server.keeper import Keeper, heard
from server.transports.mqtt import PRESENCE_SECONDS, MqttTransport

if TYPE_CHECKING:
    from ontology.catalog import Catalog

__all__ = ["Reach", "is_query", "reached"]


@dataclass(frozen=True)
class Reach:
    """The way to a site, and what writes down what is heard of it.

    Args:
        where: names separated by commas; or a .rq file or a named query.
        catalog: what the query asks; of this moment alone where none was given.
        keeper: writes to it.
        transport: the way to the devices.
    """

    where: str
    catalog: "Catalog"
    keeper: Keeper
    transport: MqttTransport

    def devices(self, *, model: str | None = None) -> list[str]:
        """Names of the devices, each once.

        Args:
            model: SHA-256, for a named query that takes `model`.

        Raises:
            UsageError: the query has no column `device`, or needs what is not here.
            TinyfleetError: the query finds no device.
        """
        if not is_query(self.where):
            return _names(self.where, self.transport.site)
        found = self._asked(model)
        if not found:
            raise TinyfleetError(
                f"{self.where} finds no device of site {self.transport.site.site}.",
                hint="tinyfleet catalog query fleet, for what is there; or names",
            )
        return list(dict.fromkeys(found))

    def _asked(self, model: str | None) -> list[str]:
        from ontology.named import named_queries

        site = self.transport.site.site
        if self.where.endswith(".rq"):
            return devices_by_query(self.catalog, read_query(Path(self.where)), site=site)()
        wanted = named_queries()[self.where].parameters.keys()
        given: dict[str, Any] = {"model": model} if model is not None and "model" in wanted else {}
        if lacking := sorted(wanted - given.keys()):
            raise UsageError(
                f"the query {self.where!r} needs {' and '.join(lacking)}, which is not known here.",
                hint="fleet, a .rq file, or names",
            )
        return devices_by_query(self.catalog, self.where, site=site, **given)()


@contextmanager
def reached(
    where: str, options: BrokerOptions, *, site: str, catalog: Path | str | None
) -> Iterator[Reach]:
    """Open the catalogue, connect, and wait a moment for what the broker knows of the devices.

    Args:
        where: names separated by commas; or a .rq file or a named query.
        options: where the broker is.
        site: the site's name.
        catalog: folder of the catalogue to ask and to tell; needed for a query.

    Raises:
        UsageError: nobody is named, a name that no device can have, or a query without catalogue.
        CatalogBusy: another process owns the catalogue.
        BrokerUnreachable: no broker answers, or it refuses.
    """
    from ontology.catalog import Catalog

    topics = SiteTopics(site)
    if not is_query(where):
        _names(where, topics)
    elif catalog is None:
        raise UsageError("a query needs a catalogue to ask.", hint="--catalog runs/latest/catalog")
    with (
        Catalog.open(catalog or ":memory:") as opened,
        heard(opened, options=options, site=site) as (keeper, transport),
    ):
        transport.wait_for(1, PRESENCE_SECONDS)
        if is_query(where):
            transport.settle()
        keeper.flush()
        yield Reach(where, opened, keeper, transport)


def is_query(where: str) -> bool:
    """Whether it is a .rq file or the name of a query, and no names of devices."""
    from ontology.named import named_queries

    return where.endswith(".rq") or where in named_queries()


def _names(where: str, site: SiteTopics) -> list[str]:
    """The names in a list, each once, if devices can have them."""
    found = [name.strip() for name in where.split(",") if name.strip()]
    if not found:
        raise UsageError("--where names no device.", hint="--where mcu-1,mcu-2")
    for name in found:
        site.device(name)
    return list(dict.fromkeys(found))
