"""A file onto the devices that a list or a query gives: what the command rollout does."""

from pathlib import Path

from edge.errors import UsageError
from edge.mqtt import BrokerOptions
from edge.topics import SiteTopics
from server.cohort_query import devices_by_query, read_query
from server.keeper import Keeper
from server.model_facts import model_facts
from server.model_file import read_model
from server.rollout import Deployment, deploy
from server.transports.mqtt import MqttTransport

__all__ = ["roll_out"]

PRESENCE_SECONDS = 3.0


def roll_out(
    path: Path,
    where: str,
    options: BrokerOptions,
    *,
    site: str,
    catalog: Path | None,
    timeout: float,
) -> list[Deployment]:
    """Deploy a file to the devices of a list or a query.

    Args:
        path: the `.tflite`.
        where: names separated by commas; or a .rq file or a named query that takes `model`.
        options: where the broker is.
        site: the site's name.
        catalog: folder of the catalogue; needed for a query.
        timeout: seconds to wait for each device.
    """
    from ontology.catalog import Catalog
    from ontology.named import named_queries

    artifact = read_model(path, onnx=True)
    by_query = where.endswith(".rq") or where in named_queries()
    if by_query and catalog is None:
        raise UsageError("a query needs a catalogue to ask.", hint="--catalog runs/latest/catalog")
    with Catalog.open(catalog or ":memory:") as opened, Keeper(opened, site=site) as keeper:
        if catalog is not None:
            opened.put_model(model_facts(artifact), name=artifact.name or path.stem)
        with MqttTransport(
            options, SiteTopics(site), on_describe=keeper.described, on_state=keeper.changed
        ) as transport:
            transport.wait_for(1, PRESENCE_SECONDS)
            keeper.flush()
            if where.endswith(".rq"):
                devices = devices_by_query(opened, read_query(Path(where)), site=site)()
            elif by_query:
                devices = devices_by_query(opened, where, site=site, model=artifact.sha256)()
            else:
                devices = [name.strip() for name in where.split(",") if name.strip()]
            return deploy(transport, artifact, devices, keeper=keeper, timeout=timeout)
